"""The pixels of maps: their shape, their place on the sky, and which of them share a bin."""

import re
import warnings
from typing import NamedTuple

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from jaxtyping import Bool, Int

from flowspec.io.hdus import is_table

# Of the images of MaNGA's DAP, the channel of BINID that has the bins they were measured in.
_BINS = {"EMLINE_GFLUX": 3, "EMLINE_SFLUX": 2}
# Cards of a header that place its first two axes on the sky (Calabretta & Greisen 2002).
_CARDS = re.compile(
    r"(CTYPE|CRPIX|CRVAL|CUNIT|CDELT|CROTA)[12]|(CD|PC)[12]_[12]|PV[12]_\d+"
    r"|LONPOLE|LATPOLE|RADESYS|RADECSYS|EQUINOX|[AB]P?_(ORDER|\d+_\d+)"
)


class MapGrid(NamedTuple):
    """Pixels of maps.

    Attributes:
        shape: [y, x].
        cards: of a header, that place them on the sky; none where no header does.
        first: [y, x] number of the first spaxel of the bin that each is in (of its own, where it is
            in none), counted along x, then y; None where no spaxels share a bin.
    """

    shape: tuple[int, int]
    cards: fits.Header
    first: Int[np.ndarray, "y x"] | None

    def distinct(self, seen: Bool[np.ndarray, "y x"]) -> Int[np.ndarray, "rows 2"]:
        """`y` and `x` of the spaxels that were seen, of those in one bin the first."""
        places = np.argwhere(seen)
        if self.first is None:
            return places
        _, rows = np.unique(self.first[seen], return_index=True)
        return places[np.sort(rows)]

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Values [spaxels] of the first spaxel of each bin to all of it [y, x]."""
        return (values if self.first is None else values[self.first]).reshape(self.shape)

    def numbers(
        self, x: Int[np.ndarray, " rows"], y: Int[np.ndarray, " rows"]
    ) -> Int[np.ndarray, " rows"]:
        """Numbers of the first spaxels of the bins that pixels, counted from 0, are in."""
        own = y * self.shape[1] + x
        return own if self.first is None else self.first.ravel()[own]

    def sky(self, x: Int[np.ndarray, " rows"], y: Int[np.ndarray, " rows"]) -> dict:
        """`ra` and `dec` [rows] in degrees of the middle of pixels counted from 0, where known."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of obsolete cards, which are read all the same
            wcs = WCS(self.cards)
        if not wcs.has_celestial or wcs.wcs.lngtyp != "RA":
            return {}
        ra, dec = wcs.celestial.pixel_to_world_values(x, y)
        return {"ra": np.asarray(ra, float), "dec": np.asarray(dec, float)}


def grid_of(hdus, name: str) -> MapGrid:
    """The pixels of an image and of all that are like it.

    The cards are those of its own header, or else of the first that has any.

    Args:
        hdus: of a file.
        name: of the image [y, x] or [channels, y, x].
    """
    shape = tuple(hdus[name].shape[-2:])
    headers = [hdus[name].header, *(hdu.header for hdu in hdus if not is_table(hdu))]
    header = next((h for h in headers if "CTYPE1" in h and "CTYPE2" in h), fits.Header())
    cards = fits.Header([card for card in header.cards if _CARDS.fullmatch(card.keyword)])
    return MapGrid(shape, cards, _first(hdus, name, shape))


def _first(hdus, name: str, shape) -> Int[np.ndarray, "y x"] | None:
    channel = _BINS.get(name)
    if channel is None or "BINID" not in hdus:
        return None
    bins = hdus["BINID"]
    if tuple(bins.shape[-2:]) != shape:
        return None
    ids = bins.data if len(bins.shape) == 2 else bins.data[min(channel, bins.shape[0] - 1)]
    ids = np.asarray(ids)
    own = np.arange(ids.size)
    _, first, inverse = np.unique(ids.ravel(), return_index=True, return_inverse=True)
    numbers = np.where(ids.ravel() < 0, own, first[inverse.ravel()])  # -1 is in no bin
    return None if (numbers == own).all() else numbers.reshape(shape)
