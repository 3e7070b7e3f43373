"""What every summary network is: from data to class logits and to a condition for the density."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Protocol, runtime_checkable

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


@runtime_checkable
class Embedding(Protocol):
    """All that the posterior needs of a batch of rows, computed once per row.

    A network has a NamedTuple of its own, of arrays whose first axis is the batch; two are needed.

    Attributes:
        logits: Of the classes [batch, classes].
        summary: Features of the whole row [batch, features].
    """

    logits: Float[Array, "batch classes"]
    summary: Float[Array, "batch features"]


class Network(nn.Module):
    """Base of summary networks; `flowspec.networks.registry` knows those with a name.

    A subclass has `setup`, `embed`, `condition` and `made`, and a frozen dataclass ``Sizes`` of
    what a user may choose, whose fields ``network`` and ``density`` are names of registries. The
    number of the class is ``k = source * bins + bin``.
    """

    frame_kind: ClassVar[str]
    Sizes: ClassVar[type]

    def __call__(self, *data: Array, k: Int[Array, " batch"]):
        """Embedding and condition at one class per row: it touches every parameter."""
        embedding = self.embed(*data)
        return embedding, self.condition(embedding, jnp.arange(len(k)), k)

    @abstractmethod
    def embed(self, *data: Array) -> Embedding:
        """What is computed once per row."""

    @abstractmethod
    def condition(
        self, embedding: Embedding, rows: Int[Array, " pairs"], k: Int[Array, " pairs"]
    ) -> Float[Array, "pairs condition"]:
        """What the density is given for pairs of a row of the embedding and a class."""

    @classmethod
    @abstractmethod
    def made(cls, frame, space, sizes) -> "Network":
        """The network for a frame and a space (`flowspec.model.space.Space`), of such sizes."""

    @property
    @abstractmethod
    def condition_size(self) -> int:
        """Length of a condition."""

    def described(self, embedding: Embedding) -> Float[Array, "batch features"]:
        """What tells that a row is unlike simulations: by default its summary."""
        return embedding.summary

    def spread(self, embedding: Embedding) -> Embedding:
        """The embedding, prepared for conditions at most classes of each row.

        By default as it is; a network may work out for all classes at once what `condition` needs.
        """
        return embedding

    def started(self, variables: dict, data: tuple[Array, ...], k: Int[Array, " batch"]) -> dict:
        """Variables to begin training with, given some simulations; by default those drawn."""
        del data, k
        return variables

    def with_odds(self, variables: dict, log_odds: Float[Array, " sources"]) -> dict:
        """Variables whose logits of each source's classes are larger by so much.

        Raises:
            ValueError: If the network is none of spectra.
        """
        del variables, log_odds
        raise ValueError(f"expected a model of spectra; got one of {self.frame_kind}")

    def rates(self, training) -> Mapping[str, float]:
        """Factors on the learning rate, by the name of a parameter."""
        del training
        return {}


def merged(variables: dict, **params: Array | dict) -> dict:
    """Flax variables with some parameters exchanged."""
    return variables | {"params": variables["params"] | params}
