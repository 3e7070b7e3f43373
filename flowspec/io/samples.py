"""Writing posterior samples to HDF5, a block of spectra at a time."""

import h5py
import numpy as np

from flowspec.io.writing import Writer


class SampleWriter(Writer):
    """Appends posterior samples to a new HDF5 file, which appears complete or not at all.

    The file has `samples` [num_samples, spectra, params] with the attribute `param_names`, and
    `names` [spectra].

    Args:
        path: of the file; replaced if it exists.
        param_names: of the last axis.
        num_samples: per spectrum.
        attrs: attributes of the file, such as its provenance.

    Raises:
        OSError: in one line naming the file, where it cannot be written (no space, no permission).
    """

    def __init__(self, path, param_names, num_samples: int, attrs=None):
        super().__init__(path, (), param_names=param_names, attrs=attrs)
        self._num_samples = num_samples

    def append(self, names, samples):
        """Append spectra.

        Args:
            names: one per spectrum.
            samples: [num_samples, batch, params].

        Raises:
            ValueError: where the shape differs.
            OSError: naming the file, where it cannot be written.
        """
        expected = (self._num_samples, len(names), len(self._param_names))
        if np.shape(samples) != expected:
            got = np.shape(samples)
            raise ValueError(f"{self.path}: expected samples of shape {expected}; got {got}")
        with self._noticing():
            start = len(self._file["names"])
            for key, axis in (("samples", 1), ("names", 0)):
                self._file[key].resize(start + len(names), axis=axis)
            self._file["samples"][:, start:] = samples
            self._file["names"][start:] = names

    def _create(self):
        for key, value in self._attrs.items():
            self._file.attrs[key] = value
        count, params = self._num_samples, len(self._param_names)
        samples = self._file.create_dataset(
            "samples", (count, 0, params), "f4", maxshape=(count, None, params),
            chunks=(count, max(1, 2**18 // (count * params)), params),
        )  # fmt: skip
        samples.attrs["param_names"] = list(self._param_names)
        self._file.create_dataset("names", (0,), h5py.string_dtype(), maxshape=(None,), chunks=True)
