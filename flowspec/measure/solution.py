"""Stars, a smooth curve and lines of a spectrum in one fit, with the covariance of the fluxes."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from flowspec.measure import continuum, profiles
from flowspec.measure.continuum import Populations, Stars, attenuated
from flowspec.measure.profiles import Pixels

# Steps of derivatives by velocity and ln(width) of the gas, by velocity and ln(dispersion) of the
# stars, and by their dust; and the standard deviations that these are believed to have.
_STEPS = np.array([2.0, 0.03, 10.0, 0.05, 0.02])
_SCATTER = np.array([profiles.VELOCITY, profiles.WIDTH_SCATTER, continuum.VELOCITY,
                     continuum.SCATTER, continuum.MOST_DUST])  # fmt: skip


class Lights(NamedTuple):
    """What is known of one spectrum before the fit.

    Attributes:
        populations: On a grid that covers it.
        pixels: All that are good.
        curves: Smooth ones on the pixels [pixels, curves].
        lines: Names of single lines.
        share: Of each free flux in each line [columns, lines].
    """

    populations: Populations
    pixels: Pixels
    curves: Float[np.ndarray, "pixels curves"]
    lines: tuple[str, ...]
    share: Float[np.ndarray, "columns lines"]


class Solution(NamedTuple):
    """A fit.

    Attributes:
        flux: That are free, 1e-17 erg/s/cm2 [columns].
        covariance: Of them, without the scale of chi2 [columns, columns].
        chi2: Per degree of freedom.
    """

    flux: Float[np.ndarray, " columns"]
    covariance: Float[np.ndarray, "columns columns"]
    chi2: float


def solved(lights: Lights, stars: Stars, velocity: float, width: float) -> Solution:
    """Least squares of all at once, the populations not negative.

    The covariance is that of fluxes, curve, the populations that are used, and of velocities,
    widths and dust, by which the spectrum changes in proportion where they are nearly right.

    Args:
        lights: Of the spectrum.
        stars: Their velocity, dispersion and dust.
        velocity, width: Of the lines, km/s.
    """
    pixels = lights.pixels
    light = attenuated(lights.populations, pixels, stars)
    gas = profiles.profiles(pixels, lights.lines, velocity, width) @ lights.share.T
    root = np.sqrt(pixels.ivar)
    matrix = np.concatenate([light, lights.curves, gas], 1) * root[:, None]
    wanted = pixels.flux * root
    normal, right = matrix.T @ matrix, matrix.T @ wanted
    many, smooth = light.shape[1], lights.curves.shape[1]
    place = np.arange(many, many + smooth)
    normal[place, place] += continuum.prior_of_curves(pixels, lights.curves) ** -2
    found = _mostly_free(normal, right, many)
    stars, flux = stars._replace(weight=found[:many]), found[many + smooth :]
    used = np.r_[np.flatnonzero(stars.weight > 0), many : len(normal)]
    seen = light @ stars.weight, gas @ flux
    slopes = _slopes(lights, stars, velocity, width, flux, seen) * root[:, None]
    between = matrix[:, used].T @ slopes
    nonlinear = slopes.T @ slopes + np.diag(_SCATTER**-2.0)
    covariance = _inverse(np.block([[normal[np.ix_(used, used)], between],
                                    [between.T, nonlinear]]))  # fmt: skip
    fluxes = slice(len(used) - len(flux), len(used))
    residual = wanted - matrix @ found
    freedom = max(len(wanted) - len(covariance), 1)
    return Solution(flux, covariance[fluxes, fluxes], float(residual @ residual / freedom))


def _mostly_free(normal, right, many: int) -> np.ndarray:
    """The solution with the first `many` not negative: what is free of sign is eliminated first."""
    between = _inverse(normal[many:, many:]) @ np.c_[normal[many:, :many], right[many:]]
    across = normal[:many, many:]
    first, _ = continuum.non_negative(normal[:many, :many] - across @ between[:, :-1],
                                      right[:many] - across @ between[:, -1])  # fmt: skip
    return np.r_[first, between[:, -1] - between[:, :-1] @ first]


def _slopes(lights, stars, velocity, width, flux, seen) -> Float[np.ndarray, "pixels five"]:
    """Change of the spectrum by each of `_STEPS`."""
    starlight, gas = seen
    singles, pixels = lights.share.T @ flux, lights.pixels
    moved = (velocity + _STEPS[0], width), (velocity, width * np.exp(_STEPS[1]))
    lines = [profiles.profiles(pixels, lights.lines, *m) @ singles - gas for m in moved]
    changed = (stars._replace(velocity=stars.velocity + _STEPS[2]),
               stars._replace(dispersion=stars.dispersion * np.exp(_STEPS[3])),
               stars._replace(av=stars.av + _STEPS[4]))  # fmt: skip
    others = [attenuated(lights.populations, pixels, new, stars.weight[:, None])[:, 0] - starlight
              for new in changed]  # fmt: skip
    return np.stack([*lines, *others], 1) / _STEPS


def _inverse(normal) -> np.ndarray:
    """Inverse of a positive matrix whose rows have units of their own.

    What no pixel knows, such as a line beyond the last one, gets a vast variance.
    """
    scale = np.sqrt(np.where(np.diag(normal) > 1e-30, np.diag(normal), 1.0))
    scaled = normal / scale / scale[:, None] + 1e-10 * np.eye(len(normal))
    return np.linalg.inv(scaled) / scale / scale[:, None]
