"""bagpipes on the same SDSS spectra as the shipped model: masses, rates, dust, and time.

bagpipes (Carnall et al. 2018, MNRAS 480, 4379) samples a model of each spectrum anew. It is no
dependency: `python` is that of an environment with ``pip install bagpipes``. Its model here: an
exponential history, Calzetti dust, nebular lines, dispersion, a calibration polynomial of degree 2
whose level is fixed, errors scaled by a factor, redshift fixed to the survey's. It sees the spectra
in pairs of pixels, as it samples models no finer, to 7350 angstrom in the rest frame, where MILES
ends.

Its masses and rates (Kroupa's IMF, H0 of 70) are brought to a Chabrier IMF and Planck18, as
flowspec's are. Objects already fitted in `folder` are not fitted again.
"""

import json
import subprocess
from pathlib import Path

import numpy as np

import flowspec as fs
from benchmarks import harness, scores
from benchmarks.real_sdss import good_galaxies, percentiles
from flowspec.data.air import vacuum_to_air

PARAMETERS = ("log_mstar", "log_sfr", "av", "dispersion")
REST = (3600.0, 7350.0)  # angstrom, in air
# Madau & Dickinson (2014, ARA&A 52, 415), section 3.1: 0.61 / 0.66 and 0.63 / 0.67 of Salpeter's
KROUPA_TO_CHABRIER = {"log_mstar": np.log10(0.61 / 0.66), "log_sfr": np.log10(0.63 / 0.67)}
# dex, of the square of a distance: H0 of 70 (and Omega_m of 0.3) to Planck18's, at low redshift
TO_PLANCK18 = 2 * np.log10(70.0 / 67.66)


def run(
    *, python: str = "", folder: str = "bagpipes", objects: int = 20, live: int = 200,
    minutes: float = 15.0, draws: int = 500, seed: int = 0,
) -> dict:  # fmt: skip
    """Compare posteriors of the same spectra.

    Args:
        python: Interpreter that has bagpipes; without one only what is in `folder` is compared.
        folder: Where spectra and answers are kept.
        objects: Number of galaxies of the reported half, drawn by `seed`.
        live: Live points of bagpipes' sampler.
        minutes: CPU time after which it begins no further object.
        draws: Of the shipped model.
        seed: Of the choice and of the draws.
    """
    obs, z = chosen(objects, seed)
    written(Path(folder), obs, z)
    posterior = fs.load("sdss")
    posterior.summarize(obs, n=draws, seed=seed)  # compiles
    summary, _, cpu = harness.clocked(lambda: posterior.summarize(obs, n=draws, seed=seed))
    if python:
        script = str(Path(__file__).with_name("bagpipes_fit.py"))
        subprocess.run([python, script, folder, str(60 * minutes), str(live)], check=True)
    answers = {name: f for name in obs.names if (f := _answer(Path(folder), name)).exists()}
    done = np.array([name in answers for name in obs.names])
    theirs = [json.loads(file.read_text()) for file in answers.values()]
    results = {"galaxies": len(theirs), "flowspec cpu_s per object": cpu / len(obs)}
    return results | compared(summary[done], theirs)


def chosen(objects: int, seed: int) -> tuple[fs.Spectra, np.ndarray]:
    """Good galaxies of the half that is reported, and their redshifts."""
    obs, z = good_galaxies()
    rows = np.flatnonzero(scores.report_half(obs.names))
    rows = np.random.default_rng(seed).permutation(rows)[:objects]
    return obs[rows], z[rows]


def written(folder: Path, obs: fs.Spectra, z: np.ndarray) -> None:
    """One file per spectrum: wavelength in air, flux and error in erg/s/cm2/A, and redshift."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(obs.names):
        rest = vacuum_to_air(obs.wave / (1 + z[i]))
        wave, flux, ivar = paired(rest * (1 + z[i]), obs.flux[i], obs.ivar[i])
        seen = (ivar > 0) & (wave > REST[0] * (1 + z[i])) & (wave < REST[1] * (1 + z[i]))
        columns = wave, 1e-17 * flux, 1e-17 * np.maximum(ivar, 1e-30) ** -0.5
        spectrum = np.stack([column[seen] for column in columns], 1)
        np.savez(_answer(folder, name).with_suffix(".npz"), spectrum=spectrum, z=z[i])


def paired(
    wave: np.ndarray, flux: np.ndarray, ivar: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neighbouring pixels averaged with their inverse variances; 0 where there is no data."""
    wave, flux, ivar = (
        np.asarray(a, float)[: 2 * (len(wave) // 2)].reshape(-1, 2) for a in (wave, flux, ivar)
    )
    total = ivar.sum(1)
    mean = np.divide((flux * ivar).sum(1), total, out=np.zeros(len(total)), where=total > 0)
    return wave.mean(1), mean, total


def _answer(folder: Path, name: str) -> Path:
    return folder / (name.replace("/", "_").replace(".", "_") + ".json")


def compared(summary, theirs: list[dict]) -> dict:
    """Offsets, scatter and widths of each parameter, costs, and every object's numbers."""
    if not theirs:
        return {}
    out = {f"bagpipes {k} per object": float(np.mean([t[k] for t in theirs]))
           for k in ("cpu_s", "calls")}
    rows = {}
    for name in PARAMETERS:
        own = np.stack(percentiles(summary, name))
        other = np.array([t["percentiles"][name] for t in theirs]).T + shift(name)
        out[name] = agreement(own, other)
        rows[name] = {"flowspec": own.T, "bagpipes": other.T}
    noise = np.array([t["percentiles"]["noise"][1] for t in theirs])
    out["bagpipes noise scaling, median"] = scores.middle(noise)
    return out | {"objects": [str(n) for n in summary["name"]], "noise": noise,
                  "percentiles 16, 50, 84": rows}


def shift(name: str) -> float:
    """dex that bring bagpipes' masses and rates to flowspec's IMF and cosmology."""
    return KROUPA_TO_CHABRIER[name] + TO_PLANCK18 if name in KROUPA_TO_CHABRIER else 0.0


def agreement(own: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """How far two sets of percentiles [3, objects] differ, the first less the second."""
    difference = own[1] - other[1]
    halves = [(q[2] - q[0]) / 2 for q in (own, other)]
    return {
        "offset": scores.middle(difference),
        "nmad": scores.nmad(difference),
        "flowspec width": scores.middle(halves[0]),
        "bagpipes width": scores.middle(halves[1]),
        "within their joint 68 %": scores.share(np.abs(difference) < np.hypot(*halves)),
    }
