"""Gas in and around the galaxy that absorbs its light: metal lines and damped Lyman alpha."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, ScalarLike

from flowspec.sim.lattice import C_KMS

LYMAN_ALPHA = 1215.67
# Vacuum wavelength (angstrom), rest equivalent width (angstrom) of a typical star-forming galaxy,
# and kind (0 low ions, 1 high ions, 2 sodium). Far UV: the z = 3 composite of Shapley et al.
# (2003, ApJ 588, 65) and Steidel et al. (2018, ApJ 869, 123); near UV: Martin et al. (2012,
# ApJ 760, 127); Na D: Chen et al. (2010, AJ 140, 445).
LINES = np.array([
    (977.02, 2.0, 1), (1031.93, 1.0, 1), (1037.30, 1.6, 0), (1190.42, 1.0, 0),
    (1193.29, 1.0, 0), (1206.50, 1.6, 1), (1260.42, 1.6, 0), (1302.17, 1.3, 0),
    (1304.37, 1.0, 0), (1334.53, 1.8, 0), (1393.76, 1.5, 1), (1402.77, 0.9, 1),
    (1526.71, 1.6, 0), (1548.19, 1.7, 1), (1550.77, 1.2, 1), (1608.45, 1.0, 0),
    (1670.79, 1.2, 0), (1854.72, 0.7, 1), (1862.79, 0.5, 1), (2344.21, 1.7, 0),
    (2374.46, 1.2, 0), (2382.77, 1.8, 0), (2586.65, 1.6, 0), (2600.17, 2.0, 0),
    (2796.35, 2.2, 0), (2803.53, 1.9, 0), (2852.96, 0.7, 0), (5891.58, 0.7, 2), (5897.56, 0.5, 2),
])  # fmt: skip


def metal_opacity(
    ln_rest: Float[Array, " n"],
    strength: Float[Array, " lines"],
    lines: Float[ArrayLike, "lines 3"],
    width: ScalarLike,
) -> Float[Array, " n"]:
    """Optical depth of metal lines.

    Args:
        ln_rest: ln of wavelengths (angstrom) in the frame of the gas.
        strength: Factors on the typical equivalent widths.
        lines: Rows of `LINES`.
        width: Gaussian dispersion of the gas in km/s.
    """
    sigma = width / C_KMS
    # 1.25: what saturation takes from the width of a line of typical depth
    peak = 1.25 * strength / (sigma * np.sqrt(2 * np.pi))
    tau = jnp.zeros_like(ln_rest)
    for i in range(len(lines)):
        x = (ln_rest - jnp.log(lines[i, 0])) / sigma
        tau += peak[i] * lines[i, 1] / lines[i, 0] * jnp.exp(-0.5 * x**2)
    return tau


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
