"""What two ideas are worth: the line-location task, and the noise of every pixel as an input.

M-TOPnet learns, beside the redshift, which channels hold one of 42 lines. Here the first of the
learned channels of `flowspec.networks.aligned.AlignedNetwork` is made to, by a term of the loss.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.mtopnet import line_mask, log_step


def line_loss(wave: np.ndarray, highest: float, weight: float):
    """Loss of the model plus `weight` times the mean cross-entropy of lines in good pixels.

    Args:
        wave: The grid.
        highest: Highest redshift.
        weight: Of the task.
    """
    mask, step = jnp.asarray(line_mask(wave, highest)), log_step(wave)

    def loss(model, key, simulated):
        theta, _, (flux, ivar) = simulated
        channels = model.embed(flux, ivar).channels
        network = model.network
        logits = network.apply(model.variables, channels, method="learned_channels")[:, 0]
        shift = jnp.rint(jnp.log1p(theta[:, 0]) / step).astype(int)
        at = len(mask) - flux.shape[1] - shift
        near = jax.vmap(lambda s: jax.lax.dynamic_slice(mask, (s,), flux.shape[1:]))(at)
        good = ivar > 0
        crossed = optax.sigmoid_binary_cross_entropy(logits, near.astype(flux.dtype))
        lines = (crossed * good).sum() / jnp.maximum(good.sum(), 1)
        return model.loss(key, simulated) + weight * lines

    return loss


def blind(flux: np.ndarray, ivar: np.ndarray) -> np.ndarray:
    """Inverse variances [n, pixels] without those of the instrument.

    One per spectrum, from the median difference of neighbouring pixels; 0 stays 0.
    """
    parts = []
    for f, w in zip(np.array_split(flux, 50), np.array_split(ivar, 50), strict=True):
        sigma = 1.4826 / np.sqrt(2) * np.median(np.abs(np.diff(f)), axis=1)
        parts.append(np.where(w > 0, np.maximum(sigma, 1e-6)[:, None] ** -2, 0))
    return np.concatenate(parts).astype(np.float32)
