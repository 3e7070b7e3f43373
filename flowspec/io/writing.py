"""Writing HDF5 row by row, so that a file is either complete or absent."""

from collections.abc import Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py
import numpy as np

from flowspec.data.atomic import replacing
from flowspec.data.extra import LABELS, MISSING, filled
from flowspec.data.spectra import Spectra
from flowspec.data.units import FLUX_UNIT

FORMAT_VERSION = 1
_CHUNK_BYTES = 2**20


class Appending:
    """A new HDF5 file of datasets that grow row by row.

    A context manager: the file appears under its name when the block ends well, and not at all
    when it ends in an error. Those who write one kind of rows inherit from it.

    Args:
        path: of the file; replaced if it exists.

    Raises:
        OSError: in one line naming the file, where it cannot be written (no space, no permission).
    """

    def __init__(self, path):
        self.path = Path(path)
        self._file: h5py.File | None = None
        self._growing: dict[str, h5py.Dataset] = {}

    def _create(self):
        """Make the datasets of an empty file."""
        raise NotImplementedError

    def __enter__(self):
        self._whole = self._opened()
        self._whole.__enter__()
        return self

    def __exit__(self, *ending):
        return self._whole.__exit__(*ending)

    @contextmanager
    def _opened(self):
        with replacing(self.path) as temporary:
            self._disk = _Disk(temporary)
            try:
                with self._noticing():
                    self._file = h5py.File(self._disk, "w")
                    self._file.attrs["flowspec_version"] = FORMAT_VERSION
                    self._create()
                yield
                with self._noticing():
                    self._file.close()
                    self._disk.close()
            except BaseException:
                self._abandon()
                raise

    def _extend(self, names: tuple[str, ...], rows: Mapping, extra: Mapping):
        """Append `rows`, dataset to values, under `names`; and of `extra` the known labels and
        line-spread functions."""
        start = len(self._file["names"])
        stop = start + len(names)
        if names == tuple(str(i) for i in range(len(names))):  # unnamed: keep counting
            names = tuple(str(i) for i in range(start, stop))
        with self._noticing():
            for key, values in {"names": names, **rows}.items():
                data = self._file[key]
                data.resize(stop, axis=0)
                data[start:] = values
            self._grow({k: x for k, x in extra.items() if k in LABELS or k == "lsf"}, start, stop)

    def _grow(self, columns: Mapping, start: int, stop: int):
        """Rows `start` to `stop` of columns that not all blocks have: they are blank elsewhere."""
        for key, values in columns.items():
            if key not in self._growing:
                kind = h5py.string_dtype() if values.dtype.kind in "US" else values.dtype
                blank = None if kind.kind == "O" else filled(np.ma.masked_all(1, kind))[0]
                self._growing[key] = self._resizable(key, values.shape[1:], kind, blank)
                if np.ma.isMaskedArray(values) and values.dtype == np.int64:
                    self._growing[key].attrs["missing"] = MISSING
                if key == "lsf":
                    self._growing[key].attrs["units"] = "km / s"
        for data in self._growing.values():
            data.resize(stop, axis=0)
        for key, values in columns.items():
            self._growing[key][start:] = filled(values).astype(self._growing[key].dtype)

    def _resizable(self, key, shape, dtype, blank=None):
        rows = int(np.clip(_CHUNK_BYTES // (4 * int(np.prod(shape))), 1, 1024))
        packed = "gzip" if key == "lsf" else None  # often one number over and over
        return self._file.create_dataset(
            key, (0, *shape), dtype, maxshape=(None, *shape), chunks=(rows, *shape),
            fillvalue=blank, compression=packed,
        )  # fmt: skip

    @contextmanager
    def _noticing(self):
        """Raises the first failure of the disk, whatever HDF5 made of it."""
        try:
            yield
        except (OSError, RuntimeError):
            if self._disk.error is None:
                raise
        error = self._disk.error
        if error is not None:
            raise OSError(error.errno, error.strerror, str(self.path)) from None

    def _abandon(self):
        with suppress(OSError, RuntimeError):  # the file goes away, complete or not
            if self._file is not None:
                self._file.close()
        self._disk.close()


class Writer(Appending):
    """Appends spectra, with parameters if they are simulations, to a new HDF5 file.

    A context manager: the file appears under its name when the block ends well, and not at all
    when it ends in an error.

    Args:
        path: of the file; replaced if it exists.
        wave: [pixels] Å, the grid of everything appended.
        param_names: of the columns of theta; without them the file has no theta.
        attrs: attributes of the file, such as its provenance.

    Raises:
        OSError: in one line naming the file, where it cannot be written (no space, no permission).
    """

    def __init__(
        self, path, wave, *, param_names: Sequence[str] = (), attrs: Mapping | None = None
    ):
        super().__init__(path)
        self._wave = np.asarray(wave, np.float64)
        self._param_names = tuple(param_names)
        self._attrs = dict(attrs or {})

    def append(self, spectra: Spectra, theta=None):
        """Append rows.

        Args:
            spectra: on the grid of the file.
            theta: [batch, params], exactly where the file has parameter names.

        Raises:
            ValueError: where grid or shape of theta differ.
            OSError: naming the file, where it cannot be written.
        """
        if not np.array_equal(spectra.wave, self._wave):
            raise ValueError(f"{self.path}: expected spectra on the file's grid; got {spectra}")
        rows = {"flux": spectra.flux, "ivar": spectra.ivar, "notes": spectra.notes}
        if self._param_names or theta is not None:
            rows["theta"] = self._checked_theta(theta, len(spectra))
        grown = dict(spectra.extra)
        if spectra.lsf is not None:
            grown["lsf"] = np.broadcast_to(spectra.lsf, spectra.flux.shape)
        self._extend(spectra.names, rows, grown)

    def _checked_theta(self, theta, n):
        shape = None if theta is None else np.shape(theta)
        expected = (n, len(self._param_names))
        if shape != expected or not self._param_names:
            raise ValueError(f"{self.path}: expected theta of shape {expected}; got {shape}")
        return np.asarray(theta, np.float64)

    def _create(self):
        file, pixels = self._file, len(self._wave)
        for key, value in self._attrs.items():
            file.attrs[key] = value
        file["wave"] = self._wave
        file["wave"].attrs["units"] = "Angstrom"
        flux_unit, ivar_unit = FLUX_UNIT, FLUX_UNIT**-2
        for key, unit in (("flux", flux_unit), ("ivar", ivar_unit)):
            self._resizable(key, (pixels,), "f4").attrs["units"] = unit.to_string()
        for key in ("names", "notes"):
            self._resizable(key, (), h5py.string_dtype())
        if self._param_names:
            theta = self._resizable("theta", (len(self._param_names),), "f8")
            theta.attrs["param_names"] = list(self._param_names)


class _Disk:
    """The file below HDF5, which remembers the first failure to write and drops what follows.

    HDF5 itself cannot close a file on a full disk, and crashes the process at its exit.
    """

    def __init__(self, path):
        self._raw = open(path, "w+b", buffering=0)
        self.error: OSError | None = None

    def write(self, data):
        view = memoryview(data)
        while len(view) and self.error is None:
            try:
                view = view[self._raw.write(view) :]
            except OSError as error:
                self.error = error
        return len(data)

    def read(self, size=-1):  # h5py knows a file object by it, and calls `readinto`
        return self._raw.read(size)

    def readinto(self, buffer):
        view = memoryview(buffer)
        n = self._raw.readinto(view) or 0
        while 0 < n < len(view) and (more := self._raw.readinto(view[n:])):
            n += more
        if n < len(view):  # what was dropped reads as zeros
            view[n:] = bytes(len(view) - n)
        return len(view)

    def truncate(self, size=None):
        if self.error is None:
            try:
                self._raw.truncate(size)
            except OSError as error:
                self.error = error
        return size

    def seek(self, *args):
        return self._raw.seek(*args)

    def tell(self):
        return self._raw.tell()

    def flush(self):
        pass  # unbuffered

    def close(self):
        try:
            self._raw.close()
        except OSError as error:  # some file systems report a full disk only here
            self.error = self.error or error
