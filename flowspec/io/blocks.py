"""Rows of many files in blocks on a model's grid, so that memory is bounded."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from flowspec.data.frame import Pixels
from flowspec.data.lines import Lines
from flowspec.data.spectra import Spectra
from flowspec.io.files import read
from flowspec.io.hdf5 import stream
from flowspec.io.line_table import stream_lines
from flowspec.io.parquet import stream_parquet
from flowspec.io.paths import expanded, unreadable
from flowspec.io.source import is_hdf5, is_parquet

# What only spectra, and only lines, are read and answered with.
OPTIONS = {"pixels": ("flux_unit", "wave_unit", "air", "resolving_power", "total"),
           "lines": ("dereddened", "suffix")}  # fmt: skip
WORDS = {"pixels": "spectra", "lines": "lines"}  # in messages
_LINE_ROWS = 8192  # at once: 500 draws of four parameters are 66 MB
_AT_ONCE = 256  # rows of a file: those of MOONS on their own grid are 25 MB
_ALL = slice(0, None)  # rows of a file


def blocks(
    patterns: Iterable[str], frame: Pixels, options: dict, rows: int = 1024
) -> Iterator[Spectra]:
    """All rows of all files, in order and in blocks of no more than `rows`.

    HDF5 and Parquet files are streamed, so that memory is bounded, others read one by one. A file
    that cannot be read or does not cover the grid is a row without data and with a note.

    Args:
        patterns: Files, patterns or folders.
        frame: Whose grid they are resampled to.
        options: Keywords of `flowspec.read`.
        rows: Of a block, at most.

    Raises:
        ValueError: If a pattern or a folder has no file.
    """
    empty = np.zeros((1, frame.size))
    return gathered(parts(patterns, options, rows, frame.gridded, lambda label, note: Spectra(
        frame.wave, empty, empty, names=[label], notes=[note])), rows)  # fmt: skip


def gathered(pieces: Iterable[Spectra], rows: int) -> Iterator[Spectra]:
    """Spectra on one grid in blocks of no more than `rows`."""
    waiting: list[Spectra] = []
    for part in pieces:
        for start in range(0, len(part), rows):
            piece = part[start : start + rows]
            if sum(map(len, waiting)) + len(piece) > rows:
                yield Spectra.concatenate(waiting)
                waiting = []
            waiting.append(piece)
    if waiting:
        yield Spectra.concatenate(waiting)


def line_blocks(
    patterns: Iterable[str], columns: dict, suffix: str | None, of: slice = _ALL
) -> Iterator[Lines]:
    """All rows of all line catalogues, a file at a time, in blocks of `_LINE_ROWS`.

    Args:
        patterns: Files, patterns or folders.
        columns: Role of a column to its name, see `flowspec.read_lines`.
        suffix: Of the columns of fluxes, see there.
        of: The rows of HDF5 files.

    Raises:
        ValueError: If a pattern or a folder has no file, or one is no catalogue.
    """
    paths = expanded(patterns, text=True)
    for path, cause in unreadable(paths).items():  # before the first of them is predicted
        raise ValueError(f"{path}: {cause}")
    for path in paths:
        own = is_hdf5(path)  # which has columns of its own
        said = {"start": of.start, "stop": of.stop} if own else {"columns": columns,
                                                                 "suffix": suffix}  # fmt: skip
        yield from stream_lines(path, _LINE_ROWS, **said)


def parts(
    patterns: Iterable[str], options: dict, rows: int, taken: Callable[[Spectra], Spectra],
    failed: Callable[[str, str], Spectra],
) -> Iterator[Spectra]:  # fmt: skip
    """All spectra of all files in order, a file or a part of one at a time.

    Args:
        patterns: Files, patterns or folders.
        options: Keywords of `flowspec.read`.
        rows: Of a part of an HDF5 or Parquet file, at most.
        taken: What is made of spectra on their own grid.
        failed: And of a file that cannot be read or taken, by its label and why.
    """
    for path, label in labelled(expanded(patterns)):
        try:
            yield from map(taken, file_parts(path, label, options, rows))
        except ValueError as error:
            yield failed(label, str(error))


def labelled(paths: list[str]) -> list[tuple[str, str]]:
    """Each file with the name that its rows bear: its own where these tell the files apart."""
    plain = len({os.path.basename(p) for p in paths}) == len(set(paths))
    return [(path, os.path.basename(path) if plain else path) for path in paths]


def file_parts(
    path: str, label: str, options: dict, rows: int, of: slice = _ALL
) -> Iterator[Spectra]:
    """The spectra of a file, on their own grids.

    Args:
        path: Of the file.
        label: That its rows without a name are named by.
        options: Keywords of `flowspec.read`.
        rows: Of a part, at most.
        of: The rows of an HDF5 or Parquet file.

    Raises:
        ValueError: Naming the file, where it cannot be read.
    """
    for spectra in _opened(path, options, min(rows, _AT_ONCE), of):
        yield _labelled(spectra, path, label)


def _opened(path: str, options: dict, rows: int, of: slice) -> Iterable[Spectra]:
    if is_hdf5(path):
        return stream(path, rows, start=of.start, stop=of.stop, **options)
    if is_parquet(path):
        return stream_parquet(path, rows, start=of.start, stop=of.stop, **options)
    return [read(path, **options)]


def _labelled(spectra: Spectra, path: str, label: str) -> Spectra:
    """Rows without a name of their own are `label`, with "#row" where there are more."""
    own = [name.removeprefix(os.path.basename(path)) for name in spectra.names]
    names = [label + name if name[:1] in ("", "#") else name for name in own]
    return replace(spectra, names=names)
