"""Stars below the lines: populations behind dust, at one velocity and dispersion."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.interpolate import BSpline
from scipy.optimize import least_squares, minimize_scalar, nnls
from scipy.sparse import csr_array

from flowspec.data.lsf import C_KMS
from flowspec.measure.profiles import Pixels
from flowspec.sim.galaxy import dust, stars

STEP = 1e-4  # of the populations in ln(wavelength), 30 km/s
KNOTS = 0.03  # ln(wavelength) between knots of the smooth curve: wider than Balmer absorption
SMOOTH = 0.05  # standard deviation of that curve, over the continuum
# Of the stars, km/s: standard deviation of their velocity about the redshift, a first dispersion,
# and the scatter of ln(dispersion) about that of the gas.
VELOCITY, DISPERSION, SCATTER = 100.0, 120.0, 0.5
NARROWEST, WIDEST = 20.0, 500.0  # km/s
MOST_DUST = 5.0  # magnitudes at 5500 angstrom
_EVERY = 4  # pixels, of which one is looked at for the amount of dust
_METALS = (-1.2, -0.4, 0.0, 0.3)  # log of metallicity over solar


class Populations(NamedTuple):
    """Simple stellar populations on a logarithmic grid.

    Attributes:
        start: ln of the first rest wavelength in angstrom.
        flux: Of unit mean each [grid, populations].
        dispersion: That the table has already, km/s [grid].
        dust: Attenuation over that at 5500 angstrom [grid].
    """

    start: float
    flux: Float[np.ndarray, "grid populations"]
    dispersion: Float[np.ndarray, " grid"]
    dust: Float[np.ndarray, " grid"]

    def attenuation(self, pixels: Pixels) -> Float[np.ndarray, " pixels"]:
        """Attenuation at pixels over that at 5500 angstrom."""
        place = (np.log(pixels.rest) - self.start) / STEP
        return np.interp(place, np.arange(len(self.dust)), self.dust)


class Stars(NamedTuple):
    """Stars of one spectrum.

    Attributes:
        weight: Of each population, not negative [populations].
        velocity, dispersion: km/s.
        av: Attenuation at 5500 angstrom, magnitudes.
    """

    weight: Float[np.ndarray, " populations"]
    velocity: float
    dispersion: float
    av: float


def load_populations(low: float, high: float) -> Populations:
    """The shipped populations between two rest wavelengths in angstrom, every other age."""
    table = stars.load_stars()
    ln_wave = np.arange(np.log(low) - 0.01, np.log(high) + 0.01, STEP)
    wave = np.exp(ln_wave)
    chosen = [int(np.argmin(np.abs(table.log_z - metal))) for metal in _METALS]
    ages = [0, 1, 2, *range(3, len(table.age_edges) - 1, 2)]
    rows = table.flux[chosen][:, ages].reshape(-1, len(table.wave))
    flux = np.array([np.interp(wave, table.wave, row) for row in rows])
    coarse = np.asarray(stars.coarseness(jnp.asarray(wave)))
    squared = stars.RESOLUTION**2 + coarse * (stars.COARSEST**2 - stars.RESOLUTION**2)
    flux = (flux / flux.mean(1, keepdims=True)).T
    curve = np.asarray(dust.calzetti(jnp.asarray(wave)), float)
    return Populations(ln_wave[0], flux, np.sqrt(squared), curve)


def broadening(
    populations: Populations, pixels: Pixels, velocity: float, dispersion: float
) -> csr_array:
    """Matrix from the grid of populations to pixels, with dispersion and line-spread function."""
    x = (np.log(pixels.rest) - velocity / C_KMS - populations.start) / STEP
    centre = np.rint(x).astype(int)
    own = populations.dispersion[np.clip(centre, 0, len(populations.dispersion) - 1)]
    squared = dispersion**2 + pixels.lsf**2 - own**2
    sigma = np.sqrt(np.maximum(squared / C_KMS**2 / STEP**2, 1.0))
    reach = int(np.ceil(3.5 * sigma.max()))
    index = centre[:, None] + np.arange(-reach, reach + 1)
    weight = np.exp(-0.5 * ((index - x[:, None]) / sigma[:, None]) ** 2)
    weight /= weight.sum(1, keepdims=True)
    index = np.clip(index, 0, len(populations.flux) - 1)
    ends = np.arange(len(x) + 1) * index.shape[1]
    shape = len(x), len(populations.flux)
    return csr_array((weight.ravel(), index.ravel(), ends), shape=shape)


def smooth_curves(pixels: Pixels) -> Float[np.ndarray, "pixels curves"]:
    """Cubic splines that have good pixels."""
    x = np.log(pixels.rest)
    count = max(int(np.ceil((x[-1] - x[0]) / KNOTS)), 1)
    knots = np.linspace(x[0], x[-1] + 1e-9, count + 1)
    knots = np.concatenate([[knots[0]] * 3, knots, [knots[-1]] * 3])
    curves = BSpline.design_matrix(x, knots, 3).toarray()
    return curves[:, curves.sum(0) > 0.1]  # some have no good pixel


def prior_of_curves(pixels: Pixels, curves) -> Float[np.ndarray, " curves"]:
    """Standard deviation of the height of each curve: `SMOOTH` of the continuum, or the noise."""
    total = curves.sum(0)
    level = np.abs(curves.T @ pixels.flux) / total
    noise = curves.T @ pixels.ivar**-0.5 / total
    return np.hypot(SMOOTH * level, noise)


def attenuated(
    populations: Populations, pixels: Pixels, stars: Stars, some=None
) -> Float[np.ndarray, "pixels some"]:
    """Light on pixels: of each population, or of `some` mixtures of them [populations, some]."""
    matrix = broadening(populations, pixels, stars.velocity, stars.dispersion)
    light = matrix @ (populations.flux if some is None else populations.flux @ some)
    curve = populations.attenuation(pixels)
    return light * 10 ** (-0.4 * stars.av * curve)[:, None]


def dusty(
    populations: Populations, pixels: Pixels, velocity: float, dispersion: float
) -> Stars:
    """The best populations and attenuation, at a velocity and dispersion.

    Args:
        populations: On their grid.
        pixels: Without emission lines.
        velocity, dispersion: km/s.
    """
    some = pixels.at(slice(None, None, _EVERY))
    root = np.sqrt(some.ivar)
    clear = Stars(np.zeros(populations.flux.shape[1]), velocity, dispersion, 0.0)
    matrix, wanted = attenuated(populations, some, clear) * root[:, None], some.flux * root
    curve = populations.attenuation(some)

    def solved(av):
        rows = matrix * 10 ** (-0.4 * av * curve)[:, None]
        return non_negative(rows.T @ rows, rows.T @ wanted)

    av = float(minimize_scalar(lambda av: -solved(av)[1], bounds=(0, MOST_DUST),
                               options={"xatol": 0.03}).x)  # fmt: skip
    return Stars(solved(av)[0], velocity, dispersion, av)


def non_negative(normal, right) -> tuple[Float[np.ndarray, " n"], float]:
    """Weights >= 0 that minimise w N w - 2 r w, and how far below 0 that is."""
    scale = np.sqrt(np.maximum(np.diag(normal), 1e-300))
    scaled = normal / scale / scale[:, None] + 1e-9 * np.eye(len(normal))
    root = np.linalg.cholesky(scaled)
    weight, rest = nnls(root.T, np.linalg.solve(root, right / scale))
    weight = weight / scale
    return weight, float(2 * right @ weight - weight @ normal @ weight)


def moving(
    populations: Populations, pixels: Pixels, stars: Stars, typical: float
) -> tuple[float, float]:
    """Velocity and dispersion, km/s, of stars about a smooth curve.

    Args:
        populations: On their grid.
        pixels: Without emission lines.
        stars: Weights and dust.
        typical: Median of what is believed of the dispersion, km/s.
    """
    root = np.sqrt(pixels.ivar)

    def seen(velocity, dispersion):
        moved = stars._replace(velocity=velocity, dispersion=dispersion)
        return attenuated(populations, pixels, moved, stars.weight[:, None])[:, 0]

    curves = smooth_curves(pixels)
    ridge = prior_of_curves(pixels, curves) ** -2
    weighted = curves * pixels.ivar[:, None]
    missing = weighted.T @ (pixels.flux - seen(0.0, DISPERSION))
    flux = pixels.flux - curves @ np.linalg.solve(curves.T @ weighted + np.diag(ridge), missing)

    def residuals(p):
        model = seen(p[0] * VELOCITY, np.exp(p[1])) * root
        amount = max(model @ (flux * root) / max(model @ model, 1e-300), 0.0)
        prior = p[0], (p[1] - np.log(typical)) / SCATTER
        return np.concatenate([flux * root - amount * model, prior])

    limits = [-4, np.log(NARROWEST)], [4, np.log(WIDEST)]
    best = least_squares(residuals, (0, np.log(DISPERSION)), bounds=limits, xtol=1e-2, ftol=1e-3).x
    return float(best[0] * VELOCITY), float(np.exp(best[1]))
