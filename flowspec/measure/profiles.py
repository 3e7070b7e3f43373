"""Gaussian emission lines on pixels, and the velocity and width that they share."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.optimize import least_squares
from scipy.special import ndtr

from flowspec.data.line_waves import WAVES
from flowspec.data.lsf import C_KMS

_REACH = 6.0  # standard deviations of a profile that are worked out
# Of the gas about the redshift that is given, km/s: mean velocity 0 and its standard deviation;
# median of the width and its scatter in ln. They decide where no line is strong.
VELOCITY, WIDTH, WIDTH_SCATTER = 100.0, 70.0, 0.7
NARROWEST, WIDEST = 5.0, 500.0  # km/s


class Pixels(NamedTuple):
    """Good pixels of one spectrum.

    Attributes:
        low, high: Ends of the pixels, angstrom [pixels].
        flux: 1e-17 erg/s/cm2/A [pixels].
        ivar: Inverse variance of it [pixels].
        lsf: Standard deviation of the line-spread function, km/s; 0 where not known [pixels].
        rest: Rest wavelengths of their centres by the redshift, angstrom [pixels].
        z: The redshift.
    """

    low: Float[np.ndarray, " pixels"]
    high: Float[np.ndarray, " pixels"]
    flux: Float[np.ndarray, " pixels"]
    ivar: Float[np.ndarray, " pixels"]
    lsf: Float[np.ndarray, " pixels"]
    rest: Float[np.ndarray, " pixels"]
    z: float

    def at(self, chosen) -> "Pixels":
        """Some of them, by a mask."""
        return Pixels(*(a[chosen] for a in self[:-1]), self.z)


def widths(pixels: Pixels, lines: tuple[str, ...], sigma: float) -> Float[np.ndarray, " lines"]:
    """Standard deviations of lines, km/s, with the line-spread function."""
    rest = np.array([WAVES[line] for line in lines])
    return np.hypot(sigma, np.interp(rest, pixels.rest, pixels.lsf))


def profiles(
    pixels: Pixels, lines: tuple[str, ...], velocity: float, sigma: float
) -> Float[np.ndarray, "pixels lines"]:
    """Mean flux density on each pixel of lines of unit flux, per angstrom.

    Args:
        pixels: In order of wavelength.
        lines: Names of single lines.
        velocity: Of all, km/s.
        sigma: Standard deviation of all, km/s, without the line-spread function.
    """
    width = widths(pixels, lines, sigma)
    found = np.zeros((len(pixels.low), len(lines)))
    for i, line in enumerate(lines):
        centre = WAVES[line] * (1 + pixels.z) * (1 + velocity / C_KMS)
        scale = centre * width[i] / C_KMS
        first = np.searchsorted(pixels.high, centre - _REACH * scale)
        last = np.searchsorted(pixels.low, centre + _REACH * scale)
        low, high = pixels.low[first:last], pixels.high[first:last]
        share = ndtr((high - centre) / scale) - ndtr((low - centre) / scale)
        found[first:last, i] = share / (high - low)
    return found


def kinematics(
    pixels: Pixels, lines: tuple[str, ...], share: Float[np.ndarray, "columns lines"]
) -> tuple[float, float]:
    """Velocity and width, km/s, that lines share: of least squares, their fluxes the best for each.

    Args:
        pixels: Those near the lines, the continuum taken away.
        lines: That decide.
        share: Of each free flux in each line.
    """
    weight = np.sqrt(pixels.ivar)

    def residuals(p):
        model = profiles(pixels, lines, p[0] * VELOCITY, np.exp(p[1])) @ share.T * weight[:, None]
        norm = np.linalg.norm(model, axis=0)
        model = model / np.where(norm > 0, norm, 1)
        normal = model.T @ model + 1e-9 * np.eye(len(share))
        flux = np.linalg.solve(normal, model.T @ (pixels.flux * weight))
        prior = p[0], (p[1] - np.log(WIDTH)) / WIDTH_SCATTER
        return np.concatenate([pixels.flux * weight - model @ flux, prior])

    limits = [-4, np.log(NARROWEST)], [4, np.log(WIDEST)]
    best = least_squares(residuals, (0, np.log(WIDTH)), bounds=limits, xtol=1e-4, ftol=1e-6).x
    return float(best[0] * VELOCITY), float(np.exp(best[1]))
