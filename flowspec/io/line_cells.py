"""Cells of a column of a line catalogue: numbers, limits written as text, and units."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.table import Table

from flowspec.io.units import parse_unit

_POWER = {"ivar": -0.5, "var": 0.5}  # of a unit, to that of the standard deviation
_BLANK = ("", "nan", "...", "…", "--", "---", "-", "null", "none")
_LIMIT = re.compile(r"([<>≤≥])=?\s*(.*)")
_YES, _NO = ("1", "1.0", "true", "t"), ("0", "0.0", "false", "f")


class Column(NamedTuple):
    """One column.

    Attributes:
        name: in the table.
        values: [rows], NaN where masked or blank; the standard deviation of variances.
        unit: where it names one.
        upper: [rows] whether the value is an upper limit.
        lower: [rows] whether it is a lower limit.
    """

    name: str
    values: np.ndarray
    unit: u.UnitBase | None
    upper: np.ndarray
    lower: np.ndarray


def numbers(table: Table, name: str, role: str) -> Column:
    """A column of fluxes, noise or limits.

    Text is taken where it is blank, a number, or, of fluxes and limits, one after `<` or `>`.

    Raises:
        ValueError: on other text and on cells that are arrays.
    """
    cells = table[name]
    if cells.ndim != 1:
        raise ValueError(f"expected numbers in column '{name}'; got {cells.ndim}-dimensional cells")
    upper = lower = np.zeros(len(cells), bool)
    if cells.dtype.kind in "fiu":
        values = np.asarray(getattr(cells, "unmasked", cells)).astype(np.float64)
        values = np.where(getattr(cells, "mask", False), np.nan, values)
    else:
        signs, values = _read(name, _texts(cells), limits=role in ("flux", "ul"))
        upper, lower = (np.isin(signs, list(pair)) for pair in ("<≤", ">≥"))
    unit = _unit(cells.unit)
    power = _POWER.get(role)
    if power is not None:
        with np.errstate(divide="ignore"):  # 0 is no information; a negative one stays an error
            values = np.copysign(np.abs(values) ** power, values)
        unit = None if unit is None else unit**power
    return Column(name, values, unit, upper, lower)


def flags(table: Table, name: str) -> tuple[np.ndarray, np.ndarray]:
    """[rows] where a column of flags says that a flux is an upper limit, and a lower one.

    `<` says an upper limit and `>` a lower one, as in VizieR; so do true and 1 an upper one.

    Raises:
        ValueError: on anything else that is not blank.
    """
    texts = [text.lower() for text in _texts(table[name])]
    known = (*_BLANK, *_YES, *_NO, "<", "<=", "≤", ">", ">=", "≥")
    if odd := next((text for text in texts if text not in known), None):
        raise ValueError(f"expected '<' or nothing in '{name}', the limits' flag; got '{odd}'")
    upper = [text[:1] in ("<", "≤") or text in _YES for text in texts]
    return np.array(upper, bool), np.array([text[:1] in (">", "≥") for text in texts], bool)


def masked(table: Table, name: str) -> np.ndarray:
    """[rows] where a mask is set: not 0, as in MaNGA and SDSS.

    Raises:
        ValueError: where it is neither whole numbers nor booleans.
    """
    cells = table[name]
    if cells.ndim != 1 or cells.dtype.kind not in "biu":
        raise ValueError(f"expected whole numbers or booleans in the mask '{name}'; "
                         f"got {cells.dtype}")
    return np.ma.filled(np.ma.asarray(cells), 1) != 0


def check_units(columns: Sequence[Column]):
    """Refuse columns of which some have a unit and some have not.

    Raises:
        ValueError: naming one of each.
    """
    having = [column for column in columns if column.unit is not None]
    without = [column for column in columns if column.unit is None]
    if having and without:
        raise ValueError(
            f"expected units on all columns of lines or on none; "
            f"got '{having[0].unit}' on '{having[0].name}' and none on '{without[0].name}'"
        )


def converted(column: Column, first: Column) -> np.ndarray:
    """Values in the unit of the first column.

    Raises:
        ValueError: where that is a unit of something else.
    """
    if column.unit == first.unit:
        return column.values
    try:
        return column.values * column.unit.to(first.unit)
    except (u.UnitsError, ValueError, TypeError):
        raise ValueError(
            f"expected '{column.name}' in a unit like that of '{first.name}' ('{first.unit}'); "
            f"got '{column.unit}'"
        ) from None


def _texts(cells) -> list[str]:
    return ["" if np.ma.is_masked(cell) else
            (cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)).strip()
            for cell in cells]  # fmt: skip


def _read(name: str, texts: Sequence[str], limits: bool) -> tuple[list[str], np.ndarray]:
    """The sign of a limit before each number, and the number."""
    signs, values = [], []
    for text in texts:
        match = _LIMIT.fullmatch(text) if limits else None
        sign, number = match.groups() if match else ("", text)
        try:
            values.append(np.nan if number.lower() in _BLANK else float(number))
        except ValueError:
            raise ValueError(
                f"expected numbers in column '{name}'; got text, such as '{text}'"
            ) from None
        signs.append(sign)
    return signs, np.array(values, float)


def _unit(unit) -> u.UnitBase | None:
    """A unit; one that astropy does not know stays itself, which serves where all have it."""
    if unit is None or unit == u.dimensionless_unscaled:
        return None
    try:
        return parse_unit(str(unit))
    except ValueError:
        return u.Unit(str(unit), parse_strict="silent")
