"""Noise as files have it to inverse variance."""

import astropy.units as u
import numpy as np

from flowspec.io.units import flux_power

_POWERS = {"ivar": -2, "var": 2, "err": 1}
_WEIGHTLESS = 1e-8  # of the best pixels' inverse variance: an error 10^4 times theirs is a filler


def noise_kind(role: str, unit: u.UnitBase | None) -> tuple[str, u.UnitBase | None]:
    """What the column of noise is, by its role and its unit, and the unit of its standard
    deviation where it has one.

    An `err` in the unit of a variance or of an inverse variance is one. An `ivar` or `var` is
    never anything else: there the unit is wrong.

    Args:
        role: "ivar", "var" or "err", by the name of the column.
        unit: of the column.

    Raises:
        ValueError: where name and unit contradict each other.
    """
    if unit is None:
        return role, None
    found = flux_power(unit)
    if found is None:
        raise ValueError(
            f"expected {role} in a flux density such as erg/s/cm2/A or Jy to the power "
            f"{_POWERS[role]}; got unit '{unit}'"
        )
    power, root = found
    if role == "err":
        return next(r for r, own in _POWERS.items() if own == power), root
    if power != _POWERS[role]:
        raise ValueError(
            f"expected {role} in a flux density to the power {_POWERS[role]}; got unit '{unit}': "
            "is it another kind of noise (columns=), or its unit wrong (flux_unit=)?"
        )
    return role, root


def inverse_variance(role: str, noise: np.ndarray, to_sigma: np.ndarray) -> np.ndarray:
    """Inverse variance [rows, pixels], 0 where variance or error is not positive.

    Args:
        role: "ivar", "var" or "err".
        noise: [rows, pixels].
        to_sigma: [pixels] or [rows, pixels] what one unit of its standard deviation is worth.
    """
    if role == "ivar":
        return noise / to_sigma**2
    variance = noise * to_sigma**2 if role == "var" else np.maximum(noise * to_sigma, 0) ** 2
    return np.divide(1, variance, out=np.zeros(noise.shape), where=variance > 0)


def without_fillers(ivar: np.ndarray) -> np.ndarray:
    """`ivar` [rows, pixels] with 0 where it is next to nothing: errors such as 1e10 or 99999 mark
    pixels without data."""
    low = np.min(ivar, axis=1, where=ivar > 0, initial=np.inf)
    for i in np.flatnonzero(low < _WEIGHTLESS * np.fmax.reduce(ivar, axis=1, initial=0)):
        row = ivar[i]
        # not the largest: single pixels of impossible precision are accidents of reductions
        best = np.quantile(row[(row > 0) & np.isfinite(row)], 0.99)
        ivar[i] = np.where((row > 0) & (row < _WEIGHTLESS * best), 0, row)
    return ivar
