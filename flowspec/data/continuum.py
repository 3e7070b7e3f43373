"""The smooth part of a spectrum: a running mean weighted by a capped inverse variance."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def running_mean(x: Float[Array, "*batch pixels"], window: int) -> Float[Array, "*batch pixels"]:
    """Sum over a centred window of ``2 * (window // 2) + 1`` pixels, fewer at the ends."""
    half = window // 2
    padding = [(0, 0)] * (x.ndim - 1) + [(half + 1, half)]
    total = jnp.cumsum(jnp.pad(x, padding), axis=-1)
    return total[..., 2 * half + 1 :] - total[..., : -2 * half - 1]


def continuum(
    flux: Float[Array, "batch pixels"], ivar: Float[Array, "batch pixels"], window: int
) -> Float[Array, "batch pixels"]:
    """Running mean of the good pixels, weighted by a capped inverse variance.

    Capped, for one very good pixel must not stand for its neighbourhood, nor overflow the sums.
    """
    weight = ivar / jnp.maximum(ivar.mean(-1, keepdims=True), 1e-30)
    capped = jnp.minimum(weight, 10.0)
    total = running_mean(capped, window)
    return running_mean(capped * flux, window) / (total + 1e-3)
