"""Units of what users hand over: plain numbers are in the package's, quantities are converted."""

import astropy.units as u
import numpy as np
from astropy.units.function import FunctionUnitBase
from astropy.utils.masked import Masked

FLUX_UNIT = u.Unit("1e-17 erg / (s cm2 AA)")


def split_unit(values) -> tuple[np.ndarray, u.UnitBase | FunctionUnitBase | None]:
    """Plain numbers, masked ones as NaN, and the unit that came with them, if any did.

    Args:
        values: an array, a quantity or a column of an astropy table.
    """
    unit = getattr(values, "unit", None)
    if isinstance(values, Masked):
        values = values.filled(np.nan)
    if isinstance(values, u.Quantity):
        values = values.value
    if np.ma.isMaskedArray(values):
        values = values.astype(np.float64).filled(np.nan)
    return np.asarray(values), unit


def without_unit(values, what: str) -> np.ndarray:
    """Plain numbers, masked ones as NaN, of something whose unit cannot be converted.

    Raises:
        ValueError: naming `what`, where a unit came with them, which would be lost.
    """
    values, unit = split_unit(values)
    if unit not in (None, u.dimensionless_unscaled):
        raise ValueError(f"expected {what} as plain numbers; got a quantity in '{unit}'")
    return values


def in_one_unit(first, *others) -> list[np.ndarray]:
    """Plain numbers, masked ones as NaN, in the unit of the first, if that has one.

    Raises:
        ValueError: where only some have a unit, or one cannot be converted.
    """
    (values, unit), *rest = map(split_unit, (first, *others))
    found = [values]
    for values, own in rest:
        if (own is None) != (unit is None):
            raise ValueError("expected all or none of fluxes, errors and limits with units; got "
                             f"'{unit}' and '{own}'")
        try:
            found.append(values if own is None else values * own.to(unit))
        except u.UnitsError:
            raise ValueError(f"expected errors and limits in '{unit}'; got '{own}'") from None
    return found


def to_angstrom(wave) -> np.ndarray:
    """Wavelengths in Å as float64, from plain numbers or any spectral quantity."""
    wave, unit = split_unit(wave)
    if unit is not None:
        try:
            wave = u.Quantity(wave, unit).to_value(u.AA, u.spectral())
        except u.UnitsError:
            raise ValueError(f"expected wavelengths in a unit of length; got {unit}") from None
    return np.asarray(wave, np.float64)


def is_flux_density(unit: u.UnitBase) -> bool:
    """Whether `unit` is one of F_λ or F_ν, in energy or in photons."""
    return bool({"spectral flux density", "spectral flux density wav", "photon flux density",
                 "photon flux density wav"} & {*unit.physical_type})  # fmt: skip


def flux_factor(unit: u.UnitBase, wave) -> np.ndarray:
    """[pixels] what one `unit` of flux density is worth in 1e-17 erg/s/cm²/Å at `wave` (Å).

    Raises:
        ValueError: where `unit` is not a flux density (F_λ or F_ν).
    """
    try:
        if not is_flux_density(unit):  # astropy takes the erg/s/cm2 of a band for λ F_λ
            raise u.UnitsError
        one = u.Quantity(np.ones_like(wave), unit)
        return one.to_value(FLUX_UNIT, u.spectral_density(wave * u.AA))
    except (u.UnitsError, TypeError):
        raise ValueError(
            f"expected a flux density such as erg/s/cm2/A or Jy; got unit '{unit}'"
        ) from None


def checked_wave(wave) -> np.ndarray:
    """Pixel centres in Å as float64 [pixels], from plain numbers or any spectral quantity.

    Raises:
        ValueError: Unless they are finite, positive and strictly increasing.
    """
    wave = to_angstrom(wave)
    if wave.ndim != 1 or len(wave) == 0:
        raise ValueError(f"expected wavelengths of shape [pixels]; got {wave.shape}")
    if not (np.isfinite(wave).all() and (wave > 0).all()):
        bad = wave[~(np.isfinite(wave) & (wave > 0))][0]
        raise ValueError(f"expected finite, positive wavelengths; got {bad}")
    step = np.diff(wave)
    if (step <= 0).any():
        i = np.flatnonzero(step <= 0)[0]
        kind = "repeated" if step[i] == 0 else "decreasing"
        raise ValueError(
            f"expected strictly increasing wavelengths; got {kind} ones "
            f"({wave[i]:.6g} then {wave[i + 1]:.6g} A at pixel {i + 1})"
        )
    return wave


def in_flux_unit(wave, flux, ivar) -> tuple[np.ndarray, np.ndarray]:
    """Values of flux and ivar in 1e-17 erg/s/cm²/Å and its inverse square.

    Args:
        wave: [pixels] Å.
        flux: [..., pixels] plain numbers in that unit, or a quantity (F_λ or F_ν).
        ivar: [..., pixels] a quantity exactly where `flux` is one.

    Raises:
        ValueError: where only one has a unit, or it is not that of a flux density.
    """
    (flux, flux_unit), (ivar, ivar_unit) = split_unit(flux), split_unit(ivar)
    if (flux_unit is None) != (ivar_unit is None):
        raise ValueError("expected both or neither of flux and ivar with units; got only one")
    if flux_unit is None:
        return flux, ivar
    to_flux, to_sigma = flux_factor(flux_unit, wave), flux_factor(ivar_unit**-0.5, wave)
    return flux * to_flux, ivar / to_sigma**2
