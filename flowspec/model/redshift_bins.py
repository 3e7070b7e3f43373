"""Bins of the redshift, in which a posterior is a softmax, and where in its bin a redshift is."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr, ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, ArrayLike, Float, Int

_EDGE = 1e-6
_SLIVER = 1e-2  # of a redshift bin, as single precision tells redshifts from one another


class Reach(NamedTuple):
    """Where the redshifts of a source are, or those of each row's source.

    Attributes:
        low, high: Lowest and highest redshift.
        ln_low, ln_high: ``ln(1 + z)`` there.
        first, last: Numbers of the bins that these are in.
    """

    low: ArrayLike
    high: ArrayLike
    ln_low: ArrayLike
    ln_high: ArrayLike
    first: ArrayLike
    last: ArrayLike


@dataclass(frozen=True)
class RedshiftBins:
    """Redshift bins of equal width in ``ln(1 + z)`` between two redshifts.

    The factorisation is exact: ``p(z | x) = P(bin | x) p(delta | bin, x) |d delta / dz|`` with
    ``delta`` in (0, 1) the position of ``ln(1 + z)`` in its bin. The last bin ends at ``high``.
    """

    low: float
    high: float
    width: float

    @property
    def bins(self) -> int:
        """Number of bins."""
        span = math.log1p(self.high) - math.log1p(self.low)
        return math.ceil(span / self.width - 1e-6)

    def reach(self, low: float, high: float) -> Reach:
        """The part between two redshifts; slivers of bins at its ends do not count."""
        ends = math.log1p(low), math.log1p(high)
        first, last = ((end - math.log1p(self.low)) / self.width for end in ends)
        bins = math.floor(first + _SLIVER), math.ceil(last - _SLIVER) - 1
        return Reach(low, high, *ends, *bins)

    @property
    def whole(self) -> Reach:
        """All of it."""
        ends = self.low, self.high
        return Reach(*ends, *map(math.log1p, ends), 0, self.bins - 1)

    def edges(self, bins: Int[Array, "*batch"], reach: Reach) -> tuple[Array, Array]:
        """Lower edge and width of each bin, in ``ln(1 + z)``."""
        left = math.log1p(self.low) + bins * self.width
        cut = jnp.maximum(reach.ln_low - left, 0.0)
        return left + cut, jnp.minimum(self.width, reach.ln_high - left) - cut

    def all_edges(self) -> Float[np.ndarray, " edges"]:
        """Edges of all bins in redshift."""
        left = math.log1p(self.low) + self.width * np.arange(self.bins)
        return np.append(np.expm1(left), self.high)

    def split(self, z: Float[Array, "*batch"], reach: Reach) -> tuple[Array, Array, Array]:
        """Redshift to its bin, ``Phi^-1(delta)``, and the log derivative of the latter by z."""
        x = jnp.log1p(z)
        bins = jnp.floor((x - math.log1p(self.low)) / self.width).astype(int)
        bins = jnp.clip(bins, reach.first, reach.last)
        left, width = self.edges(bins, reach)
        free = ndtri(jnp.clip((x - left) / width, _EDGE, 1 - _EDGE))
        return bins, free, -x - jnp.log(width) - norm.logpdf(free)

    def join(
        self, bins: Int[Array, "*batch"], free: Float[Array, "*batch"], reach: Reach
    ) -> Array:
        """Inverse of `split`."""
        left, width = self.edges(bins, reach)
        return jnp.clip(jnp.expm1(left + width * ndtr(free)), reach.low, reach.high)
