"""Noise injection: simulations with the excess noise of observations, and calibration errors.

The cheapest adaptation. What the observations have more of than their inverse variance says is
measured on them, without labels, and added to simulations in random amounts, so that a network
learns to see how much there is and to widen its posterior accordingly (Belfiore et al. 2025,
arXiv:2410.16370, for classes of nebulae).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from flowspec.networks import continuum
from flowspec.sim.nuisance import calibration_error, polynomial_basis
from flowspec.train import draw_batch

_LAGS = 24  # pixels over which noise is correlated
_WINDOW = 101  # pixels of the running mean that is taken as the continuum
_CLIP = 4.0  # standard deviations beyond which a pixel is a line or a blemish, not noise
_MOST = 1.5  # times the measured excess that a spectrum gets at most


class Injected(eqx.Module):
    """A simulator whose spectra have further noise and a smooth calibration error.

    Each spectrum gets up to `_MOST` times the measured excess, uniformly, and half of them a
    calibration error of the size that spectrographs have (`flowspec.sim.nuisance`). The inverse
    variance stays what it was, for so it is in the observations.

    Attributes:
        simulator: Of spectra as they ought to be.
        excess: Standard deviation of the further noise in units of the pixel's own [pixels].
        kernel: Filter of unit norm that gives it its correlation [lags].
        basis: Polynomials of the calibration error [degrees, pixels], all 0 for none.
    """

    simulator: eqx.Module
    excess: Float[Array, " pixels"]
    kernel: Float[Array, " lags"]
    basis: Float[Array, "degrees pixels"]

    @classmethod
    def measured(cls, simulator, simulated: tuple, observed: tuple) -> "Injected":
        """With what observations have more of than simulations.

        Args:
            simulator: Of spectra; one that draws calibration errors gets no more of them.
            simulated: Flux and inverse variance of some of its spectra [rows, pixels].
            observed: Those of observations, on the same pixels.
        """
        own, theirs = noise_of(*simulated), noise_of(*observed)
        basis = polynomial_basis(np.asarray(simulator.wave))
        if "calibration" in getattr(simulator, "nuisances", ()):
            basis = np.zeros_like(basis)
        excess = excess_noise(own, theirs)
        kernel = correlation_filter(autocovariance(theirs) - autocovariance(own))
        arrays = (jnp.asarray(a, jnp.float32) for a in (excess, kernel, basis))
        return cls(simulator, *arrays)

    @property
    def prior(self):
        """Of the simulator."""
        return self.simulator.prior

    @property
    def wave(self) -> np.ndarray:
        """Pixel centres in angstrom [pixels]."""
        return self.simulator.wave

    def draw(self, key: PRNGKeyArray, n: int):
        """As the simulator's, perturbed."""
        own, others = jr.split(key)
        return self.perturbed(others, *self.simulator.draw(own, n))

    def batch(self, key: PRNGKeyArray, step: Int[Array, ""], n: int):
        """That of one training step."""
        others = jr.fold_in(jr.fold_in(key, 1), step)
        return self.perturbed(others, *draw_batch(self.simulator, key, step, n))

    def perturbed(self, key: PRNGKeyArray, theta: Array, flux: Array, ivar: Array) -> tuple:
        """Simulations already made, perturbed."""
        return theta, jax.vmap(self.perturb)(jr.split(key, len(flux)), flux, ivar), ivar

    def perturb(
        self, key: PRNGKeyArray, flux: Float[Array, " pixels"], ivar: Float[Array, " pixels"]
    ) -> Float[Array, " pixels"]:
        """One spectrum with more noise than its inverse variance says."""
        amount, white, half, shape = jr.split(key, 4)
        noise = jnp.convolve(jr.normal(white, flux.shape), self.kernel, mode="same")
        noise = jr.uniform(amount, maxval=_MOST) * self.excess * noise
        factor = jnp.exp(jr.bernoulli(half) * calibration_error(shape, self.basis))
        sigma = jnp.where(ivar > 0, jnp.maximum(ivar, 1e-30) ** -0.5, 0.0)
        return flux * factor + sigma * noise


def noise_of(flux: Array, ivar: Array) -> Float[np.ndarray, "rows pixels"]:
    """Departures from a running mean in standard deviations, NaN where there is no data."""
    scaled = flux * jnp.sqrt(ivar) - continuum(flux, ivar, _WINDOW) * jnp.sqrt(ivar)
    return np.where(np.asarray(ivar) > 0, np.asarray(scaled), np.nan)


def excess_noise(
    own: Float[np.ndarray, "rows pixels"], theirs: Float[np.ndarray, "others pixels"]
) -> Float[np.ndarray, " pixels"]:
    """Standard deviation that the second have more of, in each pixel.

    From median absolute deviations, which lines at many redshifts hardly move: the median excess
    variance everywhere, and a pixel's own where it is significant (4 sigma).
    """
    variances = [_robust(x, axis=0) ** 2 for x in (own, theirs)]
    error = variances[1] * np.sqrt(5.4 / np.maximum(np.isfinite(theirs).sum(0), 1))
    more = variances[1] - variances[0]
    floor = max(np.nanmedian(more), 0.0) if np.isfinite(more).any() else 0.0
    floor = floor if floor > 0.05 else 0.0
    more = np.where(np.isfinite(more) & (np.abs(more - floor) > 4 * error), more, floor)
    return np.sqrt(np.maximum(more, 0.0))


def autocovariance(noise: Float[np.ndarray, "rows pixels"]) -> Float[np.ndarray, " lags"]:
    """Mean product of pixels 0 to `_LAGS` apart, lines and blemishes clipped."""
    bound = _CLIP * _robust(noise, axis=1)[:, None]
    kept = np.where(np.abs(noise) < bound, noise, np.nan)
    pixels = noise.shape[1]
    lags = range(min(_LAGS, pixels - 1) + 1)
    return np.array([np.nanmean(kept[:, : pixels - k] * kept[:, k:]) for k in lags])


def correlation_filter(covariance: Float[np.ndarray, " lags"]) -> Float[np.ndarray, " taps"]:
    """Symmetric filter of unit norm that gives white noise an autocovariance of this shape.

    The square root of the power spectrum, negative power dropped; the identity where there is
    no power.
    """
    taper = 0.5 * (1 + np.cos(np.pi * np.arange(len(covariance)) / len(covariance)))
    tapered = covariance * taper
    power = np.fft.fft(np.concatenate([tapered, tapered[:0:-1]])).real
    kernel = np.fft.fftshift(np.fft.ifft(np.sqrt(np.maximum(power, 0))).real)
    norm = np.linalg.norm(kernel)
    identity = np.zeros(len(kernel))
    identity[len(kernel) // 2] = 1
    return kernel / norm if norm > 0.05 else identity


def _robust(x: np.ndarray, axis: int) -> np.ndarray:
    """1.4826 times the median absolute deviation; NaN where all is."""
    empty = ~np.isfinite(x).any(axis, keepdims=True)
    filled = np.where(empty, 0.0, x)
    centre = np.nanmedian(filled, axis=axis, keepdims=True)
    spread = 1.4826 * np.nanmedian(np.abs(filled - centre), axis=axis)
    return np.where(empty.squeeze(axis), np.nan, spread)
