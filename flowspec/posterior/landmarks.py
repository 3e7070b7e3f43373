"""Where the draws of each row lie, and where their prior ends: what a recalibration measures from.

Taken from draws of their own, with random numbers that are the same for every row, so that they
depend on the data alone, and not on how many draws are wanted or where the row stands.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri

from flowspec.model.space import Space
from flowspec.posterior.redshift import LIMIT, best_redshift, peaks
from flowspec.posterior.weights import Weighted

DRAWS = 256  # the middle to 8 % of a width, alike in all rows
_EDGE = 1e-7  # nearest to a limit, as in `flowspec.prior.prior`
_LEAST = 1e-9  # of the width of the prior: all draws are the same
_PRIOR_DRAWS = 1000


class Limits(NamedTuple):
    """Limits of a parameter in each row, infinite where there are none.

    The coordinate is ``Phi^-1`` of the share of the range below, a logarithm where one side is
    endless, and the parameter itself where both are.

    Attributes:
        low: Lower limits [rows].
        high: Upper limits [rows].
    """

    low: Float[np.ndarray, " rows"]
    high: Float[np.ndarray, " rows"]

    def free(self, x: Float[np.ndarray, "*n rows"]) -> Float[np.ndarray, "*n rows"]:
        """The coordinate of a parameter."""
        match self._ends():
            case True, True:
                share = (x - self.low) / (self.high - self.low)
                return ndtri(np.clip(share, _EDGE, 1 - _EDGE))
            case True, False:
                return np.log(np.maximum(x - self.low, _EDGE))
            case False, True:
                return -np.log(np.maximum(self.high - x, _EDGE))
        return x

    def bound(self, y: Float[np.ndarray, "*n rows"]) -> Float[np.ndarray, "*n rows"]:
        """The parameter at a coordinate."""
        match self._ends():
            case True, True:
                return self.low + (self.high - self.low) * np.clip(ndtr(y), _EDGE, 1 - _EDGE)
            case True, False:
                return self.low + np.exp(y)
            case False, True:
                return self.high - np.exp(-y)
        return y

    def log_slope(self, y: Float[np.ndarray, "*n rows"]) -> Float[np.ndarray, "*n rows"]:
        """The logarithm of the derivative of `bound`."""
        match self._ends():
            case True, True:
                return np.log(self.high - self.low) - 0.5 * y**2 - 0.5 * np.log(2 * np.pi)
            case True, False:
                return y
            case False, True:
                return -y
        return np.zeros_like(y)

    def _ends(self) -> tuple[bool, bool]:
        return bool(np.isfinite(self.low).all()), bool(np.isfinite(self.high).all())


class Landmarks(NamedTuple):
    """Where the draws of one parameter lie in each row.

    Attributes:
        limits: Of the prior.
        middle: Median of the draws in the coordinate [rows].
        width: Half the distance of their 16th and 84th percentiles [rows].
        share: Of the variance of the prior that they have, at most 1 [rows].
        reach: Widths from the middle beyond which draws are those of something else, or infinite
            [rows].
        log_snr: log10 of the signal-to-noise ratio [rows].
    """

    limits: Limits
    middle: Float[np.ndarray, " rows"]
    width: Float[np.ndarray, " rows"]
    share: Float[np.ndarray, " rows"]
    reach: Float[np.ndarray, " rows"]
    log_snr: Float[np.ndarray, " rows"]

    def rows(self, which: np.ndarray) -> "Landmarks":
        """Those of some rows, by number or mask."""
        limits, *rest = self
        return Landmarks(Limits(*(x[which] for x in limits)), *(x[which] for x in rest))

    @classmethod
    def joined(cls, parts: "Sequence[Landmarks]") -> "Landmarks":
        """Those of all rows, from parts of them."""
        limits, *rest = zip(*parts, strict=True)
        both = (np.concatenate(x) for x in zip(*limits, strict=True))
        return cls(Limits(*both), *map(np.concatenate, rest))


def landmarks(
    space: Space, names: Sequence[str], draws: Weighted, snr: Float[np.ndarray, " rows"]
) -> dict[str, Landmarks]:
    """Landmarks of some parameters.

    Args:
        space: Of the model.
        names: Of the parameters.
        draws: Of the posterior.
        snr: Signal-to-noise ratio of each row.
    """
    theta, before = np.asarray(draws.samples, float), prior_widths(space)
    low, high = (x.astype(float) for x in limits_of(space, draws.samples, draws.source))
    log_snr = np.log10(np.clip(np.nan_to_num(snr), 1e-3, 1e6))
    found = {}
    for name in names:
        i = space.names.index(name)
        limits, x = Limits(low[..., i].min(0), high[..., i].max(0)), theta[..., i]
        if name == "z" and space.redshift is not None:
            found[name] = _of_redshift(space, x, np.asarray(draws.share), log_snr)
            continue
        free = limits.free(x)
        part = np.minimum((half_width(x) / before[i]) ** 2, 1.0)
        reach = np.full(len(part), np.inf)
        width = np.maximum(half_width(free), _LEAST)
        found[name] = Landmarks(limits, np.median(free, axis=0), width, part, reach, log_snr)
    return found


def _of_redshift(space: Space, z, share, log_snr) -> Landmarks:
    """Of the draws in the window about the best redshift, in redshift itself."""
    edges = space.redshift.all_edges()
    pdf = share.reshape(len(share), len(space.sources), -1).sum(1) / np.diff(edges)
    best = best_redshift(z, peaks(edges, pdf).z)
    near = np.abs(z - best) < LIMIT
    inside = np.where(near | ~near.any(0), z, np.nan)
    low, high = np.nanpercentile(inside, (16, 84), axis=0)
    width = np.clip((high - low) / 2, _LEAST, LIMIT)
    endless = Limits(np.full(len(best), -np.inf), np.full(len(best), np.inf))
    return Landmarks(endless, best, width, np.zeros(len(best)), LIMIT / width, log_snr)


def half_width(x: Float[np.ndarray, "n *rows"]) -> Float[np.ndarray, "*rows"]:
    """Half the distance of the 16th and 84th percentiles: sigma of a normal distribution."""
    low, high = np.percentile(x, (16, 84), axis=0)
    return (high - low) / 2


@cache
def prior_widths(space: Space) -> Float[np.ndarray, " params"]:
    """Half-widths of the prior, over all sources; of a relative parameter given its reference."""
    of_each = []
    for prior in space.priors:
        draws = np.array(prior.sample(jr.key(0), (_PRIOR_DRAWS,)), float)
        for name, reference in prior.relative.items():
            draws[:, space.names.index(name)] -= draws[:, space.names.index(reference)]
        of_each.append(draws)
    return half_width(np.concatenate(of_each))


def limits_of(space: Space, theta, source) -> tuple[np.ndarray, np.ndarray]:
    """Limits of the prior [n, rows, params] at draws of each source."""
    theta, source = jnp.asarray(theta), np.asarray(source)[..., None]
    low, high = (np.array(x) for x in space.priors[0].bounds(theta))
    for k, prior in enumerate(space.priors[1:], start=1):
        own = prior.bounds(theta)
        low, high = (np.where(source == k, x, y) for x, y in zip(own, (low, high), strict=True))
    return np.broadcast_to(low, theta.shape), np.broadcast_to(high, theta.shape)
