"""The space of answers: a class, such as a redshift bin, and unconstrained reals."""

import math
from typing import TYPE_CHECKING

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr, ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, Float, Int

if TYPE_CHECKING:
    import distrax

_EDGE = 1e-6


class BinnedRedshift(eqx.Module):
    """Redshift bins of equal width in ``ln(1 + z)`` between two redshifts.

    The factorisation is exact: ``p(z | x) = P(bin | x) p(delta | bin, x) |d delta / dz|`` with
    ``delta`` in (0, 1) the position of ``ln(1 + z)`` in its bin. The last bin ends at ``high``.
    """

    low: float = eqx.field(static=True)
    high: float = eqx.field(static=True)
    width: float = eqx.field(static=True)

    @property
    def bins(self) -> int:
        """Number of bins."""
        span = math.log1p(self.high) - math.log1p(self.low)
        return math.ceil(span / self.width - 1e-6)

    def edges(self, bins: Int[Array, "*batch"]) -> tuple[Array, Array]:
        """Lower edge and width of each bin, in ``ln(1 + z)``."""
        left = math.log1p(self.low) + bins * self.width
        return left, jnp.minimum(self.width, math.log1p(self.high) - left)

    def all_edges(self) -> Float[np.ndarray, " edges"]:
        """Edges of all bins in redshift."""
        left = math.log1p(self.low) + self.width * np.arange(self.bins)
        return np.append(np.expm1(left), self.high)

    def split(self, z: Float[Array, "*batch"]) -> tuple[Array, Array, Array]:
        """Redshift to its bin, ``Phi^-1(delta)``, and the log derivative of the latter by z."""
        x = jnp.log1p(z)
        bins = jnp.floor((x - math.log1p(self.low)) / self.width).astype(int)
        bins = jnp.clip(bins, 0, self.bins - 1)
        left, width = self.edges(bins)
        free = ndtri(jnp.clip((x - left) / width, _EDGE, 1 - _EDGE))
        return bins, free, -x - jnp.log(width) - norm.logpdf(free)

    def join(self, bins: Int[Array, "*batch"], free: Float[Array, "*batch"]) -> Array:
        """Inverse of `split`."""
        left, width = self.edges(bins)
        return jnp.clip(jnp.expm1(left + width * ndtr(free)), self.low, self.high)

    @staticmethod
    def distribution(logits: Float[Array, "*batch bins"]) -> "distrax.Categorical":
        """The discrete factor."""
        import distrax  # half a second, and only training asks for it

        return distrax.Categorical(logits=logits)
