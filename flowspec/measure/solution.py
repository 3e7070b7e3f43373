"""Stars, a smooth curve and lines of a spectrum in one fit, with the covariance of the fluxes."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from flowspec.measure import continuum, profiles
from flowspec.measure.continuum import Populations, Stars, attenuated
from flowspec.measure.profiles import Pixels

# Steps of derivatives, and the most that one iteration may change: velocity and ln(width) of the
# gas, velocity and ln(dispersion) of the stars, and their dust.
_STEPS = np.array([2.0, 0.03, 10.0, 0.05, 0.02])
_MOST = np.array([50.0, 0.4, 50.0, 0.4, 0.5])
# What is believed of these: means and standard deviations; of dust nothing.
_MEANS = np.array([0.0, np.log(profiles.WIDTH), 0.0, np.log(continuum.DISPERSION), 0.0])
_SCATTER = np.array([profiles.VELOCITY, profiles.WIDTH_SCATTER, continuum.VELOCITY,
                     continuum.SCATTER, 1e6])  # fmt: skip
_LOW = np.array([-400, np.log(profiles.NARROWEST), -400, np.log(continuum.NARROWEST), 0.0])
_HIGH = np.array([400, np.log(profiles.WIDEST), 400, np.log(continuum.WIDEST), continuum.MOST_DUST])


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
        velocity, width: Of the lines, km/s.
        stars: Below them.
        chi2: Per degree of freedom.
    """

    flux: Float[np.ndarray, " columns"]
    covariance: Float[np.ndarray, "columns columns"]
    velocity: float
    width: float
    stars: Stars
    chi2: float


def solved(lights: Lights, stars: Stars, velocity: float, width: float, steps: int) -> Solution:
    """Least squares of all at once by steps of Gauss and Newton, populations not negative.

    Everything but velocities, widths and dust is linear. The covariance is that of the fluxes, the
    curve, the populations that are used and of velocities, widths and dust, too.

    Args:
        lights: Of the spectrum.
        stars: A first guess.
        velocity, width: Of the lines, km/s: a first guess.
        steps: How many.
    """
    moving = np.array([velocity, np.log(width), stars.velocity, np.log(stars.dispersion), stars.av])
    ridge = continuum.prior_of_curves(lights.pixels, lights.curves) ** -2
    for step in range(steps + 1):
        solution, change = _linear(lights, moving, ridge)
        if step < steps:
            moving = np.clip(moving + np.clip(change, -_MOST, _MOST), _LOW, _HIGH)
    return solution


def _linear(lights, moving, ridge) -> tuple[Solution, np.ndarray]:
    """The linear fit, and how `moving` wants to change."""
    pixels = lights.pixels
    stars = _stars(np.zeros(lights.populations.flux.shape[1]), moving)
    light = attenuated(lights.populations, pixels, stars)
    gas = _gas(lights, moving) @ lights.share.T
    root = np.sqrt(pixels.ivar)
    many, smooth = light.shape[1], lights.curves.shape[1]
    matrix = np.concatenate([light, lights.curves, gas], 1) * root[:, None]
    wanted = pixels.flux * root
    normal, right = matrix.T @ matrix, matrix.T @ wanted
    place = np.arange(many, many + smooth)
    normal[place, place] += ridge
    # what is free of sign is eliminated, which leaves a small problem for the populations
    between = _inverse(normal[many:, many:]) @ np.c_[normal[many:, :many], right[many:]]
    across = normal[:many, many:]
    weight, _ = continuum.non_negative(normal[:many, :many] - across @ between[:, :-1],
                                       right[:many] - across @ between[:, -1])  # fmt: skip
    found = np.r_[weight, between[:, -1] - between[:, :-1] @ weight]
    stars, flux = stars._replace(weight=weight), found[many + smooth :]
    residual = wanted - matrix @ found
    used = np.r_[np.flatnonzero(weight > 0), many : len(normal)]
    slopes = _slopes(lights, moving, stars, flux, light, gas) * root[:, None]
    covariance, change = _with_slopes(
        normal[np.ix_(used, used)], matrix[:, used].T @ slopes, slopes, residual, moving
    )
    first = len(used) - len(flux)
    chi2 = float(residual @ residual / max(len(wanted) - len(used) - len(moving), 1))
    velocity, width = float(moving[0]), float(np.exp(moving[1]))
    fluxes = covariance[first : len(used), first : len(used)]
    return Solution(flux, fluxes, velocity, width, stars, chi2), change


def _with_slopes(normal, between, slopes, residual, moving):
    """Covariance of all, and the step of Gauss and Newton of what is not linear."""
    count = len(normal)
    whole = np.block([[normal, between], [between.T, slopes.T @ slopes]])
    place = np.arange(count, len(whole))
    whole[place, place] += _SCATTER**-2.0
    covariance = _inverse(whole)
    # at the best linear fit the gradient by its parameters is 0
    right = slopes.T @ residual - (moving - _MEANS) / _SCATTER**2
    return covariance, covariance[count:, count:] @ right


def _stars(weight, moving) -> Stars:
    return Stars(weight, float(moving[2]), float(np.exp(moving[3])), float(moving[4]))


def _gas(lights, moving) -> Float[np.ndarray, "pixels lines"]:
    velocity, width = float(moving[0]), float(np.exp(moving[1]))
    return profiles.profiles(lights.pixels, lights.lines, velocity, width)


def _slopes(lights, moving, stars, flux, light, gas) -> Float[np.ndarray, "pixels moving"]:
    """Change of the spectrum by each of `moving`."""
    starlight, gaslight = light @ stars.weight, gas @ flux
    columns = []
    for i, step in enumerate(_STEPS):
        moved = moving + step * (np.arange(len(_STEPS)) == i)
        if i < 2:
            new, old = _gas(lights, moved) @ (lights.share.T @ flux), gaslight
        else:
            there = _stars(stars.weight, moved)
            new = attenuated(lights.populations, lights.pixels, there, stars.weight[:, None])[:, 0]
            old = starlight
        columns.append((new - old) / step)
    return np.stack(columns, 1)


def _inverse(normal) -> np.ndarray:
    """Inverse of a positive matrix whose rows have units of their own.

    What no pixel knows, such as a line beyond the last one, gets a vast variance.
    """
    scale = np.sqrt(np.where(np.diag(normal) > 1e-30, np.diag(normal), 1.0))
    scaled = normal / scale / scale[:, None] + 1e-10 * np.eye(len(normal))
    return np.linalg.inv(scaled) / scale / scale[:, None]
