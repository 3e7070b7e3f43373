"""Stellar populations against real passive galaxies: residuals in windows of the rest frame.

Each galaxy is fitted, at the catalogue's redshift and dispersion, by a non-negative combination of
the populations of the table that are older than 1 Gyr, times a polynomial; emission lines are left
out. Residuals, (data - model) / model, are averaged over galaxies in the rest frame. Response
templates, where asked for, are fitted with the populations, their amplitudes free.
"""

from functools import partial
from pathlib import Path

import h5py
import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import nnls

from benchmarks import harness
from flowspec.sim.galaxy import stars

STEP = 1e-4 * np.log(10)  # of the survey's logarithmic wavelengths
C_KMS = 299792.458
REST = np.exp(np.arange(np.log(3750.0), np.log(9050.0), STEP))  # vacuum angstrom
EMISSION = (
    3728, 3869, 3970, 4102, 4341, 4364, 4862, 4960, 5008, 5200, 6302, 6365, 6549, 6565, 6585, 6718,
    6732, 7137,
)  # fmt: skip
WINDOWS = {
    "CN 3883": (3780, 3900), "CN 4150": (4080, 4220), "G band": (4285, 4320),
    "C2 4670": (4640, 4740), "MgH": (5060, 5160), "Mg b": (5165, 5200), "Fe 5270": (5250, 5290),
    "Na D": (5884, 5904), "TiO 6230": (6190, 6280), "TiO 7050": (7070, 7180),
    "7180-7300": (7180, 7300), "7300-7400": (7300, 7400), "7420-7520": (7420, 7520),
    "7520-7620": (7520, 7620), "7620-7800": (7620, 7800), "7800-8000": (7800, 8000),
    "8000-8200": (8000, 8200), "8200-8450": (8200, 8450), "Ca II 8500": (8490, 8511),
    "Ca II 8544": (8532, 8557), "Ca II 8664": (8652, 8677), "8700-8900": (8700, 8900),
}  # fmt: skip


def run(*, table: str = "", rows: int = 60, degree: int = 4, responses: bool = False) -> dict:
    """Residuals of passive galaxies.

    Args:
        table: File of populations; by default the shipped one.
        rows: Number of galaxies, at most.
        degree: Of the polynomial, in ln(flux) and ln(wavelength).
        responses: Whether the amplitudes of the shipped response templates are free.
    """
    populations = stars.load_stars(Path(table)) if table else stars.load_stars()
    galaxies = passive(rows)
    templates = stars.load_responses() if responses else None
    fit = partial(fitted, populations, degree, templates)
    results = [fit(*galaxy) for galaxy in galaxies]
    residual = np.array([r[0] for r in results])
    mean = {n: residual[:, (REST > lo) & (REST < hi)] for n, (lo, hi) in WINDOWS.items()}
    found = {
        "galaxies": len(results),
        "chi2": float(np.median([r[1] for r in results])),
        "residual_percent": {n: window(m) for n, m in mean.items()},
    }
    if templates is not None:
        amplitudes = np.array([r[2] for r in results])
        found["amplitudes"] = {
            n: [round(float(x), 3) for x in (np.median(a), np.std(a))]
            for n, a in zip(templates.names, amplitudes.T, strict=True)
        }
    return found


def window(residual: np.ndarray) -> float:
    """Mean over galaxies of the median residual in a window, per cent."""
    seen = residual[np.isfinite(residual).mean(axis=1) > 0.5]
    return round(100 * float(np.mean(np.nanmedian(seen, axis=1))), 2) if len(seen) else np.nan


def passive(rows: int) -> list[tuple]:
    """Flux, inverse variance [wave], z, dispersion and resolution (km/s) of passive galaxies."""
    with h5py.File(harness.data_folder() / "spectra/sdss/sdss.h5") as f:
        catalog = {k: f["catalog"][k][:] for k in ("cls", "zwarning", "z", "sn", "vdisp")}
        names = [n.decode().strip() for n in f["lines/name"][:]]
        ew = f["lines/ew"][:, names.index("H_alpha")]
        wave, wdisp = 10 ** f["loglam"][:], f["wdisp"]
        good = (np.char.strip(catalog["cls"]) == b"GALAXY") & (catalog["zwarning"] == 0)
        good &= (np.abs(ew) < 1.0) & (catalog["vdisp"] > 100) & (catalog["vdisp"] < 350)
        good = np.flatnonzero(good)
        good = np.sort(good[np.argsort(-catalog["sn"][good], kind="stable")][:rows])
        return [
            (wave, f["flux"][i].astype(float), f["ivar"][i].astype(float), catalog["z"][i],
             catalog["vdisp"][i], np.median(wdisp[i][wdisp[i] > 0]) * STEP * C_KMS)
            for i in good
        ]  # fmt: skip


def fitted(populations, degree, responses, wave, flux, ivar, z, dispersion, resolution):
    """Residual on `REST`, reduced chi2 and amplitudes of the responses of one galaxy."""
    flux = np.interp(REST * (1 + z), wave, flux, left=np.nan, right=np.nan)
    ivar = np.interp(REST * (1 + z), wave, ivar, left=0, right=0)
    sky = np.abs(REST * (1 + z) - 5578.5) < 15
    lines = np.min(np.abs(np.log(REST[:, None] / np.array(EMISSION))), axis=1) < 500 / C_KMS
    use = (ivar > 0) & ~lines & ~sky & np.isfinite(flux)
    sigma = np.sqrt(max(dispersion**2 + resolution**2 - stars.RESOLUTION**2, 1.0)) / C_KMS / STEP
    spectra = columns(populations, sigma)
    change = () if responses is None else response_columns(responses, sigma)
    x = (np.log(REST) - np.log(REST).mean()) / 0.45
    weight = np.sqrt(ivar[use])
    terms = np.stack([*(x**d for d in range(1, degree + 1)), *change], axis=1)
    found = np.zeros(terms.shape[1])
    mass = nnls(spectra[use] * weight[:, None], flux[use] * weight)[0]
    for _ in range(5):  # Gauss-Newton: populations and a change of the exponents together
        basis = spectra * np.exp(terms @ found)[:, None]
        slope = terms * (basis @ mass)[:, None]
        matrix = np.concatenate([basis, slope, -slope], axis=1)[use] * weight[:, None]
        best = nnls(matrix, flux[use] * weight)[0]
        mass, up, down = np.split(best, np.cumsum([basis.shape[1], len(found)]))
        found = found + up - down
    model = spectra @ mass * np.exp(terms @ found)
    amplitudes = found[len(found) - len(change) :]
    residual = np.where(use, flux / model - 1, np.nan)
    chi2 = np.mean(np.clip((flux[use] - model[use]) ** 2 * ivar[use], 0, 64))
    return residual, chi2, amplitudes


def columns(populations, sigma: float) -> np.ndarray:
    """Old populations on `REST`, broadened by `sigma` pixels and of unit mean [wave, n]."""
    old = populations.age_edges[:-1] > 0.99
    flux = populations.flux[2:, old].reshape(-1, len(populations.wave)).astype(float)
    on_rest = np.array([np.interp(REST, populations.wave, row) for row in flux])
    return (gaussian_filter1d(on_rest, sigma, axis=1) / on_rest.mean(axis=1, keepdims=True)).T


def response_columns(responses, sigma: float) -> list[np.ndarray]:
    """Response templates on `REST`, broadened by `sigma` pixels."""
    rows = [np.interp(REST, responses.wave, row, left=0, right=0) for row in responses.curve]
    return [gaussian_filter1d(row, sigma) for row in rows]
