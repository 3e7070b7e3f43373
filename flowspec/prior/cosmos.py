"""Distances and ages of a cosmology as smooth tables, for use inside compiled functions."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, ScalarLike


class Cosmos(eqx.Module):
    """A cosmology between redshift 0 and a highest one.

    Args:
        cosmology: An astropy cosmology.
        z_high: Highest redshift that will be asked for.
    """

    ln_shift: Float[Array, " nodes"]
    log_ratio: Float[Array, " nodes"]
    gyr: Float[Array, " nodes"]

    def __init__(self, cosmology, z_high: float):
        ln_shift = np.linspace(0, np.log1p(z_high) + 0.02, 1024)
        z = np.maximum(np.expm1(ln_shift), 1e-7)
        ratio = np.log10(cosmology.luminosity_distance(z).to_value("Mpc") / z)
        self.ln_shift = jnp.asarray(ln_shift, jnp.float32)
        self.log_ratio = jnp.asarray(ratio, jnp.float32)
        self.gyr = jnp.asarray(cosmology.age(z).to_value("Gyr"), jnp.float32)

    def log_distance(self, z: ScalarLike) -> Float[Array, ""]:
        """log10 of the luminosity distance in Mpc (that of z = 1e-5 nearer than that)."""
        # distance over redshift is smooth at zero, where the distance itself is not in logarithm
        ratio = jnp.interp(jnp.log1p(z), self.ln_shift, self.log_ratio)
        return ratio + jnp.log10(jnp.maximum(z, 1e-5))

    def age(self, z: ScalarLike) -> Float[Array, ""]:
        """Age of the Universe in Gyr."""
        return jnp.interp(jnp.log1p(z), self.ln_shift, self.gyr)
