"""What maps the parameters of a nebula to its line fluxes: one cloud, or two gases mixed."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from flowspec.sim.nebula.interpolate import Regular, Scattered


class Cloud(eqx.Module):
    """Gas of one ionisation parameter and density.

    Args:
        table: Of log10 fluxes.
        columns: Of theta that are the parameters of the table, in its order.
    """

    table: Regular | Scattered
    columns: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, theta: Float[Array, " params"]) -> Float[Array, " lines"]:
        """Flux of every line over H-beta."""
        return 10 ** self.table(theta[jnp.array(self.columns)])


class Mixed(eqx.Module):
    """Two gases along one line of sight.

    Args:
        first: What gives fluxes over H-beta for theta.
        second: Another.
        share: Column of theta that is the share of H-beta from the second.
    """

    first: eqx.Module
    second: eqx.Module
    share: int = eqx.field(static=True)

    def __call__(self, theta: Float[Array, " params"]) -> Float[Array, " lines"]:
        """Flux of every line over H-beta of both."""
        share = theta[self.share]
        return (1 - share) * self.first(theta) + share * self.second(theta)
