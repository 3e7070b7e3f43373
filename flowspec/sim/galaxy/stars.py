"""Stellar continua: a star-formation history and a metallicity over simple stellar populations.

Mass is in solar masses *formed*; the parameter `log_mstar` is the mass still in stars and remnants,
tied to it by the return fraction of Leitner & Kravtsov (2011) for a Chabrier (2003) IMF.
"""

from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Array, ArrayLike, Float, ScalarLike

TABLES = Path(__file__).parents[1] / "tables"
# km/s: dispersion that the table already has from 5000 to 7100 angstrom, and at 3550
# (tables/README.md)
RESOLUTION, COARSEST = 64.0, 90.0
_BLUE = RESOLUTION * 5000.0  # spectra of observed stars have one width in angstrom
# dex, of old galaxies: at 200 km/s and how much more per dex of dispersion, fitted with these
# responses to SDSS spectra (docs/results/stars.md). Over Ca, which follows iron, they are those of
# Conroy, Graves & van Dokkum (2014): Mg and N 0 at 90 and 0.25 at 300 km/s.
ABUNDANCES = {"Mg": (0.36, 0.8), "C": (0.18, 0.3), "N": (0.37, 0.9), "Na": (0.6, 2.0),
              "Ca": (0.13, 0.25), "Ti": (0.31, 0.8)}  # fmt: skip
YOUNG = 0.1  # Gyr: star formation is constant since then, log-normal in age before
# dex: width of the log-normal star-formation history before YOUNG (Gladders et al. 2013)
AGE_WIDTH = 0.3


class StellarTable(NamedTuple):
    """Mean simple stellar populations over age bins.

    Attributes:
        wave: Vacuum wavelengths in angstrom [n].
        flux: L_sun per angstrom per M_sun formed [metallicities, ages, n].
        age_edges: Gyr [ages + 1].
        log_z: log10 of metallicity over solar [metallicities].
    """

    wave: np.ndarray
    flux: np.ndarray
    age_edges: np.ndarray
    log_z: np.ndarray


def load_stars(path: Path = TABLES / "ssp.npz") -> StellarTable:
    """Read the table of simple stellar populations (its origin is in ``tables/README.md``).

    Red of 1.2 micron, where it ends, ratios to the flux there are a table of their own.
    """
    with np.load(path, allow_pickle=False) as f:
        table = StellarTable(*(f[name] for name in StellarTable._fields))
    with np.load(TABLES / "infrared.npz", allow_pickle=False) as f:
        wave = np.concatenate([table.wave, f["wave"]])
        red = table.flux[..., -1:] * np.exp(f["ln_ratio"])
    return table._replace(wave=wave, flux=np.concatenate([table.flux, red], axis=-1))


class Responses(NamedTuple):
    """Changes of ln(flux) of stars per dex of an element at fixed abundance of all others.

    A spectrum is to be multiplied by ``exp((amplitude * felt) @ curve)``, `felt` from `felt_by`.

    Attributes:
        names: Elements [n].
        wave: Vacuum wavelengths in angstrom [waves]; nothing changes beyond.
        curve: Change of ln(flux) of an old population per dex [n, waves].
        strength: Share of it that populations of each age bin of the table feel [n, ages].
        scatter: Standard deviation of the amplitude between galaxies, dex [n].
    """

    names: tuple[str, ...]
    wave: np.ndarray
    curve: np.ndarray
    strength: np.ndarray
    scatter: np.ndarray


class LibraryErrors(NamedTuple):
    """How models of populations may err, one standard deviation of each kind.

    Attributes:
        names: Temperatures, gravities and metallicities of all stars shifted; another library [n].
        wave: Vacuum wavelengths in angstrom [waves]; at the ends' values beyond.
        curve: Change of ln(flux) of each age bin of the table [n, ages, waves].
    """

    names: tuple[str, ...]
    wave: np.ndarray
    curve: np.ndarray


def load_responses(path: Path = TABLES / "responses.npz") -> Responses:
    """Read responses of spectra to abundances (``tables/README.md``)."""
    return Responses(*_named(path, "element", Responses._fields))


def load_library_errors(path: Path = TABLES / "responses.npz") -> LibraryErrors:
    """Read how models of populations may err (``tables/README.md``)."""
    return LibraryErrors(*_named(path, "library", LibraryErrors._fields))


def _named(path, kind, fields):
    with np.load(path, allow_pickle=False) as f:
        names = tuple(str(name) for name in f[f"{kind}_names"])
        return names, *(f[f"{kind}_{field}"].astype(float) for field in fields[1:])


def coarseness(wave: Float[Array, " n"]) -> Float[Array, " n"]:
    """Share of `COARSEST` in the squared dispersion of the table, the rest is `RESOLUTION`.

    A mean of spectra with both has the second moment that the table has at each wavelength.

    Args:
        wave: Rest-frame wavelengths in angstrom; shortward of 3550 the table is coarser still.
    """
    theory = jnp.interp(wave, jnp.array([7100.0, 7400, 8500, 8800]), jnp.array([64.0, 76, 66, 64]))
    sigma = jnp.clip(jnp.maximum(_BLUE / wave, theory), RESOLUTION, COARSEST)
    return (sigma**2 - RESOLUTION**2) / (COARSEST**2 - RESOLUTION**2)


def typical_abundances(
    names: tuple[str, ...], dispersion: ScalarLike
) -> Float[Array, " n"]:
    """Amplitudes of responses, dex, of old galaxies of a velocity dispersion (`ABUNDANCES`).

    Args:
        names: Of `Responses`.
        dispersion: km/s; that of the fits, 90 to 350, is not exceeded.
    """
    level, slope = jnp.array([ABUNDANCES[name] for name in names]).T
    return level + slope * jnp.log10(jnp.clip(dispersion, 90.0, 350.0) / 200.0)


def felt_by(
    strength: Float[ArrayLike, "n ages *waves"],
    mass: Float[ArrayLike, " ages"],
    light: Float[ArrayLike, " ages"],
) -> Float[Array, "n *waves"]:
    """What a galaxy feels of each response: the mean over its populations, weighted by light.

    Args:
        strength: `Responses.strength`, or `LibraryErrors.curve`.
        mass: Formed in each age bin.
        light: Per mass, in any unit, for instance of the table at 5500 angstrom.
    """
    bright = jnp.asarray(mass) * jnp.asarray(light)
    return jnp.einsum("na...,a->n...", jnp.asarray(strength), bright / bright.sum())


def surviving_fraction(age):
    """Share of the mass formed `age` Gyr ago that is still in stars and remnants.

    Leitner & Kravtsov (2011, ApJ 734, 48), equation 1 for a Chabrier IMF.
    """
    return 1 - 0.046 * jnp.log1p(jnp.asarray(age) * 1e9 / 2.76e5)


def old_age_weights(
    log_age: ScalarLike, edges: Float[ArrayLike, " edges"], universe: ScalarLike
) -> Float[Array, " ages"]:
    """Share of the old stars formed in each age bin: log-normal, cut at the age of the Universe.

    The median age bends smoothly below the age of the Universe, so that every `log_age` is possible
    at every redshift; values far above it all mean "as old as can be".

    Args:
        log_age: log10 of the median age in Gyr.
        edges: Age-bin edges in Gyr [ages + 1].
        universe: Age of the Universe in Gyr.
    """
    limit = jnp.log10(universe)
    centre = limit - 0.1 * jnp.logaddexp((limit - log_age) / 0.1, 0.0)
    # floor: at the highest redshifts the Universe is hardly older than YOUNG
    ends = jnp.log10(jnp.clip(jnp.asarray(edges), YOUNG, jnp.maximum(universe, 1.3 * YOUNG)))
    share = jnp.diff(ndtr((ends - centre) / AGE_WIDTH)) + 1e-12 * (jnp.diff(ends) > 0)
    return share / share.sum()


def formed_mass(
    ssfr: ScalarLike,
    log_age: ScalarLike,
    burst: ScalarLike,
    edges: Float[ArrayLike, " edges"],
    universe: ScalarLike,
) -> Float[Array, " ages"]:
    """Mass formed per age bin, per solar mass that survives today.

    Constant star formation over the last 100 Myr (but for the last 10 Myr, `burst` dex above that
    mean, at the expense of the 90 before) plus a log-normal history before. Where the young stars
    alone would outweigh `log_mstar`, the old mass goes smoothly to zero and the youngest win.

    Args:
        ssfr: Mean specific star-formation rate of the last 100 Myr, per year.
        log_age: log10 of the median age in Gyr of the older stars.
        burst: log10 of the rate in the last 10 Myr over that in the last 100.
        edges: Age-bin edges in Gyr [ages + 1], with one at 0.01 and one at 0.1.
        universe: Age of the Universe in Gyr.
    """
    middle = 0.5 * (edges[1:] + edges[:-1])
    survive = surviving_fraction(middle)
    newest = jnp.diff(edges) * (edges[1:] <= 0.0101)
    recent = jnp.diff(edges) * (edges[1:] <= 1.001 * YOUNG) * (newest == 0)
    boost = 10**burst
    rest = jnp.maximum((YOUNG - boost * newest.sum()) / recent.sum(), 0.0)
    young = ssfr * 1e9 * (boost * newest + rest * recent)
    left = 1 - (young * survive).sum()
    old = old_age_weights(log_age, edges, universe)
    old_mass = 0.02 * jnp.logaddexp(left / 0.02, 0.0)
    return young + old_mass * old / (old * survive).sum()
