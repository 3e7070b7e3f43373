"""Gas in and around the galaxy that absorbs its light: metal lines and damped Lyman alpha."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, ScalarLike

from flowspec.sim.instrument.lattice import C_KMS

LYMAN_ALPHA = 1215.67
# Kinds of lines: low and high ions in outflowing gas; sodium; photospheres of young stars;
# fluorescent and wind emission; lines of old stars that abundance patterns change.
LOW, HIGH, SODIUM, PHOTOSPHERE, EMISSION, ABUNDANCE = range(6)
MOVING = (LOW, HIGH)  # with the outflow; the others are at rest in the galaxy
YOUNG = (LOW, HIGH, PHOTOSPHERE, EMISSION)  # of galaxies that form stars
SCATTER = (0.2, 0.25, 0.45, 0.25, 0.3, 0.35)  # dex, of all lines of a kind together

# Vacuum wavelength (angstrom), rest equivalent width (angstrom, negative for emission) in a typical
# galaxy, and kind. Far UV: the z = 3 composites of Shapley et al. (2003, ApJ 588, 65) and Steidel
# et al. (2018, ApJ 869, 123); near UV: Martin et al. (2012, ApJ 760, 127); Na D: Chen et al.
# (2010, AJ 140, 445). Those of kind ABUNDANCE are what alpha-enhanced giants have in excess of
# the models (Conroy, Graves & van Dokkum 2014, ApJ 780, 33). These and sodium are at 0.4 of that:
# star-forming galaxies of the SDSS show less (by 2 and 3 % of the flux at Mg b and Na D), massive
# ones reach it within the scatter. C IV is what Shapley's composite has beside stellar winds.
LINES = np.array([
    (972.54, 2.0, LOW), (977.02, 2.0, HIGH), (1025.72, 3.0, LOW),
    (1031.93, 1.0, HIGH), (1037.30, 1.6, LOW), (1175.70, 1.2, PHOTOSPHERE),
    (1190.42, 1.0, LOW), (1193.29, 1.0, LOW), (1206.50, 1.4, HIGH), (1260.42, 1.9, LOW),
    (1264.74, -0.4, EMISSION),
    (1296.30, 0.7, PHOTOSPHERE), (1302.17, 1.5, LOW), (1304.37, 1.0, LOW),
    (1309.28, -0.4, EMISSION), (1334.53, 2.1, LOW), (1343.40, 0.25, PHOTOSPHERE),
    (1393.76, 1.5, HIGH), (1402.77, 0.9, HIGH), (1417.20, 0.2, PHOTOSPHERE),
    (1427.90, 0.2, PHOTOSPHERE), (1501.80, 0.3, PHOTOSPHERE), (1526.71, 1.6, LOW),
    (1533.43, -0.6, EMISSION), (1548.19, 0.9, HIGH), (1550.77, 0.7, HIGH),
    (1553.50, -0.5, EMISSION), (1608.45, 1.0, LOW), (1640.42, -0.8, EMISSION),
    (1670.79, 1.2, LOW), (1854.72, 0.7, HIGH), (1862.79, 0.5, HIGH), (2344.21, 1.7, LOW),
    (2374.46, 1.2, LOW), (2382.77, 1.8, LOW), (2396.36, -0.4, EMISSION), (2586.65, 1.6, LOW),
    (2600.17, 2.0, LOW), (2626.45, -0.4, EMISSION), (2796.35, 2.2, LOW), (2803.53, 1.9, LOW),
    (2852.96, 0.7, LOW), (5168.74, 0.08, ABUNDANCE), (5174.13, 0.16, ABUNDANCE),
    (5185.05, 0.2, ABUNDANCE), (5891.58, 0.24, SODIUM), (5897.56, 0.2, SODIUM),
    (8185.51, 0.12, ABUNDANCE), (8197.08, 0.16, ABUNDANCE),
])  # fmt: skip


def metal_opacity(
    ln_rest: Float[Array, " n"],
    strength: Float[Array, " lines"],
    lines: Float[ArrayLike, "lines 3"],
    velocity: Float[Array, " lines"],
    width: ScalarLike,
) -> Float[Array, " n"]:
    """Optical depth of metal lines (negative where they emit).

    Args:
        ln_rest: ln of wavelengths (angstrom) in the frame of the galaxy.
        strength: Factors on the typical equivalent widths.
        lines: Rows of `LINES`.
        velocity: Of each line in km/s.
        width: Gaussian dispersion of the lines in km/s.
    """
    sigma = width / C_KMS
    # 1.25: what saturation takes from the width of a line of typical depth
    peak = 1.25 * strength / (sigma * np.sqrt(2 * np.pi))
    centre = jnp.log(jnp.asarray(lines[:, 0])) + velocity / C_KMS
    x = (ln_rest - centre[:, None]) / sigma
    area = peak * lines[:, 1] / lines[:, 0]
    return (area[:, None] * jnp.exp(-0.5 * x**2)).sum(0)


def damped_lyman_alpha(wave: Float[Array, " n"], log_column: ScalarLike) -> Float[Array, " n"]:
    """Optical depth of neutral hydrogen around Lyman alpha, with its damping wings.

    Peebles (1993, Principles of Physical Cosmology, equation 23.96); the thermal core, black
    at any column of interest, is left out.

    Args:
        wave: Rest-frame wavelengths of the absorber in angstrom.
        log_column: log10 of the H I column density in cm-2.
    """
    decay = 6.265e8 / (2.99792458e18 / LYMAN_ALPHA)  # per radian of frequency, in units of nu
    x = LYMAN_ALPHA / wave
    lorentz = decay**2 * x**4 / (4 * jnp.pi**2 * (x - 1) ** 2 + decay**2 * x**6 / 4)
    log_peak = np.log10(3 * (LYMAN_ALPHA * 1e-8) ** 2 / (8 * np.pi))
    return 10 ** (log_column + log_peak) * lorentz


def gas_rich(log_ssfr: ScalarLike) -> Array:
    """0 to 1: whether a galaxy forms enough stars to hold much cold gas in front of them.

    Args:
        log_ssfr: log10 of the specific star-formation rate per year.
    """
    return jax.nn.sigmoid((log_ssfr + 10.5) / 0.3)
