"""What the prior has to do with a posterior: is it at its edge, or as wide as it was before?"""

import jax.random as jr
import numpy as np
from jaxtyping import Bool

from flowspec.model.space import Space
from flowspec.posterior.answers import Answers

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
        before = np.asarray(prior.sample(jr.key(0), (_PRIOR_DRAWS,)))
        own, old = (np.diff(np.percentile(x, (16, 84), axis=0), axis=0)[0]
                    for x in (samples, before))
        return own > _WIDE * old

    return _of_sources(space, answers, of_prior)


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
            found[rows] = judge(prior, samples[:, rows])
    return found
