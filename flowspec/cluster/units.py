"""What is worked on at once: a file, or a block of rows of a large HDF5 or Parquet file."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from flowspec.io import hdf5, parquet
from flowspec.io.blocks import labelled
from flowspec.io.options import Options
from flowspec.io.paths import expanded
from flowspec.io.source import is_hdf5, is_parquet

_LONGEST = 80  # characters of the name of a file in that of its parts


class Unit(NamedTuple):
    """Rows of one file.

    Attributes:
        path: Absolute name of the file.
        label: What rows without a name are named by, which keys their draws.
        start, stop: Numbers of the first row and the one to end before; 0, 0 of a whole file.
        size: Of the file in bytes, -1 of none.
        mtime_ns: When it was last changed.
    """

    path: str
    label: str
    start: int
    stop: int
    size: int
    mtime_ns: int

    @property
    def part(self) -> str:
        """Name of the file of its results: of its input and first row alone."""
        name = re.sub(r"[^\w.+-]", "_", os.path.basename(self.path))[:_LONGEST].lstrip("._")
        digest = hashlib.blake2b(os.fsencode(self.path), digest_size=6).hexdigest()
        return f"{name}-{digest}-{self.start:010d}.parquet"

    @property
    def rows(self) -> slice:
        """Which rows of the file."""
        return slice(self.start, self.stop or None)


def units_of(inputs: Iterable[str], rows: int, options: Options, *, lines: bool) -> list[Unit]:
    """All units of files, patterns and folders, in order.

    Args:
        inputs: Files, patterns and folders.
        rows: Of a unit at most, where a file may be cut.
        options: That the files are read with.
        lines: Whether these are catalogues of lines.

    Raises:
        ValueError: If a pattern or a folder has no file.
    """
    files = dict(labelled(expanded(inputs, text=lines)))  # one that is named twice is one
    return [unit for path, label in files.items()
            for unit in _units(os.path.abspath(path), label, rows, options, lines)]  # fmt: skip


def _units(path: str, label: str, rows: int, options: Options, lines: bool) -> Iterator[Unit]:
    known, total = (-1, 0), 0
    with suppress(OSError, ValueError):  # for whoever reads it to tell of
        about = os.stat(path)
        known = about.st_size, about.st_mtime_ns
        total = _total(path, options, lines)
    if total <= rows:
        yield Unit(path, label, 0, 0, *known)
        return
    for start in range(0, total, rows):
        yield Unit(path, label, start, min(start + rows, total), *known)


def _total(path: str, options: Options, lines: bool) -> int:
    """Rows of a file that may be cut, 0 of others."""
    if is_hdf5(path):
        return hdf5.row_count(path) if lines else hdf5.total_rows(path, options)
    return parquet.total_rows(path) if is_parquet(path) and not lines else 0
