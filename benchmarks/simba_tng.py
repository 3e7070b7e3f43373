"""Galaxies of two cosmological simulations, SIMBA and TNG, in 20 bands from GALEX to Herschel.

Spectral energy distributions at redshift zero by radiative transfer (powderday), 1,688 and 9,633
galaxies (Gilda, de Mathelin et al. 2022, arXiv:2112.14072). What differs is the physics: dust,
metals, histories, and with them the population of galaxies itself.
"""

import csv
import gzip
from pathlib import Path

import numpy as np
import numpyro.distributions as dist

from flowspec import Prior, Simulations, Spectra

NAMES = ("log_mstar", "log_sfr", "log_z")
# Wide and flat: what a network learns is the population of the source.
LIMITS = {"log_mstar": (7.0, 12.5), "log_sfr": (-4.0, 2.0), "log_z": (-2.5, 1.0)}
FLOOR = (-3.5, -3.0)  # log SFR of galaxies below the second, uniform: a spike has no density
ERROR = 0.05  # dex, of every band
# Effective wavelengths, angstrom: GALEX, VST, VISTA, WISE, Herschel.
WAVE = 1e4 * np.array([
    0.1535, 0.2301, 0.3580, 0.4754, 0.6312, 0.7531, 0.8777, 1.0202, 1.2525, 1.6433, 2.1503, 3.353,
    4.603, 11.56, 22.09, 100.0, 160.0, 250.0, 350.0, 500.0,
])  # fmt: skip
# log10 flux of one, in the units of the files.
TYPICAL = np.array([
    9.35, 9.45, 9.85, 10.2, 10.3, 10.45, 10.5, 10.5, 10.5, 10.55, 10.35, 10.05, 9.75, 10.3, 10.2,
    11.45, 11.55, 11.35, 11.05, 10.6,
])  # fmt: skip
ANCHORS = 5
GRID = np.append(WAVE, 1e7 * 1.1 ** np.arange(ANCHORS))


def galaxies(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Parameters [rows, 3] as in `NAMES` and log10 of the fluxes [rows, 20], in a random order.

    Args:
        folder: With the files.
        name: "simba" or "tng".

    Raises:
        ValueError: If the two files are not of the same galaxies.
    """
    numbers, flux = _table(folder / f"{name}_z=0.0_flux.csv.gz")
    others, properties = _table(folder / f"{name}_z=0.0_props.csv.gz")
    if not np.array_equal(numbers, others):
        raise ValueError(f"{folder}: expected fluxes and properties of the same galaxies")
    mass, _, log_z, sfr = properties.T
    rng = np.random.default_rng(20261123)
    log_sfr = np.log10(np.maximum(sfr, 1e-30))
    log_sfr = np.where(log_sfr < FLOOR[1], rng.uniform(*FLOOR, len(sfr)), log_sfr)
    order = rng.permutation(len(mass))
    theta = np.stack([np.log10(mass), log_sfr, log_z], axis=1)
    return theta[order], np.log10(flux[:, : len(WAVE)])[order]


def _table(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """First column as text, and the others."""
    with gzip.open(path, "rt") as file:
        rows = np.array(list(csv.reader(file))[1:])
    return rows[:, 0], rows[:, 1:].astype(float)


def observe(log_flux: np.ndarray, seed: int) -> Spectra:
    """Photometry with errors of `ERROR`, as log10 of flux over that of a `TYPICAL` galaxy, plus 1.

    Behind it `ANCHORS` pixels of one, nearly exact. The network divides a spectrum by its mean
    and takes differences from a running mean; with these, that leaves the fluxes as they are.

    Args:
        log_flux: log10 of the fluxes [rows, 20].
        seed: Of the noise.
    """
    noise = ERROR * np.random.default_rng(seed).standard_normal(log_flux.shape)
    anchors = ((0, 0), (0, ANCHORS))
    values = np.pad(log_flux - TYPICAL + 1 + noise, anchors, constant_values=1)
    ivar = np.pad(np.full(log_flux.shape, ERROR**-2), anchors, constant_values=25 * ERROR**-2)
    return Spectra(GRID, values, ivar)


def simulations(theta: np.ndarray, log_flux: np.ndarray, seed: int) -> Simulations:
    """Galaxies to learn from, with the same errors and, in training, larger ones."""
    made = observe(log_flux, seed)
    limits = {name: dist.Uniform(*ends) for name, ends in LIMITS.items()}
    return Simulations(theta, made.flux, made.ivar, GRID, Prior(limits), extra_noise=2.0)
