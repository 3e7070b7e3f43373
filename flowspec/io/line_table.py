"""Tables and maps of emission-line fluxes to `Lines`: CSV, ECSV, FITS and HDF5."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.table import Table

from flowspec.data.lines import Lines
from flowspec.io import hdus
from flowspec.io.declared import check_text
from flowspec.io.line_columns import LineColumns, check_once, find_lines, header_names, no_line
from flowspec.io.line_maps import channels_table, find_maps, maps_lines
from flowspec.io.line_report import describe, tell
from flowspec.io.line_rows import line_column, with_row_per_object
from flowspec.io.line_stream import stream_hdf5
from flowspec.io.line_values import lines_of
from flowspec.io.map_grid import MapGrid
from flowspec.io.roles import listed
from flowspec.io.source import MAGIC, TEXT, blaming, sniff

NAMES = ("name", "id", "region_id", "targetid", "target_id", "object", "object_id", "objid",
         "source", "source_id", "specobjid", "galaxy", "region", "target", "file")  # fmt: skip
_CHUNK = 65536  # rows of a large file at once


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
    ([OIII]5007, OIII5007, OIII_5006, ...) and perhaps "_flux" (or "Flux_" before it), and one of
    noise: the same name followed by "_err", "_error", "_unc", "_ivar" or "_var", or "e_" before it.
    Upper and lower case are the same. What was read as what, by which rules, and what was ignored
    is told in the log and in `Lines.reading`.

    - Upper limits, of 3 σ: a cell `<0.2`; or `<` in the column "l_" and the name; or the column
      of the name and "_ul", used where flux or error is missing. Lower limits are not used.
    - A cell that is empty, masked or NaN, or where "_mask" is not 0, says that the line was not
      observed.
    - `OIII` and other labels without a wavelength: `flowspec.data.line_labels`.
    - Columns may have units, all or none of those of lines, all convertible to that of the first.
    - Maps are FITS images, one per line and one per error, of names like those of columns, or those
      of MaNGA's DAP: a row per spaxel that has data, of those in one bin one, named "y,x", with
      `x` and `y`, counted from 0, and the sky position in `Lines.extra`.

    Args:
        path: CSV, ECSV or FITS table, maps of lines in FITS, or gzip of them; or the HDF5 of
            `write_lines`.
        columns: line, line_err, line_ivar, line_var, line_mask or line_ul to the name of its
            column, for tables that name them unusually: {"[OIII]5007": "o3flux",
            "[OIII]5007_err": "o3sig"}.
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
    pieces = list(_pieces(path, None, dict(columns or {}), suffix, name))
    with blaming(path):
        lines = _usable(Lines.concatenate(pieces))
    return lines.corrected(True) if dereddened else lines


def stream_lines(
    path,
    rows: int = _CHUNK,
    *,
    start: int = 0,
    stop: int | None = None,
    columns: Mapping[str, str] | None = None,
    suffix: str | None = None,
    name: str | None = None,
) -> Iterator[Lines]:
    """Read emission-line fluxes in chunks: HDF5 and maps larger than memory, tables as a whole.

    Args:
        path: as of `read_lines`.
        rows: per chunk, at most.
        start: the first row, of HDF5 alone.
        stop: the row to end before, or all, of HDF5 alone.
        columns: as of `read_lines`.
        suffix: as of `read_lines`.
        name: as of `read_lines`.

    Yields:
        Lines of at most `rows` rows.

    Raises:
        ValueError: naming the file and what is wrong with it.
    """
    if rows < 1:
        raise ValueError(f"{path}: expected rows >= 1; got {rows}")
    for piece in _pieces(path, rows, dict(columns or {}), suffix, name, slice(start, stop)):
        for first in range(0, len(piece), rows):
            yield piece[first : first + rows] if len(piece) > rows else piece


def maps_of(path, columns: Mapping[str, str], suffix: str | None = None) -> MapGrid | None:
    """The pixels of a file of maps of lines; None of any other file, also of one that is bad.

    Args:
        path: of the file.
        columns: as of `read_lines`.
        suffix: as of `read_lines`.
    """
    try:
        kind, source = sniff(path, MAGIC | TEXT, content="a table")
        if kind == "fits":
            with _opened(source) as handle:
                maps = find_maps(handle, columns, suffix)
                return maps and maps.grid
    except (ValueError, OSError):
        pass
    return None


def _pieces(
    path, rows: int | None, columns, suffix, name, of: slice = slice(0, None)
) -> Iterator[Lines]:
    """HDF5 and maps in pieces of `rows`, a table as one."""
    with blaming(path):
        kind, source = sniff(path, MAGIC | TEXT, content="a table")
        if kind != "hdf5" and of != slice(0, None):
            raise ValueError(f"expected start and stop for HDF5 only; got {kind}")
        if kind == "hdf5" and (columns or suffix or name):
            raise ValueError("expected columns, suffix and name for tables only; got HDF5")
        if kind == "fits":
            with _opened(source) as handle:
                if maps := find_maps(handle, columns, suffix):
                    yield from _told(path, maps_lines(maps, rows or _CHUNK))
                    return
                tables = _fits_tables(handle, suffix)
        elif kind == "text":
            tables = _text_tables(source)
        if kind != "hdf5":
            table, found, form = _with_lines(tables, columns, suffix, name)
            label = _names_column(table, name if name in table.colnames or not form else None)
            reading = form + describe(found, table.colnames, label)
            piece = _usable(lines_of(table, found, _row_names(table, label)))
            yield from _told(path, [piece.read_as(reading)])
            return
    yield from stream_hdf5(path, rows or _CHUNK, start=of.start, stop=of.stop)


def _told(path, pieces: Iterable[Lines]) -> Iterator[Lines]:
    """The pieces, after it is told how the first was read."""
    for number, piece in enumerate(pieces):
        if number == 0:
            tell("read as lines", path, piece.reading)
        yield piece


def _usable(lines: Lines) -> Lines:
    if not lines.usable.any():
        raise ValueError(
            f"expected fluxes with errors; got none in {len(lines)} rows of {listed(lines.lines)}"
        )
    return lines


class _Source(NamedTuple):
    """A table, and words on what it was made of where that is no table with columns of lines."""

    table: Table
    form: str = ""


@contextmanager
def _opened(source):
    """The HDUs of a file, without warnings of units that are not of the standard."""
    with hdus.opened(source) as handle, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield handle


def _fits_tables(handle, suffix: str | None) -> list[_Source]:
    if channels := channels_table(handle, suffix):
        return [_Source(*channels)]
    tables = hdus.all_tables(handle)
    if not tables:
        raise ValueError("expected a table, or images of lines and their errors; "
                         f"got {hdus.describe(handle)}")
    for hdu in tables:
        check_once(hdus.column_names(hdu))
    return [_Source(Table.read(hdu, format="fits")) for hdu in tables]


def _text_tables(source: str | BytesIO) -> list[_Source]:
    content = source.getvalue() if isinstance(source, BytesIO) else Path(source).read_bytes()
    check_text(content)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("expected CSV, ECSV or FITS; got a file that is no text") from None
    if "\0" in text:
        raise ValueError("expected CSV, ECSV or FITS; got a file that is no text")
    check_once(header_names(text.lstrip().splitlines()))
    kind = {"format": "ascii.csv", "comment": r"\s*#", "guess": False}
    if text.lstrip().startswith("# %ECSV"):
        kind = {"format": "ascii.ecsv"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [_Source(Table.read(text.splitlines(), **kind))]


def _with_lines(sources, given, suffix, name) -> tuple[Table, LineColumns, str]:
    """The first table that has lines and the columns that `given` names, its lines, and words on
    its form; where it has a row per line, a table made of it."""
    having = [one for one in sources if set(given.values()) <= set(one.table.colnames)]
    for table, form in having or sources:
        found = find_lines(table.colnames, given, None if form else suffix)
        per_line = None if found.lines or given else line_column(table)
        if (found.lines or per_line) and not len(table):
            raise ValueError("expected one object per row; got a table without rows")
        if per_line:
            objects = _names_column(table, name, but=per_line)
            table, form = with_row_per_object(table, per_line, objects, suffix)
            found = find_lines(table.colnames, {})
        if found.lines:
            others = len(sources) - 1
            alone = f"the first table with lines, of {others + 1}; " if others else ""
            return table, found, alone + (form and f"{form}; ")
    raise ValueError(no_line(sources[0].table.colnames, suffix))


def _names_column(table: Table, name: str | None, but: str | None = None) -> str | None:
    """The column of the labels of rows, which is not that of lines."""
    if name is not None and name not in table.colnames:
        raise ValueError(f"expected a column '{name}' of names; got {listed(table.colnames)}")
    lower = {column.lower(): column for column in reversed(table.colnames)}
    return name or next((lower[n] for n in NAMES if n in lower and lower[n] != but), None)


def _row_names(table: Table, column: str | None) -> list[str]:
    return [] if column is None else [_label(value, i) for i, value in enumerate(table[column])]


def _label(value, row: int) -> str:
    if np.ma.is_masked(value):
        return str(row)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    return str(value).strip() or str(row)
