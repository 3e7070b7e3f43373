"""What rows carry along besides their data: coordinates, identifiers, an archive's own answers.

These are labels. They pass from input to table, and nothing in between may look at them: no
training, no adaptation, no choice of rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import astropy.units as u
import numpy as np

MISSING = np.iinfo(np.int64).min  # a whole number that is not known, in files without masks


class Label(NamedTuple):
    """A kind of label that files are searched for.

    Attributes:
        about: What it is.
        unit: Of its values, empty for a number without one.
        kind: Of its values: ``f8``, ``i8`` or ``U`` (text).
        spellings: Its names in files, upper case; where a file has several, the first is taken.
        shared: Whether one value in a header may be true of all objects of a file.
        low, high: Numbers outside are fillers of the archive for none.
    """

    about: str
    unit: str
    kind: str
    spellings: tuple[str, ...]
    shared: bool = False
    low: float = -np.inf
    high: float = np.inf


# Of a fibre before that of a target, of a target before that of the telescope.
LABELS: dict[str, Label] = {
    "ra": Label("right ascension as the input gives it", "deg", "f8",
                ("PLUG_RA", "FIBER_RA", "TARGET_RA", "SRCRA", "RA_OBJ", "RA_TARG", "TARG_RA",
                 "RAJ2000", "RA"), low=0.0, high=360.0),
    "dec": Label("declination as the input gives it", "deg", "f8",
                 ("PLUG_DEC", "FIBER_DEC", "TARGET_DEC", "SRCDEC", "DEC_OBJ", "DEC_TARG",
                  "TARG_DEC", "DEJ2000", "DEC"), low=-90.0, high=90.0),
    "target_id": Label("number of the object in the input", "", "i8",
                       ("TARGETID", "TARGET_ID", "SPECOBJID", "SOURCE_ID", "SOURCEID", "OBJID",
                        "OBJECT_ID", "OBJ_ID", "CATALOGID", "CATAID", "SDSS_ID")),
    "object": Label("name of the object in the input", "", "U",
                    ("OBJECT", "OBJNAME", "SRCNAME", "TARGNAME", "TARGPROP")),
    "plate": Label("plate of the input", "", "i8", ("PLATE", "PLATEID"), shared=True, low=1),
    "mjd": Label("modified Julian date of the input", "d", "i8", ("MJD",), shared=True, low=1),
    "fiber": Label("fibre of the input", "", "i8", ("FIBERID", "FIBER_ID", "FIBER", "FIBRE"),
                   low=0),
    "exptime": Label("exposure time of the input", "s", "f8",
                     ("COADD_EXPTIME", "EXPTIME", "TEXPTIME", "EFFEXPTM"), shared=True, low=1e-6),
    "z_archive": Label("redshift that the archive gives", "", "f8",
                       ("Z_ARCHIVE", "Z", "ZBEST", "Z_BEST", "REDSHIFT", "Z_SPEC", "ZSPEC"),
                       low=-0.9),
    "class_archive": Label("class that the archive gives", "", "U",
                           ("CLASS_ARCHIVE", "CLASS", "SPECTYPE")),
}  # fmt: skip


class Extra(Mapping):
    """Columns of labels, one value per row: masked arrays [batch] by name. Immutable.

    Args:
        columns: Name to one value per row, any number or text; masked where not known. Numbers
            that are not finite count as not known.
        rows: How many there must be; by default any number.

    Raises:
        ValueError: Naming the column, where it has another length or a unit.
    """

    def __init__(self, columns: Mapping = {}, rows: int | None = None):  # noqa: B006, not changed
        self._columns = {str(name): _checked(name, x, rows) for name, x in columns.items()}

    def __getitem__(self, name: str) -> np.ma.MaskedArray:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __hash__(self) -> int:
        return hash(tuple((name, x.shape) for name, x in self.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Extra) and list(self) == list(other) and all(
            np.array_equal(x.mask, y.mask) and np.array_equal(x.compressed(), y.compressed())
            for x, y in zip(self.values(), other.values(), strict=True))

    def __repr__(self) -> str:
        return f"Extra({', '.join(self)})"

    def of_rows(self, rows) -> "Extra":
        """Those of some rows, by their numbers."""
        return Extra({name: x[rows] for name, x in self.items()})


def filled(values) -> np.ndarray:
    """An array with NaN, "" or `MISSING` where it is masked: for files without masks."""
    kind = values.dtype.kind
    blank = {"f": np.nan, "U": "", "S": b""}.get(kind, MISSING if values.dtype == np.int64 else 0)
    return np.asarray(np.ma.filled(values, blank))


def joined_extra(pieces: Sequence[Mapping], counts: Sequence[int]) -> Extra:
    """Labels of all rows of all pieces, masked in pieces that lack them.

    Args:
        pieces: Labels of each piece.
        counts: How many rows each piece has.
    """
    columns = {}
    for name in dict.fromkeys(name for piece in pieces for name in piece):
        types = [piece[name].dtype for piece in pieces if name in piece]
        # text takes all kinds: a whole number must not become a float
        text = len({dtype.kind for dtype in types}) > 1 or types[0].kind == "U"
        dtype = np.dtype(str) if text else np.result_type(*types)
        columns[name] = np.ma.concatenate([
            piece[name].astype(dtype) if name in piece else np.ma.masked_all(count, dtype)
            for piece, count in zip(pieces, counts, strict=True)
        ])
    return Extra(columns)


def _checked(name, values, rows: int | None) -> np.ma.MaskedArray:
    values = _without_unit(name, values)
    data, mask = np.array(np.ma.getdata(values)), np.ma.getmaskarray(values)
    if data.ndim != 1 or (rows is not None and len(data) != rows):
        number = "one value per row" if rows is None else f"{rows} values, one per row"
        raise ValueError(f"expected {number} in extra '{name}'; got shape {data.shape}")
    if data.dtype.kind not in "biufU":
        data = np.array([_text(x) for x in data], str)
    if data.dtype.kind == "f":
        mask = mask | ~np.isfinite(data)
    return np.ma.array(data, mask=mask)


def _without_unit(name, values):
    """Values in the unit of `LABELS`; a unit that is not known here would be lost."""
    unit = getattr(values, "unit", None)
    if unit is None:
        return values
    wanted = LABELS[name].unit if name in LABELS else ""
    try:
        return u.Quantity(values, unit).to_value(wanted)
    except (u.UnitsError, TypeError):
        raise ValueError(f"expected extra '{name}' in '{wanted}'; got unit '{unit}'") from None


def _text(value) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
