"""Build responses.npz: how spectra of populations answer to abundances, and how models err.

Both are changes of ln(flux), one curve for a population that feels it most and, for each age bin of
ssp.npz, the share of it that is felt there (see README.md beside this file).
"""

from functools import cache
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import csr_array

from flowspec.sim.tables.abundances import WAVE, Emulator
from flowspec.sim.tables.build_ssp import (
    AGE_EDGES, C_KMS, RESOLUTION, air_to_vacuum, bc03_at, broadened, mean_ratio,
)  # fmt: skip

STEP = 0.15  # dex to either side, for a derivative
OLD = 10.0  # Gyr
HOT = (6000.0, 7500.0)  # K: full response, none
# What varies together. Mg tracks O in early-type galaxies; Si and Ti rise about half as much
# (Conroy, Graves & van Dokkum 2014, abstract and figure 16).
GROUPS = {
    "alpha": {"Mg": 1.0, "O": 1.0, "Si": 0.6, "Ti": 0.5},
    "C": {"C": 1.0}, "N": {"N": 1.0}, "Na": {"Na": 1.0}, "Ca": {"Ca": 1.0},
}  # fmt: skip
GRID = np.exp(np.arange(np.log(3505.0), np.log(10480.0), 70.0 / C_KMS))  # vacuum A


def cells(teff, logg, light):
    """Stars of like temperature and gravity together: mean Teff, mean log g, share of light.

    Stars above 6000 K count with what is left of their lines; dwarfs as the densest giants.

    Args:
        teff: K [stars].
        logg: log10 of cm/s2 [stars].
        light: Flux of each [stars, wave].
    """
    share = light / light.sum(axis=0)
    share = share * np.interp(teff, HOT, (1, 0))[:, None]
    t, g = np.clip(teff, 3500, 5999), np.clip(logg, 0, 3.5)
    index = np.round(t / 125).astype(int) * 100 + np.round(g / 0.5).astype(int)
    weight = share.mean(axis=1)
    for cell in np.unique(index):
        inside = index == cell
        if weight[inside].sum() > 1e-4:
            mean = [np.average(v[inside], weights=weight[inside]) for v in (t, g)]
            yield *mean, share[inside].sum(axis=0)


@cache
def smoothing():
    """Sparse matrix [len(GRID), len(WAVE)] that brings the emulator's pixels to `RESOLUTION`."""
    wave = air_to_vacuum(WAVE)
    first = np.searchsorted(wave, GRID)[:, None] + np.arange(-24, 24)
    near = np.clip(first, 0, len(wave) - 1)
    kernel = np.exp(-0.5 * (np.log(wave[near] / GRID[:, None]) * C_KMS / RESOLUTION) ** 2)
    kernel /= kernel.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(len(GRID)), near.shape[1])
    return csr_array((kernel.ravel(), (rows, near.ravel())), (len(GRID), len(wave)))


def star_response(emulator, teff, logg, group):
    """d ln(flux) per dex of a group of elements, of one star on `GRID`."""
    up, down = (
        emulator.spectrum(teff, logg, 0.0, **{e: sign * STEP * w for e, w in group.items()})
        for sign in (1, -1)
    )
    return np.log((smoothing() @ up) / (smoothing() @ down)) / (2 * STEP)


def population_responses(emulator, stars):
    """d ln(flux) per dex of each group on `GRID` [groups, wave].

    Args:
        emulator: `Emulator`.
        stars: Teff, log g [stars], vacuum wavelengths and flux of each star [stars, wave].
    """
    teff, logg, wave, light = stars
    total = np.zeros((len(GROUPS), len(GRID)))
    for t, g, share in cells(teff, logg, light):
        share = np.interp(GRID, wave, share)
        for row, group in zip(total, GROUPS.values(), strict=True):
            row += share * star_response(emulator, t, g, group)
    return total
