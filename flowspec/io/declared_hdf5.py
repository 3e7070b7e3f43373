"""What an HDF5 file declares, against what is stored: a few bytes can stand for any amount.

Data that were never written, or whose file is missing, read as fill values, and links lead to
files that nobody named: neither is taken for data.
"""

import math
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np

from flowspec.io.declared import check

_DEEPEST = 4  # virtual datasets of virtual datasets
_SEARCHED = 64 * 2**20  # bytes


def check_hdf5(file: h5py.File, source: str | BytesIO, depth: int = 0) -> None:
    """Refuse a file that declares far more than it stores, or whose data are elsewhere.

    Virtual datasets are as good as others where all their sources are there.

    Args:
        file: Open for reading.
        source: Its path, or its content.
        depth: How many virtual datasets led here.

    Raises:
        ValueError: Naming the dataset and what is wrong with it.
    """
    folder = None if isinstance(source, BytesIO) else Path(source).parent
    declared, stored, others = 0, file.id.get_filesize(), set()

    def look(name, item):
        nonlocal declared
        if not isinstance(item, h5py.Dataset):
            return
        declared += (item.size or 0) * item.dtype.itemsize
        if item.external:
            raise ValueError(f"expected data in the file itself; got dataset {name} of another, "
                             f"{item.external[0][0]}")
        if item.is_virtual:
            for part in _parts(item):
                _check_source(item, part, folder, depth, others)

    link = file.visititems_links(lambda name, link: name if _leads_out(link) else None)
    if link is not None:
        raise ValueError(f"expected data in the file itself; got a link {link} to another")
    file.visititems(look)
    check(declared, stored + sum(path.stat().st_size for path in others), "HDF5")


def _leads_out(link) -> bool:
    return isinstance(link, h5py.ExternalLink)


def check_heaps(source: str | BytesIO) -> None:
    """Refuse a damaged heap of texts, in which HDF5 would look for the next object for ever.

    Files of more than 64 MB are not searched: no damage to them has been seen to do that.

    Raises:
        ValueError: If an object of a global heap has no size.
    """
    whole = isinstance(source, BytesIO)
    size = len(source.getvalue()) if whole else Path(source).stat().st_size
    if size > _SEARCHED:
        return
    content = source.getvalue() if whole else Path(source).read_bytes()
    start = content.find(b"GCOL")
    while start >= 0:
        end, at = start + int.from_bytes(content[start + 8 : start + 16], "little"), start + 16
        while at + 16 <= min(end, size):  # format specification, III.E: number, uses, size
            used = any(content[at : at + 2])
            length = int.from_bytes(content[at + 8 : at + 16], "little")
            if not used and not length:
                raise ValueError("expected a complete HDF5 file; got an object without size")
            at += 16 + -(-length // 8) * 8 if used else length
        start = content.find(b"GCOL", start + 4)


def check_written(datasets: Iterable[h5py.Dataset]) -> None:
    """Refuse datasets of which a part was never written and would read as zeros.

    A fill value that the writer chose is data.

    Raises:
        ValueError: Naming the dataset.
    """
    for data in datasets:
        chosen = data.id.get_create_plist().fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED
        if data.is_virtual or chosen or not data.size:
            continue
        total, found = 1, int(data.id.get_storage_size() > 0)
        if data.chunks is not None:
            pairs = zip(data.shape, data.chunks, strict=True)
            total, found = math.prod(-(-n // c) for n, c in pairs), data.id.get_num_chunks()
        if found < total:
            raise ValueError(f"expected all of dataset {data.name} to be written; got {found} of "
                             f"{total} chunks")


def _parts(data: h5py.Dataset) -> list:
    """The mapped parts of a virtual dataset, which are all of it."""
    parts = data.virtual_sources()
    mapped = sum(part.vspace.get_select_npoints() for part in parts)
    if mapped < data.size:
        raise ValueError(f"expected sources for all of dataset {data.name}; got {mapped} of "
                         f"{data.size} values")
    return parts


def _check_source(data: h5py.Dataset, part, folder: Path | None, depth: int, others: set):
    """Refuse a part of a virtual dataset that is not there; its file is added to `others`."""
    if part.file_name == ".":
        _check_part(data, data.file, part)
        return
    path = Path(part.file_name) if folder is None else folder / part.file_name
    if folder is None or not path.is_file():
        raise ValueError(f"expected the sources of the virtual dataset {data.name}; got none "
                         f"called {part.file_name}")
    if depth == _DEEPEST:
        raise ValueError(f"expected virtual datasets at most {_DEEPEST} deep; got more")
    with h5py.File(path, "r") as file:
        if path not in others:
            check_hdf5(file, str(path), depth + 1)
        _check_part(data, file, part)
    others.add(path)


def _check_part(data: h5py.Dataset, file: h5py.File, part) -> None:
    source, space = file.get(part.dset_name), part.src_space
    good = isinstance(source, h5py.Dataset)
    if good and space.get_select_type() == h5py.h5s.SEL_ALL:
        good = source.size == part.vspace.get_select_npoints()
    elif good:
        last = space.get_select_bounds()[1]
        good = len(last) == source.ndim and all(np.less(last, source.shape))
    if not good:
        raise ValueError(f"expected dataset {part.dset_name} of {part.file_name} for the virtual "
                         f"dataset {data.name}; got none, or a smaller one")
    check_written([source])
