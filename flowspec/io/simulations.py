"""Files of simulations of any kind: HDF5, NumPy's npz, Parquet; and the writing of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from jaxtyping import Float

from flowspec.data.atomic import replacing
from flowspec.io.hdf5 import opened as opened_hdf5
from flowspec.io.hdf5 import read_simulations
from flowspec.io.parquet import opened as opened_parquet
from flowspec.io.roles import listed
from flowspec.io.source import blaming, sniff

VALUES = ("x", "values", "data", "flux")  # names of what was simulated, the first that there is

_BARE = ("theta", "wave", "flux", "param_names")  # of spectra without noise


class Stored(NamedTuple):
    """Arrays of a file of simulations.

    Attributes:
        theta: Parameters [rows, params].
        values: What was simulated for them, numbers or fluxes [rows, columns].
        ivar: Inverse variances of spectra with noise [rows, columns], or None.
        wave: Pixel centres of spectra [columns], or None.
        columns: Names of the numbers, if the file has any.
    """

    theta: Float[np.ndarray, "rows params"]
    values: Float[np.ndarray, "rows columns"]
    ivar: Float[np.ndarray, "rows columns"] | None = None
    wave: Float[np.ndarray, " columns"] | None = None
    columns: tuple[str, ...] = ()


def read_arrays(path, names: Sequence[str], param_names: Sequence[str] = (), **kwargs) -> Stored:
    """A whole file of simulations.

    Args:
        path: Of a file of HDF5, npz or Parquet: of `theta`, or each parameter in a column, and
            `x`, or every other column a number, or `flux`, `wave` and `ivar`.
        names: Of the parameters that are wanted, in this order.
        param_names: Of the columns of `theta`, where the file does not name them; by default
            `names` where there are as many.
        **kwargs: Of spectra in HDF5: `columns`, `flux_unit`, `wave_unit`, `air` and the like of
            `flowspec.stream`.

    Raises:
        ValueError: Naming the file, where it lacks a parameter or what was simulated.
    """
    with blaming(path):
        kind, arrays = _arrays(path)
    if kind == "spectra" or kwargs:
        theta, own, spectra = read_simulations(path, param_names, **kwargs)
        with blaming(path):
            theta = _chosen(theta, own, names)
        return Stored(theta, spectra.flux, spectra.ivar, spectra.wave)
    with blaming(path):
        return _of_arrays(arrays, tuple(names), tuple(param_names))


def write_arrays(
    path, arrays: Mapping[str, np.ndarray], attrs: Mapping[str, str | Sequence[str]]
) -> None:
    """Write named arrays to HDF5: all of the file or nothing of it."""
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        for name, values in arrays.items():
            file[name] = values
        file.attrs.update(attrs)


def read_attrs(path) -> tuple[dict[str, np.ndarray], dict]:
    """Every array of a file that `write_arrays` wrote, and its attributes.

    Raises:
        ValueError: Naming the file, if it is not HDF5.
    """
    with blaming(path), opened_hdf5(str(path)) as file:
        return {name: file[name][:] for name in file}, dict(file.attrs)


def _arrays(path) -> tuple[str, dict[str, np.ndarray]]:
    """Kind of a file and its arrays by name, none of spectra in HDF5, which has a reader."""
    if Path(path).suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return "npz", {name: file[name] for name in file.files}
    kind, source = sniff(path)
    if kind == "parquet":
        with opened_parquet(source) as file:
            table = file.read()
            return kind, {n: np.array(table[n].to_pylist()) for n in table.column_names}
    if kind != "hdf5":
        raise ValueError(f"expected a file of HDF5, npz or Parquet; got {kind}")
    with opened_hdf5(source) as file:
        found = {n: d for n, d in file.items() if isinstance(d, h5py.Dataset)}
        if "theta" in found and not {*VALUES[:3]} & {*found} and {*found} - {*_BARE}:
            return "spectra", {}
        arrays = {name: data[()] for name, data in found.items()}
        for data in (found.get("theta"), file):
            if data is not None and "param_names" in data.attrs:
                arrays.setdefault("param_names", np.array(data.attrs["param_names"]))
        return kind, arrays


def _of_arrays(arrays: dict, names: tuple[str, ...], param_names: tuple[str, ...]) -> Stored:
    """Simulations among the arrays of a file."""
    single = {n: a for n, a in arrays.items() if a.ndim == 1 and a.dtype.kind in "fiu"}
    wave = single.pop("wave", None)
    if "theta" in arrays:
        theta = np.asarray(arrays["theta"])
        own = param_names or tuple(str(n) for n in _text(arrays.get("param_names", ())))
        own = own or (names if theta.shape[1:] == (len(names),) else ())
        theta = _chosen(theta, own, names)
    else:
        theta = _chosen(np.stack([single.pop(n) for n in names if n in single] or [[]], axis=-1),
                        tuple(n for n in names if n in arrays), names)  # fmt: skip
    if found := [n for n in VALUES if n in arrays and arrays[n].ndim == 2]:
        return Stored(theta, arrays[found[0]], arrays.get("ivar"), wave)
    columns = {n: a for n, a in single.items() if len(a) == len(theta)}
    if not columns:
        raise ValueError(f"expected {listed(VALUES)} [rows, columns], or columns of numbers; got "
                         f"{listed(list(arrays))}")
    return Stored(theta, np.stack(list(columns.values()), axis=1), columns=tuple(columns))


def _text(names) -> list[str]:
    return [n.decode() if isinstance(n, bytes) else str(n) for n in names]


def _chosen(theta: np.ndarray, own: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """The columns of theta that are wanted."""
    if theta.ndim != 2 or theta.shape[1] != len(own):
        raise ValueError(f"expected {theta.shape[-1]} parameter names; got {tuple(own)}")
    if missing := set(names) - set(own):
        raise ValueError(f"expected parameters {', '.join(names)}; got {', '.join(own)} without "
                         f"{', '.join(sorted(missing))}")
    return theta[:, [list(own).index(name) for name in names]]
