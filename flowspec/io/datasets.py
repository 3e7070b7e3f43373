"""Datasets of HDF5 files by role: those of the file itself, or of every group with a spectrum."""

from typing import NamedTuple

import h5py
import numpy as np

from flowspec.data.spectra import Spectra
from flowspec.io.columns import assumed, build, column
from flowspec.io.declared_hdf5 import check_written
from flowspec.io.labels import hdf5_labels, with_labels
from flowspec.io.medium import says_air
from flowspec.io.options import Options
from flowspec.io.roles import find, unit_in
from flowspec.io.rows import IDENTIFIERS, row_labels
from flowspec.io.writing import FORMAT_VERSION

_NAMES = "names", "name"


def check_version(file):
    """Refuse a file that a later flowspec wrote.

    Raises:
        ValueError: if it is one.
    """
    version = file.attrs.get("flowspec_version", FORMAT_VERSION)
    if version > FORMAT_VERSION:
        raise ValueError(f"expected a file of version <= {FORMAT_VERSION}; got {version}")


class Layout(NamedTuple):
    """Where the spectra of a file, or of one of its groups, are."""

    found: dict[str, str]  # role -> dataset
    total: int  # rows
    prefix: str  # of the names of rows
    group: str  # that holds them, "" for the file itself
    labels: list[str] | None  # identifiers of all rows, where they have no names but these


def layouts(file, options: Options) -> list[Layout]:
    """Where the spectra of a file are: in itself, or else in every group that has wavelengths,
    flux and noise.

    Raises:
        ValueError: where there are none, or shapes do not fit together.
    """
    check_version(file)
    paths: list[str] = []
    file.visititems(lambda name, item: paths.append(name) if _is_array(item) else None)
    paths.sort(key=lambda path: ("/" in path, path))
    try:
        found = _found(file, paths, options)
    except ValueError:
        groups = {} if options.columns else _groups(file, paths, options)
        if not groups:
            raise
        several = len(groups) > 1
        return [_layout(file[group], group, found, f"#{group}" if several else "")
                for group, found in groups.items()]  # fmt: skip
    return [_layout(file, "", found, "")]


def _found(file, paths, options: Options) -> dict[str, str]:
    return find(paths, options.columns, units={path: _unit(file[path]) for path in paths})


def _groups(file, paths, options: Options) -> dict[str, dict[str, str]]:
    """Group with a spectrum -> what is where in it."""
    groups = {}
    for group in dict.fromkeys(path.rpartition("/")[0] for path in paths if "/" in path):
        own = [path.rpartition("/")[2] for path in paths if path.rpartition("/")[0] == group]
        try:
            groups[group] = _found(file[group], own, options)
        except ValueError:  # of other things than spectra
            continue
    return groups


def _layout(file, group: str, found: dict[str, str], prefix: str) -> Layout:
    flux = file[found["flux"]]
    total = flux.shape[0] if flux.ndim > 1 or _is_ragged(flux) else 1
    if "lsf" in found and not _fits(file[found["lsf"]], flux, total):
        found = {role: name for role, name in found.items() if role != "lsf"}
    optional = "mask", "good", "lsf"
    check_written(file[name] for role, name in found.items() if role not in optional)
    for role, name in found.items():
        data = file[name]
        rows = data.shape[0] if data.ndim > 1 or _is_ragged(data) else 1
        shared = rows == 1 and role in ("wave", "loglam", *optional)
        if rows != total and not shared:
            raise ValueError(f"expected {name} of {total} rows as {found['flux']}; got {rows}")
    return Layout(found, total, prefix, group, _identifiers(file, total))


def _fits(lsf, flux, total: int) -> bool:
    """Whether it is plain what line-spread functions are of: not where there are as many rows as
    pixels and one number for each."""
    if lsf.ndim > 1 or _is_ragged(lsf):
        return len(lsf) in (1, total)
    return not lsf.shape == (total,) == flux.shape[1:]


def _is_array(item):
    return isinstance(item, h5py.Dataset) and item.ndim > 0 and (
        item.dtype.kind in "fiub" or _is_ragged(item))  # fmt: skip


def _is_ragged(data) -> bool:
    """Whether rows are arrays of their own length."""
    base = h5py.check_vlen_dtype(data.dtype)
    return base is not None and np.dtype(base).kind in "fiub"


def _unit(data):
    """The text of a unit, where there is one."""
    named = {key.lower(): value for key, value in data.attrs.items()}
    return named.get("units", named.get("unit"))


def spectra_of(file, layout: Layout, rows: slice, options) -> list[Spectra]:
    """Some rows of a file."""
    file = file[layout.group] if layout.group else file
    found, total = layout.found, layout.total
    columns = {}
    for role, name in found.items():
        data = file[name]
        unit = _unit(data) or (unit_in(name) if role == "wave" else None)
        several = data.ndim > 1 or _is_ragged(data)
        several |= role == "lsf" and total > 1 and data.shape == (total,)
        values = data[rows] if several and len(data) == total else data[0] if several else data[...]
        new, entry = column(role, values, unit, name)
        columns[new] = entry
    names = _names(file, layout, rows)
    spectra = build(columns, options, names=names, notes=text_rows(file, ("notes",), rows, total),
                    air=_air(file, found, options), found=found,
                    assumed=assumed(columns, found, list(file), options))  # fmt: skip
    return with_labels(spectra, hdf5_labels(file, rows, total, options.keep))


def _air(file, found, options) -> bool | None:
    if options.air is not None or "flowspec_version" in file.attrs:
        return options.air or False
    name = found.get("wave") or found["loglam"]
    return says_air(file[name].attrs, file.attrs, name=name.rpartition("/")[2])


def _names(file, layout: Layout, rows: slice) -> list[str]:
    if names := text_rows(file, _NAMES, rows, layout.total):
        return [f"{layout.prefix}#{name}" for name in names] if layout.prefix else names
    if layout.total == 1:
        return [layout.prefix]
    labels = range(rows.start, rows.stop) if layout.labels is None else layout.labels[rows]
    return [f"{layout.prefix}#{label}" for label in labels]


def _identifiers(file, total: int) -> list[str] | None:
    """Labels of all rows: whether one is the only one of its kind takes the whole file."""
    single = [key for key in file if getattr(file[key], "shape", None) == (total,)]
    if total == 1 or any(key in single for key in _NAMES):
        return None
    ids = {key: file[key][...] for key in single if key.lower() in IDENTIFIERS}
    return row_labels([ids], total) if ids else None


def text_rows(file, keys, rows, total) -> list[str]:
    for key in keys:
        data = file.get(key)
        if isinstance(data, h5py.Dataset) and data.shape == (total,):
            return [x.decode() if isinstance(x, bytes) else str(x) for x in data[rows]]
    return []
