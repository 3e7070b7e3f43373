"""The blends of quasars that no list of lines resolves, above all of singly ionised iron.

Not a template: the features that table 2 of Vanden Berk et al. (2001, AJ 122, 549) names as iron,
each a Gaussian of its width and of the equivalent width that measures as it does there (as of
`lines`), over broad humps. The humps are what the local continua of that table (its flux over its
equivalent width) have above a power law of alpha_nu = -0.44 from 1398 A and above the Balmer
continuum of `continuum`, by non-negative least squares at 27 of its features.

Multiplets inside a feature are not resolved, and move with the widths of lines only roughly.
"""

import numpy as np
from jaxtyping import ArrayLike, Float

# Centre, equivalent width and standard deviation in angstrom
FEATURES = np.array([
    [1788.73, 0.28, 6.06], [2076.62, 3.00, 16.99], [2175.62, 0.25, 5.85], [2222.29, 0.33, 6.98],
    [2324.58, 4.47, 22.23], [2423.46, 0.77, 8.42], [2467.98, 0.16, 4.54], [2626.92, 0.81, 9.93],
    [2964.28, 7.30, 22.92], [3127.70, 0.86, 9.38], [3191.78, 1.17, 12.77], [3281.74, 0.10, 4.39],
    [3498.92, 1.38, 16.79], [3785.47, 0.22, 4.24], [3817.41, 0.51, 7.33], [4187.55, 0.76, 9.77],
    [4239.85, 0.53, 5.73], [4564.71, 28.90, 61.69], [5305.97, 21.90, 74.83],
    [5545.16, 2.12, 21.09],
])  # fmt: skip
# Centre in angstrom, standard deviation in ln(wavelength), height over the power law
HUMPS = np.array([
    [1645.0, 0.022, 0.138], [1790.0, 0.05, 0.124], [2080.0, 0.05, 0.054], [2440.0, 0.05, 0.142],
    [2750.0, 0.06, 0.120], [3180.0, 0.06, 0.116], [3480.0, 0.04, 0.038], [3830.0, 0.03, 0.045],
    [4500.0, 0.045, 0.117], [5100.0, 0.05, 0.211],
])  # fmt: skip
SPLIT = 3700.0  # angstrom: ultraviolet and optical iron vary on their own
_TYPICAL = 1900.0 / 299792.458  # standard deviation of broad lines in the composite


def blends() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Features and humps as Gaussians in ln(wavelength).

    Returns:
        Wavelengths in angstrom, standard deviations in ln(wavelength) before broadening by the
        motion of the gas, equivalent widths over the power law in angstrom, and whether each is
        optical [blends].
    """
    wave, width, sigma = FEATURES.T
    own = np.sqrt(np.maximum((sigma / wave) ** 2 - _TYPICAL**2, 0.0))
    broad, hump, height = HUMPS.T
    area = height * hump * np.sqrt(2 * np.pi) * broad
    over = underlying(wave)
    waves = np.concatenate([wave, broad])
    return (waves, np.concatenate([own, hump]), np.concatenate([width * over, area]),
            waves > SPLIT)  # fmt: skip


def underlying(wave: Float[ArrayLike, "*n"]) -> Float[np.ndarray, "*n"]:
    """Humps and power law over the power law alone, at rest-frame wavelengths in angstrom."""
    x = np.log(np.asarray(wave, float)[..., None] / HUMPS[:, 0]) / HUMPS[:, 1]
    return 1 + (HUMPS[:, 2] * np.exp(-0.5 * x**2)).sum(-1)
