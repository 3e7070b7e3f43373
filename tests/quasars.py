"""Quasars of nuisances that are named."""

import jax.numpy as jnp

from flowspec.sim.quasar.nuisance import NUISANCES, layout_of, nuisances_of


def draw_of(**latents):
    """Nuisances of which the latents that are named are not zero."""
    layout = layout_of(NUISANCES, {})
    latent = jnp.zeros(layout.size)
    for name, values in latents.items():
        latent = latent.at[layout.place(name)].set(jnp.asarray(values, float))
    return nuisances_of(latent, layout, jnp.ones(1))
