"""Maps of emission lines of MaNGA's DAP, a channel per line, to tables with a row per spaxel."""

import re
from collections.abc import Mapping

import numpy as np
from astropy.table import Table

from flowspec.io.hdus import column_names, is_table

FLUX = "EMLINE_GFLUX"  # of Gaussians; EMLINE_SFLUX is the sum over a band
_CHANNEL = re.compile(r"(?:C|ELG)0*(\d+)")


def maps_table(hdus, quantity: str | None) -> tuple[Table, str] | None:
    """Fluxes, inverse variances and masks of all channels, in columns named by the channels.

    The names are in the header of the fluxes (`C01 = 'OII-3727'`, wavelengths in vacuum). Spaxels
    that no inverse variance says were seen are left out. A mask that is not 0 is no data.

    Args:
        hdus: of a file of MAPS (images [channels, y, x]), or with a table that has columns
            [rows, channels] of those names.
        quantity: the name of the fluxes, by default `FLUX`.

    Returns:
        The table, and in words what it was made of; None where there is no such image or column.

    Raises:
        ValueError: where there are no inverse variances, or not as many names as channels.
    """
    flux = quantity or FLUX
    images = {hdu.name: hdu.data for hdu in hdus if not is_table(hdu) and hdu.shape}
    if flux in images:
        arrays = _arrays(images, flux, hdus[flux].header)
        seen = np.any([arrays[name] > 0 for name in arrays if name.endswith("_ivar")], axis=0)
        places = np.argwhere(seen)
        table = Table({"name": [",".join(map(str, place)) for place in places]})
        for name, values in arrays.items():
            table[name] = values[seen]
        return table, f"{flux} by the channels in its header, {len(places)} of {seen.size} spaxels"
    for hdu in hdus:
        if is_table(hdu) and flux in (names := column_names(hdu)):
            columns = {name: np.asarray(hdu.data[name]) for name in names}
            cells = {n: np.moveaxis(x, -1, 0) for n, x in columns.items() if x.ndim > 1}
            plain = {n: x for n, x in columns.items() if x.ndim == 1}
            table = Table(plain | _arrays(cells, flux, hdu.header))
            return table, f"{flux} by the channels in its header"
    return None


def _arrays(named: Mapping[str, np.ndarray], flux: str, header) -> dict[str, np.ndarray]:
    """Arrays of one channel each, by its name and "", "_ivar" or "_mask"."""
    channels = _channels(header)
    kinds = {"": flux, "_ivar": f"{flux}_IVAR", "_mask": f"{flux}_MASK"}
    found = {role: named[name] for role, name in kinds.items() if name in named}
    shapes = {array.shape for array in found.values()}
    if "_ivar" not in found or len(shapes) > 1 or len(channels) != len(named[flux]):
        raise ValueError(
            f"expected {flux} and {flux}_IVAR of one shape, a name in the header per channel; "
            f"got {', '.join(map(str, shapes))} and {len(channels)} names"
        )
    return {channel + role: array[i]
            for role, array in found.items() for i, channel in enumerate(channels)}  # fmt: skip


def _channels(header) -> list[str]:
    """Names of the channels in order."""
    numbers = {int(match[1]): key for key in header if (match := _CHANNEL.fullmatch(key))}
    return [str(header[numbers[i]]).strip() for i in sorted(numbers)]
