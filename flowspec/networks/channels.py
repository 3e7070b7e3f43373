"""Spectra as a network sees them: fixed channels in which noise has a known size."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from flowspec.data.continuum import continuum
from flowspec.data.scaling import TINY, in_own_unit

CHANNELS = 5


def preprocess(
    flux: Float[Array, "batch pixels"], ivar: Float[Array, "batch pixels"], window: int
) -> tuple[Float[Array, "batch channels pixels"], Float[Array, "batch scalars"]]:
    """Fixed channels in which noise has a known size, and the scalars that they leave out.

    With ``s`` the inverse-variance weighted mean of ``|flux|``, ``n = s sqrt(ivar)`` the
    signal-to-noise ratio of a pixel and ``c`` the running mean of the flux: the residual
    ``(flux - c) sqrt(ivar)``, clipped softly at 8 and at 2 sigma; the same relative to ``s`` and
    damped where it is below the noise, ``(flux - c) / s * n^2 / (n^2 + 9)``; the continuum
    ``c / s``, damped likewise; and ``log(1 + n)``. All vanish where ``ivar == 0``, so masked
    pixels cannot change anything. Scalars: ``log10 s``, ``log10`` of the mean ``n``, and the share
    of good pixels. Only ``log10 s`` knows the unit of the flux; all else is worked out in one
    (`in_own_unit`) in which no square is beyond single precision.
    """
    good = ivar > 0
    flux, ivar, unit = in_own_unit(jnp.where(good, flux, 0.0), ivar)
    share = good.mean(-1, keepdims=True)
    weight = ivar / jnp.maximum(ivar.mean(-1, keepdims=True), TINY)
    s = (weight * jnp.abs(flux)).mean(-1, keepdims=True)
    bright = s > 0
    s = jnp.where(bright, s, 1.0)
    relative = flux / s
    n = s * jnp.sqrt(ivar)
    c = continuum(relative, ivar, window)
    window_n2 = n.mean(-1, keepdims=True) ** 2 * window * 0.25
    residual = (relative - c) * n
    rms = jnp.sqrt((residual**2).mean(-1, keepdims=True) + 1e-6)
    channels = [
        residual / jnp.sqrt(1 + (residual / 8) ** 2),
        residual / rms,
        3 * jnp.arcsinh((relative - c) * 3 * n**2 / (n**2 + 9)),
        jnp.arcsinh(c) * window_n2 / (window_n2 + 9),
        jnp.log1p(n) / 2,
    ]
    channels = jnp.stack(channels, axis=1) * good[:, None]
    mean_n = n.sum(-1, keepdims=True) / jnp.maximum(good.sum(-1, keepdims=True), 1)
    level = jnp.log10(jnp.where(bright, s * unit, 1.0))
    scalars = jnp.concatenate(
        [level, jnp.log10(mean_n + 1e-3), jnp.log10(rms), share], axis=-1
    )
    return channels, scalars
