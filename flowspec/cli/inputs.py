"""Spectra named on the command line, in blocks on a model's grid, bad ones as rows with notes."""

import logging
from argparse import Namespace
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from tqdm import tqdm

from flowspec.data.observation import Observation
from flowspec.io.blocks import blocks, line_blocks
from flowspec.io.hdf5 import row_count
from flowspec.io.paths import expanded, unreadable
from flowspec.io.source import is_hdf5


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
