"""Wavelengths as files have them to vacuum angstrom."""

import astropy.units as u
import numpy as np

from flowspec.data.air import air_to_vacuum
from flowspec.data.units import to_angstrom

SENSIBLE = 1e2, 1e7  # Å: soft X-rays to a millimetre; beyond, a unit is wrong
_LOG10, _LN = (2.9, 5.7), (6.6, 13.2)  # of 800 Å to 50 µm: one cannot be taken for the other


def vacuum_wave(values, unit, *, log: bool, air: bool) -> np.ndarray:
    """Vacuum wavelengths in Å; NaN where a file has none (NaN, zero, negative, or all of a row
    among good ones that has impossible ones).

    Args:
        values: [pixels] or [rows, pixels] of any spectral quantity, or with `log` of log10 or ln
            of Å, which their numbers tell apart.
        unit: of `values`; None for Å.
        log: whether they are logarithms.
        air: whether they are in air.

    Raises:
        ValueError: where there is none, or they are of no spectrum in that unit.
    """
    values = np.asarray(values, np.float64)
    values = np.where(np.isfinite(values) & (values > 0), values, np.nan)
    if np.isnan(values).all():
        raise ValueError("expected wavelengths; got none that is finite and positive")
    if log:
        wave = _from_log(values)
    elif unit is not None:
        wave = to_angstrom(values * unit)
    else:
        wave = values
        if np.nanpercentile(wave, 10) < 900:  # nm or µm without saying so: no galaxy begins there
            raise ValueError(
                f"expected wavelengths in A; got {_range(wave)} without a unit: name it (wave_unit)"
            )
    with np.errstate(invalid="ignore"):
        odd = ((wave < SENSIBLE[0]) | (wave > SENSIBLE[1])).any(axis=-1, keepdims=True)
    wave = np.where(odd, np.nan, wave)
    if np.isnan(wave).all():
        raise ValueError(
            f"expected wavelengths of {SENSIBLE[0]:g} to {SENSIBLE[1]:g} A; got {_range(values)}"
            + ("" if unit is None else f" {unit}") + ": is their unit right (wave_unit)?"
        )  # fmt: skip
    return air_to_vacuum(wave) if air else wave


def _range(values) -> str:
    return f"{np.nanmin(values):g} to {np.nanmax(values):g}"


def runs_down(unit: u.UnitBase | None) -> bool:
    """Whether wavelengths fall where values of that unit rise: frequencies and energies."""
    return unit is not None and not unit.is_equivalent(u.AA)


def sampled(wave) -> bool:
    """Whether wavelengths are those of a spectrum, whose steps are like their neighbours, and not
    a list of lines, whose steps are anything.

    The ratio of neighbouring steps is within a factor of 2.5 for half of them; of lines at random
    it is within 3.
    """
    wave = np.asarray(wave, np.float64)
    step = np.abs(np.diff(wave[np.isfinite(wave) & (wave > 0)]))
    step = step[step > 0]
    return len(step) > 1 and bool(np.median(np.abs(np.diff(np.log(step)))) < np.log(2.5))


def _from_log(values: np.ndarray) -> np.ndarray:
    middle = np.nanmedian(values)
    for (least, most), base in ((_LOG10, 10.0), (_LN, np.e)):
        if least <= middle <= most:
            with np.errstate(over="ignore"):
                return base**values
    raise ValueError(f"expected log10 or ln of wavelengths in A; got {_range(values)}")
