"""A distribution of one number given by a table of its quantiles."""

from collections.abc import Callable

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import ndtr, ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

SCORES = np.linspace(-5.2, 5.2, 209)  # of knots: all but a ten-millionth at each end
_RESOLVED = 4e-7  # least step of knots, relative: a few times that of single precision
_WIDE = 1e3  # ratio of the 99th to the first percentile from which knots are logarithms


class Tabulated(dist.Distribution):
    """A monotone map of a standard normal: exact at knots, with exact density of what it is.

    Between knots it is a rational quadratic (Gregory & Delbourgo 1982, IMA J. Numer. Anal. 2, 123),
    of fourth order in their distance; beyond them linear, up to the limits.

    Args:
        scores: Standard normal quantiles of the knots, increasing [knots].
        knots: ``(x - loc) / scale`` there, or its logarithm if `logarithmic`, increasing [knots].
        slopes: Derivative of `knots` by `scores`, positive [knots].
        loc: Origin of x.
        scale: Its unit.
        low: Lowest x, or -infinity.
        high: Highest x, or infinity.
        logarithmic: Whether knots are logarithms.
    """

    def __init__(
        self, scores, knots, slopes, loc: float, scale: float, low: float, high: float,
        logarithmic: bool = False,
    ):  # fmt: skip
        arrays = (np.asarray(a, np.float32) for a in (scores, knots, slopes))
        self.scores, self.knots, self.slopes = arrays
        self.loc, self.scale, self.low, self.high = (float(x) for x in (loc, scale, low, high))
        self.logarithmic = bool(logarithmic)
        super().__init__()

    @property
    def support(self):
        """Between the limits."""
        return dist.constraints.interval(self.low, self.high)

    def score(self, value: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
        """Standard normal quantile of a value."""
        return self._inverse(self._inner(value))[0]

    def value(self, score: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
        """Inverse of `score`, inside the limits."""
        inner = self._forward(jnp.asarray(score))
        inner = jnp.exp(inner) if self.logarithmic else inner
        return jnp.clip(self.loc + self.scale * inner, self.low, self.high)

    def sample(self, key: PRNGKeyArray, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draws."""
        return self.value(jr.normal(key, sample_shape))

    def log_prob(self, value: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
        """Natural log density between the limits."""
        inner = self._inner(value)
        score, log_slope = self._inverse(inner)
        unit = np.log(self.scale) + (inner if self.logarithmic else 0.0)
        return norm.logpdf(score) - log_slope - unit

    def cdf(self, value: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
        """Cumulative distribution."""
        return ndtr(self.score(value))

    def icdf(self, q: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
        """Its inverse."""
        return self.value(ndtri(jnp.asarray(q)))

    def _inner(self, value: ArrayLike) -> Array:
        inner = (jnp.asarray(value) - self.loc) / self.scale
        if not self.logarithmic:
            return inner
        return jnp.log(jnp.maximum(inner, np.finfo(np.float32).tiny))

    def _bin(self, table: np.ndarray, x: Array) -> tuple[Array, ...]:
        """Scores, knots and slopes at both ends of the intervals that values are in."""
        i = jnp.clip(jnp.searchsorted(table, x) - 1, 0, len(table) - 2)
        ends = (jnp.asarray(a) for a in (self.scores, self.knots, self.slopes))
        return tuple(part for a in ends for part in (a[i], a[i + 1]))

    def _forward(self, x: Array) -> Array:
        x0, x1, y0, y1, d0, d1 = self._bin(self.scores, x)
        s, t = (y1 - y0) / (x1 - x0), (x - x0) / (x1 - x0)
        p = jnp.clip(t, 0, 1)
        y = y0 + (y1 - y0) * (s * p**2 + d0 * p * (1 - p)) / (s + (d0 + d1 - 2 * s) * p * (1 - p))
        return y + jnp.where(t < 0, d0, d1) * (t - p) * (x1 - x0)

    def _inverse(self, y: Array) -> tuple[Array, Array]:
        """Scores, and the natural log of the derivative of `_forward` there."""
        x0, x1, y0, y1, d0, d1 = self._bin(self.knots, y)
        height, s, q = y1 - y0, (y1 - y0) / (x1 - x0), jnp.clip(y, y0, y1) - y0
        bend = d0 + d1 - 2 * s
        a, b, c = height * (s - d0) + q * bend, height * d0 - q * bend, -s * q
        p = 2 * c / (-b - jnp.sqrt(jnp.maximum(b**2 - 4 * a * c, 0)))
        slope = s**2 * (d1 * p**2 + 2 * s * p * (1 - p) + d0 * (1 - p) ** 2)
        slope = slope / (s + bend * p * (1 - p)) ** 2
        slope = jnp.where(y < y0, d0, jnp.where(y > y1, d1, slope))
        beyond = jnp.where(y < y0, (y - y0) / d0, jnp.where(y > y1, (y - y1) / d1, 0))
        return x0 + p * (x1 - x0) + beyond, jnp.log(slope)


def of_quantiles(
    scores: Float[np.ndarray, " knots"],
    values: Float[np.ndarray, " knots"],
    low: float,
    high: float,
    slopes: Float[np.ndarray, " knots"] | None = None,
) -> Tabulated:
    """A table of quantiles in units in which single precision resolves it.

    Args:
        scores: Standard normal quantiles, increasing.
        values: The distribution's at the same levels, in double precision.
        low: Lowest value.
        high: Highest.
        slopes: Derivative of values by scores; by default that of a monotone cubic.

    Raises:
        ValueError: If fewer than three values differ.
    """
    first, middle, last = np.interp([-2.326, 0.0, 2.326], scores, values)
    wide = np.isfinite(low) and low >= 0 and last - low > _WIDE * (first - low) and values[0] > low
    if wide:
        loc, scale = low, middle - low
        knots = np.log((values - loc) / scale)
    else:
        loc, scale = middle, (last - first) / 4.65
        knots = (values - loc) / scale if scale > 0 else values * 0
    rate = None if slopes is None else slopes / (scale * (np.exp(knots) if wide else 1.0))
    keep = _resolved(knots) & _resolved(scores)
    if rate is not None:
        keep &= np.isfinite(rate) & (rate > 0)
    if keep.sum() < 3:
        raise ValueError(f"expected values that differ; got {values.min():g} to {values.max():g}")
    scores, knots = scores[keep], knots[keep]
    rate = _monotone(scores, knots) if rate is None else rate[keep]
    return Tabulated(scores, knots, rate, float(loc), float(scale), low, high, bool(wide))


def tabulated(
    quantile: Callable[[np.ndarray], np.ndarray], log_density: Callable, low: float, high: float
) -> Tabulated:
    """A distribution of a quantile function and a log density, both of NumPy."""
    from scipy.special import log_ndtr, ndtr  # in double precision

    values = np.where(SCORES < 0, quantile(ndtr(SCORES)), 0.0)
    upper = SCORES >= 0
    values[upper] = quantile(-np.expm1(log_ndtr(-SCORES[upper])))
    log_normal = -0.5 * SCORES**2 - 0.5 * np.log(2 * np.pi)
    with np.errstate(all="ignore"):  # a density of 0 or infinity at an edge: no knot there
        slopes = np.exp(log_normal - log_density(values))
    return of_quantiles(SCORES, values, float(low), float(high), slopes)


def _resolved(knots: Float[np.ndarray, " knots"]) -> np.ndarray:
    """Knots that single precision tells from those before them."""
    keep, last = np.zeros(len(knots), bool), -np.inf
    for i, knot in enumerate(knots):
        if np.isfinite(knot) and not knot - last <= _RESOLVED * max(abs(knot), 1e-3):
            keep[i], last = True, knot
    return keep


def _monotone(x: Float[np.ndarray, " knots"], y: Float[np.ndarray, " knots"]) -> np.ndarray:
    """Slopes at knots: weighted harmonic means of those beside (Fritsch & Butland 1984)."""
    step, slope = np.diff(x), np.diff(y) / np.diff(x)
    before, after = 2 * step[1:] + step[:-1], step[1:] + 2 * step[:-1]
    inside = (before + after) / (before / slope[:-1] + after / slope[1:])
    return np.concatenate([[slope[0]], inside, [slope[-1]]])
