"""Pieces that FITS formats are made of: HDUs to named arrays with units."""

import logging
import warnings
from contextlib import contextmanager
from io import BytesIO

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyError
from astropy.units import UnitBase

from flowspec.io import medium
from flowspec.io.columns import build, column
from flowspec.io.declared import check_fits
from flowspec.io.roles import unit_in
from flowspec.io.rows import IDENTIFIERS, row_labels
from flowspec.io.source import one_line
from flowspec.io.units import parse_unit

log = logging.getLogger("flowspec")


@contextmanager
def opened(source: str | BytesIO):
    """All HDUs of a FITS file, so that a truncated one is noticed wherever it ends.

    Raises:
        ValueError: where the file is truncated or no valid FITS.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # non-standard headers are common and harmless
        warnings.filterwarnings("error", message=".*truncated.*")
        check_fits(source)
        try:
            hdus = fits.open(source, memmap=False)
        except (OSError, Warning, VerifyError) as error:
            raise ValueError(f"expected a complete FITS file; got: {one_line(error)}") from None
        with hdus:
            try:
                len(hdus)
            except (OSError, Warning, VerifyError) as error:
                raise ValueError(f"expected a complete FITS file; got: {one_line(error)}") from None
            yield hdus


def describe(hdus) -> str:
    """What is in a file: for messages about one that no format fits."""
    parts = []
    for hdu in hdus:
        if is_table(hdu):
            parts.append(f"table {hdu.name or '-'} ({', '.join(column_names(hdu)[:8])})")
        elif hdu.shape:
            shape = "x".join(map(str, hdu.shape))
            parts.append(f"image {hdu.name or '-'} ({shape})")
    return "FITS with " + ("; ".join(parts[:6]) or "no data")


def is_table(hdu) -> bool:
    """Whether an HDU is a table."""
    return isinstance(hdu, fits.BinTableHDU | fits.TableHDU)


def all_tables(hdus) -> list:
    """The HDUs that are tables."""
    return [hdu for hdu in hdus if is_table(hdu)]


def has(hdu, *names) -> bool:
    """Whether a table has columns of these (lower-case) names."""
    return set(names) <= {name.lower() for name in column_names(hdu)}


def column_names(hdu) -> list[str]:
    """Column names; columns without one are no use here."""
    return [name for name in hdu.columns.names if name]


def image(hdu) -> tuple[np.ndarray, UnitBase | None]:
    """Values and unit of an image."""
    return hdu.data, parse_unit(hdu.header.get("BUNIT"))


def table_columns(hdu, found) -> dict:
    """Role -> values and unit, given role -> name of a column. Columns of variable length are
    arrays of arrays, or one array where there is one row."""
    if hdu.data is None or len(hdu.data) == 0:
        raise ValueError(f"expected rows in table {hdu.name or '-'}; got none")
    columns = {}
    for role, name in found.items():
        values = hdu.data[name]
        values = values[0] if len(values) == 1 else np.squeeze(values)
        unit = hdu.columns[name].unit or (unit_in(name) if role == "wave" else None)
        new, entry = column(role, values, unit, name)
        columns[new] = entry
    return columns


def ucds(hdu) -> dict[str, str]:
    """Name of a column -> its UCD (TUCDn of the Virtual Observatory), where it has one."""
    numbered = {name: hdu.header.get(f"TUCD{i}") for i, name in enumerate(hdu.columns.names, 1)}
    return {name: str(ucd) for name, ucd in numbered.items() if ucd and name}


def row_names(columns, prefix="", tables=()) -> list[str]:
    """`prefix`, and where there are several rows what identifies each: a column such as TARGETID
    of one of `tables` with as many rows, or else its number."""
    flux = np.asanyarray(columns["flux"][0])
    n = len(flux) if flux.ndim == 2 or flux.dtype == object else 1
    if n == 1:
        return [prefix]
    return [f"{prefix}#{label}" for label in row_labels([table_rows(hdu) for hdu in tables], n)]


def table_rows(hdu) -> dict[str, np.ndarray]:
    """Columns of a table that can identify its rows: of one value a row."""
    if hdu.data is None:
        return {}
    plain = [column for column in hdu.columns if column.name and not column.dim]
    return {c.name: hdu.data[c.name] for c in plain if c.name.lower() in IDENTIFIERS}


def says_air(hdu, primary=None, name="") -> bool | None:
    """Whether the header of an HDU (or that of the file), or the name or UCD of the column, says
    that wavelengths are in air; None where none of them says."""
    ucd = ucds(hdu).get(name, "") if is_table(hdu) else ""
    headers = [hdu.header] if primary is None else [hdu.header, primary.header]
    return medium.says_air(*headers, name=name, ucd=ucd)


def wcs_wave(header, axis):
    """Linear wavelength axis of a WCS (Greisen+06): values, unit and whether they are in air."""
    kind = str(header.get(f"CTYPE{axis}", "")).strip().upper()
    if kind not in ("AWAV", "WAVE", "LINEAR", "WAVELENGTH", ""):
        raise ValueError(f"expected a linear wavelength axis (AWAV or WAVE); got CTYPE '{kind}'")
    step = header.get(f"CD{axis}_{axis}", header.get(f"CDELT{axis}"))
    if step is None or f"CRVAL{axis}" not in header:
        raise ValueError(f"expected CRVAL{axis} and CDELT{axis} in the header; got none")
    pixel = np.arange(1, header[f"NAXIS{axis}"] + 1) - header.get(f"CRPIX{axis}", 1.0)
    unit = parse_unit(header.get(f"CUNIT{axis}"))
    return header[f"CRVAL{axis}"] + pixel * step, unit, kind == "AWAV"


def spaxels(columns, options, **kwargs):
    """Rows of cubes [pixels, y, x]."""
    shape = columns["flux"][0].shape[1:]
    keep = np.ones(shape, bool) if options.mask is None else np.asarray(options.mask) > 0
    if keep.shape != shape or not keep.any():
        raise ValueError(f"expected a mask of shape {shape} with spaxels to keep; got {keep.shape}")
    flat = {
        role: (values[:, keep].T if np.ndim(values) == 3 else values, unit)
        for role, (values, unit) in columns.items()
    }
    names = [f"#{y},{x}" for y, x in np.argwhere(keep)]
    rows = build(flat, options, names=names, **kwargs)
    if empty := sum((~spectra.usable).sum() for spectra in rows):
        log.info("%d of %d spaxels have no data", empty, len(names))
    return rows
