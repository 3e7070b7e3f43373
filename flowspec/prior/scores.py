"""Normal scores of parameters, ``Phi^-1(F)``, and the correlations between them."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import ndtr, ndtri
from jaxtyping import Array, Float

from flowspec.prior.kinds import ends
from flowspec.prior.tabulated import Tabulated

# The edges of the unit interval at which single precision can no longer tell 1 - x from 1.
EDGE = 1e-7
FAR = 5.2  # the normal score there
_SINGULAR = 1e-5  # least eigenvalue of correlations that single precision can invert


def score_of(
    d: dist.Distribution, value: Float[Array, "*shape"], correlated: bool
) -> Float[Array, "*shape"]:
    """Normal score of a value; of correlated normal distributions also where levels are 0 or 1."""
    if isinstance(d, Tabulated):
        return jnp.clip(d.score(value), -FAR, FAR)
    if correlated and isinstance(d, dist.Normal):
        return (value - d.loc) / d.scale
    return ndtri(jnp.clip(d.cdf(value), EDGE, 1 - EDGE))


def value_of(
    d: dist.Distribution, score: Float[Array, "*shape"], correlated: bool
) -> Float[Array, "*shape"]:
    """Inverse of `score_of`, inside the limits."""
    if isinstance(d, Tabulated):
        return d.value(jnp.clip(score, -FAR, FAR))
    if correlated and isinstance(d, dist.Normal):
        return d.loc + d.scale * score
    levels = jnp.clip(ndtr(score), EDGE, 1 - EDGE)
    return jnp.clip(d.icdf(levels), *ends(d))  # of a logarithmic one may round across the limit


class Correlations:
    """Correlated normal scores among those of all parameters (a Gaussian copula).

    Args:
        given: Tuple of names to a correlation matrix.
        names: Of all parameters, in order.

    Raises:
        ValueError: If a name is unknown or there twice, or a matrix is none of correlations.
    """

    def __init__(self, given: Mapping, names: tuple[str, ...]):
        self.given = {tuple(n): np.asarray(c, float) for n, c in given.items()}
        every = [name for own in self.given for name in own]
        if len(set(every)) < len(every) or set(every) - set(names):
            raise ValueError(f"expected correlations of parameters among {names}, each once; got "
                             f"{every}")
        for own, matrix in self.given.items():
            if not _is_correlation(matrix, len(own)):
                raise ValueError(f"expected a correlation matrix of {', '.join(own)}, of which "
                                 f"none is a function of the others; got {matrix.tolist()}")
        self.names, self.size = frozenset(every), len(names)
        # columns, and the Cholesky factor of their correlations
        self.roots = [(np.array([names.index(n) for n in own]),
                       np.linalg.cholesky(c).astype(np.float32)) for own, c in self.given.items()]
        log_root = np.zeros(len(names), np.float32)
        for columns, root in self.roots:
            log_root[columns] = np.log(np.diagonal(root))
        self.log_root = log_root

    def coloured(self, free: Float[Array, "*shape params"]) -> Float[Array, "*shape params"]:
        """Independent scores to correlated ones."""
        for columns, root in self.roots:
            free = free.at[..., columns].set(free[..., columns] @ root.T)
        return free

    def white(self, scores: Float[Array, "*shape params"]) -> Float[Array, "*shape params"]:
        """Inverse of `coloured`; its derivatives have the product ``exp(-log_root.sum())``."""
        for columns, root in self.roots:
            own = jnp.moveaxis(scores[..., columns], -1, 0).reshape(len(columns), -1)
            own = solve_triangular(jnp.asarray(root), own, lower=True)
            own = jnp.moveaxis(own.reshape(len(columns), *scores.shape[:-1]), 0, -1)
            scores = scores.at[..., columns].set(own)
        return scores

    @property
    def key(self) -> tuple:
        """All that tells two apart."""
        return tuple((names, matrix.tobytes()) for names, matrix in self.given.items())


def _is_correlation(matrix: np.ndarray, count: int) -> bool:
    return (matrix.shape == (count, count) and np.allclose(matrix, matrix.T, atol=1e-5)
            and np.allclose(np.diagonal(matrix), 1, atol=1e-5)
            and float(np.linalg.eigvalsh(matrix).min()) > _SINGULAR)
