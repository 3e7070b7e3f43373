"""Filters of imaging surveys, and the magnitude of an observed spectrum seen through one."""

from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float

from flowspec.data.regrid import bridged, pixel_edges
from flowspec.sim.instrument.lattice import C_KMS

TABLE = Path(__file__).parents[1] / "tables" / "bands.npz"
# Of the letters of each survey; curves with atmosphere and detector, see tables/README.md.
_LETTERS = {"sdss": "ugriz", "panstarrs": "grizy", "decam": "grizy", "hsc": "grizy",
            "lsst": "ugrizy", "euclid": ("vis", "y", "j", "h")}  # fmt: skip
BANDS = tuple(f"{survey}_{band}" for survey, bands in _LETTERS.items() for band in bands)
_C = C_KMS * 1e13  # angstrom/s


def band_magnitudes(
    wave: Float[np.ndarray, " pixels"],
    flux: Float[np.ndarray, "batch pixels"],
    ivar: Float[np.ndarray, "batch pixels"],
    band: str,
) -> tuple[Float[np.ndarray, " batch"], Float[np.ndarray, " batch"]]:
    """AB magnitudes of spectra from their good pixels, and how much of the band these cover.

    Photons over those of a source of constant F_nu in the same pixels, with the zero point of Oke
    & Gunn (1983), 48.60; Bessell & Murphy (2012, PASP 124, 140), appendix A. What bad pixels leave
    out is as bright, in magnitudes, as the rest.

    Args:
        wave: Pixel centres in angstrom.
        flux: 1e-17 erg/s/cm2/A.
        ivar: Its inverse variance; 0 is no data.
        band: One of `BANDS`.

    Returns:
        Magnitudes, NaN where there is no light, and the share of the band's photons, for a source
        of constant F_lambda, that falls on good pixels.

    Raises:
        ValueError: If there is no such band.
    """
    inside, photons, flat, whole = _in_pixels(wave, band)
    good = ivar[:, inside] > 0
    light = np.where(good, flux[:, inside], 0).astype(float) @ photons
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = 1e-17 * light / (_C * (good @ flat))  # erg/s/cm2/Hz
        magnitude = -2.5 * np.log10(np.where(mean > 0, mean, np.nan)) - 48.60
    return magnitude, good @ photons / whole


def transmission(band: str) -> Float[np.ndarray, "2 n"]:
    """Wavelengths in angstrom, evenly spaced, and transmission per photon over its peak.

    Args:
        band: One of `BANDS`.

    Raises:
        ValueError: If there is no such band.
    """
    if band not in BANDS:
        raise ValueError(f"expected a band of {', '.join(BANDS)}; got {band!r}")
    return _curves()[band]


def _in_pixels(wave, band: str):
    """Pixels in a band, its photons and those of a flat spectrum in each, and all its photons.

    Integrals of T lambda and of T / lambda over each pixel, T being the transmission per photon.
    """
    at, seen = transmission(band)
    padded, source = bridged(wave)
    edges = pixel_edges(padded)
    photons, flat = (np.diff(np.interp(edges, at, _integral(at, weight)))[source >= 0]
                     for weight in (seen * at, seen / at))
    inside = np.flatnonzero(photons > 0)
    return inside, photons[inside], flat[inside], _integral(at, seen * at)[-1]


def _integral(x, y) -> np.ndarray:
    """Of y from the first x to each, by trapezia."""
    return np.concatenate([[0.0], np.cumsum(0.5 * (y[1:] + y[:-1]) * np.diff(x))])


@cache
def _curves() -> dict[str, np.ndarray]:
    """Wavelengths in angstrom and transmission over its peak of every band [2, n]."""
    with np.load(TABLE, allow_pickle=False) as file:
        return {name: file[name].astype(float) for name in BANDS}
