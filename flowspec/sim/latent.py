"""Nuisances as standard normals: how many there are, how they are drawn, what is learned of them.

Every nuisance of a simulator of spectra is a smooth function of *latents*, independent standard
normals before anything is learned. One vector then holds all that a spectrum has beside its
parameters, and what observations say of it is a mean and a covariance (`Learned`).
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import jax.scipy.linalg
from jax.scipy.special import ndtr
from jaxtyping import Array, Float, PRNGKeyArray, ScalarLike

LIMIT = 3.0  # standard deviations at which draws are cut


class Layout(NamedTuple):
    """What each part of a vector of latents is.

    Attributes:
        names: Of the nuisances, in order.
        counts: Latents of each.
    """

    names: tuple[str, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, counts: dict[str, int]) -> "Layout":
        """The layout with these numbers of latents by name."""
        return cls(tuple(counts), tuple(counts.values()))

    @property
    def size(self) -> int:
        """Number of latents."""
        return sum(self.counts)

    def place(self, name: str) -> slice:
        """Where the latents of a nuisance are."""
        start = sum(self.counts[: self.names.index(name)])
        return slice(start, start + self.counts[self.names.index(name)])

    def parts(self, latent: Float[Array, " latents"]) -> dict[str, Array]:
        """The latents of each nuisance by its name."""
        return {name: latent[self.place(name)] for name in self.names}


class Learned(eqx.Module):
    """Distribution of the latents given the parameters: normal, its mean linear in them.

    Attributes:
        mean: At the middle of the prior [latents].
        slopes: Change of the mean with each Gaussianised parameter (`Prior.to_unconstrained`)
            [latents, params].
        factor: Lower triangular factor of the covariance [latents, latents].
    """

    mean: Float[Array, " latents"]
    slopes: Float[Array, "latents params"]
    factor: Float[Array, "latents latents"]

    @classmethod
    def nothing(cls, layout: Layout, params: int) -> "Learned":
        """Independent standard normals."""
        return cls(jnp.zeros(layout.size), jnp.zeros((layout.size, params)), jnp.eye(layout.size))

    def longer(self, count: int) -> "Learned":
        """With further latents, of which nothing is known."""
        return Learned(
            jnp.pad(jnp.asarray(self.mean), (0, count)),
            jnp.pad(jnp.asarray(self.slopes), ((0, count), (0, 0))),
            jax.scipy.linalg.block_diag(jnp.asarray(self.factor), jnp.eye(count)),
        )

    def expected(self, free: Float[Array, " params"]) -> Float[Array, " latents"]:
        """Mean of the latents at Gaussianised parameters."""
        return self.mean + self.slopes @ jnp.clip(free, -LIMIT, LIMIT)

    def draw(self, key: PRNGKeyArray, free: Float[Array, " params"]) -> Float[Array, " latents"]:
        """Latents at Gaussianised parameters, none further than `LIMIT` from their mean."""
        noise = jr.truncated_normal(key, -LIMIT, LIMIT, self.mean.shape)
        return self.expected(free) + self.factor @ noise


def uniform(latent: Array, low: ScalarLike, high: ScalarLike) -> Array:
    """A uniform number between two limits from a standard normal one."""
    return low + (high - low) * ndtr(latent)
