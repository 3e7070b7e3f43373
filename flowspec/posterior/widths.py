"""What the prior has to do with a posterior: is it at its edge, or as wide as it was before?"""

from functools import lru_cache

import jax.random as jr
import numpy as np
from jaxtyping import Bool, Float

from flowspec.model.space import Space
from flowspec.posterior.answers import Answers
from flowspec.prior.prior import Prior

_DRAWS = 100  # looked at, however many there are: draws of fewer are the first of more
_PRIOR_DRAWS = 1000
_WIDE = 0.9  # of the prior's width


def at_edge(space: Space, answers: Answers) -> Bool[np.ndarray, "batch params"]:
    """Whether over 30 % of the draws lie within 1 % of one of the limits of the prior.

    Of the commonest source of each row.
    """

    def of_prior(prior, samples):
        low, high = (np.asarray(b) for b in prior.bounds(samples))
        margin = np.where(np.isfinite(high - low), 0.01 * (high - low), 0.0)
        ends = (samples < low + margin).mean(0), (samples > high - margin).mean(0)
        return np.maximum(*ends) > 0.3

    return _of_sources(space, answers, of_prior)


def as_wide(space: Space, answers: Answers) -> Bool[np.ndarray, "batch params"]:
    """Whether the central 68 % are as wide as nine tenths of those of the prior or more."""

    def of_prior(prior, samples):
        return _width(samples) > _WIDE * _prior_width(prior)

    return _of_sources(space, answers, of_prior)


@lru_cache(maxsize=64)  # more than a model has sources: once, not for every block of rows
def _prior_width(prior: Prior) -> Float[np.ndarray, " params"]:
    return _width(np.asarray(prior.sample(jr.key(0), (_PRIOR_DRAWS,))))


def _width(samples: Float[np.ndarray, "n *rows params"]) -> Float[np.ndarray, "*rows params"]:
    """Of the central 68 %."""
    return np.diff(np.percentile(samples, (16, 84), axis=0), axis=0)[0]


def listed(which: Bool[np.ndarray, "batch params"], names, shown) -> list[str]:
    """Names of the parameters of each row, comma separated, among those shown."""
    keep = np.isin(names, shown)
    return [",".join(np.asarray(names)[row]) for row in which & keep]


def _of_sources(space: Space, answers: Answers, judge) -> Bool[np.ndarray, "batch params"]:
    """A verdict on the first draws of each row under the prior of its commonest source."""
    samples, source = answers.samples[:_DRAWS], answers.source[:_DRAWS]
    counts = np.stack([(source == k).sum(0) for k in range(len(space.sources))])
    common, known = counts.argmax(0), counts.any(0)
    found = np.zeros((samples.shape[1], samples.shape[2]), bool)
    for k, prior in enumerate(space.priors):
        rows = known & (common == k)
        if rows.any():
            found[rows] = judge(prior, samples[:, rows]) & space.own[k]
    return found
