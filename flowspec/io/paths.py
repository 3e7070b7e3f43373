"""Names of files, patterns and folders to files."""

import glob
import gzip
import logging
import os
import zlib
from collections.abc import Iterable, Iterator

from flowspec.io.source import GZIP_MAGIC, MAGIC

log = logging.getLogger("flowspec")
_TEXT = (".csv", ".ecsv", ".tsv", ".txt", ".dat")  # with .gz too


def expanded(patterns: Iterable[str], *, text: bool = False, tell: bool = True) -> list[str]:
    """Files of names, patterns and folders, in order; a plain name stays, be there a file or not.

    Of a folder those files are taken, sorted by name, that begin as FITS (also gzipped),
    HDF5 or Parquet do, in folders inside it too; hidden ones and what begins otherwise are not.

    Args:
        patterns: Names.
        text: Whether tables of text in a folder are wanted too.
        tell: Whether to say in the log how many files of folders were passed over.

    Raises:
        ValueError: If a pattern or a folder has no file.
    """
    paths: list[str] = []
    for pattern in patterns:
        if os.path.isdir(pattern):
            paths += _inside(pattern, text, tell)
        elif not glob.has_magic(pattern) or os.path.exists(pattern):
            paths.append(pattern)
        elif matches := sorted(glob.glob(pattern)):
            paths += expanded(matches, text=text, tell=tell)
        else:
            raise ValueError(f"{pattern}: expected files; got a pattern that matches none")
    return paths


def unreadable(paths: Iterable[str]) -> dict[str, str]:
    """File to why it cannot be opened, of those that cannot."""
    causes = {}
    for path in paths:
        if not os.path.exists(path):
            causes[path] = "expected a file; got a path that does not exist"
        elif not os.access(path, os.R_OK):
            causes[path] = "expected a file that may be read; got one without permission"
    return causes


def _inside(folder: str, text: bool, tell: bool) -> list[str]:
    every = list(_walked(folder))
    found = [path for path in every if _may_hold(path, text)]
    if not found:
        raise ValueError(f"{folder}: expected spectra in the directory; got {len(every)} files "
                         "that are none")
    if tell and len(found) < len(every):
        log.info("%s: %d of %d files passed over, which cannot be spectra", folder,
                 len(every) - len(found), len(every))
    return found


def _walked(folder: str) -> Iterator[str]:
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if not name.startswith("."):
            if os.path.isdir(path):
                yield from _walked(path)
            else:
                yield path


def _may_hold(path: str, text: bool) -> bool:
    """Whether a file begins as spectra do; what cannot be read is for the reader to tell of."""
    if text and path.lower().removesuffix(".gz").endswith(_TEXT):
        return True
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
        if head.startswith(GZIP_MAGIC):
            with gzip.open(path) as file:
                head = file.read(_HEAD)
    except (OSError, EOFError, zlib.error):
        return True
    return head.startswith(tuple(MAGIC.values()))


_HEAD = max(map(len, MAGIC.values()))
