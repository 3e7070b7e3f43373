"""Line-spread functions in files: what columns, images and headers of them mean.

Widths are standard deviations, and include the pixel. Names that could as well be of a full width,
of a width without a unit, or of a correlation are left alone.
"""

from dataclasses import replace

import astropy.units as u
import numpy as np
from astropy.io.fits.verify import VerifyError
from jaxtyping import Float

from flowspec.data.lsf import C_KMS, lsf_of_power
from flowspec.data.spectra import Spectra
from flowspec.io.units import parse_unit

KMS = u.km / u.s
# SDSS and BOSS: wavelength dispersion in pixels of 1e-4 in log10 (data.sdss.org/datamodel, spec).
SDSS_PIXEL = float(1e-4 * np.log(10) * C_KMS)
# MaNGA: LSFPOST in angstrom, SPECRES of a cube as λ / FWHM (Law et al. 2021), SRES of the DAP.
_POWERS = ("specres", "sres", "resolving_power")
_LEAST_POWER = 10.0  # below it is a filler: prisms have 30
_UNITLESS = {"wdisp": None, "lsfpost": u.AA, **dict.fromkeys(_POWERS)}


def understood(stem: str, unit) -> bool:
    """Whether it is known what a column of this name (`roles.stem`) and unit holds."""
    try:
        unit = parse_unit(unit)
    except ValueError:
        return False
    if unit is None or unit == u.dimensionless_unscaled or unit == u.pix:
        return stem in _UNITLESS
    return stem not in _POWERS and (unit.is_equivalent(KMS) or unit.is_equivalent(u.AA))


def lsf_column(stem: str, values, unit) -> tuple:
    """Values in a unit of velocity or length, from a column of the role `lsf`.

    Args:
        stem: Its name; of one that is not known here the numbers are in km/s if without a unit.
        values: Numbers, or rows of numbers.
        unit: Text, or none.
    """
    unit = parse_unit(unit)
    if unit is not None and (unit.is_equivalent(KMS) or unit.is_equivalent(u.AA)):
        return values, unit
    values = _plain(values)
    if stem in _POWERS:
        ragged = values.dtype == object
        power = np.array([lsf_of_power(x) for x in values], object) if ragged else None
        return lsf_of_power(values) if power is None else power, KMS
    if stem == "wdisp":
        return values * SDSS_PIXEL, KMS
    return values, _UNITLESS.get(stem) or KMS


def lsf_of_rows(
    column: tuple | None, wave, rows: int, power: float | None, down: bool
) -> Float[np.ndarray, "_ _"] | None:
    """Line-spread functions in km/s of the rows of a file, as `Spectra` takes them.

    Args:
        column: Of `lsf_column`: one value, one per row, or a curve for all rows or each.
        wave: [pixels] or [rows, pixels] Å, rising.
        rows: How many.
        power: What the user says of all: λ / FWHM.
        down: Whether curves run the other way.

    Returns:
        [1 or rows, 1 or pixels]; None where nothing is known or the column does not fit.
    """
    if power is not None:
        return lsf_of_power([[power]])
    if column is None:
        return None
    values, unit = _plain(column[0]), column[1]
    pixels = wave.shape[-1]
    if values.ndim == 1:  # of as many rows as pixels it could be either
        per_row = len(values) == rows and pixels != rows
        values = values[:, None] if per_row else values[None]
    values = np.atleast_2d(values)
    if values.ndim != 2 or len(values) not in (1, rows) or values.shape[1] not in (1, pixels):
        return None
    values = values[:, ::-1] if down else values
    if unit.is_equivalent(KMS):
        lsf = values * unit.to(KMS)
    else:
        lsf = C_KMS * values * unit.to(u.AA) / wave
    return np.where(lsf < lsf_of_power(_LEAST_POWER), lsf, np.nan)


def with_power(spectra: list[Spectra], hdus) -> list[Spectra]:
    """Spectra with the resolving power of a header, where they know nothing of their own.

    It is SPEC_RP (IVOA Spectrum Data Model), or SPEC_RES in products of ESO (Phase 3 standard,
    which have PRODCATG); elsewhere the latter is a width. Only the first two headers hold of all.
    """
    headers = [hdu.header for hdu in hdus[:2]]
    key = "SPEC_RES" if any("PRODCATG" in header for header in headers) else "SPEC_RP"
    for power in (_card(header, key) for header in headers):
        if isinstance(power, int | float) and _LEAST_POWER <= power < np.inf:
            lsf = float(lsf_of_power(power))
            return [s if s.lsf is not None else replace(s, lsf=lsf) for s in spectra]
    return spectra


def _card(header, key: str):
    """The value of a card, None of a damaged one, which is no harm to the spectrum."""
    try:
        return header.get(key)
    except VerifyError:
        return None


def lsf_of_bands(
    bands: Float[np.ndarray, "rows bands pixels"], wave: Float[np.ndarray, " pixels"]
) -> Float[np.ndarray, "rows pixels"]:
    """Standard deviation in angstrom of a DESI resolution matrix, from its second moments.

    Args:
        bands: Diagonals of the matrix from the highest to the lowest: in a column is how the light
            of one pixel is spread over its neighbours (Bolton & Schlegel 2010; desispec).
        wave: Å.

    Returns:
        NaN where a column is empty, or no width.
    """
    offset = np.arange(bands.shape[1]) - bands.shape[1] // 2
    powers = np.stack([np.ones_like(offset), offset, offset**2]).astype(np.float32)
    step, found = np.gradient(wave), np.empty((len(bands), len(wave)), np.float32)
    for i, row in enumerate(bands):
        total, first, second = powers @ np.asarray(row, np.float32)
        with np.errstate(invalid="ignore", divide="ignore"):
            found[i] = np.sqrt(second / total - (first / total) ** 2) * step
    return found


def _plain(values) -> np.ndarray:
    """Numbers, masked ones as NaN; rows of several lengths as they are."""
    if np.ma.isMaskedArray(values):
        values = values.astype(np.float64).filled(np.nan)
    values = np.asarray(values)
    return values if values.dtype == object else values.astype(np.float32)
