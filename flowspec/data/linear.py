"""Data of each kind as values and weights in which a linear model of them makes sense."""

import numpy as np
from jaxtyping import ArrayLike, Float

from flowspec.data.lines import State
from flowspec.data.scaling import in_own_unit

Weighted = tuple[Float[np.ndarray, "batch size"], Float[np.ndarray, "batch size"]]
_LEAST = 2.0  # signal-to-noise ratio of a line whose logarithm has a normal error, nearly


def scaled_fluxes(flux: ArrayLike, ivar: ArrayLike) -> Weighted:
    """Spectra over their mean absolute flux, weighted by inverse variance, and inverse variances.

    Args:
        flux: [batch, pixels].
        ivar: Inverse variances, 0 where there is no data [batch, pixels].
    """
    flux, ivar = np.asarray(flux, np.float32), np.asarray(ivar, np.float32)
    flux, ivar, _ = in_own_unit(np.where(ivar > 0, flux, 0), ivar)
    weight = ivar / np.maximum(ivar.max(1, keepdims=True), 1e-37)
    scale = (weight * np.abs(flux)).sum(1) / np.maximum(weight.sum(1), 1e-37)
    scale = np.where(scale > 0, scale, 1)[:, None]
    return np.where(ivar > 0, flux / scale, 0), ivar * scale**2


def log_fluxes(flux: ArrayLike, err: ArrayLike, state: ArrayLike) -> Weighted:
    """Logarithms of the fluxes of lines over their mean, and inverse variances of those.

    Only lines measured at over two sigma have any weight: a logarithm knows no limits.

    Args:
        flux: [batch, lines].
        err: Standard errors.
        state: `flowspec.data.lines.State` of each.
    """
    flux, err = np.asarray(flux, np.float32), np.asarray(err, np.float32)
    good = (np.asarray(state) == State.MEASURED) & (flux > _LEAST * err) & (err > 0)
    log_flux = np.log(np.where(good, flux, 1))
    mean = log_flux.sum(1, keepdims=True) / np.maximum(good.sum(1, keepdims=True), 1)
    weight = np.where(good, (flux / np.where(good, err, 1)) ** 2, 0)
    return np.where(good, log_flux - mean, 0), weight.astype(np.float32)


def numbers(values: ArrayLike, err: ArrayLike, present: ArrayLike) -> Weighted:
    """Numbers as they are, and inverse variances, vast of those without an error.

    Args:
        values: [batch, columns].
        err: Standard errors, 0 where there is none.
        present: Whether each is there.
    """
    values, err = np.asarray(values, float), np.asarray(err, float)
    present = np.asarray(present, bool)
    return np.where(present, values, 0), np.where(present, np.maximum(err, 1e-90) ** -2.0, 0)
