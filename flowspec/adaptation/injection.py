"""Noise injection: simulations with the excess noise and the excess variety of observations.

The cheapest adaptation. What observations have more of than simulations, pixel noise beyond their
inverse variance and smooth variety of their continua, is measured on them, without labels, and
added to simulations, so that a network learns to see it and to widen its posterior accordingly
(Belfiore et al. 2025, arXiv:2410.16370, inject white noise, for classes of nebulae).
"""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray
from scipy.optimize import isotonic_regression

from flowspec.data.continuum import BINS, WINDOW, continuum, noise_of
from flowspec.data.scaling import TINY
from flowspec.sim.simulator import Perturbed, Simulated, Simulator

_LAGS = 24  # pixels over which noise is correlated
_CLIP = 4.0  # standard deviations beyond which a pixel is a line or a blemish, not noise
_WAVES = 8  # cosines that a calibration error is made of
_LARGEST = 2.0  # calibration error, natural log
_SCATTER = 0.25  # natural log, of the amount of noise from spectrum to spectrum


class Injected(Perturbed):
    """A simulator whose spectra have further noise and a smooth calibration error.

    Each spectrum gets about as much noise as was measured, and a calibration error of its own. The
    inverse variance stays what it was, for so it is in the observations.

    Attributes:
        simulator: Of spectra as they ought to be.
        excess: Standard deviation of the further noise in units of the pixel's own [pixels].
        kernel: Filter of unit norm that gives it its correlation [lags].
        basis: Principal curves of the calibration error, each one standard deviation of its
            natural log [curves, pixels].
        size: Factor on these.
    """

    simulator: Simulator
    excess: Float[Array, " pixels"]
    kernel: Float[Array, " lags"]
    basis: Float[Array, "curves pixels"]
    size: Float[Array, ""]

    @classmethod
    def measured(cls, simulator, simulated: tuple, observed: tuple) -> "Injected":
        """With what observations have more of than simulations.

        Args:
            simulator: Of spectra.
            simulated: Flux and inverse variance of some of its spectra [rows, pixels].
            observed: Those of observations, on the same pixels.
        """
        simulated, observed = simulated[:2], observed[:2]
        own, theirs = noise_of(*simulated), noise_of(*observed)
        excess = excess_noise(own, theirs)
        ordinary = excess <= 1.2 * np.median(excess)  # not on sky lines, of their own shape
        covariances = [autocovariance(np.where(ordinary, x, np.nan)) for x in (theirs, own)]
        kernel = correlation_filter(covariances[0] - covariances[1])
        none = np.zeros((1, len(excess)))
        arrays = (jnp.asarray(a, jnp.float32) for a in (excess, kernel, none, 1.0))
        noisy = cls(simulator, *arrays)
        # what is smooth is looked for behind the noise: of that, a bin of pixels has some too
        flux, ivar = (jnp.asarray(a, jnp.float32) for a in simulated)
        flux = noisy.perturb_all(jr.key(0), flux, ivar)
        shapes = broad_shape(flux, ivar), broad_shape(*observed)
        basis = jnp.asarray(smooth_variety(*shapes, len(excess)), jnp.float32)
        return eqx.tree_at(lambda s: s.basis, noisy, basis)

    def perturbed(self, key: PRNGKeyArray, simulated: Simulated) -> Simulated:
        """Simulations already made, perturbed."""
        flux, ivar, *width = simulated.data
        return simulated._replace(data=(self.perturb_all(key, flux, ivar), ivar, *width))

    def perturb_all(
        self, key: PRNGKeyArray, flux: Float[Array, "n pixels"], ivar: Float[Array, "n pixels"]
    ) -> Float[Array, "n pixels"]:
        """`perturb` of every spectrum."""
        return jax.vmap(self.perturb)(jr.split(key, len(flux)), flux, ivar)

    def perturb(
        self, key: PRNGKeyArray, flux: Float[Array, " pixels"], ivar: Float[Array, " pixels"]
    ) -> Float[Array, " pixels"]:
        """One spectrum with more noise than its inverse variance says."""
        amount, white, shape = jr.split(key, 3)
        noise = jnp.convolve(jr.normal(white, flux.shape), self.kernel, mode="same")
        noise = jnp.exp(_SCATTER * (jr.normal(amount) - _SCATTER)) * self.excess * noise
        curve = self.size * jr.normal(shape, (len(self.basis),)) @ self.basis
        factor = jnp.exp(jnp.clip(curve, -_LARGEST, _LARGEST))
        sigma = jnp.where(ivar > 0, jnp.maximum(ivar, TINY) ** -0.5, 0.0)
        return flux + (factor - 1) * signal(flux, ivar) + sigma * noise


def signal(flux: Float[Array, " pixels"], ivar: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
    """The running mean and what stands out from it, without noise: that has its size already.

    Of the departure r from the mean the share ``r^2 / (r^2 + 9 sigma^2)``.
    """
    mean = continuum(flux[None], ivar[None], WINDOW)[0]
    departure = flux - mean
    square = departure**2 * ivar
    return jnp.where(ivar > 0, mean + departure * square / (square + 9), 0.0)


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


def broad_shape(flux: ArrayLike, ivar: ArrayLike) -> Float[np.ndarray, "rows bins"]:
    """Mean flux in up to `BINS` bins of pixels over that of the whole spectrum; NaN for no data.

    Bins without data take the mean over all spectra.
    """
    flux, good = np.asarray(flux, float), np.asarray(ivar) > 0
    flux = np.where(good, flux, np.nan)
    parts = np.array_split(np.arange(flux.shape[1]), min(BINS, flux.shape[1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # bins without any data
        binned = np.stack([np.nanmean(flux[:, part], axis=1) for part in parts], axis=1)
        shape = binned / np.abs(np.nanmean(binned, axis=1, keepdims=True))
        return np.where(np.isfinite(shape), shape, np.nanmean(shape, axis=0))


def smooth_variety(
    own: Float[np.ndarray, "rows bins"], theirs: Float[np.ndarray, "others bins"], pixels: int
) -> Float[np.ndarray, "curves pixels"]:
    """Random smooth factor on the second that the first have not, as cosines of ln(flux).

    Divided by their mean, shapes with a random factor have more variance in each cosine k than
    those without, by the power P_k of its logarithm. That of a calibration error falls with k, and
    is taken to (isotonic regression, each P_k with its sampling error): so slow waves, in which
    galaxies themselves vary too much for anything to be measured, get the power of faster ones.

    Args:
        own: `broad_shape` of simulations.
        theirs: Of observations.
        pixels: Of the curves.

    Returns:
        Waves of random phase, a cosine and a sine each of half the power; 0 where that is not
        significant (3 sigma).
    """
    ends = np.percentile(np.concatenate([own, theirs]), [0.5, 99.5], axis=0)
    own, theirs = (np.clip(x, *ends) for x in (own, theirs))
    mean = np.maximum(np.abs(own.mean(0)), 0.1)
    waves = min(_WAVES, len(mean))
    project = np.linalg.pinv(_cosines(len(mean), waves))
    power, others = (((rows / mean) @ project.T).var(0) for rows in (theirs, own))
    error = np.hypot(power / np.sqrt(len(theirs) / 2), others / np.sqrt(len(own) / 2)) + 1e-9
    power, weight = (power - others)[1:], error[1:] ** -2.0  # shapes say nothing of a grey factor
    fitted = isotonic_regression(power, weights=weight, increasing=False)
    significant = [v > 3 / np.sqrt(weight[fitted.x == v].sum()) for v in fitted.x]
    size = np.sqrt(np.where(significant, fitted.x, 0.0))
    phase = np.pi * (np.arange(pixels) + 0.5) / pixels * np.arange(waves)[:, None]
    size = np.append(size[:1], size)[:, None] / np.sqrt(2)
    return np.concatenate([size * np.cos(phase), size * np.sin(phase)])


def _cosines(pixels: int, count: int) -> Float[np.ndarray, "pixels count"]:
    x = (np.arange(pixels) + 0.5) / pixels
    return np.cos(np.pi * x[:, None] * np.arange(count))


def _robust(x: np.ndarray, axis: int) -> np.ndarray:
    """1.4826 times the median absolute deviation; NaN where all is."""
    empty = ~np.isfinite(x).any(axis, keepdims=True)
    filled = np.where(empty, 0.0, x)
    centre = np.nanmedian(filled, axis=axis, keepdims=True)
    spread = 1.4826 * np.nanmedian(np.abs(filled - centre), axis=axis)
    return np.where(empty.squeeze(axis), np.nan, spread)
