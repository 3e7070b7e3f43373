"""Total magnitudes as users give them: by band, as numbers or as columns that spectra carry."""

from collections.abc import Mapping
from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.table import Table
from jaxtyping import Float

from flowspec.data.spectra import Spectra
from flowspec.data.units import split_unit
from flowspec.sim.instrument.bands import BANDS

_BRIGHTEST, _FAINTEST = 0.0, 40.0  # AB: beyond are fillers of archives for none


class Magnitudes(NamedTuple):
    """AB magnitudes of whole galaxies.

    Attributes:
        band: One of `flowspec.sim.instrument.bands.BANDS`.
        magnitude: Of each row [batch], NaN where it is not known.
        error: Its standard error [batch], zeros where none is given.
    """

    band: str
    magnitude: Float[np.ndarray, " batch"]
    error: Float[np.ndarray, " batch"]


def magnitudes_of(obs: Spectra, total) -> Magnitudes:
    """What `Posterior.summarize` was given as `total`.

    Args:
        obs: Spectra.
        total: A band, such as ``sdss_i``, to AB magnitudes of whole galaxies, one per row, or to
            the name of a column that the spectra carry (`Spectra.extra`); and perhaps
            ``<band>_err`` to standard errors, likewise. A table, or any other mapping. Flux
            densities with a unit are converted. Rows whose magnitude is masked, NaN, or that of no
            galaxy have no total. Corrected for the extinction of our own galaxy if the spectra are.

    Raises:
        ValueError: If there is not one known band, or a column is missing, or numbers are of
            another shape or unit.
    """
    if not isinstance(total, Mapping | Table):
        raise ValueError("expected total magnitudes by band, such as {'sdss_i': magnitudes}; got "
                         f"{type(total).__name__}")
    band = _band(list(total.keys()))
    magnitude = _values(obs, total[band], f"total magnitudes in {band}", u.ABmag)
    error = np.zeros(len(obs))
    if f"{band}_err" in total.keys():
        error = _values(obs, total[f"{band}_err"], f"errors of {band}", u.mag)
    with np.errstate(invalid="ignore"):
        known = (magnitude > _BRIGHTEST) & (magnitude < _FAINTEST)
        return Magnitudes(band, np.where(known, magnitude, np.nan),
                          np.where(error >= 0, error, np.nan))


def _band(keys: list[str]) -> str:
    bands = [key for key in keys if not (key.endswith("_err") and key[:-4] in keys)]
    if len(bands) != 1 or bands[0] not in BANDS:
        raise ValueError(f"expected total magnitudes in one band of {', '.join(BANDS)}; got "
                         f"{', '.join(map(str, bands)) or 'none'}")
    return bands[0]


def _values(obs: Spectra, given, what: str, unit) -> Float[np.ndarray, " batch"]:
    """One number per row, NaN where masked; in the unit, unless they have one of their own."""
    if isinstance(given, str):
        given = _column(obs, given)
    values, own = split_unit(given)
    if own not in (None, unit, u.mag):
        try:
            with np.errstate(invalid="ignore", divide="ignore"):
                flux = u.Quantity(values, own)
                values = flux.to(unit, u.zero_point_flux(3631 * u.Jy)).value
        except (u.UnitsError, TypeError, ValueError):
            raise ValueError(f"expected {what} in '{unit}'; got unit '{own}'") from None
    if values.shape != (len(obs),) or values.dtype.kind not in "fiu":
        raise ValueError(f"expected {what}, {len(obs)} numbers, one per row; got {values.dtype} of "
                         f"shape {list(values.shape)}")
    return values.astype(float)


def _column(obs: Spectra, name: str):
    """A column that the spectra carry; of rows that could not be read, none."""
    if name in obs.extra:
        return obs.extra[name]
    if obs.usable.any():
        raise ValueError(f"expected a column {name} in the input; got "
                         f"{', '.join(obs.extra) or 'none'}")
    return np.full(len(obs), np.nan)
