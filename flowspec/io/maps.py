"""Results of maps of emission lines as maps: FITS images on the pixels of the input."""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from astropy.io import fits
from astropy.table import Table

from flowspec.data.atomic import replacing
from flowspec.data.flags import Flag
from flowspec.io.line_table import maps_of
from flowspec.io.map_grid import MapGrid

PLACES = ("x", "y", "ra", "dec")  # columns that say where a row is
KINDS = ("source", "class")  # and what it is, in words
NONE = -1  # kind of spaxels without data
_MEDIAN = "_p50"


def write_maps(
    path, table: Table, like, *, columns: Mapping[str, str] | None = None, suffix: str | None = None
) -> None:
    """Write a table of results of maps of lines as maps: all of the file or nothing of it.

    An image per quantity, `OH` the median of the column `oh_p50` with `OH_P16` and `OH_P84`; the
    probabilities of classes, `P_HII`; `SOURCE` or `CLASS`, numbers that its header names; `FLAGS`,
    bits that its header names. Spaxels without data are NaN, with the flag no_data. Spaxels of one
    bin have the values of its row. What the table says of its origin is in the first header.

    Args:
        path: of the file; replaced if it exists.
        table: of results, with the columns `x` and `y` that rows read from maps have.
        like: the file of maps that they were read from, for its pixels and their place on the sky.
        columns: as of `read_lines`, if `like` was read with them.
        suffix: as of `read_lines`, likewise.

    Raises:
        ValueError: where `like` has no maps of lines, or rows are not of its pixels.
        OSError: naming the file, where it cannot be written.
    """
    grid = maps_of(like, dict(columns or {}), suffix)
    if grid is None:
        raise ValueError(f"{like}: expected maps of lines, images of fluxes and errors; got none")
    with maps_file(path, grid, table.meta) as append:
        append(table)


@contextmanager
def maps_file(path, grid: MapGrid, about: Mapping) -> Iterator[Callable[[Table], None]]:
    """What appends tables of results to new maps, written when the block ends well.

    Args:
        path: of the file; replaced if it exists.
        grid: pixels of the maps.
        about: for the first header, such as the provenance.
    """
    maps = _Maps(grid)
    yield maps.append
    first = fits.PrimaryHDU()
    with warnings.catch_warnings(), replacing(path) as temporary:
        warnings.simplefilter("ignore")  # of keywords of over eight letters
        about = {key.upper(): x for key, x in about.items() if _is_value(x)} | maps.answered
        first.header.update(about)
        fits.HDUList([first, *maps.images()]).writeto(temporary)


class _Maps:
    """Values of all spaxels, a quantity at a time.

    Args:
        grid: pixels of the maps.
    """

    def __init__(self, grid: MapGrid):
        self._grid, self._spaxels = grid, grid.shape[0] * grid.shape[1]
        self._values: dict[str, np.ndarray] = {}
        self._about: dict[str, tuple[str, str]] = {}
        self._kinds: dict[str, list[str]] = {}
        self._flags = np.full(self._spaxels, int(Flag.NO_DATA), np.int32)
        self.answered: dict[str, str] = {}  # the model, where rows say which it was

    def append(self, table: Table) -> None:
        """Take the values of some rows.

        Raises:
            ValueError: where they are not of pixels of the maps.
        """
        at = self._numbers(table)
        self._flags[at] = np.ma.filled(table["flags"], int(Flag.NO_DATA))
        if "model" in table.colnames and len(table):
            self.answered = {"MODEL": str(table["model"][0])}
        for name in table.colnames:
            column = table[name]
            if name in KINDS:
                kinds = self._named(name, table)
                kinds[at] = self._codes(name, column)
            elif column.dtype.kind in "fiu" and column.ndim == 1 and name not in (*PLACES, "flags"):
                values = np.ma.filled(np.ma.asarray(column, np.float32), np.nan)
                self._layer(name, column)[at] = values

    def images(self) -> Iterator[fits.ImageHDU]:
        """All maps, medians before the ends of their intervals."""
        medians = [name.removesuffix(_MEDIAN) for name in self._values if name.endswith(_MEDIAN)]
        order = {name: number for number, name in enumerate(self._values)}
        for name in medians:
            order[name + _MEDIAN] = order.get(f"{name}_p16", order[name + _MEDIAN]) - 0.5
        for name in sorted(order, key=order.get):
            hdu = self._image(name.removesuffix(_MEDIAN), self._values[name])
            unit, words = self._about.get(name, ("", ""))
            if unit:
                hdu.header["BUNIT"] = unit
            if words:
                hdu.header.add_comment(words)
            for number, kind in enumerate(self._kinds.get(name, ())):
                hdu.header[f"KIND{number}"] = kind
            yield hdu
        hdu = self._image("flags", self._flags)
        for flag in Flag:
            hdu.header[f"BIT{flag.bit_length() - 1}"] = flag.name.lower()
        yield hdu

    def _numbers(self, table: Table) -> np.ndarray:
        """[rows] of the spaxels that hold the values of rows."""
        if missing := [name for name in ("x", "y", "flags") if name not in table.colnames]:
            raise ValueError("expected results of rows read from maps, with columns x, y and flags;"
                             f" got none of {', '.join(missing)}")
        x, y = (np.asarray(table[name], int) for name in "xy")
        height, width = self._grid.shape
        if len(x) and not (0 <= x.min() <= x.max() < width and 0 <= y.min() <= y.max() < height):
            raise ValueError(f"expected rows of maps of {width} x {height} spaxels; "
                             f"got x up to {x.max()} and y up to {y.max()}")
        return self._grid.numbers(x, y)

    def _layer(self, name: str, column) -> np.ndarray:
        if name not in self._values:
            self._values[name] = np.full(self._spaxels, np.nan, np.float32)
            self._about[name] = _unit(column.unit), column.description or ""
        return self._values[name]

    def _named(self, name: str, table: Table) -> np.ndarray:
        """The map of kinds; all that the table has probabilities of are known beforehand, so that
        numbers do not depend on which of them there are."""
        if name not in self._values:
            self._values[name] = np.full(self._spaxels, NONE, np.int16)
            self._about[name] = "", f"{table[name].description or name}; {NONE} for none"
            self._kinds[name] = [column.removeprefix("p_") for column in table.colnames
                                 if re.match("p_(?!value$)", column)]  # fmt: skip
        return self._values[name]

    def _codes(self, name: str, column) -> np.ndarray:
        known = self._kinds[name]
        codes = {kind.lower(): number for number, kind in reversed([*enumerate(known)])}
        texts = np.ma.filled(np.ma.asarray(column, str), "")
        each, inverse = np.unique(texts, return_inverse=True)
        return np.array([codes.get(text.lower(), NONE) for text in each], np.int16)[inverse]

    def _image(self, name: str, values: np.ndarray) -> fits.ImageHDU:
        hdu = fits.ImageHDU(self._grid.spread(values), name=name.upper())
        hdu.header.extend(self._grid.cards, update=True)
        return hdu


def _unit(unit) -> str:
    """A unit in the words of FITS; none where that has none, such as of logarithms."""
    try:
        return "" if unit is None else unit.to_string("fits")
    except ValueError:
        return ""


def _is_value(value) -> bool:
    return isinstance(value, str | bool | int | float)
