"""How often artefacts make a model confident and wrong, of simulated and of real spectra.

`benchmarks.artefacts` has what is injected, and the reports of wrong redshifts that each is from.
Simulated: galaxies, quasars and stars as `flowspec.sim.objects` draws them, at signal-to-noise
ratios of 0.5 to 20 before the injection; of a model without kinds of objects, galaxies in its range
of redshifts. Real: good SDSS galaxies of the half that is only reported. Beside each, the same
spectra without the artefact; beside metal-poor dwarfs, others of their redshifts and masses.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax.random as jr
import numpy as np
from astropy.table import Table
from scipy.special import betaincinv

import flowspec as fs
from benchmarks import artefacts, harness, scores
from benchmarks.real_classes import FAR, right
from benchmarks.real_sdss import good_galaxies
from flowspec.sim.instrument.shipped import instrument_of
from flowspec.sim.objects import objects
from flowspec.sim.simulator import Simulator, simulate_many

INSTRUMENT = "optical"
SNR = 0.5, 20.0  # median per pixel
SURE = 0.9
DISTRUST = int(fs.Flag.OUT_OF_DISTRIBUTION | fs.Flag.UNLIKE_DATA)
_AT_ONCE, _TRIES = 256, 60  # simulations in a draw, draws before giving up


class Sample(NamedTuple):
    """Spectra and what they are of.

    Attributes:
        obs: The spectra.
        z: Redshifts of which each is right [rows, redshifts].
        kinds: Classes of the objects [rows].
    """

    obs: fs.Spectra
    z: np.ndarray
    kinds: np.ndarray


def run(
    *, model: str = "optical", than: str = "sdss", each: int = 500, draws: int = 200, seed: int = 0
) -> dict:
    """Judge a model.

    Args:
        model: Name of a shipped model or a model file.
        than: Model of galaxies that is given the same SDSS galaxies; empty for none.
        each: Spectra per artefact.
        draws: Posterior draws per spectrum.
        seed: Of all that is random.
    """
    posterior = fs.load(model)
    summarize = partial(posterior.summarize, n=draws, seed=seed)
    results = {"simulated": simulated(posterior, summarize, each, seed)}
    obs, z = good_galaxies()
    rows = np.flatnonzero(scores.report_half(obs.names))[:each]
    sample = Sample(obs[rows], z[rows, None], np.full(len(rows), "GALAXY"))
    changed = spoilt(sample, artefacts.SDSS, seed) | {"blend": blended(sample, seed)}
    results["real"] = compared(summarize, sample, changed)
    if than:
        summarize = partial(fs.load(than).summarize, n=draws, seed=seed)
        results[f"real by {than}"] = compared(summarize, sample, changed)
    return results


def simulated(posterior, summarize: Callable, each: int, seed: int) -> dict:
    """Every artefact in simulations of what a model knows."""
    suits, key = known(posterior), jr.key(seed)
    every, prior = objects(INSTRUMENT), instrument_of(INSTRUMENT).prior
    sample = drawn(every, jr.fold_in(key, 0), each, suits)
    results = compared(summarize, sample, spoilt(sample, artefacts.DESI, seed))
    galaxies = drawn(every.simulators[0], jr.fold_in(key, 1), each, suits)
    results |= compared(summarize, galaxies, {"blend": blended(galaxies, seed)})
    odd, usual = (
        drawn(fs.GalaxySimulator(INSTRUMENT, prior=of(prior)), jr.fold_in(key, 2), each, suits)
        for of in (artefacts.metal_poor, artefacts.ordinary_dwarfs)
    )
    return results | compared(summarize, usual, {"metal-poor dwarf": odd})


def known(posterior) -> Callable[[Sample], np.ndarray]:
    """Which rows of a sample a model can know: all of a model of kinds of objects, of others
    galaxies in their range of redshifts."""
    space = posterior.model.space

    def suits(sample: Sample) -> np.ndarray:
        inside = (sample.z >= space.redshift.low) & (sample.z <= space.redshift.high)
        return np.full(len(sample.z), space.of_objects) | (
            (sample.kinds == "GALAXY") & inside.all(1)
        )

    return suits


def drawn(sim: Simulator, key, each: int, suits: Callable[[Sample], np.ndarray]) -> Sample:
    """Simulated objects at the wanted signal-to-noise ratios.

    Raises:
        ValueError: If hardly any suits.
    """
    parts, names, kinds = [], np.char.upper(sim.sources), sim.priors[0].names
    for i in range(_TRIES):
        theta, source, data = simulate_many(sim, jr.fold_in(key, i), _AT_ONCE)
        obs = sim.frame.observed(*data)
        part = Sample(obs, theta[:, [kinds.index("z")]].astype(float), names[source])
        keep = (obs.snr > SNR[0]) & (obs.snr < SNR[1]) & (part.kinds != "NOTHING") & suits(part)
        parts.append(Sample(*(field[keep] for field in part)))
        if sum(len(p.z) for p in parts) >= each:
            obs, z, kinds = zip(*parts, strict=True)
            whole = fs.Spectra.concatenate(obs), np.concatenate(z), np.concatenate(kinds)
            return Sample(*(field[:each] for field in whole))
    raise ValueError(f"expected {each} simulations that suit the model among "
                     f"{_TRIES * _AT_ONCE}; got {sum(len(p.z) for p in parts)}")


def spoilt(sample: Sample, joins: tuple[float, ...], seed: int) -> dict[str, Sample]:
    """The same objects with each artefact of the reduction, by the name of it."""
    made = {
        "hot pixel": artefacts.hot_pixel,
        "trough at 8600 A": artefacts.trough,
        "sky lines": partial(artefacts.airglow, lines=sky_lines()),
        "arms that do not join": partial(artefacts.steps, joins=joins),
    }
    return {
        name: sample._replace(obs=injected(artefact, np.random.default_rng([seed, k]), sample.obs))
        for k, (name, artefact) in enumerate(made.items())
    }


def blended(sample: Sample, seed: int) -> Sample:
    """Each object with another one in its fibre, of which either redshift is right."""
    rng = np.random.default_rng([seed, 99])
    partner = artefacts.partners(rng, sample.z[:, 0])
    obs = injected(partial(artefacts.blend, partner=partner), rng, sample.obs)
    return sample._replace(obs=obs, z=np.hstack([sample.z, sample.z[partner]]))


def injected(artefact: Callable, rng: np.random.Generator, obs: fs.Spectra) -> fs.Spectra:
    """The spectra with an artefact."""
    return fs.Spectra(obs.wave, *artefact(rng, obs.flux, obs.ivar, obs.wave), names=obs.names)


def sky_lines() -> np.ndarray:
    """Vacuum wavelengths (angstrom) and fluxes (photons/s/m2/arcsec2) of the airglow."""
    path = harness.data_folder() / "sky/airglow_lines/airglow_lines.dat"
    wave, flux = np.loadtxt(path, usecols=(0, 1)).T
    here = (wave > 0.35) & (wave < 1.02)
    return np.stack([1e4 * wave[here], flux[here]], axis=1)


def compared(summarize: Callable, sample: Sample, changed: dict[str, Sample]) -> dict:
    """Verdicts on samples with artefacts, each beside that on the one without."""
    before = verdict(summarize(sample.obs), sample)
    return {
        name: verdict(summarize(after.obs), after) | {"without": before}
        for name, after in changed.items()
    }


def verdict(found: Table, sample: Sample) -> dict:
    """How many rows of a table are sure, how many of all are sure and wrong, and are flagged.

    Wrong is a redshift that is off by more than 0.01 (1 + z), or another class where there are any;
    flagged, a row of which the table says that its data are unlike simulations (`DISTRUST`).
    """
    good = np.any([right(found, z, FAR) for z in sample.z.T], axis=0)
    if "class" in found.colnames:
        good &= np.asarray(found["class"]) == sample.kinds
    sure = np.ma.filled(np.ma.asarray(found["z_prob"], float), 0.0) >= SURE
    flagged = (np.asarray(found["flags"]) & DISTRUST) > 0
    bad = sure & ~good
    return {
        "n": len(good), "sure": scores.share(sure), "sure and wrong": scores.share(bad),
        "at most (95 %)": at_most(int(bad.sum()), len(bad)),
        "of these flagged": scores.share(flagged[bad]), "flagged": scores.share(flagged),
    }  # fmt: skip


def at_most(count: int, n: int) -> float:
    """Upper limit of 95 % on the share of which `count` among `n` were found (Clopper, Pearson)."""
    return float(betaincinv(count + 1, n - count, 0.95)) if count < n else 1.0
