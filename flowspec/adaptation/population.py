"""The population of observations, when it is not that of the simulations.

With ``q(theta | x)`` the posterior under the simulated population ``p0``, the observed one is the
fixed point of ``p(theta) <- mean over x of q(theta | x) p(theta) / p0(theta)``, normalised for each
``x``: expectation-maximisation of the likelihood of a population (Saerens et al. 2002 for classes;
Leja et al. 2022 and Hogg et al. 2010, arXiv:1008.4146, for posterior draws). Here the ratio
``p / p0`` is a product over parameters of histograms with bins of equal simulated mass.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

BINS = 8
_ROUNDS = 30
_SHARED = (0.1, 0.8, 0.1)  # of a bin's logarithm with its neighbours, each round
_PRIOR = 0.005  # share of the simulated population in every histogram
_RANGE = 6.0  # of the logarithm of a histogram's ratios


class PopulationRatio(eqx.Module):
    """Density of observed over simulated labels, a product over the labels.

    Attributes:
        edges: Inner edges of the bins of each label, which are equally filled [labels, bins - 1].
        log_share: Natural log of the ratio in each bin [labels, bins].
    """

    edges: Float[Array, "labels inner"]
    log_share: Float[Array, "labels bins"]

    @classmethod
    def flat(cls, labels: Float[np.ndarray, "simulations labels"]) -> "PopulationRatio":
        """That of observations with the population of these simulations."""
        inner = [_inner(column) for column in labels.T]
        width = max(map(len, inner))
        edges = [np.pad(row, (0, width - len(row)), constant_values=np.inf) for row in inner]
        edges = jnp.asarray(np.stack(edges), jnp.float32)
        return cls(edges, jnp.zeros((len(edges), width + 1)))

    def log_ratio(self, theta: ArrayLike, source: ArrayLike = 0) -> Float[Array, "*n"]:
        """Natural log of the ratio, at parameters [*n, params] and sources [*n]."""
        theta = jnp.asarray(theta)
        columns = as_labels(theta, jnp.broadcast_to(jnp.asarray(source), theta.shape[:-1]))
        each = [self.log_share[k][jnp.searchsorted(self.edges[k], columns[..., k], side="right")]
                for k in range(len(self.edges))]
        return sum(each)


def _is_class(column: np.ndarray) -> bool:
    """Whether a label is the number of a class."""
    return bool((column == np.round(column)).all())


def _inner(column: np.ndarray) -> np.ndarray:
    """Edges between the bins of a label: quantiles, or between classes."""
    if _is_class(column):
        values = np.unique(column)
        return 0.5 * (values[1:] + values[:-1])
    return np.quantile(column, np.arange(1, BINS) / BINS)


def as_labels(theta: ArrayLike, source: ArrayLike) -> Float[Array, "*n labels"]:
    """Parameters, and the number of the source after them, as columns."""
    source = jnp.asarray(source)[..., None]
    return jnp.concatenate([jnp.asarray(theta), source], axis=-1)


def estimate_population(
    simulated: Float[np.ndarray, "simulations labels"],
    draws: Float[np.ndarray, "n observations labels"],
) -> PopulationRatio:
    """Observed over simulated population, from posterior draws of every observation.

    Expectation: each draw gets the ratio as its weight, normalised for each observation.
    Maximisation: one label after another, the histogram of draws over that of simulations, both
    weighted (iterative proportional fitting: labels of simulations may be correlated). Smoothing.

    Args:
        simulated: Labels of simulations (`as_labels`), as they were trained on.
        draws: Of posteriors of observations, under the simulated population.
    """
    ratio = PopulationRatio.flat(simulated)
    places = [_places(ratio.edges, x) for x in (simulated, draws)]
    log_share, bins = np.zeros(ratio.log_share.shape), ratio.log_share.shape[1]
    count = draws.shape[1]
    base = [np.bincount(place, minlength=bins) / len(place) for place in places[0]]
    for _ in range(_ROUNDS):
        for k in range(len(log_share)):
            own, theirs = (np.exp(x - x.max(0)) for x in (_total(log_share, p) for p in places))
            theirs /= theirs.sum(0)
            seen = np.bincount(places[1][k].ravel(), theirs.ravel(), bins)
            had = np.bincount(places[0][k], own / own.sum(), bins)
            wanted = (seen + _PRIOR * count * base[k]) / (count + _PRIOR * count)
            # a bin that no simulation is in stays as it is
            change = np.log(np.divide(wanted, had, out=np.ones(bins), where=had > 0))
            new = _smoothed(log_share[k] + change, not _is_class(simulated[:, k]))
            log_share[k] = np.clip(new - new[base[k] > 0].max(), -_RANGE, 0)
    return eqx.tree_at(lambda r: r.log_share, ratio, jnp.asarray(log_share, jnp.float32))


def _smoothed(log_share: np.ndarray, ordered: bool) -> np.ndarray:
    """Neighbouring bins of what has an order share their logarithms, for what a measurement has
    blurred cannot be sharpened again without noise (Silverman et al. 1990)."""
    padded = np.pad(log_share, 1, mode="edge")
    return np.convolve(padded, _SHARED, mode="valid") if ordered else log_share


def _places(edges, labels):
    """Numbers of the bins [labels, ...]."""
    return [np.searchsorted(np.asarray(e), labels[..., k], side="right")
            for k, e in enumerate(edges)]


def _total(log_share, places):
    return sum(share[place] for share, place in zip(log_share, places, strict=True))


def marginals(
    ratio: PopulationRatio, simulated: Float[np.ndarray, "simulations labels"]
) -> Float[np.ndarray, "labels bins"]:
    """Shares of the estimated population in the bins of each label.

    Args:
        ratio: Estimated.
        simulated: Labels of simulations.
    """
    places = _places(ratio.edges, simulated)
    weight = np.exp(_total(np.asarray(ratio.log_share, float), places))
    weight /= weight.sum()
    return np.stack([np.bincount(place, weight, ratio.log_share.shape[1]) for place in places])
