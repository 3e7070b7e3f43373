"""How line-spread functions of single spectra differ from that of their instrument."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, ScalarLike

from flowspec.sim.latent import uniform

WIDTH = 0.07  # standard deviation of ln(width), as the fibres of the SDSS differ


def ln_width(latent: ScalarLike, widest: float) -> ScalarLike:
    """Natural log of the width of a spectrum's line-spread function over the instrument's.

    Args:
        latent: Standard normal.
        widest: `Instrument.widest`: beyond 1 the logarithm is uniform from 0 to that of it.
    """
    return uniform(latent, 0.0, float(np.log(widest))) if widest > 1 else WIDTH * latent


def added_variance(lsf: float, wider: ScalarLike) -> Array:
    """Squared dispersion (km/s) that another line-spread function adds, or takes where negative.

    Args:
        lsf: Standard deviation of the instrument's, km/s.
        wider: Natural log of the width of this one over the instrument's.
    """
    return lsf**2 * jnp.expm1(2 * wider)


def told_widths(sim, latent: Float[Array, "n latents"]) -> tuple[Array, ...]:
    """What the frame of a simulator of spectra has beside flux and inverse variance.

    Args:
        sim: `flowspec.sim.spectrum.SpectrumSimulator`.
        latent: Of its nuisances.

    Returns:
        Nothing, or natural logs of the widths over the instrument's and 1
        (`flowspec.data.frame.Pixels.width`).
    """
    if sim.frame.lsf is None:
        return ()
    wider = jnp.zeros(len(latent))
    if "lsf" in sim.layout.names:
        drawn = latent[:, sim.layout.place("lsf").start]
        wider = jax.vmap(ln_width, (0, None))(drawn, sim.widest)
    return (jnp.stack([wider, jnp.ones_like(wider)], axis=1),)
