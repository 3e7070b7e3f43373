"""Correlated noise of spectra that were resampled from other pixels."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray


class Detector(eqx.Module):
    """The pixels in which noise is independent, where they are not those of the spectrum.

    Spectra resampled from detector pixels to others have correlated noise; this draws it as such.

    Args:
        wave: Centres of the detector's pixels in angstrom, increasing.
        pixels: Centres of the spectrum's pixels in angstrom, increasing, within `wave`.
        correlation: Of neighbouring detector pixels, already there (0 to 0.3).
    """

    first: np.ndarray
    weights: Float[Array, "taps pixels"]
    correlation: float = eqx.field(static=True)
    size: int = eqx.field(static=True)

    def __init__(self, wave: np.ndarray, pixels: np.ndarray, correlation: float = 0.0):
        mine, others = _edges(wave), _edges(pixels)
        self.first = np.clip(np.searchsorted(mine, others[:-1]) - 1, 0, len(wave) - 1)
        taps = int((np.searchsorted(mine, others[1:]) - 1 - self.first).max()) + 1
        which = np.clip(self.first + np.arange(taps)[:, None], 0, len(wave) - 1)
        shared = np.minimum(mine[which + 1], others[1:]) - np.maximum(mine[which], others[:-1])
        shared = np.maximum(shared, 1e-9)
        # neighbours of correlation r: each pixel is e_i + a e_(i+1), r = a / (1 + a^2)
        steps = np.abs(which[:, None] - which[None])
        covariance = np.where(steps == 0, 1.0, np.where(steps == 1, correlation, 0.0))
        variance = np.einsum("ip,ijp,jp->p", shared, covariance, shared)
        self.weights = jnp.asarray(shared / np.sqrt(variance), jnp.float32)
        self.correlation, self.size = float(correlation), len(wave)

    def noise(self, key: PRNGKeyArray) -> Float[Array, " pixels"]:
        """Unit-variance, correlated noise [pixels]."""
        r = self.correlation
        a = 0.5 * (1 - np.sqrt(1 - 4 * r * r)) / r if r else 0.0
        white = jr.normal(key, (self.size + 1,))
        native = (white[:-1] + a * white[1:]) / np.sqrt(1 + a * a)
        taps = jnp.arange(self.weights.shape[0])[:, None]
        index = jnp.minimum(self.first + taps, self.size - 1)
        return (native[index] * self.weights).sum(0)


def _edges(wave):
    middle = 0.5 * (wave[1:] + wave[:-1])
    return np.concatenate([[2 * wave[0] - middle[0]], middle, [2 * wave[-1] - middle[-1]]])
