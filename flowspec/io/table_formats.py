"""Tables to files that keep units and descriptions: ECSV, FITS, VOTable, Parquet; and CSV."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Column, MaskedColumn, Table

from flowspec.data.extra import MISSING, filled

TABLES = {
    ".ecsv": "ascii.ecsv",
    ".fits": "fits",
    ".csv": "ascii.csv",
    ".vot": "votable",
    ".xml": "votable",
    ".parquet": "parquet",
}
_UNITS = {"fits": "fits", "votable": "vounit"}  # the standard that its units follow


def check_format(path: str) -> None:
    """Refuse a table whose format cannot be written here.

    Raises:
        ValueError: Naming what is to be installed.
    """
    if TABLES.get(Path(path).suffix) == "parquet" and find_spec("pyarrow") is None:
        raise ValueError(f"{path}: expected pyarrow for Parquet; got none: pip install pyarrow")


def write(table: Table, path: str | Path, format: str) -> None:
    """Write a table.

    Text has as many digits as a column's format says. CSV, which has neither units nor arrays,
    gets a column for each number in a row of an array. FITS has descriptions in TCOMM as well, for
    other readers than astropy. Where a format does not know a unit, such as dex in FITS and
    VOTable, it stays in the words of the description.

    Args:
        table: To write.
        path: Of the file.
        format: One of `TABLES`.
    """
    table = table.copy()
    if format == "ascii.csv":
        table = _flat(table)
    if format.startswith("ascii") or format == "votable":
        _round(table)
    if format in _UNITS:
        _drop_units(table, _UNITS[format])
    if format == "fits":
        _make_ascii(table)
    if format in ("fits", "parquet"):
        _fill(table)
    table.write(path, format=format)
    if format == "fits":
        _add_comments(table, path)


def _round(table: Table) -> None:
    """Floats with the digits of their format.

    Arrays become float64, which JSON writes so, with NaN for masked values, as masks are slow.
    """
    for name in [n for n in table.colnames if table[n].dtype.kind == "f" and table[n].format]:
        column = table[name]
        digits = np.char.mod(f"%{column.format}", np.ma.filled(column.data, np.nan))
        flat = column.ndim == 1
        values = digits.astype(column.dtype if flat else float)
        _replace(table, name, values, np.ma.getmaskarray(column.data) & flat)


def _flat(table: Table) -> Table:
    """Arrays in cells as columns of their own, `z_peaks_1` and so on; empty cells for NaN."""
    flat = Table(meta=table.meta)
    for name in table.colnames:
        column = table[name]
        each = {name: column}
        if column.ndim > 1:
            each = {f"{name}_{i + 1}": column[:, i] for i in range(column.shape[1])}
        for own, part in each.items():
            mask = np.ma.getmaskarray(part.data)
            if part.dtype.kind == "f":
                mask = mask | np.isnan(np.ma.getdata(part.data))
            flat[own] = part
            flat[own].format = column.format
            _replace(flat, own, np.ma.getdata(part.data), mask)
    return flat


def _replace(table: Table, name: str, values, mask) -> None:
    """Other values in a column that stays what it is."""
    old = table[name]
    kind = MaskedColumn if mask.any() else Column
    data = np.ma.array(values, mask=mask) if mask.any() else values
    table[name] = kind(data, unit=old.unit, description=old.description, format=old.format)


def _drop_units(table: Table, standard: str) -> None:
    for name in table.colnames:
        try:
            _ = table[name].unit is None or table[name].unit.to_string(standard)
        except ValueError:
            table[name].unit = None


def _make_ascii(table: Table) -> None:
    """FITS has no other characters."""
    for name in [n for n in table.colnames if table[n].dtype.kind == "U"]:
        text = filled(table[name].data)
        plain = [str(s).encode("ascii", "backslashreplace").decode() for s in text]
        _replace(table, name, np.array(plain, str), np.zeros(len(text), bool))


def _fill(table: Table) -> None:
    """Without masks but of whole numbers, for which there is no other word."""
    for name in [n for n in table.colnames if isinstance(table[n], MaskedColumn)]:
        values, mask = filled(table[name].data), np.ma.getmaskarray(table[name].data)
        whole = values.dtype.kind not in "fUS"
        _replace(table, name, values, mask & whole)
        if whole:
            table[name].fill_value = MISSING


def _add_comments(table: Table, path: str | Path) -> None:
    with fits.open(path, mode="update") as hdus:
        for i, name in enumerate(table.colnames, start=1):
            if table[name].description:
                hdus[1].header.set(f"TCOMM{i}", table[name].description, after=f"TFORM{i}")
