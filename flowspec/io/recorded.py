"""What a table of results was made from, as words in the table, to find and read it again."""

import json
import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import h5py
from astropy.io import fits
from astropy.table import meta

from flowspec.io.source import blaming, is_hdf5

KEY = "inputs"  # of the metadata; no longer than a keyword of FITS
MANY = 2000  # files named one by one, beyond which none are recorded


class Recorded(NamedTuple):
    """What a table was made from.

    Attributes:
        folder: That names of files are relative to.
        spectra: Files, patterns and folders as they were given; none if they were too many.
        options: Others that decide what is in the table, by name.
    """

    folder: Path
    spectra: list[str]
    options: dict


def record(table: str | Path, spectra: Sequence[str], options: dict) -> str:
    """What `recorded` finds in a table, in ASCII.

    The current folder is told from that of the table: both may move together.

    Args:
        table: To be written.
        spectra: As they were given.
        options: That JSON can hold.
    """
    folder = os.path.relpath(os.getcwd(), Path(table).absolute().parent)
    kept = list(spectra) if len(spectra) <= MANY else []
    return json.dumps({"folder": folder, "spectra": kept, "options": options})


def recorded(path: str | Path) -> Recorded | None:
    """What a table of `flowspec predict` was made from; None of what is no such table.

    FITS, ECSV, Parquet and HDF5 keep it; CSV and VOTable have no place for it.

    Raises:
        ValueError: In one line naming the file, where it cannot be read or is damaged.
    """
    if not Path(path).is_file():
        return None
    with blaming(path):
        text = _kept(str(path))
        if text is None:
            return None
        found = json.loads(text)
        folder = Path(os.path.abspath(path)).parent / found["folder"]
        return Recorded(Path(os.path.normpath(folder)), found["spectra"], found["options"])


def _kept(path: str) -> str | None:
    if is_hdf5(path):
        with h5py.File(path) as file:
            return file.attrs.get(KEY)
    if path.endswith(".fits"):
        with fits.open(path) as hdus:
            return hdus[1].header.get(KEY) if len(hdus) > 1 else None
    if path.endswith(".ecsv"):
        return _of_ecsv(path)
    if path.endswith(".parquet"):
        schema = import_module("pyarrow.parquet").read_schema(path)
        return _of_yaml((schema.metadata or {}).get(b"table_meta_yaml", b"").decode().split("\n"))
    return None


def _of_ecsv(path: str) -> str | None:
    """Of the comments that such a file begins with, without its rows."""
    lines = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            if not line.startswith("# "):
                break
            lines.append(line[2:].rstrip("\n"))
    if not lines or not lines[0].startswith("%ECSV"):
        return None
    return _of_yaml(lines[1:])


def _of_yaml(lines: list[str]) -> str | None:
    """Of a header as astropy writes it."""
    return dict(meta.get_header_from_yaml(lines).get("meta", {})).get(KEY) if any(lines) else None
