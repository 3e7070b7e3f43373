"""Result tables of millions of rows to HDF5, a block at a time."""

from astropy.table import Table

from flowspec.io.writing import Appending


class TableWriter(Appending):
    """Appends tables to a new HDF5 file, one dataset per column, complete or not at all.

    Units and descriptions are in attributes. Columns that some tables lack are blank there: NaN,
    "", or of whole numbers the attribute `missing`. The first table with a column decides its type.

    Args:
        path: of the file; replaced if it exists.
        attrs: attributes of the file, such as its provenance.

    Raises:
        OSError: in one line naming the file, where it cannot be written.
    """

    def __init__(self, path, attrs=None):
        super().__init__(path)
        self._attrs = dict(attrs or {})
        self._rows = 0

    def append(self, table: Table):
        """Append rows.

        Raises:
            OSError: naming the file, where it cannot be written.
        """
        start, self._rows = self._rows, self._rows + len(table)
        with self._noticing():
            self._grow({name: table[name].data for name in table.colnames}, start, self._rows)
            for name in table.colnames:
                about = {"units": table[name].unit, "description": table[name].description}
                self._file[name].attrs.update({k: str(x) for k, x in about.items() if x})

    def _create(self):
        for key, value in self._attrs.items():
            self._file.attrs[key] = value
