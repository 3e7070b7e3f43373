"""Targets of DESI's main survey, drawn from a population and selected as the survey selects.

Bright galaxies (BGS: Hahn et al. 2023, AJ 165, 253), luminous red ones (LRG: Zhou et al. 2023, AJ
165, 58), galaxies with emission lines (ELG: Raichoor et al. 2023, AJ 165, 126), quasars (QSO:
Chaussidon et al. 2023, ApJ 944, 107) and stars (STAR: Cooper et al. 2023, ApJ 947, 37). Limits of
brightness are theirs, in DECam bands of the noiseless spectrum; instead of their colours stand the
redshifts, types and lines that these are for.

Galaxies are round exponential discs of the area that the population has them of; early types, which
are more concentrated, too. What is in the fibre follows from that as the imaging of the survey
defines it: 1.5 arcsec, through a Gaussian seeing of 1 arcsec. Spectra are calibrated by stars: a
point source has all its flux, and a disc as much of it as its share in the fibre is of a star's.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Bool, Float, PRNGKeyArray

import flowspec as fs
from flowspec.prior.stars import star_prior
from flowspec.sim.galaxy.contributions import contributions
from flowspec.sim.instrument.bands import band_magnitudes
from flowspec.sim.instrument.desi import desi
from flowspec.sim.instrument.fibre import DISC, gaussian_in_aperture
from flowspec.sim.instrument.optical import optical
from flowspec.sim.quasar.prior import quasar_prior
from flowspec.sim.spectrum import SpectrumSimulator

CHUNK, ROUNDS = 256, 400  # spectra made at once; how often before giving up
DIAMETER, SEEING = 1.5, 1.0  # arcsec, of the fluxes in a fibre of the Legacy Surveys (DR9)
O2, REACH, BESIDE = 3728.5, 14.0, 20.0  # [O II], what is summed, and the continuum beside it
FAINTEST_O2 = 8.0  # 1e-17 erg/s/cm2
SUN = 4.65  # absolute AB magnitude in r (Willmer 2018, ApJS 236, 47)
COUNTS = 0.3  # dex per magnitude of quasars fainter than 19 (rough, from memory)
ROUND = 0.77  # radius of a circle over the major axis: root of a mean axis ratio of 0.6
BANDS = ("g", "r", "z")


class Seen(NamedTuple):
    """What a survey knows of its candidates before it takes spectra, [n] each.

    Attributes:
        z: Redshifts.
        whole: AB magnitudes by band, of all the light.
        fibre: The same in the fibre.
        o2: Flux of [O II] in the spectrum, 1e-17 erg/s/cm2.
    """

    z: Float[np.ndarray, " n"]
    whole: dict[str, np.ndarray]
    fibre: dict[str, np.ndarray]
    o2: Float[np.ndarray, " n"]


class Sample(NamedTuple):
    """Targets of one class.

    Attributes:
        seen: What they were chosen by.
        theta: Parameters [n, params].
        flux: Noiseless spectra as the survey calibrates them, 1e-17 erg/s/cm2/A [n, pixels].
        chosen: Share of the candidates that were.
    """

    seen: Seen
    theta: Float[np.ndarray, "n params"]
    flux: Float[np.ndarray, "n pixels"]
    chosen: float


class Kind(NamedTuple):
    """A class of galaxies.

    Attributes:
        z: Lowest and highest redshift.
        possible: From parameters by name, distance modulus and type, to those that may pass: a
            cut that none of the selection fails, which saves their spectra.
        select: From what is seen of them to those that are targets.
    """

    z: tuple[float, float]
    possible: Callable[[dict, np.ndarray, np.ndarray], Bool[np.ndarray, " n"]]
    select: Callable[[Seen], Bool[np.ndarray, " n"]]


def _bright(p, modulus, quiescent):
    del quiescent
    return p["log_mstar"] > luminosity(19.5 - modulus) - 1.2


def _red(p, modulus, quiescent):
    return quiescent & (p["log_mstar"] > luminosity(21.6 - modulus) - 0.7)


def _forming(p, modulus, quiescent):
    del quiescent
    # 10^41.3 erg/s of Halpha per M_sun/yr, of [O II] at most as much, in bursts up to 0.7 dex more
    power = np.log10(FAINTEST_O2 * 1e-17 * 4 * np.pi) + 2 * (19.4893 + 0.2 * modulus)
    return p["log_sfr"] > power - 42.0


GALAXIES = {
    "BGS": Kind((0.01, 0.6), _bright, lambda seen: (
        (seen.whole["r"] < 19.5) & (seen.fibre["r"] < np.minimum(22.9, seen.whole["r"] + 5.1))
    )),
    "LRG": Kind((0.4, 1.1), _red, lambda seen: seen.fibre["z"] < 21.6),
    "ELG": Kind((0.6, 1.6), _forming, lambda seen: (
        (seen.whole["g"] > 20) & (seen.fibre["g"] < 24.1) & (seen.o2 > FAINTEST_O2)
    )),
}  # fmt: skip


def luminosity(magnitude: np.ndarray) -> np.ndarray:
    """log10 of the luminosity in r for an absolute magnitude, solar."""
    return -0.4 * (magnitude - SUN)


def galaxies(name: str, key: PRNGKeyArray, each: int, sim: SpectrumSimulator) -> Sample:
    """Galaxies of one class of targets.

    Args:
        name: One of `GALAXIES`.
        key: Random key.
        each: How many.
        sim: `galaxy_simulator`.

    Raises:
        ValueError: If hardly any candidate is such a target.
    """
    kind = GALAXIES[name]
    population = fs.Population(sim.prior.replace(z=dist.Uniform(*kind.z)))
    drawn, made = jr.split(key)

    def rounds() -> Iterator[tuple]:
        for i, (theta, radius) in enumerate(_candidates(population, kind, drawn)):
            flux, o2 = _galaxies(sim, jr.split(jr.fold_in(made, i), len(theta)), theta)
            share = in_fibre(ROUND * radius)
            calibrated = share / in_fibre(np.zeros(1))
            whole = magnitudes(sim.wave, np.asarray(flux))
            about = Seen(theta[:, 0], whole, dimmed(whole, share), np.asarray(o2) * calibrated)
            yield theta, np.asarray(flux) * calibrated[:, None], about

    return _gathered(rounds(), kind.select, each, name)


def point_sources(name: str, key: PRNGKeyArray, each: int) -> Sample:
    """Quasars or stars, between the magnitudes of their selection.

    Args:
        name: "QSO" or "STAR".
        key: Random key.
        each: How many.
    """
    sim = POINTS[name]()
    faintest, brightest = {"QSO": (23.0, 16.5), "STAR": (19.0, 16.0)}[name]
    drawn, level, made = jr.split(key, 3)

    def rounds() -> Iterator[tuple]:
        for i in range(ROUNDS):
            theta = sim.prior.sample(jr.fold_in(drawn, i), (CHUNK,))
            if name == "QSO":
                theta = theta.at[:, 1].set(_counted(jr.fold_in(level, i), *sim.prior.limits("mag")))
            flux = np.asarray(_spectra(sim, jr.split(jr.fold_in(made, i), CHUNK), theta))
            whole = magnitudes(sim.wave, flux)
            fibre = dimmed(whole, in_fibre(np.zeros(1)))
            theta = np.asarray(theta)
            yield theta, flux, Seen(theta[:, 0], whole, fibre, np.zeros(CHUNK))

    def select(seen: Seen) -> np.ndarray:
        return (seen.whole["r"] > brightest) & (seen.whole["r"] < faintest)

    return _gathered(rounds(), select, each, name)


def galaxy_simulator() -> fs.GalaxySimulator:
    """Galaxies on DESI's pixels, with the limits of the prior of `optical`."""
    return fs.GalaxySimulator(desi(), prior=optical().prior)


def _quasars() -> fs.QuasarSimulator:
    # colours prefer quasars that are not very red
    narrower = {"z": dist.Uniform(0.8, 3.5), "mag": dist.Uniform(16.0, 23.5),
                "ebv": dist.Uniform(0.0, 0.1)}  # fmt: skip
    return fs.QuasarSimulator(desi(), quasar_prior().replace(**narrower))


def _stars() -> fs.StarSimulator:
    return fs.StarSimulator(desi(), prior=star_prior().replace(mag=dist.Uniform(15.5, 19.5)))


POINTS: dict[str, Callable[[], SpectrumSimulator]] = {"QSO": _quasars, "STAR": _stars}


def magnitudes(
    wave: Float[np.ndarray, " pixels"], flux: Float[np.ndarray, "n pixels"]
) -> dict[str, np.ndarray]:
    """AB magnitudes in DECam's bands; that of z ends with the pixels, at 9824 angstrom."""
    good = np.ones_like(flux)
    return {band: band_magnitudes(wave, flux, good, f"decam_{band}")[0] for band in BANDS}


def dimmed(magnitude: dict[str, np.ndarray], share: np.ndarray) -> dict[str, np.ndarray]:
    """Magnitudes by band of a share of the light."""
    return {band: m - 2.5 * np.log10(share) for band, m in magnitude.items()}


def in_fibre(radius: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Share of round discs of some half-light radii (arcsec), or of points, inside a fibre."""
    share, sigma = DISC.T
    total = np.hypot(SEEING / 2.3548, np.asarray(radius, float)[:, None] * sigma)
    return gaussian_in_aperture(total, np.zeros_like(total), DIAMETER / 2) @ (share / share.sum())


def o2_flux(
    wave: Float[np.ndarray, " pixels"], gas: Float[Array, " pixels"], z: Float[Array, ""]
) -> Float[Array, ""]:
    """Flux of both lines of [O II] in the spectrum of the gas, without its continuum.

    In 1e-17 erg/s/cm2 where the spectrum is that per angstrom.
    """
    away = jnp.abs(wave / (1 + z) - O2)
    inside, beside = away < REACH, (away >= REACH) & (away < BESIDE)
    level = jnp.where(beside, gas, 0.0).sum() / jnp.maximum(beside.sum(), 1)
    return jnp.where(inside, (gas - level) * np.gradient(wave), 0.0).sum()


@eqx.filter_jit
def _galaxies(sim, keys, theta):
    def one(key, theta):
        parts = contributions(sim, theta, sim.draw_latent(key, theta))
        return sum(parts), o2_flux(sim.wave, parts[1], theta[0])

    return jax.vmap(one)(keys, jnp.asarray(theta))


@eqx.filter_jit
def _spectra(sim, keys, theta):
    return jax.vmap(sim.flux)(keys, theta)


def _counted(key, low, high):
    """Magnitudes whose counts rise by `COUNTS` dex each."""
    ends = 10 ** (COUNTS * (np.array([low, high]) - high))
    return high + jnp.log10(jr.uniform(key, (CHUNK,), minval=ends[0], maxval=ends[1])) / COUNTS


def _candidates(population, kind: Kind, key) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Parameters and radii of galaxies that may be targets, `CHUNK` at once."""
    theta, radius = np.zeros((0, len(population.prior.names)), np.float32), np.zeros(0)
    for i in range(ROUNDS):
        drawn = population.sample(jr.fold_in(key, i), 32 * CHUNK)
        p = dict(zip(population.prior.names, np.asarray(drawn.theta).T, strict=True))
        log_distance = np.asarray(jax.vmap(population.cosmos.log_distance)(p["z"]))
        modulus = 5 * log_distance + 25
        may = kind.possible(p, modulus, np.asarray(drawn.quiescent))
        theta = np.concatenate([theta, np.asarray(drawn.theta)[may]])
        radius = np.concatenate([radius, np.asarray(drawn.radius)[may]])
        while len(theta) >= CHUNK:
            yield theta[:CHUNK], radius[:CHUNK]
            theta, radius = theta[CHUNK:], radius[CHUNK:]


def _gathered(rounds: Iterator[tuple], select: Callable, each: int, name: str) -> Sample:
    """The first targets among candidates of many rounds."""
    theta, flux, seen, found, tried = [], [], [], 0, 0
    for row, spectrum, about in rounds:
        chosen = select(about)
        theta, flux = [*theta, row[chosen]], [*flux, spectrum[chosen]]
        seen.append(jax.tree.map(lambda a, chosen=chosen: np.asarray(a)[chosen], about))
        found, tried = found + int(chosen.sum()), tried + len(chosen)
        if found >= each:
            seen = jax.tree.map(lambda *a: np.concatenate(a)[:each], *seen)
            first = (np.concatenate(part)[:each] for part in (theta, flux))
            return Sample(seen, *first, found / tried)
    raise ValueError(f"expected {each} targets of {name}; got {found} of {tried} candidates")
