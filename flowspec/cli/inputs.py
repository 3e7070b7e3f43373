"""Spectra named on the command line, in blocks on a model's grid, bad ones as rows with notes."""

import logging
import os
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from flowspec.data.frame import Pixels
from flowspec.data.lines import Lines
from flowspec.data.observation import Observation
from flowspec.data.spectra import Spectra
from flowspec.io import read, stream, stream_lines
from flowspec.io.hdf5 import row_count
from flowspec.io.paths import expanded, unreadable
from flowspec.io.source import is_hdf5

_LINE_ROWS = 8192  # at once: 500 draws of four parameters are 66 MB
_AT_ONCE = 256  # rows of a file: those of MOONS on their own grid are 25 MB


def reading(args: Namespace) -> dict:
    """What the user said about files, as keywords of `flowspec.read`."""
    units = {"flux_unit": args.flux_unit, "wave_unit": args.wave_unit}
    said = {"air": args.air, "resolving_power": args.resolving_power}
    return units | said | {"columns": dict(args.columns)}


def check_inputs(patterns: Iterable[str]) -> list[str]:
    """All files that may be read, before any is.

    Some that cannot be opened among others are told in the log, and rows with notes later.

    Raises:
        ValueError: In one line, where a pattern or folder has no file or none can be opened.
    """
    paths = expanded(patterns, text=True, tell=False)
    causes = unreadable(paths)
    if causes:
        path, cause = next(iter(causes.items()))
        if len(causes) == len(set(paths)):
            more = f" (and {len(causes) - 1} more files)" if len(causes) > 1 else ""
            raise ValueError(f"{path}: {cause}{more}")
        logging.getLogger("flowspec").warning(
            "files that cannot be opened: %d, such as %s: %s", len(causes), path, cause
        )
    return paths


@contextmanager
def rows_bar(args: Namespace, frame) -> Iterator[tqdm]:
    """A progress bar of the rows of ``args.spectra``, with their rate; and the time left, where
    files are spectra of one row or HDF5. Nothing where stderr is no terminal."""
    paths = expanded(args.spectra, text=frame.kind == "lines", tell=False)
    known = sum(map(_rows_in, paths))
    with tqdm(total=known, unit="rows", disable=args.quiet or None) as bar:
        yield bar  # that drops the time left when there are more after all


def _rows_in(path: str) -> int:
    with suppress(ValueError):  # it is told where it is read
        return row_count(path) if is_hdf5(path) else 1
    return 1


def observations(args: Namespace, frame) -> Iterator[Observation]:
    """All rows of the files that a model is to judge, in blocks; its `frame` says what they are."""
    if frame.kind == "lines":
        return line_blocks(args.spectra, dict(args.columns), args.suffix)
    keep = list((args.total or {}).values())
    return blocks(args.spectra, frame, reading(args) | {"keep": keep})


def blocks(
    patterns: Iterable[str], frame: Pixels, options: dict, rows: int = 1024
) -> Iterator[Spectra]:
    """All rows of all files, in order and in blocks of no more than `rows`.

    HDF5 files are streamed, so that memory is bounded, others read one by one. A file that cannot
    be read or does not cover the grid is a row without data and with a note.

    Args:
        patterns: Files, patterns or folders.
        frame: Whose grid they are resampled to.
        options: See `reading`.
        rows: Of a block, at most.

    Raises:
        ValueError: If a pattern or a folder has no file.
    """
    waiting: list[Spectra] = []
    for part in _parts(patterns, frame, options, rows):
        for start in range(0, len(part), rows):
            piece = part[start : start + rows]
            if sum(map(len, waiting)) + len(piece) > rows:
                yield Spectra.concatenate(waiting)
                waiting = []
            waiting.append(piece)
    if waiting:
        yield Spectra.concatenate(waiting)


def line_blocks(
    patterns: Iterable[str], columns: dict, suffix: str | None
) -> Iterator[Lines]:
    """All rows of all line catalogues, a file at a time, in blocks of `_LINE_ROWS`.

    Args:
        patterns: Files, patterns or folders.
        columns: Role of a column to its name, see `flowspec.read_lines`.
        suffix: Of the columns of fluxes, see there.

    Raises:
        ValueError: If a pattern or a folder has no file, or one is no catalogue.
    """
    paths = expanded(patterns, text=True)
    for path, cause in unreadable(paths).items():  # before the first of them is predicted
        raise ValueError(f"{path}: {cause}")
    for path in paths:
        yield from stream_lines(path, _LINE_ROWS, **_of_tables(path, columns, suffix))


def _of_tables(path, columns: dict, suffix: str | None) -> dict:
    """What is said of columns, but for HDF5, which has its own."""
    return {} if is_hdf5(path) else {"columns": columns, "suffix": suffix}


def _parts(patterns, frame, options, rows) -> Iterator[Spectra]:
    empty = np.zeros((1, frame.size))
    return parts(patterns, options, rows, frame.gridded, lambda label, note: Spectra(
        frame.wave, empty, empty, names=[label], notes=[note]))  # fmt: skip


def parts(
    patterns: Iterable[str], options: dict, rows: int, taken: Callable[[Spectra], Spectra],
    failed: Callable[[str, str], Spectra],
) -> Iterator[Spectra]:  # fmt: skip
    """All spectra of all files in order, a file or a part of one at a time.

    Args:
        patterns: Files, patterns or folders.
        options: See `reading`.
        rows: Of a part of an HDF5 file, at most.
        taken: What is made of spectra on their own grid.
        failed: And of a file that cannot be read or taken, by its label and why.
    """
    paths = expanded(patterns)
    plain = len({os.path.basename(p) for p in paths}) == len(set(paths))
    for path in paths:
        label = os.path.basename(path) if plain else path
        try:
            for spectra in _opened(path, options, min(rows, _AT_ONCE)):
                yield taken(_labelled(spectra, path, label))
        except ValueError as error:
            yield failed(label, str(error))


def _opened(path, options, rows) -> Iterable[Spectra]:
    if is_hdf5(path):
        return stream(path, rows, **options)
    return [read(path, **options)]


def _labelled(spectra: Spectra, path: str, label: str) -> Spectra:
    """Rows without a name of their own are `label`, with "#row" where there are more."""
    own = [name.removeprefix(os.path.basename(path)) for name in spectra.names]
    names = [label + name if name[:1] in ("", "#") else name for name in own]
    return replace(spectra, names=names)
