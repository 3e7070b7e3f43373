"""The Lyman continuum of one sightline: single absorbers, and the many that are thin.

Absorbers of Inoue et al. (2014, MNRAS 442, 1805), section 3: of each of two components there are
f(z) per unit redshift, with columns as N^-beta exp(-N / N_c) above N_l. Their mean transmission is
what `igm.Opacity` has; single sightlines scatter about it by the few absorbers that are thick.
"""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, ScalarLike

LYMAN_LIMIT = 911.8  # angstrom
CROSS_SECTION = 6.3e-18  # cm2, at the limit, falling as the wavelength to the third power
THICK = 1e16  # cm-2: those above are drawn one by one, with 6 % and more of absorption each
COUNT = 64  # drawn at most; the farthest are left out, of far more than there are (18 from 6 to 4)
# Table 1: number at the first break, slope of the columns, breaks, and slopes between them
_COMPONENTS = ((500.0, 1.7, (1.2, 4.7), (0.2, 2.7, 4.5)), (1.1, 0.9, (2.0,), (1.0, 2.0)))
_LOG_N = np.linspace(12.0, 23.0, 2201)
_CUTOFF = 1e21
_Z = np.linspace(0.0, 8.0, 1601)


def _evolution(number, breaks, slopes):
    """Absorbers per unit redshift at `_Z`."""
    out = np.full(len(_Z), number)
    for i, slope in enumerate(slopes):
        low = breaks[i - 1] if i else None
        inside = _Z >= low if i else _Z < breaks[0]
        start = breaks[0] if i < 2 else low
        level = number if i < 2 else out[np.searchsorted(_Z, low) - 1]
        out = np.where(inside, level * ((1 + _Z) / (1 + start)) ** slope, out)
    return out


def _columns(slope):
    """Share of absorbers above `_LOG_N`, and the mean of N below `THICK` [cm-2]."""
    column = 10.0**_LOG_N
    per_dex = column ** (1 - slope) * np.exp(-column / _CUTOFF)
    below = np.concatenate([[0], np.cumsum(0.5 * (per_dex[1:] + per_dex[:-1]))])
    thin = np.trapezoid(np.where(column < THICK, per_dex * column, 0.0)) / below[-1]
    return 1 - below / below[-1], thin


def _cumulative(y):
    """Integral of values at `_Z` from zero on."""
    return np.concatenate([[0], np.cumsum(0.5 * (y[1:] + y[:-1]) * np.diff(_Z))])


_NUMBER = np.stack([_evolution(a, b, s) for a, _, b, s in _COMPONENTS])
_ABOVE, _THIN = zip(*(_columns(beta) for _, beta, _, _ in _COMPONENTS), strict=True)
_SHARES = np.array([np.interp(np.log10(THICK), _LOG_N, above) for above in _ABOVE])
_INCIDENCE = _NUMBER * _SHARES[:, None]  # of thick ones
_EXPECTED = _cumulative(_INCIDENCE.sum(0))
_DAMPED = _INCIDENCE[1] / _INCIDENCE.sum(0)
_THIN_DEPTH = _cumulative(CROSS_SECTION * (np.array(_THIN) @ _NUMBER) / (1 + _Z) ** 3)


def incidence(z: ScalarLike, log_column: float) -> float:
    """Absorbers per unit redshift with a column above 10^log_column cm-2."""
    shares = np.array([np.interp(log_column, _LOG_N, above) for above in _ABOVE])
    return float(shares @ np.array([np.interp(z, _Z, n) for n in _NUMBER]))


def thick_absorbers(
    key: PRNGKeyArray, z: ScalarLike, count: int = COUNT
) -> tuple[Float[Array, " count"], Float[Array, " count"]]:
    """Absorbers above `THICK` in front of a source, from the nearest to it on: a Poisson process.

    Args:
        key: Of this sightline.
        z: Redshift of the source.
        count: How many at most.

    Returns:
        Redshifts, and columns in cm-2, 0 for those that are not there.
    """
    gaps, which, level = jr.split(key, 3)
    left = jnp.interp(z, _Z, _EXPECTED) - jnp.cumsum(jr.exponential(gaps, (count,)))
    redshift = jnp.interp(left, _EXPECTED, _Z)
    damped = jr.uniform(which, (count,)) < jnp.interp(redshift, _Z, _DAMPED)
    above = jr.uniform(level, (count,)) * jnp.where(damped, *map(float, _SHARES[::-1]))
    # shares fall with the column: both reversed
    tables = [jnp.interp(above, jnp.asarray(a[::-1]), _LOG_N[::-1].copy()) for a in _ABOVE]
    return redshift, jnp.where(left > 0, 10 ** jnp.where(damped, tables[1], tables[0]), 0.0)


def continuum_depth(
    wave: Float[ArrayLike, " n"],
    z: ScalarLike,
    absorbers: tuple[Float[ArrayLike, " count"], Float[ArrayLike, " count"]],
) -> Float[Array, " n"]:
    """Optical depth of the Lyman continuum along one sightline.

    Args:
        wave: Observed wavelengths in angstrom.
        z: Redshift of the source.
        absorbers: Redshifts and columns of the thick ones (`thick_absorbers`).
    """
    x = jnp.asarray(wave) / LYMAN_LIMIT  # 1 + redshift at which this is the limit
    redshift, column = (jnp.asarray(a) for a in absorbers)
    first = jnp.interp(jnp.maximum(x - 1, 0.0), _Z, _THIN_DEPTH)
    thin = jnp.maximum(jnp.interp(z, _Z, _THIN_DEPTH) - first, 0.0) * x**3

    def one(total, absorber):
        at, n = absorber
        ratio = x / (1 + at)
        return total + jnp.where(ratio < 1, n * CROSS_SECTION * ratio**3, 0.0), None

    return jax.lax.scan(one, thin, (redshift, column))[0]
