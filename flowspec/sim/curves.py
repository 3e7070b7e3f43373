"""Smooth factors on the flux: calibration errors and mismatch of the templates."""

import numpy as np

KNOTS = 60  # of the mismatch
CURVES = {"calibration": 5, "mismatch": KNOTS}  # latents of each
CALIBRATION = (0.05, 0.08, 0.05, 0.03, 0.02)  # standard deviation of ln(flux), by degree
MISMATCH = 0.015  # likewise, of each knot
# Nuisances that are factors on the flux
SMOOTH = (*CURVES, "element", "library", "rest", "observed")


def smooth_basis(wave: np.ndarray, knots: int) -> np.ndarray:
    """Rows of cubic B-splines, evenly spaced in ln(wavelength) [knots, pixels]."""
    x = np.log(wave / wave[0]) / np.log(wave[-1] / wave[0]) * (knots - 3)
    t = np.abs(x - np.arange(-1, knots - 1)[:, None])
    inner, outer = 2 / 3 - t**2 + t**3 / 2, np.maximum(2 - t, 0) ** 3 / 6
    return np.where(t < 1, inner, outer).astype(np.float32)


def polynomial_basis(wave: np.ndarray, degree: int = 4) -> np.ndarray:
    """Rows of Legendre polynomials of degree 0 to `degree` in ln(wavelength)."""
    x = 2 * np.log(wave / wave[0]) / np.log(wave[-1] / wave[0]) - 1
    return np.polynomial.legendre.legvander(x, degree).T.astype(np.float32)
