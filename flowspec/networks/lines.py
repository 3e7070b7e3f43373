"""The network of line catalogues: a residual perceptron on what each line says."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from flowspec.data.frame import LineSet
from flowspec.data.line_features import line_features
from flowspec.networks.blocks import Residual
from flowspec.networks.network import Network


@dataclass(frozen=True)
class LineArchitecture:
    """Sizes of the network of lines and of the density.

    Attributes:
        hidden: Width of the residual network.
        blocks: Its residual blocks.
        condition: Features handed to the density.
        layers: Coupling layers of the flow.
        width: Hidden width of their conditioners.
        knots: Spline knots.
        network: Name of the network.
        density: Name of the density.
        activation: Of the conditioners of a flow: "gelu" or "relu", which is faster for few lines.
    """

    hidden: int = 192
    blocks: int = 4
    condition: int = 64
    layers: int = 6
    width: int = 64
    knots: int = 8
    network: str = "lines"
    density: str = "flow"
    activation: str = "relu"


class RowEmbedding(NamedTuple):
    """Logits of the classes, and features of each row."""

    logits: Float[Array, "batch classes"]
    summary: Float[Array, "batch features"]


class RowNetwork(Network):
    """A residual perceptron over features of a row; a subclass says which features.

    Attributes:
        classes: Number of classes.
        hidden: Width.
        blocks: Residual blocks.
        features: Length of the summary.
    """

    classes: int
    hidden: int
    blocks: int
    features: int

    def setup(self):
        self.first = nn.Dense(self.hidden)
        self.residual = [Residual(self.hidden) for _ in range(self.blocks)]
        self.last = nn.Dense(self.features)
        self.head = nn.Dense(self.classes)

    @classmethod
    def made(cls, frame, space, sizes) -> "RowNetwork":
        """Of the sizes, with as many classes as the space has."""
        del frame
        return cls(space.classes, sizes.hidden, sizes.blocks, sizes.condition)

    @property
    def condition_size(self) -> int:
        """The summary, and which class."""
        return self.features + self.classes

    @abstractmethod
    def inputs(self, *data: Array) -> Float[Array, "batch inputs"]:
        """Features of the data."""

    def embed(self, *data: Array) -> RowEmbedding:
        """What is computed once per row."""
        x = self.first(self.inputs(*data))
        for block in self.residual:
            x = block(x)
        summary = self.last(x)
        return RowEmbedding(self.head(summary), summary)

    def condition(
        self, embedding: RowEmbedding, rows: Int[Array, " pairs"], k: Int[Array, " pairs"]
    ) -> Float[Array, "pairs condition"]:
        """The summary, and which class."""
        return jnp.concatenate([embedding.summary[rows], jax.nn.one_hot(k, self.classes)], axis=-1)


class LineNetwork(RowNetwork):
    """Rows of a line catalogue: blind to the unit of the fluxes and to absent lines."""

    frame_kind: ClassVar[str] = LineSet.kind
    Sizes: ClassVar[type] = LineArchitecture

    def inputs(
        self, flux: Float[Array, "batch lines"], err: Float[Array, "batch lines"],
        state: Int[Array, "batch lines"], dereddened: Float[Array, " batch"],
    ) -> Float[Array, "batch inputs"]:  # fmt: skip
        """`flowspec.data.line_features.line_features`, and whether corrected for dust."""
        return jnp.concatenate([line_features(flux, err, state), dereddened[:, None]], axis=-1)
