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

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from astropy.table import Table
from jaxtyping import Array
from scipy.special import betaincinv

import flowspec as fs
from benchmarks import artefacts, harness, scores
from benchmarks.real_classes import FAR, certainty, right
from benchmarks.real_sdss import good_galaxies
from flowspec.prior.prior import Prior
from flowspec.sim.instrument.shipped import instrument_of
from flowspec.sim.objects import objects
from flowspec.sim.simulated import Simulated, sound
from flowspec.sim.simulator import Simulator, simulate_many
from flowspec.sim.spectrum import SpectrumSimulator

INSTRUMENT = "optical"
SNR = 0.5, 20.0  # median per pixel
SURE = 0.9
# Real galaxies are all below z = 0.05, where no two redshifts are far apart: the others of blends
# are moved by so many pixels of 1e-4 in log10, by 0.096 (1 + z).
FURTHER = 400
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
    blend = blended(sample, further(sample), seed)
    changed = spoilt(sample, artefacts.SDSS, seed) | {"blend": blend}
    results["real"] = compared(summarize, sample, changed)
    if than:
        summarize = partial(fs.load(than).summarize, n=draws, seed=seed)
        results[f"real by {than}"] = compared(summarize, sample, changed)
    return results


def simulated(posterior, summarize: Callable, each: int, seed: int) -> dict:
    """Every artefact in simulations of what a model knows."""
    suits, key, every = known(posterior), jr.key(seed), objects(INSTRUMENT)
    galaxies, prior = every.simulators[0], instrument_of(INSTRUMENT).prior

    def of(k: int, prior) -> Sample:
        return drawn(partial(of_prior, galaxies, prior), jr.fold_in(key, k), each, suits)

    mixed = drawn(partial(of_kinds, every), jr.fold_in(key, 0), each, suits)
    results = compared(summarize, mixed, spoilt(mixed, artefacts.DESI, seed))
    single = of(1, galaxies.prior)
    results |= compared(summarize, single, {"blend": blended(single, single, seed)})
    odd, usual = of(2, artefacts.metal_poor(prior)), of(2, artefacts.ordinary_dwarfs(prior))
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


def of_kinds(sim: Simulator, key) -> Sample:
    """Objects as a simulator draws them, but for those that are nothing."""
    theta, source, data = simulate_many(sim, key, _AT_ONCE)
    kinds = np.array(sim.sources)[source]
    z = theta[:, [sim.priors[0].names.index("z")]].astype(float)
    some = kinds != "NOTHING"
    return Sample(sim.frame.observed(*data)[some], z[some], kinds[some])


def of_prior(sim: SpectrumSimulator, prior: Prior, key) -> Sample:
    """Galaxies of another prior than that of their simulator, which is compiled only once."""
    own, *rest = jr.split(key, 4)  # of its own prior these are what `sim.simulate` gives
    theta = prior.sample(own, (_AT_ONCE,))
    made = Simulated(theta, jnp.zeros(_AT_ONCE, int), seen(sim, theta, *rest))
    theta, _, data = sound(made, sim.frame)
    z = np.asarray(theta, float)[:, [prior.names.index("z")]]
    return Sample(sim.frame.observed(*data), z, np.full(len(z), "GALAXY"))


@eqx.filter_jit
def seen(sim: SpectrumSimulator, theta, light, level, noise) -> tuple[Array, Array]:
    """Noisy flux and inverse variance [rows, pixels] of parameters [rows, params]; the keys are
    those of nuisances, of noise curves and of noise."""
    n = len(theta)
    flux = jax.vmap(sim.flux)(jr.split(light, n), theta)
    ivar = jax.vmap(sim.noise.draw)(jr.split(level, n), flux)
    return jax.vmap(sim.add_noise)(jr.split(noise, n), flux, ivar), ivar


def drawn(
    make: Callable[..., Sample], key, each: int, suits: Callable[[Sample], np.ndarray]
) -> Sample:
    """Simulated objects of the wanted signal-to-noise ratios.

    Args:
        make: From a random key to some objects.
        key: Random key.
        each: How many.
        suits: Which of them to keep.

    Raises:
        ValueError: If hardly any suits.
    """
    parts = []
    for i in range(_TRIES):
        part = make(jr.fold_in(key, i))
        keep = (part.obs.snr > SNR[0]) & (part.obs.snr < SNR[1]) & suits(part)
        parts.append(Sample(*(field[keep] for field in part)))
        if sum(len(p.z) for p in parts) >= each:
            obs, z, kinds = zip(*parts, strict=True)
            whole = fs.Spectra.concatenate(obs), np.concatenate(z), np.concatenate(kinds)
            return Sample(*(field[:each] for field in whole))
    raise ValueError(f"expected {each} simulations that suit the model; got "
                     f"{sum(len(p.z) for p in parts)} in {_TRIES} draws")


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


def blended(sample: Sample, others: Sample, seed: int) -> Sample:
    """Each object with one of the others in its fibre, of which either redshift is right."""
    rng = np.random.default_rng([seed, 99])
    partner = artefacts.partners(rng, sample.z[:, 0], others.z[:, 0])
    other = others.obs.flux[partner], others.obs.ivar[partner]
    obs = injected(partial(artefacts.blend, other=other), rng, sample.obs)
    return sample._replace(obs=obs, z=np.hstack([sample.z, others.z[partner]]))


def further(sample: Sample, pixels: int = FURTHER) -> Sample:
    """The objects at a higher redshift; of spectra on a logarithmic grid."""
    wave = sample.obs.wave
    data = artefacts.redshifted(sample.obs.flux, sample.obs.ivar, pixels)
    z = (1 + sample.z) * wave[pixels] / wave[0] - 1
    return sample._replace(obs=fs.Spectra(wave, *data, names=sample.obs.names), z=z)


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
    sure = certainty(found) >= SURE
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
