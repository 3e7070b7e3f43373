"""What stars, gas and smooth factors each contribute to a spectrum."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


@eqx.filter_jit
def contributions(
    sim, theta: Float[Array, " params"], latent: Float[Array, " latents"]
) -> tuple[Array, Array, Array]:
    """Stars and gas without the smooth factor, and what that adds or takes [pixels] each.

    Args:
        sim: A `GalaxySimulator`.
        theta: Parameters.
        latent: Of the nuisances.
    """
    draw = sim.nuisances_of(latent, theta)
    even = eqx.tree_at(lambda d: d.curve, draw, jnp.ones_like(draw.curve))
    starless = eqx.tree_at(lambda s: s.star_table, sim, jnp.zeros_like(sim.star_table))
    light, gas = sim.spectrum(theta, even), starless.spectrum(theta, even)
    return light - gas, gas, light * (draw.curve - 1)
