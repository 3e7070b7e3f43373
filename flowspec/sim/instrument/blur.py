"""How line-spread functions of single spectra differ from that of their instrument."""

import jax.numpy as jnp
from jaxtyping import Array, ScalarLike

WIDTH = 0.07  # standard deviation of ln(width), as the fibres of the SDSS differ


def added_variance(lsf: float, ln_width: ScalarLike) -> Array:
    """Squared dispersion (km/s) that another line-spread function adds, or takes where negative.

    Args:
        lsf: Standard deviation of the instrument's, km/s.
        ln_width: Natural log of the width of this one over the instrument's.
    """
    return lsf**2 * jnp.expm1(2 * ln_width)
