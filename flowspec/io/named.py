"""Rows that a table of results names: some of many, in an order of their own."""

from collections.abc import Sequence
from importlib import import_module

import h5py
from astropy.table import Table

from flowspec.io.source import blaming, is_hdf5


class Named:
    """Names of rows.

    Args:
        path: Of the table, for messages.
        names: In order; later repeats do not count.
    """

    def __init__(self, path: str, names: Sequence[str]):
        self._path = path
        self._place = {name: i for i, name in reversed(list(enumerate(names)))}

    def places(self, names: Sequence[str]) -> list[int]:
        """Which of `names` are among them."""
        return [i for i, name in enumerate(names) if name in self._place]

    def ordered(self, names: Sequence[str]) -> list[int]:
        """Places of all `names` in the order of the table.

        Raises:
            ValueError: If one of the table is not among them.
        """
        missing = set(self._place) - set(names)
        if missing:
            first = min(missing, key=self._place.__getitem__)
            raise ValueError(f"{self._path}: expected rows of the files that are given; got "
                             f"{first!r}, which is in none ({len(missing)} such rows)")
        return self.arranged(names)

    def arranged(self, names: Sequence[str]) -> list[int]:
        """Places of `names`, all of them among these, in the order of the table."""
        return sorted(range(len(names)), key=lambda i: self._place[names[i]])


def named_in(path: str) -> Named:
    """The rows of a table with a column ``name``, as `flowspec predict` writes it.

    Raises:
        ValueError: In one line naming the file.
    """
    with blaming(path):
        table = _table(path)
        if "name" not in table.colnames or not len(table):
            raise ValueError("expected a table of results with a column 'name' and rows; got "
                             f"{len(table)} rows of {', '.join(table.colnames[:6])}")
        names = [name.decode() if isinstance(name, bytes) else str(name) for name in table["name"]]
        return Named(path, [name.strip() for name in names])


def _table(path: str) -> Table:
    if is_hdf5(path):  # as `TableWriter` writes: a dataset per column, of which one is needed
        with h5py.File(path) as file:
            kept = ["name"] if "name" in file else [n for n in file if file[n].shape]
            return Table({name: file[name][...] for name in kept})
    if path.endswith(".parquet"):  # astropy asks for pandas
        table = import_module("pyarrow.parquet").read_table(path)
        kept = ["name"] if "name" in table.column_names else table.column_names
        return Table({name: table[name].to_pylist() for name in kept})
    kind = {"vot": "votable", "xml": "votable"}.get(path.rpartition(".")[2])
    return Table.read(path, format=kind)
