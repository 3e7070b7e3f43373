"""What every conditional density over unconstrained reals is."""

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray


class Density(eqx.Module):
    """A density over ``dim`` reals given a condition; `flowspec.model.registry` has the named.

    A subclass has `log_prob`, `push` and `named`, and a classmethod ``made(key, dim, condition,
    sizes)`` that takes what it wants from an architecture.
    """

    @classmethod
    @abstractmethod
    def made(cls, key: PRNGKeyArray, dim: int, condition: int, sizes) -> "Density":
        """A new one over so many reals, given so many features, of the sizes of an architecture."""

    @abstractmethod
    def log_prob(
        self, free: Float[Array, "*batch dim"], condition: Float[Array, "*batch condition"]
    ) -> Float[Array, "*batch"]:
        """Normalised log density."""

    @abstractmethod
    def push(
        self, base: Float[Array, "*batch dim"], condition: Float[Array, "*batch condition"]
    ) -> Float[Array, "*batch dim"]:
        """Standard normal draws to draws of the density."""

    def push_many(
        self,
        base: Float[Array, "n dim"],
        conditions: Float[Array, "classes condition"],
        k: Int[Array, " n"],
    ) -> Float[Array, "n dim"]:
        """As `push`, of many draws that share a few conditions: draw i has condition ``k[i]``."""
        return self.push(base, conditions[k])

    def loss(
        self,
        key: PRNGKeyArray,
        free: Float[Array, "batch dim"],
        condition: Float[Array, "batch condition"],
    ) -> Float[Array, " batch"]:
        """What training minimises for each row; the key is for losses that are random."""
        del key
        return -self.log_prob(free, condition)

    @abstractmethod
    def named(self) -> dict:
        """Every array under the name that it has in a model file."""

    def restored(self, arrays: dict[str, np.ndarray]) -> "Density":
        """The same density (shapes suffice) with the arrays of a model file.

        Raises:
            KeyError: If one is missing.
            TypeError: If one has another shape.
        """
        names = list(self.named())
        own = self.named()
        for name in names:
            if arrays[name].shape != own[name].shape:
                raise TypeError(f"shape {arrays[name].shape} instead of {own[name].shape} of "
                                f"{name}")
        new = [jnp.asarray(arrays[name], own[name].dtype) for name in names]
        return eqx.tree_at(lambda d: list(d.named().values()), self, new)


def numbered(tree, prefix: str) -> dict:
    """Arrays of a perceptron, or of any sequence of layers, by layer: ``<prefix>.0.weight``."""
    found = {}
    for i, layer in enumerate(tree):
        found |= {f"{prefix}.{i}.{name}": getattr(layer, name) for name in ("weight", "bias")}
    return found


ACTIVATIONS = {"gelu": jax.nn.gelu, "relu": jax.nn.relu}
