"""Emission-line fluxes of millions of objects: HDF5, written atomically and read in chunks.

The layout is `flux`, `err`, `state` [batch, lines], `dereddened`, `names` and `notes` [batch], and
the attribute `lines` of the file. Rows of files without `dereddened` are not corrected for dust.
"""

from collections.abc import Iterable, Iterator

import h5py
import numpy as np

from flowspec.data.lines import Lines, of_states
from flowspec.io.datasets import check_version, text_rows
from flowspec.io.declared_hdf5 import check_written
from flowspec.io.hdf5 import describe, opened
from flowspec.io.labels import hdf5_labels
from flowspec.io.line_report import tell
from flowspec.io.roles import listed
from flowspec.io.source import blaming, sniff
from flowspec.io.writing import Appending

_ARRAYS = {"flux": "f8", "err": "f8", "state": "i1"}
_DUST = "dereddened"


class LineWriter(Appending):
    """Appends emission-line fluxes to a new HDF5 file, see `write_lines`."""

    def __init__(self, path, lines: tuple[str, ...]):
        super().__init__(path)
        self._lines = lines

    def append(self, lines: Lines):
        """Append rows.

        Raises:
            ValueError: where the lines are others than the file's.
            OSError: naming the file, where it cannot be written.
        """
        if lines.lines != self._lines:
            raise ValueError(
                f"{self.path}: expected the file's lines, {', '.join(self._lines)}; got {lines}"
            )
        arrays = {key: getattr(lines, key) for key in (*_ARRAYS, _DUST, "notes")}
        self._extend(lines.names, arrays, lines.extra)

    def _create(self):
        self._file.attrs["lines"] = list(self._lines)
        for key, dtype in _ARRAYS.items():
            self._resizable(key, (len(self._lines),), dtype)
        self._resizable(_DUST, (), "?")
        for key in ("names", "notes"):
            self._resizable(key, (), h5py.string_dtype())


def write_lines(path, lines: Lines | Iterable[Lines]):
    """Write emission-line fluxes to HDF5: all of the file or nothing of it.

    Args:
        path: of the file; replaced if it exists.
        lines: to write, at once or in chunks of the same lines.

    Raises:
        ValueError: where there is nothing to write, or the lines of chunks differ.
        OSError: naming the file, where it cannot be written.
    """
    chunks = iter([lines] if isinstance(lines, Lines) else lines)
    first = next(chunks, None)
    if first is None:
        raise ValueError(f"{path}: expected lines to write; got none")
    with LineWriter(path, first.lines) as writer:
        writer.append(first)
        for chunk in chunks:
            writer.append(chunk)


def stream_hdf5(
    path, rows: int, *, start: int = 0, stop: int | None = None
) -> Iterator[Lines]:
    """Read a file of `write_lines` in chunks.

    Args:
        path: of the file.
        rows: per chunk.
        start: the first row.
        stop: the row to end before, or all.

    Yields:
        Lines of at most `rows` rows.

    Raises:
        ValueError: naming the file and what is wrong with it.
    """
    with blaming(path):
        _, source = sniff(path, content="lines")
        with opened(source) as file:
            lines, total = _layout(file)
            reading = _reading(file, lines)
            tell("read as lines", path, reading)
            last = min(stop or total, total)
            for first in range(start, last, rows):
                part = slice(first, min(first + rows, last))
                yield _chunk(file, lines, part, total).read_as(reading)


def _reading(file, lines) -> str:
    known = {*_ARRAYS, _DUST, "names", "notes"}
    ignored = [key for key in file if key not in known]
    return f"{', '.join(lines)} of flowspec's HDF5" + (
        f"; ignored: {listed(ignored, most=8)}" if ignored else "")


def _layout(file) -> tuple[list[str], int]:
    """Names of the lines, and the number of rows."""
    check_version(file)
    if "lines" not in file.attrs or any(key not in file for key in _ARRAYS):
        raise ValueError(
            f"expected the attribute lines and datasets flux, err, state; got {describe(file)}"
        )
    given = np.atleast_1d(file.attrs["lines"])
    lines = [x.decode() if isinstance(x, bytes) else str(x) for x in given]
    shapes = {file[key].shape for key in _ARRAYS}
    total = len(file["flux"])
    if shapes != {(total, len(lines))}:
        raise ValueError(
            f"expected flux, err, state of shape [rows, {len(lines)}]; got {sorted(shapes)}"
        )
    check_written(file[key] for key in _ARRAYS)
    if _DUST in file and file[_DUST].shape != (total,):
        raise ValueError(f"expected {_DUST} of shape [rows]; got {file[_DUST].shape}")
    return lines, total


def _chunk(file, lines, rows: slice, total: int) -> Lines:
    flux, err, state = (file[key][rows] for key in _ARRAYS)
    names = text_rows(file, ("names",), rows, total)
    names = names or [str(i) for i in range(rows.start, rows.stop)]
    notes = text_rows(file, ("notes",), rows, total)
    dereddened = file[_DUST][rows] if _DUST in file else False
    extra = hdf5_labels(file, rows, total)
    return of_states(lines, flux, err, state, names, notes, dereddened, extra)
