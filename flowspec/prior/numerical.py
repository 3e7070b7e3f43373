"""The quantiles of a distribution that has a density and draws alone."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro.distributions import biject_to
from scipy.special import ndtri

from flowspec.prior.tabulated import Tabulated, of_quantiles

_DRAWS = 4096  # that say where the density is
_BETWEEN = 8  # points of the integration between two of the places that these say
_KNOTS = 400


def integrated(d: dist.Distribution, low: float, high: float) -> Tabulated:
    """A table of the integral of the density, where draws are and in the tails.

    Args:
        d: Of one number.
        low: Its lowest value.
        high: Its highest.

    Raises:
        ValueError: If the density is not one over these limits.
    """
    draws = np.asarray(d.sample(jax.random.key(0), (_DRAWS,)), float)
    to_real = biject_to(d.support)
    grid = _grid(d, to_real, np.asarray(to_real.inv(jnp.asarray(draws)), float))
    values = np.asarray(to_real(jnp.asarray(grid, jnp.float32)), float)
    slope = np.asarray(to_real.log_abs_det_jacobian(jnp.asarray(grid, jnp.float32), values), float)
    inside = np.isfinite(values) & np.asarray(d.support(values))  # of single precision
    known = jnp.asarray(np.where(inside, values, draws[0]), jnp.float32)
    log_density = np.asarray(d.log_prob(known), float)
    with np.errstate(invalid="ignore", over="ignore"):
        density = np.where(inside, np.nan_to_num(np.exp(log_density + slope), posinf=0.0), 0.0)
    mass = np.concatenate([[0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(grid))])
    if not abs(mass[-1] - 1) < 0.02:
        raise ValueError(f"its density integrates to {mass[-1]:.3g}")
    level = mass / mass[-1]
    above = np.cumsum(np.diff(mass, append=mass[-1])[::-1])[::-1] / mass[-1]
    score = np.where(level < 0.5, ndtri(level), -ndtri(np.clip(above, 0, 1)))
    inside &= np.isfinite(score) & (np.abs(score) < 5.2)
    score, values, log_density = score[inside], values[inside], log_density[inside]
    # evenly in normal scores, as those of `tabulated`, and in between where the density is low
    even = np.interp(np.linspace(-4, 4, _KNOTS), score, grid[inside])
    lows = np.searchsorted(grid[inside], np.linspace(even[0], even[-1], _KNOTS))
    at = np.union1d(np.searchsorted(score, np.linspace(score[0], score[-1], _KNOTS)), lows)
    log_normal = -0.5 * score[at] ** 2 - 0.5 * np.log(2 * np.pi)
    with np.errstate(all="ignore"):
        slopes = np.exp(log_normal - log_density[at])
    return of_quantiles(score[at], values[at], low, high, slopes)


def _grid(d: dist.Distribution, to_real, draws: np.ndarray) -> np.ndarray:
    """Places on the real line for the integration: quantiles of draws, refined, and tails."""
    draws = np.unique(draws[np.isfinite(draws)])
    width = np.quantile(draws, 0.84) - np.quantile(draws, 0.16)
    steps = width * np.geomspace(1e-3, 30, 160)
    places = np.concatenate([draws[0] - steps[::-1], draws, draws[-1] + steps])
    fine = np.linspace(0, 1, _BETWEEN, endpoint=False)
    grid = (places[:-1, None] + np.diff(places)[:, None] * fine).reshape(-1)
    return np.unique(grid.astype(np.float32)).astype(float)
