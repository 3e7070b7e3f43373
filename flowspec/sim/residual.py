"""Noise as observations have it: its size, its correlation, and pixels far off."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from flowspec.data.scaling import TINY

_PERIOD = 512  # pixels, that a filter and its inverse are taken to repeat after
_HALF = 16  # pixels on each side that the inverse of a short filter has
_LEAST = 0.1  # response of the kernel at the frequencies that it damps most


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

    @property
    def whitening(self) -> Float[Array, " filter"]:
        """Filter that takes the correlation away: the inverse of the kernel."""
        inverse = jnp.fft.fftshift(jnp.fft.ifft(1 / self._response).real)
        half = max(len(self.kernel) // 2, _HALF)
        return inverse[_PERIOD // 2 - half : _PERIOD // 2 + half + 1]

    @property
    def log_slope(self) -> Float[Array, " pixels"]:
        """ln of the derivative of `white`, for each pixel."""
        return -jnp.log(self._response).mean() - jnp.log(self.size)

    def white(self, x: Float[Array, "*rows pixels"]) -> Float[Array, "*rows pixels"]:
        """Rows in units of the stated errors, in units of independent noise of this size.

        Pixels without data count as 0, so that the noise of the few beside them is not quite white.
        """
        scaled = (x / self.size).reshape(-1, x.shape[-1])
        taps = self.whitening
        rows = jax.vmap(lambda row: jnp.convolve(row, taps, mode="same"))(scaled)
        return rows.reshape(x.shape)

    @property
    def _response(self) -> Float[Array, " frequencies"]:
        """Amplitude of each frequency after the kernel, which is symmetric."""
        wide = jnp.zeros(_PERIOD).at[: len(self.kernel)].set(self.kernel)
        return jnp.maximum(jnp.abs(jnp.fft.fft(wide)), _LEAST)

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
