"""Build responses.npz: how spectra of populations answer to abundances, and how models err.

Both are changes of ln(flux): one curve for the population that feels it most and, for each age bin
of ssp.npz, the share of it that is felt there (see README.md beside this file).
"""

from functools import cache
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from flowspec.sim.tables.abundances import WAVE, Emulator
from flowspec.sim.tables.build_ssp import (
    AGE_EDGES,
    C_KMS,
    LSUN_10PC,
    RESOLUTION,
    air_to_vacuum,
    bc03_at,
    read_bc03,
)

STEP = 0.15  # dex to either side, for a derivative
NODES = np.array([0.1, 0.4, 1.2, 3.5, 10.0])  # Gyr: ages at which responses are worked out
HOT = (6000.0, 7500.0)  # K: full response, none
# Elements that rise together, by how much: Si rises with Mg, but by about half as much, from low to
# high dispersion (Conroy, Graves & van Dokkum 2014).
GROUPS = {
    "Mg": {"Mg": 1.0, "Si": 0.6}, "C": {"C": 1.0}, "N": {"N": 1.0}, "Na": {"Na": 1.0},
    "Ca": {"Ca": 1.0}, "Ti": {"Ti": 1.0},
}  # fmt: skip
SCATTER = (0.1, 0.05, 0.15, 0.25, 0.04, 0.1)  # dex between passive galaxies (stars.md)
GRID = np.exp(np.arange(np.log(3505.0), np.log(10480.0), 60.0 / C_KMS))  # vacuum A
# One standard deviation of what fastar's own Monte Carlo shifts for all stars at once: dex of
# temperature, of gravity, of metallicity
SHIFTS = {"teff": (0.005, 0, 0), "logg": (0, 0.2, 0), "met": (0, 0, 0.1)}
COARSE = np.exp(np.arange(np.log(2020.0), np.log(11450.0), 0.02))  # A, edges of an error's bins


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


def population_response(emulator, stars):
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
    return total * np.interp(GRID, [3505, 3550, 10300, 10480], [0, 1, 1, 0])


def element_table(emulator, stars_of):
    """Arrays of the responses to abundances, by the names of the file.

    Args:
        emulator: `Emulator`.
        stars_of: The stars of a solar population of an age in Gyr, as `population_response` wants.
    """
    found = np.array([population_response(emulator, stars_of(age)) for age in NODES])
    oldest = found[-1]
    share = np.einsum("agw,gw->ga", found, oldest) / (oldest**2).sum(axis=1)[:, None]
    middle = np.sqrt(np.maximum(AGE_EDGES[:-1], 1e-3) * AGE_EDGES[1:])
    young = np.interp(np.log(middle), np.log([0.02, 0.1]), (0, 1))  # no cool giants yet
    strength = [np.interp(np.log(middle), np.log(NODES), row) * young for row in share]
    return {
        "element_names": np.array(list(GROUPS)), "element_wave": GRID,
        "element_curve": oldest.astype(np.float16), "element_strength": np.array(strength),
        "element_scatter": np.array(SCATTER),
    }  # fmt: skip


def binned(wave, flux):
    """Mean flux between the edges of `COARSE`."""
    fine = np.arange(COARSE[0], COARSE[-1], 1.0)
    index = np.searchsorted(COARSE, fine, side="right") - 1
    return np.bincount(index, np.interp(fine, wave, flux)) / np.bincount(index)


def library_errors(synthesize, wave, bc03):
    """Changes of ln(flux) of solar populations, one standard deviation [ages, kinds, bins].

    Those of `SHIFTS`, and the difference from another library, over the square root of two: the
    standard deviation of a sample of two.

    Args:
        synthesize: Flux of fastar's "phot" for an age, a metallicity and three shifts.
        wave: Its vacuum wavelengths.
        bc03: `read_bc03`.
    """
    rows = []
    for age in np.sqrt(np.maximum(AGE_EDGES[2:-1], 0.03) * AGE_EDGES[3:]):
        base = np.log(binned(wave, synthesize(age, 0.0, 0, 0, 0) / LSUN_10PC))
        kinds = [np.log(binned(wave, synthesize(age, 0.0, *shift) / LSUN_10PC)) - base
                 for shift in SHIFTS.values()]  # fmt: skip
        other = np.log(binned(bc03[0], bc03_at(bc03, age, 0.0))) - base
        rows.append([*kinds, other / np.sqrt(2)])
    return np.array([rows[0], rows[0], *rows])  # the two youngest bins as the third


def library_table(errors):
    """Arrays of the errors of libraries, those of solar metallicity, by the names of the file."""
    return {
        "library_names": np.array([*SHIFTS, "BC03"]),
        "library_wave": np.sqrt(COARSE[1:] * COARSE[:-1]),
        "library_curve": errors.transpose(1, 0, 2).astype(np.float32),
    }


def build_responses(rubix, bossbrain, out):
    """Write responses.npz from the installed fastar and the folders of two packages."""
    from fastar import IntegratedSSPSynthesizer
    from fastar.imf import chabrier
    from fastar.interpolate.color import color_interpolation

    model = IntegratedSSPSynthesizer("phot", imf_function=chabrier)
    wave = air_to_vacuum(np.asarray(model.wave, float))

    def stars_of(age):
        mass, teff, logg, lum = model._get_isochrone(age, 0.0)
        met = 0 * teff
        spectra = model.predict_spectrum(logg, teff, met)
        axes = (model.logg_array, model.teff_log10_array, model.fmet_array, model.bcv_grid)
        bright = model.sun_vmag - 2.5 * lum - color_interpolation(logg, teff, met, *axes)
        scale = 10 ** ((model._compute_ab_magnitudes(spectra) - bright) / 2.5)
        number = model.imf_function(mass, {}) * np.gradient(np.asarray(mass))
        light = np.asarray(spectra * (scale * number)[:, None])
        return 10 ** np.asarray(teff), np.asarray(logg), wave, light

    def synthesize(age, log_z, teff, logg, met):
        mass, t, g, lum = model._get_isochrone(age, log_z)
        weight = model.imf_function(mass, {})
        flux = model._wrapper(mass, t + teff, g + logg, lum, 0 * t + log_z + met, weight)
        return np.asarray(flux, float)

    table = element_table(Emulator(bossbrain), stars_of)
    table |= library_table(library_errors(synthesize, wave, read_bc03(rubix)))
    np.savez_compressed(Path(out) / "responses.npz", **table)
