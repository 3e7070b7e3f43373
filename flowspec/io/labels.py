"""Labels that files carry of their objects (`flowspec.data.extra.LABELS`), found by their names.

A value is taken where it surely is one object's: from a column with a row per object, else of a
single object from any header, else, where it may hold of all objects of an exposure, from the
first header.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import astropy.units as u
import h5py
import numpy as np
from astropy.coordinates import Angle

from flowspec.data.extra import LABELS, MISSING, Extra, Label
from flowspec.data.spectra import Spectra
from flowspec.io.hdus import column_names, is_table


def fits_labels(hdus, rows: int, keep: Sequence[str] = ()) -> Extra:
    """Labels of the objects of a FITS file.

    Args:
        hdus: Of the file.
        rows: How many objects it holds, in the order of its tables.
        keep: Names of further columns of numbers.
    """
    tables = [hdu for hdu in hdus if is_table(hdu) and hdu.header["NAXIS2"] == rows]
    columns = [{name.upper(): (hdu, name) for name in column_names(hdu)} for hdu in tables]

    def found(label: Label):
        for key in label.spellings:
            for named in columns:
                if key in named:
                    hdu, name = named[key]
                    return hdu.data[name]
        return _of_headers(hdus, label, rows)

    return _extra(found, rows, keep)


def table_labels(
    columns: Mapping[str, np.ndarray], rows: int, keep: Sequence[str] = ()
) -> Extra:
    """Labels among the columns [rows] of a table, and those to keep besides."""
    named = {name.rpartition("/")[2].upper(): values for name, values in columns.items()}

    def found(label: Label):
        return next((named[key] for key in label.spellings if key in named), None)

    return _extra(found, rows, keep)


def hdf5_labels(file, rows: slice, total: int, keep: Sequence[str] = ()) -> Extra:
    """Labels of some rows of an HDF5 file or group.

    Args:
        file: The file or group.
        rows: Which rows.
        total: Rows of the file: labels are its datasets [total]; of a single one attributes too.
        keep: Names of further ones, as of `fits_labels`.
    """
    named = {key: [value] for key, value in file.attrs.items()
             if total == 1 and is_label(key, keep)}

    def take(name, item):
        if is_label(name, keep) and isinstance(item, h5py.Dataset) and item.shape == (total,):
            named[name] = item[rows]

    file.visititems(take)
    return table_labels(named, rows.stop - rows.start, keep)


def with_labels(spectra: list[Spectra], extra: Extra) -> list[Spectra]:
    """Pieces with the labels of their rows, where they have none of their own."""
    stops = np.cumsum([len(piece) for piece in spectra])
    return [s if s.extra else replace(s, extra=extra.of_rows(slice(stop - len(s), stop)))
            for s, stop in zip(spectra, stops, strict=True)]  # fmt: skip


def is_label(name: str, keep: Sequence[str] = ()) -> bool:
    """Whether a column, perhaps in a group, has a name of a label or of what is to be kept."""
    own = name.rpartition("/")[2].upper()
    return any(own in label.spellings for label in _wanted(keep).values())


def _wanted(keep: Sequence[str]) -> dict[str, Label]:
    """Labels, and further columns of numbers under the names that a user has for them."""
    return LABELS | {name: Label("", "", "f8", (name.rpartition("/")[2].upper(),))
                     for name in keep}


def _of_headers(hdus, label: Label, rows: int):
    """The values of the first of the spellings that there are: one for all, or one of each row."""
    for key in label.spellings:
        # no empty cards
        having = [hdu for hdu in hdus if isinstance(hdu.header.get(key), str | float | int)]
        values = [hdu.header[key] for hdu in having]
        if values and (rows == 1 or (label.shared and len(set(map(str, values))) == 1)):
            return [values[0]] * rows
        own = [value for value, hdu in zip(values, having, strict=True) if is_table(hdu)]
        if own and len(own) == rows:  # a table per object
            return own
    return None


def _extra(found, rows: int, keep: Sequence[str] = ()) -> Extra:
    columns = {}
    for name, label in _wanted(keep).items():
        try:
            values = found(label)
            column = None if values is None else _cleaned(label, values)
        except (ValueError, TypeError, LookupError, OSError):
            continue  # damage to a label is none to the spectrum
        if column is None or column.shape != (rows,):
            continue
        if name in keep or not column.mask.all():
            columns[name] = column
    return Extra(columns, rows)


def _cleaned(label: Label, values) -> np.ma.MaskedArray:
    """In the label's kind; what is not of it, or a filler, is masked."""
    data, mask = np.asarray(np.ma.getdata(values)), np.ma.getmaskarray(np.ma.asarray(values))
    if label.kind == "U":
        text = np.array([_text(x) for x in data], str)
        return np.ma.array(text, mask=mask | (text == ""))
    if data.dtype.kind not in "fiu":
        data, unread = _parsed(data, label)
        mask = mask | unread
    good = np.isfinite(data) & (data >= label.low) & (data <= label.high) & ~mask
    if label.kind == "i8":
        if data.dtype.kind == "f":
            good &= (data == np.rint(data)) & (np.abs(data) < 2.0**53)
        else:
            good &= (data <= np.iinfo(np.int64).max) & (data != MISSING)
    return np.ma.array(np.where(good, data, 0).astype(label.kind), mask=~good)


def _parsed(data, label: Label) -> tuple[np.ndarray, np.ndarray]:
    """Numbers that are written as text, and which are none."""
    texts = [_text(x) for x in data]
    if label.kind == "f8":
        numbers = np.array([_number(text, label) for text in texts], float)
        return numbers, np.isnan(numbers)
    # by way of no float, which would not hold them whole
    good = np.array([t.removeprefix("-").isdecimal() and abs(int(t)) < 2**63 for t in texts], bool)
    return np.array([int(t) if ok else 0 for t, ok in zip(texts, good, strict=True)], "i8"), ~good


def _number(text: str, label: Label) -> float:
    """NaN of none; sexagesimal text is in hours of a right ascension, else in degrees."""
    try:
        if len(text.replace(":", " ").split()) != 3:
            return float(text)
        hours = label is LABELS["ra"]
        return float(Angle(text.replace(":", " "), u.hourangle if hours else u.deg).deg)
    except (ValueError, u.UnitsError):
        return np.nan


def _text(value) -> str:
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).strip()
