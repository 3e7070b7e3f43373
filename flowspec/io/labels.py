"""Labels that files carry of their objects (`flowspec.data.extra.LABELS`), found by their names.

A value is taken where it surely is one object's: from a column with a row per object, else of a
single object from any header, else, where it may hold of all objects of an exposure, from the
first header.
"""

from collections.abc import Iterable, Mapping

import astropy.units as u
import numpy as np
from astropy.coordinates import Angle

from flowspec.data.extra import LABELS, Extra, Label
from flowspec.io.hdus import column_names, is_table


def fits_labels(hdus, rows: int) -> Extra:
    """Labels of the objects of a FITS file.

    Args:
        hdus: Of the file.
        rows: How many objects it holds, in the order of its tables.
    """
    tables = [hdu for hdu in hdus if is_table(hdu) and len(hdu.data) == rows]
    columns = [{name.upper(): (hdu, name) for name in column_names(hdu)} for hdu in tables]
    headers = [hdu.header for hdu in hdus]

    def found(label: Label):
        for key in label.spellings:
            for named in columns:
                if key in named and np.ndim(values := named[key][0].data[named[key][1]]) == 1:
                    return values
        return _of_headers(headers, label, rows)

    return _extra(found, rows)


def table_labels(columns: Mapping[str, np.ndarray], rows: int) -> Extra:
    """Labels among the columns [rows] of a table."""
    named = {name.rpartition("/")[2].upper(): values for name, values in columns.items()}

    def found(label: Label):
        return next((named[key] for key in label.spellings if key in named), None)

    return _extra(found, rows)


def is_label(name: str) -> bool:
    """Whether a column, perhaps in a group, has a name of a label."""
    own = name.rpartition("/")[2].upper()
    return any(own in label.spellings for label in LABELS.values())


def _of_headers(headers, label: Label, rows: int):
    """The values of the first of the spellings that there are: one, or one of each row."""
    for key in label.spellings:
        values = [header[key] for header in headers if key in header]
        if values and (rows == 1 or (label.shared and len(set(map(str, values))) == 1)):
            return [values[0]] * rows
        if values and len(values) == rows:  # a header per object
            return values
    return None


def _extra(found, rows: int) -> Extra:
    columns = {}
    for name, label in LABELS.items():
        values = found(label)
        if values is not None and len(values) == rows:
            column = _cleaned(name, label, values)
            if not column.mask.all():
                columns[name] = column
    return Extra(columns, rows)


def _cleaned(name: str, label: Label, values: Iterable) -> np.ma.MaskedArray:
    """In the label's kind; what is not of it, or a placeholder, is masked."""
    masked = np.ma.getmaskarray(np.ma.asarray(values))
    data = np.ma.getdata(values)
    read = {"U": _text, "i8": _whole, "f8": _degrees if name in ("ra", "dec") else _number}
    cells = [None if m else read[label.kind](x) for x, m in zip(data, masked, strict=True)]
    if name == "ra":  # sexagesimal right ascension is in hours
        cells = [x if x is None or not _sexagesimal(t) else 15 * x
                 for x, t in zip(cells, data, strict=True)]  # fmt: skip
    if label.kind != "U":
        cells = [x if x is not None and label.low <= x <= label.high else None for x in cells]
    mask = [x is None or x == "" for x in cells]
    blank = "" if label.kind == "U" else 0
    plain = [blank if m else x for x, m in zip(cells, mask, strict=True)]
    return np.ma.array(np.array(plain, str if label.kind == "U" else label.kind), mask=mask)


def _text(value) -> str:
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).strip()


def _number(value) -> float | None:
    try:
        return float(_text(value))
    except ValueError:
        return None


def _whole(value) -> int | None:
    """A whole number that 64 bits hold; a float only where it is surely the number meant."""
    if isinstance(value, float | np.floating):
        value = int(value) if abs(value) < 2**53 and value == int(value) else ""
    try:
        number = int(_text(value))
    except ValueError:
        return None
    return number if abs(number) < 2**63 else None


def _sexagesimal(value) -> bool:
    return len(_text(value).replace(":", " ").split()) == 3


def _degrees(value) -> float | None:
    if not _sexagesimal(value):
        return _number(value)
    try:
        return float(Angle(_text(value).replace(":", " "), u.deg).deg)
    except (ValueError, u.UnitsError):
        return None
