"""Importance weights: from the draws of a network to another prior, or to what else is known.

``q(theta | x) w(theta)``, normalised, with w the ratio of a population to the prior that the
network was trained on, or the density of a redshift that is known from elsewhere; draws are
weighted by it and drawn again (Rubin 1988).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from flowspec.model.space import Space

OVERSAMPLE = 8  # draws of the posterior per wanted draw


class Weighted(NamedTuple):
    """Draws after their weights were applied.

    Attributes:
        samples: As likely each [count, batch, params].
        source: Number of the source of each [count, batch].
        share: Probability of each class [batch, classes].
        ess: Effective number of the draws that were weighted [batch].
    """

    samples: Float[np.ndarray, "count batch params"]
    source: Int[np.ndarray, "count batch"]
    share: Float[np.ndarray, "batch classes"]
    ess: Float[np.ndarray, " batch"]


def population_weights(
    samples: Float[np.ndarray, "n batch params"],
    source: Int[np.ndarray, "n batch"],
    space: Space,
    population,
) -> Float[np.ndarray, "n batch"]:
    """``ln population(theta) - ln prior(theta)`` of posterior draws.

    Args:
        samples: Draws of posteriors under the prior of the space.
        source: Number of the source of each.
        space: Of the model.
        population: Has ``log_prob(theta)``, as `flowspec.Population` does; its parameters, where it
            has a `prior`, are those of the space, in that order.

    Raises:
        ValueError: If the population is one of other parameters.
    """
    own = getattr(population, "prior", None)
    if own is not None and tuple(own.names) != space.names:
        raise ValueError(f"expected a population of {space.names}; got {tuple(own.names)}")
    prior = np.asarray(space.log_prior(samples, source) - space.log_share(source))
    weights = np.asarray(population.log_prob(samples)) - prior
    return np.where(np.isfinite(weights), weights, -np.inf)


def weighted(
    samples: Float[np.ndarray, "n batch params"],
    k: Int[np.ndarray, "n batch"],
    log_weight: Float[np.ndarray, "n batch"],
    space: Space,
    count: int,
    seed: int = 0,
) -> Weighted:
    """Draws and class probabilities after weighting.

    Args:
        samples: Draws.
        k: Number of the class of each.
        log_weight: Of each, up to a constant per row.
        space: Of the model.
        count: Draws wanted of each row.
        seed: Random seed.
    """
    weight, ess = normalised(log_weight)
    share = np.zeros((k.shape[1], space.classes))
    np.add.at(share, (np.arange(k.shape[1]), k), weight)
    source = np.asarray(space.source_of(k))
    drawn = resample(np.concatenate([samples, source[..., None]], axis=-1), weight, count, seed)
    return Weighted(drawn[..., :-1], drawn[..., -1].astype(int), share, ess)


def normalised(
    log_weight: Float[np.ndarray, "n batch"],
) -> tuple[Float[np.ndarray, "n batch"], Float[np.ndarray, " batch"]]:
    """Weights that sum to one, and how many draws they are worth.

    Args:
        log_weight: Of each draw, up to a constant per spectrum; ``-inf`` drops it.

    Returns:
        The weights, and the effective sample size ``(sum w)^2 / sum w^2`` of each spectrum (Kong
        1992), 0 where no draw has a weight: they are then all alike.
    """
    log_weight = np.asarray(log_weight, float)  # thousands of squares are added up
    top = log_weight.max(0)
    none = ~np.isfinite(top)
    weight = np.exp(log_weight - np.where(none, 0, top))
    weight[:, none] = 1
    weight /= weight.sum(0)
    return weight, np.where(none, 0.0, 1 / (weight**2).sum(0))


def resample(
    samples: Float[np.ndarray, "n batch params"],
    weight: Float[np.ndarray, "n batch"],
    count: int,
    seed: int = 0,
) -> Float[np.ndarray, "count batch params"]:
    """Draws in proportion to their weights, by systematic resampling of each spectrum.

    Args:
        samples: Draws.
        weight: Of each, summing to one.
        count: Draws wanted of each spectrum.
        seed: Of the one random offset.
    """
    levels = (np.random.default_rng(seed).uniform() + np.arange(count)) / count
    rows = [np.searchsorted(total, levels, side="right") for total in np.cumsum(weight, axis=0).T]
    index = np.minimum(np.stack(rows, axis=1), len(samples) - 1)
    return np.take_along_axis(samples, index[..., None], axis=0)
