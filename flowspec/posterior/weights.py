"""Importance weights: from the flat prior of a network to the galaxies of a survey.

``p(theta | x) population(theta) / prior(theta)``, normalised, is the posterior under the
population; draws are weighted by the ratio and drawn again (Rubin 1988).
"""

import numpy as np
from jaxtyping import Float

from flowspec.prior.prior import Prior

OVERSAMPLE = 8  # draws of the posterior per wanted draw


def log_weights(
    samples: Float[np.ndarray, "n batch params"], prior: Prior, population
) -> Float[np.ndarray, "n batch"]:
    """``ln population(theta) - ln prior(theta)`` of posterior draws.

    Args:
        samples: Draws of posteriors under `prior`.
        prior: That the model was trained on.
        population: Has ``log_prob(theta)``, as `flowspec.Population` does; its parameters are
            those of the prior, in that order.

    Raises:
        ValueError: If the population is one of other parameters.
    """
    names = population.prior.names if hasattr(population, "prior") else prior.names
    if tuple(names) != prior.names:
        raise ValueError(f"expected a population of {prior.names}; got {tuple(names)}")
    weights = np.asarray(population.log_prob(samples)) - np.asarray(prior.log_prob(samples))
    return np.where(np.isfinite(weights), weights, -np.inf)


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


def to_population(
    samples: Float[np.ndarray, "n batch params"],
    prior: Prior,
    population,
    count: int,
    edges: Float[np.ndarray, " edges"],
    seed: int = 0,
) -> tuple[
    Float[np.ndarray, "count batch params"],
    Float[np.ndarray, "batch bins"],
    Float[np.ndarray, " batch"],
]:
    """Posterior draws and redshift bins under a population.

    Args:
        samples: Draws under `prior`, of which one parameter is "z".
        prior: That the model was trained on.
        population: See `log_weights`.
        count: Draws wanted of each spectrum.
        edges: Of the redshift bins.
        seed: Random seed.

    Returns:
        Draws, probabilities of the bins, and effective sample sizes.
    """
    weight, ess = normalised(log_weights(samples, prior, population))
    z = samples[..., prior.names.index("z")]
    at = np.clip(np.searchsorted(edges, z, side="right") - 1, 0, len(edges) - 2)
    share = np.zeros((z.shape[1], len(edges) - 1))
    np.add.at(share, (np.arange(z.shape[1]), at), weight)
    return resample(samples, weight, count, seed), share, ess
