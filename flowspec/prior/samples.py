"""A prior that is given by samples: marginal distributions and a Gaussian copula."""

import logging

import numpy as np
from jaxtyping import ArrayLike, Float
from scipy.special import ndtri

from flowspec.prior.tabulated import Tabulated, of_quantiles

log = logging.getLogger("flowspec")
_LEAST = 20  # samples
_PER_KNOT = 8  # samples, on the average
_MOST_KNOTS = 64
_FAR = 5.2  # normal score of the limits
_DEPENDENT = 0.1  # correlation of squared scores that a Gaussian copula has not


def of_samples(
    samples: Float[ArrayLike, "n params"], names: tuple[str, ...]
) -> tuple[list[Tabulated], Float[np.ndarray, "params params"] | None]:
    """Distributions of parameters, and the correlations of their normal scores.

    The limits are the least and greatest sample and a little more: the mean gap between samples.

    Args:
        samples: Rows of parameters.
        names: Of the parameters.

    Raises:
        ValueError: If there are too few samples, some are not finite, or a parameter hardly varies.
    """
    samples = np.asarray(samples, float)
    if samples.ndim != 2 or samples.shape[1] != len(names) or len(samples) < _LEAST:
        raise ValueError(f"expected {_LEAST} samples or more of {', '.join(names)}; got shape "
                         f"{samples.shape}")
    if not np.isfinite(samples).all():
        raise ValueError(f"expected finite samples; got others in row "
                         f"{int(np.argmin(np.isfinite(samples).all(1)))}")
    marginals = [_marginal(name, x) for name, x in zip(names, samples.T, strict=True)]
    if len(names) == 1:
        return marginals, None
    scores = np.stack([_scores(x) for x in samples.T], axis=1)
    correlation = np.corrcoef(scores.T)
    _check_copula(scores, correlation, names)
    return marginals, correlation


def _marginal(name: str, x: Float[np.ndarray, " n"]) -> Tabulated:
    ordered, n = np.sort(x), len(x)
    distinct = len(np.unique(ordered.astype(np.float32)))
    if distinct < min(_LEAST, n):
        raise ValueError(f"expected samples of a continuous parameter {name!r} that varies; got "
                         f"{distinct} different values in single precision")
    margin = (ordered[-1] - ordered[0]) / n
    low, high = ordered[0] - margin, ordered[-1] + margin
    if ordered[0] > 0 > low:  # of a positive parameter
        low = 0.0
    own = ndtri((np.arange(n) + 0.5) / n)
    inside = np.linspace(own[0], own[-1], int(np.clip(n // _PER_KNOT, 5, _MOST_KNOTS)))
    scores = np.concatenate([[-_FAR], inside, [_FAR]])
    values = np.interp(scores, own, ordered, low, high)
    return of_quantiles(scores, values, float(low), float(high))


def _scores(x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Normal scores of ranks (van der Waerden)."""
    ranks = np.empty(len(x))
    ranks[np.argsort(x, kind="stable")] = np.arange(len(x))
    return ndtri((ranks + 0.5) / len(x))


def _check_copula(scores, correlation, names: tuple[str, ...]) -> None:
    """Say in the log where parameters depend on each other in another way."""
    if np.linalg.eigvalsh(correlation).min() < 1e-4:
        raise ValueError(f"expected parameters of which none is a function of the others; got "
                         f"{', '.join(names)}")
    white = np.linalg.solve(np.linalg.cholesky(correlation), scores.T)
    square = white**2 - 1
    both = np.abs(np.corrcoef(np.concatenate([white, square])))
    np.fill_diagonal(both, 0)
    count = len(names)
    np.fill_diagonal(both[:count, count:], 0)  # a parameter and its own square
    np.fill_diagonal(both[count:, :count], 0)
    limit = max(_DEPENDENT, 5 / np.sqrt(scores.shape[0]))
    if both.max() > limit:
        i, j = np.unravel_index(np.argmax(both), both.shape)
        log.warning(
            "samples of %s and %s depend on each other in a way that correlated normal scores do "
            "not describe: log_prob of the prior is approximate, training is not touched",
            names[i % count], names[j % count],
        )  # fmt: skip
