"""The smooth part of a spectrum, a running mean weighted by a capped inverse variance, and what is
left of it: noise in units of its size, and a description of both."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from flowspec.data.scaling import TINY, in_own_unit

WINDOW = 101  # pixels of the running mean that is taken as the continuum
BINS = 24  # of a spectrum, in which its shape is looked at


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
    weight = ivar / jnp.maximum(ivar.mean(-1, keepdims=True), TINY)
    capped = jnp.minimum(weight, 10.0)
    total = running_mean(capped, window)
    return running_mean(capped * flux, window) / (total + 1e-3)


def noise_of(
    flux: Float[ArrayLike, "rows pixels"], ivar: Float[ArrayLike, "rows pixels"]
) -> Float[np.ndarray, "rows pixels"]:
    """Departures from a running mean in standard deviations, NaN where there is no data."""
    flux, ivar = jnp.asarray(flux), jnp.asarray(ivar)
    scaled = flux * jnp.sqrt(ivar) - continuum(flux, ivar, WINDOW) * jnp.sqrt(ivar)
    return np.where(np.asarray(ivar) > 0, np.asarray(scaled), np.nan)


def broad_features(
    flux: Float[np.ndarray, "rows pixels"], ivar: Float[np.ndarray, "rows pixels"]
) -> Float[np.ndarray, "rows features"]:
    """What spectra look like, whatever a network makes of them.

    In up to `BINS` bins of pixels the mean flux over that of the whole spectrum, and the log of
    the mean square of what a running mean leaves, in units of the noise; its mean products one, two
    and four pixels apart; and the log signal-to-noise ratio of the whole.

    Args:
        flux: Spectra on one grid.
        ivar: Inverse variances, 0 where there is no data.
    """
    flux, ivar = (np.asarray(a, np.float32) for a in (flux, ivar))
    flux, ivar, _ = in_own_unit(np.where(ivar > 0, flux, 0), ivar)
    noise = noise_of(flux, ivar)
    good = ivar > 0
    level = np.abs(np.where(good, flux, 0)).sum(1) / np.maximum(good.sum(1), 1) + 1e-30
    snr = (np.abs(flux) * np.sqrt(ivar)).sum(1) / np.maximum(good.sum(1), 1)
    columns = []
    for part in np.array_split(np.arange(flux.shape[1]), min(BINS, flux.shape[1])):
        count = np.maximum(good[:, part].sum(1), 1)
        columns.append(np.where(good[:, part], flux[:, part], 0).sum(1) / count / level)
        square = np.where(good[:, part], np.clip(noise[:, part], -30, 30) ** 2, 0).sum(1) / count
        columns.append(np.log(square + 0.05))
    clipped = np.where(good, np.clip(noise, -5, 5), 0)
    lags = [k for k in (1, 2, 4) if k < flux.shape[1]]
    columns += [(clipped[:, k:] * clipped[:, :-k]).mean(1) for k in lags]
    return np.stack([*columns, np.log(snr + 1e-3)], axis=1)
