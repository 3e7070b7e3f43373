"""What the commands write: complete or not at all, and told early where it cannot be."""

import os
from collections.abc import Iterable
from pathlib import Path

from astropy.table import Table

from flowspec.atomic import replacing

TABLES = {".ecsv": "ascii.ecsv", ".fits": "fits"}


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
        raise ValueError(f"{path}: expected a name that ends in {' or '.join(endings)}")
    if Path(path).is_dir():
        raise ValueError(f"{path}: expected a file to write; got a folder")
    folder = Path(path).parent
    if not folder.is_dir():
        raise ValueError(f"{path}: expected an existing folder; got {folder}")
    if not os.access(folder, os.W_OK):
        raise ValueError(f"{path}: expected a folder that can be written to; got {folder}")
    if Path(path).exists() and any(_same(path, given) for given in inputs):
        raise ValueError(f"{path}: expected a file to write that is not an input as well")


def make_folder(path: str) -> Path:
    """The folder, made if need be.

    Raises:
        ValueError: If there is a file of that name.
    """
    if Path(path).exists() and not Path(path).is_dir():
        raise ValueError(f"{path}: expected a folder; got a file")
    Path(path).mkdir(parents=True, exist_ok=True)
    return Path(path)


def write_table(table: Table, path: str | Path) -> None:
    """Write a table as ECSV or FITS, by the ending of `path`."""
    kind = TABLES[Path(path).suffix]
    if kind == "fits":  # FITS has no other characters
        table = table.copy()
        for name in [n for n in table.colnames if table[n].dtype.kind == "U"]:
            plain = [str(s).encode("ascii", "backslashreplace").decode() for s in table[name]]
            table[name] = plain
    with replacing(path) as temporary:
        table.write(temporary, format=kind)


def save(figure, path: str | Path) -> None:
    """Write a figure as PNG."""
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)


def _same(one: str, other: str) -> bool:
    return os.path.exists(other) and os.path.samefile(one, other)
