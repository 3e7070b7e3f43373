"""Units of spectra: what a flux density or a wavelength is worth in those of flowspec."""

import astropy.units as u
import numpy as np

FLUX_UNIT = u.Unit("1e-17 erg / (s cm2 AA)")


def to_angstrom(wave) -> np.ndarray:
    """Wavelengths in Å as float64, from plain numbers or any spectral quantity."""
    if isinstance(wave, u.Quantity):
        try:
            wave = wave.to_value(u.AA, u.spectral())
        except u.UnitsError:
            raise ValueError(f"expected wavelengths in a unit of length; got {wave.unit}") from None
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
