"""The network of numbers of any kind: standardised by simulations, with errors and gaps."""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from flowspec.data.frame import Columns
from flowspec.networks.lines import RowNetwork
from flowspec.networks.network import merged

_SOFT = 3.0  # standard deviations up to which values enter linearly, beyond as logarithms


@dataclass(frozen=True)
class VectorArchitecture:
    """Sizes of the network of vectors and of the density.

    Attributes:
        hidden: Width of the residual network.
        blocks: Its residual blocks.
        condition: Features handed to the density.
        layers: Coupling layers of the flow.
        width: Hidden width of their conditioners.
        knots: Spline knots.
        network: Name of the network.
        density: Name of the density.
        activation: Of the conditioners of a flow: "gelu" or "relu".
    """

    hidden: int = 96
    blocks: int = 2
    condition: int = 32
    layers: int = 5
    width: int = 64
    knots: int = 8
    network: str = "vector"
    density: str = "flow"
    activation: str = "gelu"


class VectorNetwork(RowNetwork):
    """Rows of numbers, in units of the spread that each column has in simulations."""

    frame_kind: ClassVar[str] = Columns.kind
    Sizes: ClassVar[type] = VectorArchitecture

    columns: int = 0

    def setup(self):
        super().setup()
        zeros = lambda key: jnp.zeros(self.columns)  # noqa: E731
        self.centre = self.param("centre", zeros)
        self.log_scale = self.param("log_scale", zeros)

    @classmethod
    def made(cls, frame: Columns, space, sizes: VectorArchitecture) -> "VectorNetwork":
        """Of the sizes, for so many columns and classes."""
        row = space.classes, sizes.hidden, sizes.blocks, sizes.condition
        return cls(*row, columns=frame.size)

    def inputs(
        self, values: Float[Array, "batch columns"], err: Float[Array, "batch columns"],
        present: Bool[Array, "batch columns"],
    ) -> Float[Array, "batch inputs"]:  # fmt: skip
        """Standardised values, linear and softened; logarithms of the errors; what is there."""
        scale = jnp.exp(-self.log_scale)
        x = (values - self.centre) * scale
        soft = jnp.arcsinh(x * _SOFT) / _SOFT
        clipped = jnp.clip(x, -5 * _SOFT, 5 * _SOFT)
        size = jnp.where(err > 0, jnp.log10(jnp.maximum(err * scale, 1e-6)), 0.0)
        columns = [clipped, soft, size, jnp.ones_like(x)]
        return jnp.concatenate([c * present for c in columns], axis=-1)

    def started(self, variables: dict, data: tuple[Array, ...], k: Int[Array, " batch"]) -> dict:
        """Centre and spread of each column from simulations: medians, which wild values move not.

        A column that never varies keeps a spread of one.
        """
        del k
        values, _, present = (np.asarray(a) for a in data)
        seen = np.where(present, values, np.nan)
        empty = ~present.any(0)
        seen[:, empty] = 0.0
        low, centre, high = np.nanpercentile(seen, [16, 50, 84], axis=0)
        scale = 0.5 * (high - low)
        scale = np.where(scale > 0, scale, np.nanstd(seen, axis=0))
        scale = np.where(scale > 0, scale, 1.0)
        given = {"centre": centre, "log_scale": np.log(scale)}
        return merged(variables, **{n: jnp.asarray(a, jnp.float32) for n, a in given.items()})

    def rates(self, training):
        """Units are none of what is learned."""
        del training
        return {"centre": 0.0, "log_scale": 0.0}
