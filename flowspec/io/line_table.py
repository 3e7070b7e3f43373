"""Tables of emission-line fluxes, one object per row, to `Lines`: CSV, ECSV, FITS and HDF5."""

import warnings
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.table import Table

from flowspec.data.lines import Lines
from flowspec.io import hdus
from flowspec.io.labels import is_label, table_labels
from flowspec.io.line_columns import LineColumns, find_lines, no_line
from flowspec.io.line_stream import stream_lines
from flowspec.io.roles import listed
from flowspec.io.source import MAGIC, TEXT, blaming, sniff
from flowspec.io.units import parse_unit

NAMES = ("name", "id", "region_id", "targetid", "target_id", "object", "object_id", "objid",
         "source", "source_id", "specobjid", "galaxy")  # fmt: skip


def read_lines(
    path,
    *,
    columns: Mapping[str, str] | None = None,
    suffix: str | None = None,
    name: str | None = None,
    dereddened: bool = False,
) -> Lines:
    """Read a table of emission-line fluxes.

    Every line has a column of fluxes, named by the line in any spelling that flowspec knows
    ([OIII]5007, OIII5007, OIII_5006, ...) and perhaps "_flux", and one of errors: the same name
    followed by "_err", "_error" or "_ivar" (inverse variance), or "e_" before it. A column of that
    name and "_ul" has upper limits of 3 σ, used where flux or error is missing. Upper and lower
    case are the same. Columns that are of no line are ignored. A cell that is empty, masked or NaN
    says that the line was not observed.

    Columns may have units, all or none of those of lines, all convertible to that of the first.

    Args:
        path: CSV, ECSV or FITS table, or gzip of them; or the HDF5 of `write_lines`.
        columns: line, line_err, line_ivar or line_ul to the name of its column, for tables that
            name them unusually: {"[OIII]5007": "o3flux", "[OIII]5007_err": "o3sig"}.
        suffix: what follows the line in names of fluxes, for tables with several fluxes per line:
            "_FLUX_CORR" takes HB4861_FLUX_CORR and HB4861_FLUX_CORR_ERR.
        name: column with a label per row; by default the first there is of name, id, region_ID,
            TARGETID and the like, else the number of the row.
        dereddened: whether the fluxes of all rows are corrected for dust; otherwise the HDF5 of
            `write_lines` says it of each, and tables say that none are.

    Returns:
        Lines in the order of the table.

    Raises:
        ValueError: in one line naming the file and what is wrong with it or its columns, also
            where no row has a usable line.
    """
    with blaming(path):
        kind, source = sniff(path, MAGIC | TEXT, content="a table")
        if kind == "hdf5" and (columns or suffix or name):
            raise ValueError("expected columns, suffix and name for tables only; got HDF5")
        if kind != "hdf5":
            tables = _fits_tables(source) if kind == "fits" else _text_tables(source)
            table, found = _with_lines(tables, dict(columns or {}), suffix)
            pieces = [_lines(table, found, _row_names(table, name))]
    if kind == "hdf5":
        pieces = list(stream_lines(path))
    with blaming(path):
        lines = _usable(Lines.concatenate(pieces))
    return lines.corrected(True) if dereddened else lines


def _usable(lines: Lines) -> Lines:
    if not lines.usable.any():
        raise ValueError(
            f"expected fluxes with errors; got none in {len(lines)} rows of {listed(lines.lines)}"
        )
    return lines


def _fits_tables(source) -> list[Table]:
    with hdus.opened(source) as handle, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of units that are not of the standard
        tables = [Table.read(hdu, format="fits") for hdu in hdus.all_tables(handle)]
        if not tables:
            raise ValueError(f"expected a table; got {hdus.describe(handle)}")
    return tables


def _text_tables(source: str | BytesIO) -> list[Table]:
    content = source.getvalue() if isinstance(source, BytesIO) else Path(source).read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("expected CSV, ECSV or FITS; got a file that is no text") from None
    if "\0" in text:
        raise ValueError("expected CSV, ECSV or FITS; got a file that is no text")
    kind = {"format": "ascii.csv", "comment": r"\s*#", "guess": False}
    if text.lstrip().startswith("# %ECSV"):
        kind = {"format": "ascii.ecsv"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [Table.read(text.splitlines(), **kind)]


def _with_lines(tables: Sequence[Table], given, suffix) -> tuple[Table, LineColumns]:
    """The first table that has lines, and the columns that `given` names."""
    having = [table for table in tables if set(given.values()) <= set(table.colnames)]
    for table in having or tables:
        if found := find_lines(table.colnames, given, suffix):
            if not len(table):
                raise ValueError("expected one object per row; got a table without rows")
            return table, found
    raise ValueError(no_line(tables[0].colnames, suffix))


class _Column(NamedTuple):
    name: str
    values: np.ndarray  # [rows]
    unit: u.UnitBase | None


def _lines(table: Table, found: LineColumns, names) -> Lines:
    columns = {line: {("err" if role == "ivar" else role): _column(table, name, role)
                      for role, name in roles.items()}
               for line, roles in found.items()}  # fmt: skip
    every = [column for roles in columns.values() for column in roles.values()]
    _check_units(every)
    blank = np.full(len(table), np.nan)
    flux, err, limit = (
        np.stack([_converted(roles[role], every[0]) if role in roles else blank
                  for roles in columns.values()], axis=1)
        for role in ("flux", "err", "ul")
    )  # fmt: skip
    extra = {name: np.ma.asarray(table[name]) for name in table.colnames if is_label(name)}
    return Lines(list(found), flux, err, limit, names=names,
                 extra=table_labels(extra, len(table)))


def _column(table: Table, name: str, role: str) -> _Column:
    """Values (NaN where masked) and unit; of inverse variances the standard deviation's."""
    cells = table[name]
    if cells.ndim != 1 or cells.dtype.kind not in "fiu":
        kind = f"{cells.ndim}-dimensional cells" if cells.ndim != 1 else "text"
        example = f", such as '{_first_text(cells)}'" if kind == "text" else ""
        raise ValueError(f"expected numbers in column '{name}'; got {kind}{example}")
    values = np.asarray(getattr(cells, "unmasked", cells)).astype(np.float64)
    values = np.where(getattr(cells, "mask", False), np.nan, values)
    unit = _unit(cells.unit)
    if role != "ivar":
        return _Column(name, values, unit)
    with np.errstate(divide="ignore"):  # 0 is no information; a negative one stays an error
        sigma = np.copysign(1 / np.sqrt(np.abs(values)), values)
    return _Column(name, sigma, None if unit is None else unit**-0.5)


def _first_text(cells) -> str:
    return next((str(cell) for cell in cells if not _is_number(cell)), "")


def _is_number(cell) -> bool:
    try:
        float(cell)
    except (TypeError, ValueError):
        return np.ma.is_masked(cell)
    return True


def _unit(unit) -> u.UnitBase | None:
    """A unit; one that astropy does not know stays itself, which serves where all have it."""
    if unit is None or unit == u.dimensionless_unscaled:
        return None
    try:
        return parse_unit(str(unit))
    except ValueError:
        return u.Unit(str(unit), parse_strict="silent")


def _check_units(columns: Sequence[_Column]):
    having = [column for column in columns if column.unit is not None]
    without = [column for column in columns if column.unit is None]
    if having and without:
        raise ValueError(
            f"expected units on all columns of lines or on none; "
            f"got '{having[0].unit}' on '{having[0].name}' and none on '{without[0].name}'"
        )


def _converted(column: _Column, first: _Column) -> np.ndarray:
    """Values in the unit of the first column."""
    if column.unit == first.unit:
        return column.values
    try:
        return column.values * column.unit.to(first.unit)
    except (u.UnitsError, ValueError, TypeError):
        raise ValueError(
            f"expected '{column.name}' in a unit like that of '{first.name}' ('{first.unit}'); "
            f"got '{column.unit}'"
        ) from None


def _row_names(table: Table, name: str | None) -> list[str]:
    if name is not None and name not in table.colnames:
        raise ValueError(f"expected a column '{name}' of names; got {listed(table.colnames)}")
    lower = {column.lower(): column for column in reversed(table.colnames)}
    column = name or next((lower[n] for n in NAMES if n in lower), None)
    if column is None:
        return []
    return [_label(value, i) for i, value in enumerate(table[column])]


def _label(value, row: int) -> str:
    if np.ma.is_masked(value):
        return str(row)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    return str(value).strip() or str(row)
