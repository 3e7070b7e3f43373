"""Result tables of millions of rows to HDF5, a block at a time."""

import h5py
import numpy as np
from astropy.table import Table

from flowspec.io.writing import Appending


class TableWriter(Appending):
    """Appends tables to a new HDF5 file, one dataset per column, complete or not at all.

    The first table decides columns and types.

    Args:
        path: of the file; replaced if it exists.
        attrs: attributes of the file, such as its provenance.

    Raises:
        OSError: in one line naming the file, where it cannot be written.
    """

    def __init__(self, path, attrs=None):
        super().__init__(path)
        self._attrs = dict(attrs or {})

    def append(self, table: Table):
        """Append rows.

        Raises:
            ValueError: where the columns differ from those before.
            OSError: naming the file, where it cannot be written.
        """
        if not self._file.keys():
            with self._noticing():
                for name in table.colnames:
                    kind = table[name].dtype
                    text = kind.kind in "US"
                    self._resizable(name, (), h5py.string_dtype() if text else kind)
        if set(self._file.keys()) != set(table.colnames):
            names = ", ".join(sorted(self._file.keys()))
            raise ValueError(f"{self.path}: expected columns {names}")
        with self._noticing():
            for name in table.colnames:
                data = self._file[name]
                start = len(data)
                data.resize(start + len(table), axis=0)
                data[start:] = np.asarray(table[name]).astype(data.dtype)

    def _create(self):
        for key, value in self._attrs.items():
            self._file.attrs[key] = value
