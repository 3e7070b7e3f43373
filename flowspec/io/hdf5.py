"""HDF5: named columns to spectra, whole or in chunks; written atomically, row by row or at once.

flowspec's own layout is `wave` [pixels], `flux`, `ivar` [batch, pixels], `names`, `notes` [batch]
and, for simulations, `theta` [batch, params] with the attribute `param_names`; units are in
attributes `units`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import astropy.units as u
import h5py
import numpy as np

from flowspec.data.spectra import Spectra
from flowspec.io.columns import Format
from flowspec.io.datasets import layouts, spectra_of
from flowspec.io.declared_hdf5 import check_hdf5, check_heaps, check_written
from flowspec.io.options import make_options
from flowspec.io.rows import gathered, without_padding
from flowspec.io.source import blaming, one_line, sniff
from flowspec.io.writing import Writer


def write(path, spectra: Spectra, theta=None, param_names=(), attrs: Mapping | None = None):
    """Write spectra to HDF5: all of the file or nothing of it.

    Args:
        path: of the file; replaced if it exists.
        spectra: to write.
        theta: [batch, params] parameters of simulations.
        param_names: of the columns of `theta`.
        attrs: attributes of the file, such as its provenance.

    Raises:
        OSError: naming the file, where it cannot be written.
    """
    with Writer(path, spectra.wave, param_names=param_names, attrs=attrs) as writer:
        writer.append(spectra, theta)


def stream(
    path,
    chunk: int = 1024,
    *,
    start: int = 0,
    stop: int | None = None,
    theta: bool = False,
    columns: Mapping[str, str] | None = None,
    flux_unit: str | u.UnitBase | None = None,
    wave_unit: str | u.UnitBase | None = None,
    air: bool | None = None,
    keep: Sequence[str] = (),
    resolving_power: float | None = None,
) -> Iterator:
    """Read an HDF5 file `chunk` rows at a time, for sets larger than memory.

    Args:
        path: of an HDF5 file with named columns, flowspec's own or any other.
        chunk: rows per step; fewer where wavelengths differ between rows.
        start: the first row.
        stop: the row to end before, or all.
        theta: whether to give parameters as well, of simulations. Of observations, ends padded
            with a constant are no data, as for `flowspec.read`.
        columns: as for `flowspec.read`, like all that follow.
        flux_unit: such as "1e-18 erg/s/cm2/A".
        wave_unit: such as "nm".
        air: whether wavelengths are in air.
        keep: names of further columns to carry along.
        resolving_power: λ / FWHM of all spectra.

    Yields:
        Spectra; or with `theta` pairs of Spectra and theta [rows, params].

    Raises:
        ValueError: naming the file and what is wrong with it.
    """
    options = make_options(columns, flux_unit, wave_unit, air, None, keep, resolving_power)
    with blaming(path):
        if chunk < 1:
            raise ValueError(f"expected chunk >= 1; got {chunk}")
        kind, source = sniff(path)
        if kind != "hdf5":
            raise ValueError("expected an HDF5 file; got FITS: use flowspec.read")
        with opened(source) as file:
            sets = layouts(file, options)
            total = sum(layout.total for layout in sets)
            if theta and len(_theta(file)[0]) != total:
                got = len(_theta(file)[0])
                raise ValueError(f"expected theta of {total} rows as of flux; got {got}")
            done = start
            for spectra in _chunks(file, sets, chunk, options, start, min(stop or total, total)):
                if theta:
                    yield spectra, _theta(file)[0][done : done + len(spectra)]
                else:
                    yield without_padding(spectra)
                done += len(spectra)


def row_count(path) -> int:
    """How many rows an HDF5 file seems to have, by the sizes of its datasets; 0 if none tells."""
    with blaming(path), h5py.File(path) as file:
        sets = [item.shape for item in file.values() if isinstance(item, h5py.Dataset)]
        tables = [shape[0] for shape in sets if len(shape) == 2]
        return max(tables or [shape[0] for shape in sets if shape], default=0)


def total_rows(path, options) -> int:
    """How many spectra `stream` gives.

    Raises:
        ValueError: naming the file and what is wrong with it.
    """
    with blaming(path), opened(sniff(path)[1]) as file:
        return sum(layout.total for layout in layouts(file, options))


def _chunks(file, sets, chunk, options, start: int, stop: int) -> Iterator[Spectra]:
    """Rows of a file from `start` to `stop` in pieces of one wavelength grid."""
    before = 0
    for layout in sets:
        last = min(layout.total, stop - before)
        for first in range(max(start - before, 0), last, chunk):
            rows = slice(first, min(first + chunk, last))
            yield from spectra_of(file, layout, rows, options)
        before += layout.total


def read_simulations(path, param_names=(), **kwargs) -> tuple[np.ndarray, tuple[str, ...], Spectra]:
    """A whole file of simulations.

    Args:
        path: of an HDF5 file with `theta`, `wave`, `flux` and `ivar`.
        param_names: of the columns of theta, where the file does not name them.
        **kwargs: `columns`, `flux_unit`, `wave_unit`, `air`, `resolving_power` of `stream`.

    Returns:
        theta [batch, params], the names of its columns, and the spectra.

    Raises:
        ValueError: naming the file, where it lacks theta or names for it.
    """
    pairs = list(stream(path, theta=True, **kwargs))
    with blaming(path):
        if not pairs:
            raise ValueError("expected simulations; got no rows")
        with opened(sniff(path)[1]) as file:
            names = tuple(param_names) or _theta(file)[1]
        theta = np.concatenate([t for _, t in pairs])
        if len(names) != theta.shape[1]:
            raise ValueError(f"expected {theta.shape[1]} parameter names; got {names}")
        return theta, names, Spectra.concatenate([s for s, _ in pairs])


def parameter_names(path) -> tuple[str, ...]:
    """Names of the columns of theta in a file of simulations, none where it does not name them.

    Raises:
        ValueError: naming the file, where it has no theta.
    """
    with blaming(path):
        kind, source = sniff(path)
        if kind != "hdf5":
            raise ValueError("expected an HDF5 file; got FITS")
        with opened(source) as file:
            return _theta(file)[1]


@contextmanager
def opened(source):
    """An HDF5 file for reading, from a path or from bytes in memory."""
    check_heaps(source)
    try:
        file = h5py.File(source, "r")
    except OSError as error:
        raise ValueError(f"expected a complete HDF5 file; got: {one_line(error)}") from None
    with file:
        check_hdf5(file, source)
        yield file


def describe(file) -> str:
    """What is in a file: for messages about one that no format fits."""
    return f"HDF5 with {', '.join(list(file)[:12]) or 'nothing'}"


def _is_columns(file, options):
    return True  # the one HDF5 format: what is missing is told by `find`


def _load_columns(file, options):
    sets = layouts(file, options)
    return gathered(lambda i: spectra_of(file, sets[i], slice(*_rows(sets[i], options)), options),
                    [layout.prefix for layout in sets])  # fmt: skip


def _rows(layout, options) -> tuple[int, int]:
    return 0, min(layout.total, options.most or layout.total)


HDF5_FORMATS = [Format("hdf5", _is_columns, _load_columns)]


def _theta(file):
    """The dataset of parameters and their names ("" of none)."""
    data = file.get("theta")
    if not isinstance(data, h5py.Dataset) or data.ndim != 2:
        raise ValueError(f"expected simulations with theta [batch, params]; got {describe(file)}")
    check_written([data])
    names = data.attrs.get("param_names", file.attrs.get("param_names", ()))
    return data, tuple(x.decode() if isinstance(x, bytes) else str(x) for x in names)
