"""The mixture of DESI's main survey, simulated: what is right of each class of targets.

Bright galaxies and stars have 180 s of effective exposure, luminous red galaxies, galaxies with
emission lines, quasars and fibres on the sky 1000 s (`benchmarks.desi_noise`); targets are chosen
by brightness, line and redshift as the survey chooses them (`benchmarks.desi_targets`). Spectra are
those of flowspec's own simulators, with their nuisances: what is asked is how far a model gets
where its assumptions hold. Beside stand the survey's own figures, of real spectra.
"""

from functools import partial

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from astropy.table import Table

import flowspec as fs
from benchmarks import desi_targets, harness, scores
from benchmarks.desi_noise import BRIGHT, DARK, SurveyNoise, survey
from benchmarks.real_classes import certainty, right
from flowspec.sim.instrument.desi import desi

GALAXY, QSO, STAR, NOTHING = CLASSES = ("GALAXY", "QSO", "STAR", "NOTHING")
# What each target is, its effective exposure, and the limit on |dz| / (1 + z): 1000 km/s, as the
# survey judges its own redshifts; of quasars 3000.
TARGETS = {
    "BGS": (GALAXY, BRIGHT, 0.0033), "LRG": (GALAXY, DARK, 0.0033), "ELG": (GALAXY, DARK, 0.0033),
    "QSO": (QSO, DARK, 0.01), "STAR": (STAR, BRIGHT, 0.0033), "SKY": (NOTHING, DARK, np.inf),
}  # fmt: skip
SURE, PURE = 0.9, 0.97
# Of real targets, redshifts that the survey takes for sure and wrong ones among these (Zhou et al.
# 2023, Raichoor et al. 2023).
PUBLISHED = {
    "LRG": {"sure": 0.989, "wrong of the sure": 0.002}, "ELG": {"wrong of the sure": 0.0026},
}  # fmt: skip


def run(
    *, model: str = "optical", each: int = 500, draws: int = 200, seed: int = 0,
    exposure: float = 1.0, low: float = 0.0, high: float = 1e5,
) -> dict:  # fmt: skip
    """Judge a model of kinds of objects.

    Args:
        model: Name of a shipped model or a model file.
        each: Targets of each class.
        draws: Posterior draws per spectrum.
        seed: Of targets, noise and draws.
        exposure: Factor on the effective times of the survey.
        low: First wavelength in angstrom that the model is shown.
        high: Last one; 3700 to 9500 are those of 4MOST.

    Raises:
        ValueError: If the model has no classes, or the exposure is not positive.
    """
    if not exposure > 0:
        raise ValueError(f"expected a factor on the exposure above 0; got {exposure:g}")
    posterior = fs.load(model)
    results, confusion, cpu_s = {}, {}, 0.0
    for name in TARGETS:
        obs, z, about = observed(name, each, seed, exposure)
        seen = (obs.wave >= low) & (obs.wave <= high)
        obs = fs.Spectra(obs.wave[seen], obs.flux[:, seen], obs.ivar[:, seen])
        found, _, cpu = harness.clocked(partial(posterior.summarize, obs, n=draws, seed=seed))
        if "class" not in found.colnames:
            raise ValueError(f"expected a model of kinds of objects; got {model} without a class")
        results[name] = judged(name, found, z) | about
        confusion[name] = confused(found)
        cpu_s += cpu
    sky = results.pop("SKY")
    return {
        "model": model, "cpu_s per spectrum": cpu_s / (each * len(TARGETS)),
        "targets": results, "sky": sky, "taken for": confusion, "published": PUBLISHED,
    }  # fmt: skip


def observed(
    name: str, each: int, seed: int, exposure: float
) -> tuple[fs.Spectra, np.ndarray, dict]:
    """Noisy spectra of one class of targets, their redshifts, and what was looked for.

    Args:
        name: One of `TARGETS`.
        each: How many.
        seed: Of all that is random.
        exposure: Factor on the effective time.
    """
    key = jr.fold_in(jr.key(seed), list(TARGETS).index(name))
    light, pixels = jr.split(key)
    seconds = TARGETS[name][1] * exposure
    wave = desi().wave
    if name == "SKY":
        _, _, data = fs.SkySimulator(survey(seconds)).simulate(light, each)
        return fs.Spectra(wave, *map(np.asarray, data)), np.zeros(each), {}
    if name in desi_targets.GALAXIES:
        sim = desi_targets.galaxy_simulator()
        sample = desi_targets.galaxies(name, light, each, sim)
    else:
        sim = desi_targets.POINTS[name]()
        sample = desi_targets.point_sources(name, light, each)
    flux, ivar = exposed(sim, SurveyNoise(seconds), sample.flux, pixels)
    about = {"share of candidates": sample.chosen, "median r": np.median(sample.seen.whole["r"]),
             "median r in the fibre": np.median(sample.seen.fibre["r"])}  # fmt: skip
    return fs.Spectra(wave, flux, ivar), sample.seen.z.astype(float), about


def exposed(sim, noise: SurveyNoise, flux: np.ndarray, key) -> tuple[np.ndarray, np.ndarray]:
    """Noisy spectra and their inverse variance [n, pixels] each, with the simulator's flaws."""
    keys = jr.split(key, len(flux))

    @jax.jit
    def one(key, flux):
        ivar = noise.draw(key, flux)
        return sim.add_noise(key, flux, ivar), ivar

    both = [one(key, jnp.asarray(row, jnp.float32)) for key, row in zip(keys, flux, strict=True)]
    noisy, ivar = zip(*both, strict=True)
    return np.stack(noisy), np.stack(ivar)


def judged(name: str, found: Table, z: np.ndarray) -> dict:
    """Scores of one class of targets.

    Args:
        name: One of `TARGETS`.
        found: Summary of their spectra.
        z: True redshifts [rows].
    """
    kind, _, limit = TARGETS[name]
    same = np.asarray(found["class"]) == kind
    if kind == NOTHING:
        sure = np.asarray(found["p_nothing"], float) < 1 - SURE
        return {"n": len(found), "class right": scores.share(same),
                "surely something": scores.share(sure)}  # fmt: skip
    good, probability = right(found, z, limit), certainty(found)
    sure = probability >= SURE
    pure = scores.purity(probability, good & same, (PURE,))
    return {
        "n": len(found), "class right": scores.share(same), "redshift right": scores.share(good),
        "both right": scores.share(good & same), "sure": scores.share(sure),
        "wrong of the sure": scores.share(~good[sure]), **pure,
        "median S/N": float(np.median(np.asarray(found["snr"], float))),
    }  # fmt: skip


def confused(found: Table) -> dict[str, float]:
    """Share of the rows that are taken for each class."""
    return {kind: scores.share(np.asarray(found["class"]) == kind) for kind in CLASSES}
