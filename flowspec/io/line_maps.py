"""Maps of emission lines, an image per line and error: found in a file, and read in blocks.

MaNGA's DAP has images [channels, y, x] with the names of channels in the header; PHANGS-MUSE and
others have one image [y, x] per line (`HA6562_FLUX`) and one per error (`HA6562_FLUX_ERR`).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from astropy.table import Column, Table
from astropy.units import UnitBase
from jaxtyping import Bool

from flowspec.data.line_labels import choices
from flowspec.data.lines import Lines
from flowspec.io.hdus import column_names, is_table
from flowspec.io.line_columns import NOISE, LineColumns, find_lines, parsed
from flowspec.io.line_report import describe
from flowspec.io.line_values import lines_of
from flowspec.io.map_grid import MapGrid, grid_of
from flowspec.io.units import parse_unit

FLUX = "EMLINE_GFLUX"  # of Gaussians; EMLINE_SFLUX is the sum over a band
_CHANNEL = re.compile(r"(?:C|ELG)0*(\d+)")
_AT_ONCE = 65536  # spaxels of one image that are looked at
_POWERS = {"ivar": -2, "var": 2}  # of the unit of the fluxes


class Plane(NamedTuple):
    """One image [y, x].

    Attributes:
        hdu: that holds it.
        channel: its number, where the HDU holds several; else None.
    """

    hdu: object
    channel: int | None

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Some rows of pixels [stop - start, x], read from the file."""
        section = self.hdu.section
        if self.channel is None:
            return np.asarray(section[start:stop, :])
        return np.asarray(section[self.channel, start:stop, :])


class LineMaps(NamedTuple):
    """Maps of lines in an open file.

    Attributes:
        planes: all images of the lines, by name.
        found: which of them say what of which line.
        grid: pixels of all.
        form: what they are, in words.
    """

    planes: dict[str, Plane]
    found: LineColumns
    grid: MapGrid
    form: str


def find_maps(hdus, given: Mapping[str, str], suffix: str | None) -> LineMaps | None:
    """The maps of lines in a file; None where it has none.

    Args:
        hdus: of the file.
        given: line or line_err and the like to the name of its image, see `find_lines`.
        suffix: of MaNGA the name of the fluxes, by default `FLUX`; else what follows the line in
            the names of images.

    Raises:
        ValueError: where names are not understood, or a line has flux without noise.
    """
    images = {hdu.name: hdu for hdu in hdus if not is_table(hdu) and hdu.shape}
    flux = suffix or FLUX
    if flux in images and len(images[flux].shape) == 3:
        arrays = {name: hdu for name, hdu in images.items() if len(hdu.shape) == 3}
        planes = {name: Plane(hdu, i) for name, (hdu, i) in _channels(arrays, flux).items()}
        form = f"{flux} by the channels in its header"
        return LineMaps(planes, find_lines([*planes], given), grid_of(hdus, flux), form)
    named = _of_lines([n for n, hdu in images.items() if len(hdu.shape) == 2], suffix, given)
    if not named:
        return None
    shape = images[named[0]].shape
    planes = {name: Plane(hdu, None) for name, hdu in images.items() if hdu.shape == shape}
    found = find_lines([*planes], given, suffix)
    return LineMaps(planes, found, grid_of(hdus, named[0]), "an image per line")


def maps_lines(maps: LineMaps, rows: int) -> Iterator[Lines]:
    """Spaxels that were seen, row by row of the image; of those in one bin the first alone.

    A spaxel is seen where any line has a flux with an error, or an upper limit. Labels are `x` and
    `y`, counted from 0, and of maps with a WCS the sky position of the middle, `ra` and `dec`.

    Args:
        maps: of a file that is still open.
        rows: of a block, at most.

    Raises:
        ValueError: where no spaxel was seen.
    """
    seen = _seen(maps)
    places, units = maps.grid.distinct(seen), _units(maps)
    if not len(places):
        raise ValueError(f"expected spaxels with fluxes and errors; got none of {seen.size}")
    bins = "" if maps.grid.first is None else f" in {len(places)} bins"
    spaxels = f"{seen.sum()} of {seen.size} spaxels{bins}"
    reading = f"{maps.form}, {spaxels}; {describe(maps.found, [*maps.planes], None)}"
    for start in range(0, len(places), rows):
        y, x = places[start : start + rows].T
        table = Table({name: _column(maps.planes[name], units.get(name), y, x)
                       for name in _used(maps.found)})  # fmt: skip
        names = [f"{j},{i}" for j, i in zip(y, x, strict=True)]
        labels = {"x": x, "y": y} | maps.grid.sky(x, y)
        yield lines_of(table, maps.found, names, labels).read_as(reading)


def _column(plane: Plane, unit: UnitBase | None, y, x) -> Column:
    """Values of spaxels whose `y` increase."""
    values = plane.rows(int(y[0]), int(y[-1]) + 1)[y - y[0], x]
    return Column(values.astype(values.dtype.newbyteorder("=")), unit=unit)


def channels_table(hdus, quantity: str | None) -> tuple[Table, str] | None:
    """A table whose cells [channels] are the lines of MaNGA's DAP, as one with a column per line.

    Args:
        hdus: of a file.
        quantity: the name of the fluxes, by default `FLUX`.

    Returns:
        The table, and in words what it was made of; None where there is no such column.

    Raises:
        ValueError: where there are no inverse variances, or not as many names as channels.
    """
    flux = quantity or FLUX
    for hdu in hdus:
        if is_table(hdu) and flux in (names := column_names(hdu)):
            columns = {name: np.asarray(hdu.data[name]) for name in names}
            cells = {n: _Cells(np.moveaxis(x, -1, 0), hdu.header)
                     for n, x in columns.items() if x.ndim > 1}  # fmt: skip
            plain = {n: x for n, x in columns.items() if x.ndim == 1}
            each = {n: x.array[i] for n, (x, i) in _channels(cells, flux).items()}
            return Table(plain | each), f"{flux} by the channels in its header"
    return None


class _Cells(NamedTuple):
    """Cells of a column as if they were an image."""

    array: np.ndarray
    header: object

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape


def _channels(named: Mapping, flux: str) -> dict[str, tuple]:
    """What holds [channels, ...] and the number of the channel, by its name and "", "_ivar" or
    "_mask"."""
    header = named[flux].header
    numbers = {int(match[1]): key for key in header if (match := _CHANNEL.fullmatch(key))}
    channels = [str(header[numbers[i]]).strip() for i in sorted(numbers)]
    kinds = {"": flux, "_ivar": f"{flux}_IVAR", "_mask": f"{flux}_MASK"}
    found = {role: named[name] for role, name in kinds.items() if name in named}
    shapes = {tuple(held.shape) for held in found.values()}
    if "_ivar" not in found or len(shapes) > 1 or len(channels) != named[flux].shape[0]:
        raise ValueError(
            f"expected {flux} and {flux}_IVAR of one shape, a name in the header per channel; "
            f"got {', '.join(map(str, shapes))} and {len(channels)} names"
        )
    return {channel + role: (held, i)
            for role, held in found.items() for i, channel in enumerate(channels)}  # fmt: skip


def _of_lines(names: Sequence[str], suffix: str | None, given: Mapping[str, str]) -> list[str]:
    """Images that are given, or named as the flux of a line with another of its noise or limit: an
    image alone may be of anything."""
    said = {name: about for name in names if (about := parsed(name, suffix))}
    partners = {about.label for about in said.values() if about.role in (*NOISE, "ul")}
    return [name for name in names if name in given.values() or (
        name in said and said[name].role == "flux" and said[name].label in partners
        and choices(said[name].label))]  # fmt: skip


def _used(found: LineColumns) -> list[str]:
    return list(dict.fromkeys(name for roles in found.lines.values() for name in roles.values()))


def _seen(maps: LineMaps) -> Bool[np.ndarray, "y x"]:
    """Where any line is measured or limited."""
    (height, width), seen = maps.grid.shape, np.zeros(maps.grid.shape, bool)
    step = max(1, _AT_ONCE // width)
    for start in range(0, height, step):
        stop = min(start + step, height)
        for roles in maps.found.lines.values():
            part = {role: maps.planes[name].rows(start, stop) for role, name in roles.items()}
            seen[start:stop] |= _told(part)
    return seen


def _told(part: Mapping[str, np.ndarray]) -> Bool[np.ndarray, "y x"]:
    """Where the images of one line tell anything of it."""
    noise = next((part[role] for role in NOISE if role in part), None)
    limit = part.get("ul")
    told = np.zeros(next(iter(part.values())).shape, bool)
    if noise is not None:
        told |= np.isfinite(part["flux"]) & np.isfinite(noise) & (noise > 0)
    if limit is not None:
        told |= np.isfinite(limit) & (limit > 0)
    return told & (part["mask"] == 0) if "mask" in part else told


def _units(maps: LineMaps) -> dict[str, UnitBase]:
    """Units of images, where not all have the same, or none; errors without one have that of the
    flux, and so have inverse variances and variances, whose units are seldom right."""
    said = {name: str(maps.planes[name].hdu.header.get("BUNIT", "")).strip()
            for name in _used(maps.found)}  # fmt: skip
    plain = {text for roles in maps.found.lines.values() for role, name in roles.items()
             if role in ("flux", "err", "ul") and (text := said[name])}  # fmt: skip
    if len(plain) < 2:
        return {}
    units = {}
    for roles in maps.found.lines.values():
        flux = said.get(roles.get("flux", ""), "")
        for role, name in roles.items():
            if role not in ("limit", "mask"):
                text = flux if role in _POWERS else said[name] or flux
                unit = parse_unit(text)
                units[name] = unit if unit is None else unit ** _POWERS.get(role, 1)
    return units
