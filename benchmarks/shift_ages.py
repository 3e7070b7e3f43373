"""Real spectra with sky residuals, without labels: the gap to simulations, raw and cleaned.

215 spectra of MMT/Hectospec (AGES), 6701-9199 A, before and after the removal of residuals of the
sky by principal components. A model is trained on galaxies with the noise of the cleaned spectra,
then adapted to the raw and to the cleaned ones. No redshifts are known; but the two versions are of
the same galaxies, so that their posteriors should agree.
"""

import numpy as np
import numpyro.distributions as dist
from scipy.io import readsav

import flowspec as fs
from benchmarks import harness
from benchmarks.shift_scores import summary
from flowspec.prior.parameters import broad_prior
from flowspec.sim.instrument.instrument import Instrument

ARCHITECTURE = fs.Architecture(learned=0, bin_pixels=2)
WAVE = np.geomspace(6702.0, 9197.0, 1024)
SAME = 0.003  # difference of redshifts that are the same, over 1 + z


def run(
    *, seeds: int = 5, steps: int = 2000, injected: int = 1000, aligned: int = 300, batch: int = 64
) -> dict:
    """Gaps before and after, and agreement of the redshifts of raw and cleaned spectra.

    Args:
        seeds: Runs.
        steps: Of the model without adaptation.
        injected: Steps with injection.
        aligned: Steps of each alignment.
        batch: Simulations per step.
    """
    raw, cleaned = spectra()
    adaptation = fs.Adaptation(steps=aligned, injected=injected, stages=1, weights=(0.3,))
    training = fs.Training(steps=steps, batch=batch, evaluate=max(1, steps // 4))
    sim = fs.GalaxySimulator(hectospec(), prior=broad_prior().replace(z=dist.Uniform(0.0, 0.9)))
    rows = []
    for seed in range(seeds):
        plain = fs.fit(sim, cleaned, seed=seed, training=training, architecture=ARCHITECTURE,
                       progress=False)  # fmt: skip
        adapted = {
            name: fs.adapt(plain, sim, obs, seed=seed, training=training, adaptation=adaptation,
                           progress=False)
            for name, obs in (("raw", raw), ("cleaned", cleaned))
        }  # fmt: skip
        row = {"unadapted " + k: v for k, v in agreement(plain, plain, raw, cleaned).items()}
        row |= {"adapted " + k: v
                for k, v in agreement(adapted["raw"], adapted["cleaned"], raw, cleaned).items()}
        for name, post in adapted.items():
            record = post.provenance["adaptation"]
            row |= {f"{name} data": record["data"][0], f"{name} before": record["before"]["auc"],
                    f"{name} after": record["after"]["auc"],
                    f"{name} injected": float(record["injected"]),
                    f"{name} chosen": record["method"]}  # fmt: skip
        rows.append(row)
        print(seed, row, flush=True)
    return summary(rows) | {"runs": rows}


def agreement(of_raw, of_cleaned, raw: fs.Spectra, cleaned: fs.Spectra) -> dict:
    """What two posteriors make of the same galaxies."""
    tables = [p.summarize(o, n=200) for p, o in ((of_raw, raw), (of_cleaned, cleaned))]
    z, other = (np.asarray(t["z_best"]) for t in tables)
    same = np.abs(z - other) / (1 + other) < SAME
    sure = [np.asarray(t["z_prob"]) > 0.9 for t in tables]
    return {
        "same z": float(same.mean()),
        "sure raw": float(sure[0].mean()), "sure cleaned": float(sure[1].mean()),
        "sure and different": float((sure[0] & sure[1] & ~same).mean()),
        "flagged raw": float((tables[0]["p_value"] < 1e-3).mean()),
        "flagged cleaned": float((tables[1]["p_value"] < 1e-3).mean()),
    }  # fmt: skip


def spectra() -> tuple[fs.Spectra, fs.Spectra]:
    """Raw and cleaned; both with the errors of the cleaned, which the file does not give: the
    robust scatter of a spectrum about its running mean, times that of a pixel in all spectra."""
    path = harness.data_folder() / "spectra/ages/ages_skysub_out.sav"
    file = readsav(path)
    wave = np.asarray(file["wave"], float)
    pair = [1e17 * np.asarray(file[k], float) for k in ("flux", "skysubflux")]
    kernel = np.ones(101) / 101
    smooth = np.stack([np.convolve(np.pad(row, 50, mode="edge"), kernel, "valid")
                       for row in pair[1]])  # fmt: skip
    departure = np.abs(pair[1] - smooth)
    level = 1.4826 * np.median(departure, axis=1, keepdims=True)
    shape = 1.4826 * np.median(departure / np.maximum(level, 1e-30), axis=0)
    ivar = np.maximum(level * np.maximum(shape, 0.1), 1e-30) ** -2.0 * (level > 0)
    raw, cleaned = (fs.Spectra(wave, flux, ivar) for flux in pair)
    return raw.resample(WAVE), cleaned.resample(WAVE)


def hectospec() -> Instrument:
    """Hectospec's 270-line grating: 6 A full width (Fabricant et al. 2005), as far as needed."""
    lsf = 6.0 / 2.3548 / WAVE * 299792.458
    return Instrument("hectospec", WAVE, lsf, np.ones(len(WAVE)), (0.5, 30.0))
