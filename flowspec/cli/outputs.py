"""What the commands write: complete or not at all, and told early where it cannot be."""

import os
from collections.abc import Iterable
from pathlib import Path

from astropy.table import Table

from flowspec.data.atomic import replacing
from flowspec.io.table_formats import TABLES, check_format, write


def check_table(path: str, *, inputs: Iterable[str] = ()) -> None:
    """`check_file` of a table, whose ending decides its format.

    Raises:
        ValueError: In one line naming the file.
    """
    check_file(path, inputs=inputs, endings=[*TABLES, ".h5"])
    check_format(path)


def check_file(path: str, *, inputs: Iterable[str] = (), endings: Iterable[str] = ()) -> None:
    """Refuse, before the work, a file that could not be written after it.

    Args:
        path: The file.
        inputs: Files that must not be overwritten.
        endings: Those that its name may have; any by default.

    Raises:
        ValueError: In one line naming the file.
    """
    endings = tuple(endings)
    if endings and not path.endswith(endings):
        *others, last = endings
        choices = f"{', '.join(others)} or {last}" if others else last
        raise ValueError(f"{path}: expected a name that ends in {choices}")
    if Path(path).is_dir():
        raise ValueError(f"{path}: expected a file to write; got a folder")
    folder = next(f for f in Path(path).absolute().parents if f.exists())
    if not folder.is_dir():
        raise ValueError(f"{path}: expected a folder to write to; got a file, {folder}")
    if not os.access(folder, os.W_OK):
        raise ValueError(f"{path}: expected a folder that can be written to; got {folder}")
    if Path(path).exists() and any(_same(path, given) for given in inputs):
        raise ValueError(f"{path}: expected a file to write that is not an input as well")


def check_folder(path: str) -> None:
    """Refuse, before the work, a folder that could not be written to after it.

    Raises:
        ValueError: In one line naming it.
    """
    if Path(path).exists() and not Path(path).is_dir():
        raise ValueError(f"{path}: expected a folder; got a file")
    check_file(os.path.join(path, "figure.png"))


def make_folder(path: str) -> Path:
    """The folder, made if need be.

    Raises:
        ValueError: If there is a file of that name.
    """
    if Path(path).exists() and not Path(path).is_dir():
        raise ValueError(f"{path}: expected a folder; got a file")
    Path(path).mkdir(parents=True, exist_ok=True)
    return Path(path)


def make_parents(paths: Iterable[str]) -> None:
    """Make the folders that files to write are to be in, if need be."""
    for path in paths:
        Path(path).absolute().parent.mkdir(parents=True, exist_ok=True)


def write_table(table: Table, path: str | Path) -> None:
    """Write a table in the format of `TABLES` that the ending of `path` says."""
    with replacing(path) as temporary:
        write(table, temporary, TABLES[Path(path).suffix])


def save(figure, path: str | Path) -> None:
    """Write a figure as PNG."""
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)


def _same(one: str, other: str) -> bool:
    return os.path.exists(other) and os.path.samefile(one, other)
