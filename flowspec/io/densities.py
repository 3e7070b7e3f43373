"""Writing redshift densities to HDF5, a block of rows at a time."""

import numpy as np
from jaxtyping import Float

from flowspec.io.writing import Appending


class DensityWriter(Appending):
    """Appends densities of the redshift to a new HDF5 file, which appears complete or not at all.

    The file has `edges` [bins + 1] of the redshift bins, `density` [rows, bins] per unit redshift
    in single precision, NaN for rows without data, and `names` [rows].

    Args:
        path: of the file; replaced if it exists.
        edges: of the bins.
        attrs: attributes of the file, such as its provenance.

    Raises:
        OSError: in one line naming the file, where it cannot be written.
    """

    def __init__(self, path, edges: Float[np.ndarray, " edges"], attrs=None):
        super().__init__(path)
        self._edges, self._attrs, self._rows = edges, dict(attrs or {}), 0

    def append(self, names, density: Float[np.ndarray, "rows bins"]):
        """Append rows.

        Raises:
            OSError: naming the file, where it cannot be written.
        """
        start, self._rows = self._rows, self._rows + len(density)
        columns = {"names": np.array(names, str), "density": density.astype(np.float32)}
        with self._noticing():
            self._grow(columns, start, self._rows)

    def _create(self):
        self._file.attrs.update(self._attrs)
        self._file["edges"] = self._edges
