"""A fibre on empty sky: noise, and what the subtraction of the sky leaves behind."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray

from flowspec.data.spectra import Spectra
from flowspec.prior.prior import Prior
from flowspec.sim.instrument.blur import told_widths
from flowspec.sim.instrument.instrument import Instrument
from flowspec.sim.instrument.noise import MixedNoise, Noise
from flowspec.sim.instrument.shipped import instrument_of
from flowspec.sim.latent import Layout
from flowspec.sim.simulated import Simulated
from flowspec.sim.spectrum import SpectrumSimulator

# The continuum that is left, in units of the noise of one pixel, of 152 fibres on the sky of the
# SDSS: means over a fifth of the range are 0.10, 0.26 and 0.45 at 50, 84, 95 % (tests/test_sky.py).
_LEVEL, _SPREAD = 0.15, 0.5  # median of its size, standard deviation of the natural log
_SHAPE = (1.0, 0.5, 0.35, 0.25, 0.15)  # of Legendre polynomials, by degree
_FAINT = 1e-3  # 1e-17 erg/s/cm2/A: flux of which the noise of the instrument is that of the sky
# log10 of the flux, in that unit, whose signal-to-noise ratio a noise of given ratios is drawn for
_LEVELS = (-2.0, 1.0)


class SkySimulator(SpectrumSimulator):
    """Spectra of nothing: what a survey's fibres see where there is no object.

    It has one parameter, a redshift that means nothing, as a class of objects
    (`flowspec.sim.classes`) must have one. The continuum that subtraction of the sky leaves is a
    polynomial of degree 4 whose size is log-normal in units of the noise.

    Args:
        instrument: "sdss", "vandels", "moons", "muse" or an `Instrument`.
        noise: Observed `Spectra` to take the noise from, or None for the instrument's own.

    Raises:
        ValueError: On an unknown instrument.
    """

    def __init__(self, instrument: str | Instrument = "sdss", *, noise: Spectra | None = None):
        prior = Prior({"z": dist.Uniform(0.0, 1e-4)}, unused=("z",))
        known = ("left", "sky", "blemishes")
        super().__init__(instrument_of(instrument), prior, (0.0, 1e-4), noise, known, known)
        self._lay_out()

    @property
    def teachable(self) -> bool:
        """No: there is nothing to fit."""
        return False

    def own_layout(self) -> Layout:
        """A size and the coefficients of a polynomial; a width that nothing shows."""
        told = {} if self.frame.lsf is None else {"lsf": 1}
        return Layout.of({"left": 1 + len(_SHAPE)} | told)

    def spectrum_of(
        self, theta: Float[Array, " params"], latent: Float[Array, " latents"]
    ) -> Float[Array, " pixels"]:
        """The continuum that is left in units of the noise of one pixel."""
        del theta
        left = latent[self.layout.place("left")]
        size = _LEVEL * jnp.exp(_SPREAD * left[0])
        return size * (left[1:] * jnp.array(_SHAPE)) @ self.sight["calibration"]

    def simulate(self, key: PRNGKeyArray, n: int) -> Simulated:
        """Draw `n` spectra of nothing.

        Returns:
            theta [n, 1], flux [n, pixels] in 1e-17 erg/s/cm2/A and its inverse variance.
        """
        prior_key, left_key, noise_key, pixel_key, level_key = jr.split(key, 5)
        theta = self.prior.sample(prior_key, (n,))
        none = jnp.full((n, len(self.wave)), _FAINT)
        if isinstance(self.noise, Noise | MixedNoise):
            none = none.at[:].set(10 ** jr.uniform(level_key, (n, 1), float, *_LEVELS))
        ivar = jax.vmap(self.noise.draw)(jr.split(noise_key, n), none)
        typical = jnp.nanmedian(jnp.where(ivar > 0, ivar, jnp.nan), axis=1, keepdims=True)
        latent = jax.vmap(self.draw_latent)(jr.split(left_key, n), theta)
        left = jax.vmap(self.spectrum_of)(theta, latent) / jnp.sqrt(typical)
        noisy = jax.vmap(self.add_noise)(jr.split(pixel_key, n), left, ivar)
        return Simulated(theta, jnp.zeros(n, int), (noisy, ivar, *told_widths(self, latent)))
