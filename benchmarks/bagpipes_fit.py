"""Spectra fitted by bagpipes (Carnall et al. 2018), in an environment of its own.

    PYTHON benchmarks/bagpipes_fit.py FOLDER SECONDS LIVE

Reads the spectra that `benchmarks.bagpipes_peer` wrote to FOLDER, writes one JSON file per object,
and begins no further one after SECONDS of CPU time. Objects that have their file are left alone.
Nothing of flowspec is imported.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

LARGEST_Z = 0.2  # of the wavelengths that models are made for
DRAWS = 500
# Ages and times in Gyr, metallicity in units of 0.02, masses of Kroupa's IMF in log10 of M_sun.
MODEL = {
    "exponential": {
        "age_prior": "log_10", "tau": (0.1, 20.0), "tau_prior": "log_10",
        "massformed": (6.0, 12.5), "metallicity": (0.05, 2.5), "metallicity_prior": "log_10",
    },
    # young stars and gas behind twice the dust, as in flowspec (1 / 0.44) and in the paper
    "dust": {"type": "Calzetti", "Av": (0.0, 3.0), "eta": 2.0},
    "nebular": {"logU": (-4.0, -2.0)},
    "veldisp": (30.0, 400.0), "veldisp_prior": "log_10",
    # its level is fixed: a polynomial of best fit would take away what tells the mass
    "calib": {
        "type": "polynomial_bayesian", "0": 1.0,
        "1": (-0.3, 0.3), "1_prior": "Gaussian", "1_prior_mu": 0.0, "1_prior_sigma": 0.05,
        "2": (-0.3, 0.3), "2_prior": "Gaussian", "2_prior_mu": 0.0, "2_prior_sigma": 0.05,
    },
    "noise": {"type": "white_scaled", "scaling": (0.5, 10.0), "scaling_prior": "log_10"},
}  # fmt: skip


def resampled(new_wavs, spec_wavs, spec_fluxes, fill=0.0, **_):
    """Means of a spectrum over new pixels: what `spectres.spectres` gives, without its loop.

    That takes 20 of the 23 ms of a model. The integral of flux that is constant in each pixel is
    linear between its edges, so that it can be interpolated.
    """
    old, new = edges(spec_wavs), edges(new_wavs)
    integral = np.concatenate([[0.0], np.cumsum(spec_fluxes * np.diff(old))])
    mean = np.diff(np.interp(new, old, integral)) / np.diff(new)
    return np.where((new[1:] <= old[-1]) & (new[:-1] >= old[0]), mean, fill)


def edges(wave):
    """Edges of pixels: half-way between their middles."""
    middle = 0.5 * (wave[1:] + wave[:-1])
    first, last = wave[0] - 0.5 * (wave[1] - wave[0]), wave[-1] + 0.5 * (wave[-1] - wave[-2])
    return np.concatenate([[first], middle, [last]])


def fitted(pipes, name: str, spectrum: np.ndarray, z: float, live: int) -> dict:
    """Percentiles of one object, and what they took."""
    galaxy = pipes.galaxy(name, lambda _: spectrum.copy(), photometry_exists=False)
    universe = float(np.interp(z, pipes.utils.z_array, pipes.utils.age_at_z))
    history = MODEL["exponential"] | {"age": (0.05, universe)}  # older ones are refused
    model = MODEL | {"redshift": z, "exponential": history}
    fit = pipes.fit(galaxy, model, n_posterior=DRAWS)
    calls, likelihood = [0], fit.fitted_model.lnlike

    def counted(*arguments):
        calls[0] += 1
        return likelihood(*arguments)

    fit.fitted_model.lnlike = counted
    start = time.process_time()
    fit.fit(verbose=False, sampler="nautilus", n_live=live, n_networks=1, n_eff=DRAWS)
    cpu = time.process_time() - start
    samples = fit.posterior.samples
    columns = {
        "log_mstar": samples["stellar_mass"],
        "log_sfr": np.log10(np.maximum(samples["sfr"], 1e-9)),
        "av": samples["dust:Av"],
        "dispersion": samples["veldisp"],
        "noise": samples["noise:scaling"],
    }
    percentiles = {k: np.percentile(v, (16, 50, 84)).tolist() for k, v in columns.items()}
    return {"cpu_s": cpu, "calls": calls[0], "percentiles": percentiles}


def main(folder: Path, seconds: float, live: int) -> None:
    """Fit objects one after the other until the time is up."""
    import bagpipes as pipes
    import spectres

    pipes.config.max_redshift = LARGEST_Z
    spectres.spectres = resampled
    os.chdir(folder)
    for file in sorted(Path().glob("*.npz")):
        answer = file.with_suffix(".json")
        if answer.exists() or time.process_time() > seconds:
            continue
        np.random.seed(0)
        with np.load(file) as f:
            spectrum, z = f["spectrum"], float(f["z"])
        answer.write_text(json.dumps(fitted(pipes, file.stem, spectrum, z, live)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
