"""Normal distributions between limits, of which a share may lie apart: what relations predict."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray, ScalarLike


class Spread(NamedTuple):
    """Normal about a mean; a share of the galaxies, as wide, about another.

    Attributes:
        mean: Of most galaxies.
        scatter: Standard deviation about either mean.
        share: Of galaxies that are apart, such as starbursts.
        shift: Their mean above that of the others.
    """

    mean: ScalarLike
    scatter: ScalarLike
    share: ScalarLike = 0.0
    shift: ScalarLike = 0.0

    def sample(self, key: PRNGKeyArray, low: ScalarLike, high: ScalarLike) -> Float[Array, ""]:
        """Draw one number between two limits."""
        apart = jr.bernoulli(jr.fold_in(key, 1), self.share)
        return self._part(self.mean + self.shift * apart, low, high).sample(key)

    def log_prob(
        self, value: ScalarLike, low: ScalarLike, high: ScalarLike
    ) -> Float[Array, ""]:
        """Natural log density of a number between two limits, which are not checked.

        Each part is cut at the limits on its own, so that its share is that of the draws; one whose
        mean is beyond a limit has it there.
        """
        most = self._part(self.mean, low, high).log_prob(value)
        apart = self._part(self.mean + self.shift, low, high).log_prob(value)
        # exactly that of most where none is apart, whose density may be 0 there
        both = jnp.logaddexp(jnp.log1p(-self.share) + most, jnp.log(self.share) + apart)
        return jnp.where(jnp.asarray(self.share) > 0, both, most)

    def _part(self, mean, low, high):
        mean = jnp.clip(mean, low, high)
        return dist.TruncatedNormal(mean, self.scatter, low=low, high=high, validate_args=False)


def of_type(quiescent: ScalarLike, forming: Spread, quenched: Spread) -> Spread:
    """One of two, by the type of the galaxy."""
    return jax.tree.map(lambda f, q: jnp.where(quiescent, q, f), forming, quenched)
