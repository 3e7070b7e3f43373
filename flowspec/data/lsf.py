"""Line-spread functions of spectra, as the standard deviation of a Gaussian in km/s."""

from collections.abc import Sequence

import astropy.units as u
import numpy as np
from jaxtyping import Bool, Float

from flowspec.data.units import split_unit

C_KMS = 299792.458
_FWHM = np.sqrt(8 * np.log(2))  # of a Gaussian, over its standard deviation

Curve = Float[np.ndarray, "_ _"]  # [batch, 1] or [batch, pixels]


def lsf_of_power(power) -> np.ndarray | np.float64:
    """Standard deviation in km/s of a resolving power λ / FWHM, NaN where that is not positive."""
    power = np.asarray(power, np.float64)
    known = np.isfinite(power) & (power > 0)
    return C_KMS / np.where(known, power, np.nan) / _FWHM


def power_of_lsf(lsf) -> np.ndarray | np.float64:
    """Resolving power λ / FWHM of a standard deviation in km/s."""
    return C_KMS / np.asarray(lsf, np.float64) / _FWHM


def checked_lsf(lsf, rows: int, pixels: int) -> Curve | None:
    """Line-spread functions of all rows, NaN where they are not positive and finite.

    Args:
        lsf: km/s: a number, [batch], [batch, 1], [1, pixels] or [batch, pixels]; None.
        rows: Number of spectra.
        pixels: Of each.

    Returns:
        [batch, 1] of numbers, [batch, pixels] of curves; None where nothing is given.

    Raises:
        ValueError: On another shape: one curve for all rows is [1, pixels].
    """
    if lsf is None:
        return None
    given = _in_kms(lsf)
    shaped = given[:, None] if given.ndim == 1 else np.atleast_2d(given)
    many, wide = shaped.shape if shaped.ndim == 2 else (-1, -1)
    if many not in (rows, 1) or wide not in (pixels, 1) or (given.ndim == 1 and many != rows):
        raise ValueError(f"expected lsf as a number, [{rows}], [{rows}, {pixels}], [1, {pixels}] "
                         f"or [{rows}, 1]; got shape {given.shape}")
    if shaped.strides[0] == 0:  # one for all rows
        shaped = shaped[:1]
    known = np.isfinite(shaped) & (shaped > 0)
    kept = np.where(known, shaped, np.float32(np.nan))
    return np.broadcast_to(kept, (rows, wide))


def _in_kms(lsf) -> np.ndarray:
    """Numbers in single precision, NaN where masked."""
    values, unit = split_unit(lsf)
    if unit not in (None, u.km / u.s):
        try:
            values = values * unit.to(u.km / u.s)
        except u.UnitsError:
            raise ValueError(f"expected lsf in a unit of velocity; got '{unit}'") from None
    with np.errstate(over="ignore"):  # beyond single precision: infinite, hence not known
        return np.asarray(values, np.float32)


def interpolated(lsf: Curve | None, old, new) -> Curve | None:
    """Line-spread functions on another grid: linear in ln wavelength between pixels where they are
    known, held beyond; NaN in rows where nothing is.

    Args:
        lsf: Of `checked_lsf`.
        old: [pixels] Å.
        new: [new pixels] Å.
    """
    if lsf is None or lsf.shape[1] == 1:
        return lsf
    x, at = np.log(old), np.log(new)
    if lsf.strides[0] == 0 and len(lsf):  # one curve for all rows
        return np.broadcast_to(_between(lsf[0], x, at), (len(lsf), len(new)))
    return np.stack([_between(row, x, at) for row in lsf]) if len(lsf) else lsf[:, :0]


def joined_lsf(parts: Sequence[Curve | None], rows: Sequence[int]) -> Curve | None:
    """Line-spread functions of the rows of all parts, on one grid; NaN in parts without.

    Args:
        parts: Of each part.
        rows: How many rows each part has.
    """
    wide = max((part.shape[1] for part in parts if part is not None), default=0)
    if not wide:
        return None
    blank = np.full((1, 1), np.nan, np.float32)
    return np.concatenate([np.broadcast_to(blank if part is None else part, (count, wide))
                           for part, count in zip(parts, rows, strict=True)])  # fmt: skip


def mean_lsf(
    arms: Sequence[Curve | None], weights: Sequence[Float[np.ndarray, "batch pixels"]], wave
) -> Curve | None:
    """Line-spread functions of weighted means of arms: their variances are averaged alike.

    Args:
        arms: Of each arm, on the grid of the mean.
        weights: Of the pixels of each arm.
        wave: [pixels] Å. Pixels where no arm has both are interpolated.
    """
    if all(arm is None for arm in arms):
        return None
    first = arms[0]
    if all(arm is not None and arm.shape[1] == 1 and np.array_equal(arm, first, equal_nan=True)
           for arm in arms):  # fmt: skip
        return first
    total, norm = np.zeros_like(weights[0], np.float64), np.zeros_like(weights[0], np.float64)
    for arm, weight in zip(arms, weights, strict=True):
        if arm is not None:
            known = np.where(np.isnan(arm), 0, weight)
            total += known * np.nan_to_num(arm).astype(np.float64) ** 2
            norm += known
    with np.errstate(invalid="ignore", divide="ignore"):
        lsf = np.where(norm > 0, np.sqrt(total / norm), np.nan).astype(np.float32)
    return interpolated(lsf, wave, wave)


def _between(values, x, at) -> np.ndarray:
    known = np.isfinite(values)
    if not known.any():
        return np.full(len(at), np.nan, np.float32)
    return np.interp(at, x[known], values[known]).astype(np.float32)


def mean_ln_lsf(
    lsf: Curve, good: Bool[np.ndarray, "batch pixels"]
) -> Float[np.ndarray, " batch"]:
    """Mean over good pixels of the natural log of each line-spread function, NaN if not known.

    Args:
        lsf: Of `checked_lsf`.
        good: Which pixels have data.
    """
    used = good & np.isfinite(lsf)
    total = np.where(used, np.log(np.where(np.isfinite(lsf), lsf, 1.0)), 0.0).sum(1)
    count = used.sum(1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
