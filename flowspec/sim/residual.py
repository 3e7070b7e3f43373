"""Noise as observations have it: its size, its correlation, and pixels far off."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from flowspec.data.scaling import TINY


class Residual(eqx.Module):
    """What observed spectra scatter by about the best model, in units of their stated errors.

    Attributes:
        size: Standard deviation over the stated error [pixels].
        kernel: Filter of unit norm that gives the noise its correlation [taps].
        scatter: Natural log, of the size from spectrum to spectrum.
        outliers: Share of pixels that are off by more.
        reach: Standard deviation of these.
    """

    size: Float[Array, " pixels"]
    kernel: Float[Array, " taps"]
    scatter: Float[Array, ""]
    outliers: Float[Array, ""]
    reach: Float[Array, ""]

    def add(
        self, key: PRNGKeyArray, flux: Float[Array, " pixels"], ivar: Float[Array, " pixels"]
    ) -> Float[Array, " pixels"]:
        """A noiseless spectrum with noise, 0 where there is no data."""
        white, level, where, far = jr.split(key, 4)
        noise = jnp.convolve(jr.normal(white, flux.shape), self.kernel, mode="same")
        noise = noise * self.size * jnp.exp(self.scatter * jr.normal(level))
        off = jr.bernoulli(where, self.outliers, flux.shape)
        noise = noise + off * self.reach * jr.normal(far, flux.shape)
        sigma = jnp.where(ivar > 0, jnp.maximum(ivar, TINY) ** -0.5, 0.0)
        return jnp.where(ivar > 0, flux + sigma * noise, 0.0)
