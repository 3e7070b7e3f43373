"""Noise: how uncertain each pixel is, and one draw of it."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from flowspec.data.scaling import TINY
from flowspec.data.spectra import Spectra
from flowspec.sim.instrument.detector import Detector

SPIKES, ENDS = 0.02, 1 / 30  # probabilities of each of three spikes, of each wrong end
EXACT = (0.0, 0.0)  # range of `Noise` for the signal-to-noise ratios of observations as they are
# Strongest night-sky features (vacuum angstrom): [O I], Na D and the heads of the OH bands
# (Rousselot et al. 2000; Osterbrock et al. 1996), for residuals of their subtraction.
AIRGLOW = np.array([
    5578.89, 5891.6, 5897.6, 6302.05, 6365.54, 6865.0, 6925.0, 7246.0, 7278.3, 7318.3, 7342.9,
    7371.5, 7403.7, 7526.1, 7573.6, 7717.0, 7752.6, 7796.2, 7823.5, 7855.5, 7915.9, 7966.9, 7995.8,
    8027.7, 8064.2, 8346.9, 8401.5, 8432.6, 8467.7, 8495.5, 8507.1, 8542.0, 8629.6, 8763.2, 8781.0,
    8793.0, 8830.0, 8852.6, 8887.7, 8905.9, 8922.8, 8945.9, 8960.8, 9003.8, 9040.5, 9379.0, 9442.2,
    9479.0, 9505.0, 9523.4, 9555.0, 9570.0, 9722.0, 9793.7, 9875.0, 9918.0, 10015.0, 10085.0,
])  # fmt: skip


def airglow(wave: np.ndarray, lsf: np.ndarray) -> np.ndarray:
    """Where residuals of sky lines fall, 0 to 1 [pixels]; `lsf` is sigma in km/s."""
    offset = (wave - AIRGLOW[:, None]) / (wave * lsf / 299792.458)
    return np.exp(-0.5 * offset**2).max(0).astype(np.float32)


class Noise(eqx.Module):
    """Curves of inverse variance to draw from, and what to scale them to.

    Args:
        ivar: Curves in any unit, 0 where there is no data [curves, pixels].
        snr: Mean signal-to-noise ratio per good pixel that each curve came with [curves]; unused
            by a preset.
        range: Limits of log10 of the wanted ratio: of the ratio itself for a preset, of its
            factor on `snr` for observed curves; None to take the curves as they are.
        observed: Whether the curves come from observations.
    """

    ivar: Float[Array, "curves pixels"]
    snr: Float[Array, " curves"]
    range: tuple[float, float] | None = eqx.field(static=True)
    observed: bool = eqx.field(static=True)

    @classmethod
    def preset(cls, sigma: np.ndarray, snr: tuple[float, float]) -> "Noise":
        """Smooth curves, one or several; the ratio is log-uniform between the two of `snr`."""
        limits = (float(np.log10(snr[0])), float(np.log10(snr[1])))
        curves = jnp.asarray(np.atleast_2d(sigma) ** -2.0, jnp.float32)
        return cls(curves, jnp.ones(len(curves)), limits, False)

    @classmethod
    def from_observed(
        cls, obs: Spectra, wave: np.ndarray, range: tuple[float, float] | None = (-0.5, 0.3)
    ) -> "Noise":
        """The curves of observed spectra, resampled to `wave`, each with its signal-to-noise ratio.

        With a range of None they are inverse variances in the unit of the simulated flux.

        Raises:
            ValueError: If no row of `obs` has a good pixel on `wave`.
        """
        same = len(obs.wave) == len(wave) and np.allclose(obs.wave, wave, rtol=1e-7)
        obs = obs if same else obs.resample(wave)
        good = obs.ivar > 0
        keep = good.sum(1) > 10
        if not keep.any():
            raise ValueError(
                f"expected spectra with good pixels between {wave[0]:.0f} and {wave[-1]:.0f} A "
                f"to take noise from; got none in {len(obs)}"
            )
        ivar, flux, good = obs.ivar[keep], obs.flux[keep], good[keep]
        # cgs-like units reach 1e-30 and 1e30: bring every curve to a median of 1 first
        scale = np.array([np.median(v[g]) for v, g in zip(ivar, good, strict=True)])
        # errors of a small fraction of the rest are pipeline accidents, not good pixels
        good &= ivar < 30 * scale[:, None]
        ivar = np.where(good, ivar, 0)
        snr = (flux * np.sqrt(ivar)).sum(1) / good.sum(1)
        return cls(
            jnp.asarray(ivar if range is None else ivar / scale[:, None], jnp.float32),
            jnp.asarray(np.clip(snr, 0.1, 1e3), jnp.float32),
            range,
            True,
        )

    def draw(self, key: PRNGKeyArray, flux: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        """Inverse variance for one noiseless spectrum [pixels], 0 where the curve has no data."""
        which, level = jr.split(key)
        row = jr.randint(which, (), 0, self.ivar.shape[0])
        shape = self.ivar[row]
        if self.range is None:
            return shape
        low, high = self.range
        wanted = 10 ** jr.uniform(level, minval=low, maxval=high)
        wanted = wanted * self.snr[row] if self.observed else wanted
        weight = jnp.sqrt(shape)
        mean = jnp.abs((flux * weight).sum()) / jnp.maximum((shape > 0).sum(), 1)
        return shape * (wanted / jnp.maximum(mean, TINY)) ** 2


class MixedNoise(eqx.Module):
    """Noise of observed spectra, with a share of an instrument's typical noise.

    The share keeps a model good at signal-to-noise ratios that the observed sample happens to lack.

    Args:
        observed: Curves of observed spectra.
        typical: The instrument's own, with the same `draw`.
        share: Probability of the latter.
    """

    observed: Noise
    typical: eqx.Module
    share: float = eqx.field(static=True, default=0.25)

    def draw(self, key: PRNGKeyArray, flux: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        """Inverse variance for one noiseless spectrum [pixels], 0 where the curve has no data."""
        which, own = jr.split(key)
        curves = self.observed.draw(own, flux), self.typical.draw(own, flux)
        return jnp.where(jr.bernoulli(which, self.share), curves[1], curves[0])


def add_noise(
    key: PRNGKeyArray,
    flux: Float[Array, " pixels"],
    ivar: Float[Array, " pixels"],
    sky: Float[Array, " pixels"],
    knots: Float[Array, "knots pixels"],
    detector: Detector | None = None,
    blemished: bool = True,
) -> Float[Array, " pixels"]:
    """Add Gaussian noise, and what the inverse variance does not know: sky residuals, blemishes.

    Args:
        key: Random key.
        flux: Noiseless spectrum.
        ivar: Inverse variance, 0 where there is no data (the flux is then 0).
        sky: Where residuals fall, in units of the noise.
        knots: Basis of the smooth amplitude of the residuals (`smooth_basis`).
        detector: Pixels of independent noise, where they are not the spectrum's own.
        blemished: Whether to add `blemishes`.
    """
    pixel, amplitude, sign, flaw = jr.split(key, 4)
    size = jnp.abs(jr.normal(amplitude)) * jr.normal(sign, (knots.shape[0],))
    noise = jr.normal(pixel, flux.shape) if detector is None else detector.noise(pixel)
    noise = noise + sky * (size @ knots)
    if blemished:
        noise = noise + blemishes(flaw, knots)
    sigma = jnp.where(ivar > 0, jnp.maximum(ivar, TINY) ** -0.5, 0.0)
    return jnp.where(ivar > 0, flux + sigma * noise, 0.0)


def blemishes(key: PRNGKeyArray, knots: Float[Array, "knots pixels"]) -> Float[Array, " pixels"]:
    """What reduction leaves behind, in units of the noise [pixels].

    In one spectrum of twenty up to three narrow spikes of 4 to 60 sigma (cosmic rays, zeroth
    orders); and, at each end of one in thirty, noise and continuum that are wrong by 2 to 15 sigma
    over the last 1 to 8 % of the pixels (second orders, fringes, flat fields). Of real pixels of
    the SDSS 0.01 to 0.02 % are beyond 8 sigma.

    Args:
        key: Random key.
        knots: `smooth_basis` of the pixels.
    """
    count, pixels = knots.shape
    where, height, width, any_, sign, ends, smooth, white = jr.split(key, 8)
    x = jnp.arange(pixels, dtype=jnp.float32)
    centre = jr.uniform(where, (3, 1)) * pixels
    sigma = jr.uniform(width, (3, 1), minval=0.5, maxval=2.5)
    peak = 10 ** jr.uniform(height, (3, 1), minval=0.6, maxval=1.8)
    present = jr.bernoulli(any_, SPIKES, (3, 1)) * jr.rademacher(sign, (3, 1))
    spikes = (present * peak * jnp.exp(-0.5 * ((x - centre) / sigma) ** 2)).sum(0)
    present, size, scale = jr.uniform(ends, (3, 2, 1))
    length = (0.01 + 0.07 * scale) * pixels
    envelope = jnp.exp(-jnp.stack([x, x[::-1]]) / length)
    size = jnp.where(present < ENDS, 10 ** (0.3 + 0.9 * size), 0.0)
    wrong = jr.normal(smooth, (2, count + 1)) @ jnp.concatenate([knots, jnp.ones((1, pixels))])
    wrong = wrong + jr.normal(white, (pixels,))
    return spikes + (size * envelope * wrong).sum(0)
