"""How much of a galaxy's light a fibre collects: seeing, size and atmospheric dispersion."""

import numpy as np
from jaxtyping import Float
from scipy.special import i0e

ARCSEC = 206264.806
# An exponential disc of half-light radius 1 as round Gaussians: share of the light and sigma, by
# non-negative least squares (as Hogg & Lang 2013, PASP 125, 719); right to 0.2 % of the light.
DISC = np.array(
    [[0.00059, 0.04611], [0.01475, 0.15877], [0.13928, 0.38653], [0.49866, 0.78908],
     [0.34672, 1.43704]]
)  # fmt: skip


def image_quality(
    wave: Float[np.ndarray, " n"], seeing: float, airmass: float, diameter: float = 8.2
) -> Float[np.ndarray, " n"]:
    """FWHM of a point source in arcsec: seeing with a finite outer scale, and diffraction.

    As ESO's exposure-time calculators (https://www.eso.org/observing/etc/doc/helpfors.html), with
    the outer scale of Paranal, 46 m (Tokovinin 2002, PASP 114, 1156; Martinez et al. 2010).

    Args:
        wave: Wavelengths in angstrom.
        seeing: FWHM at 5000 A and the zenith in arcsec.
        airmass: Of the observation.
        diameter: Of the telescope in metres.
    """
    x = wave / 5000.0
    fried = 0.1 / seeing * x**1.2 * airmass**-0.6
    kolb = 1 / (1 + 300 * diameter / 46) - 1
    outer = np.sqrt(1 + kolb * 2.183 * (fried / 46) ** 0.356)
    atmosphere = seeing * airmass**0.6 * x**-0.2 * outer
    return np.hypot(atmosphere, 0.0212e-3 * wave / diameter)


def dispersion_shift(
    wave: Float[np.ndarray, " n"], airmass: float, centred: float
) -> Float[np.ndarray, " n"]:
    """Offset in arcsec by differential refraction from where the fibre is centred.

    Filippenko (1982, PASP 94, 715, equations 1 and 2) at Paranal, 743 mbar and 11.5 C; the little
    water vapour there is left out.

    Args:
        wave: Wavelengths in angstrom.
        airmass: Of the observation.
        centred: Wavelength in angstrom at which the fibre is centred.
    """
    pressure, temperature = 743 * 0.750062, 11.5

    def refraction(micron):
        sea = 64.328 + 29498.1 / (146 - micron**-2) + 255.4 / (41 - micron**-2)
        thin = 1 + (1.049 - 0.0157 * temperature) * 1e-6 * pressure
        return 1e-6 * sea * pressure * thin / (720.883 * (1 + 0.003661 * temperature))

    tangent = np.sqrt(airmass**2 - 1)
    return ARCSEC * tangent * (refraction(wave / 1e4) - refraction(centred / 1e4))


def gaussian_in_aperture(
    sigma: Float[np.ndarray, "*n"], offset: Float[np.ndarray, "*n"], radius: float
) -> Float[np.ndarray, "*n"]:
    """Share of a round Gaussian inside a circle of `radius` whose centre is `offset` away.

    One minus Marcum's Q function of order 1, by Gauss-Legendre quadrature over radius; for no
    offset it is ``1 - exp(-radius**2 / (2 sigma**2))``.
    """
    nodes, weights = np.polynomial.legendre.leggauss(48)
    r = 0.5 * radius * (nodes + 1)
    s, d = np.asarray(sigma)[..., None], np.asarray(offset)[..., None]
    density = r / s**2 * np.exp(-0.5 * ((r - d) / s) ** 2) * i0e(r * d / s**2)
    return (density * weights).sum(-1) * 0.5 * radius


def fibre_fraction(
    wave: Float[np.ndarray, " n"],
    size: float,
    *,
    seeing: float = 0.8,
    airmass: float = 1.2,
    diameter: float = 1.1,
    centred: float = 12000.0,
) -> Float[np.ndarray, " n"]:
    """Share of the light of a round exponential disc, or a point, that enters a fibre.

    Args:
        wave: Wavelengths in angstrom.
        size: Half-light radius of the galaxy in arcsec, 0 for a point.
        seeing: FWHM at 5000 A and the zenith in arcsec.
        airmass: Of the observation.
        diameter: Of the fibre on the sky in arcsec (MOONS: 1.1).
        centred: Wavelength in angstrom at which the fibre is centred.
    """
    share, sigma = (DISC if size > 0 else np.array([[1.0, 0.0]])).T
    seeing_sigma = image_quality(wave, seeing, airmass) / 2.3548
    total = np.hypot(seeing_sigma[:, None], size * sigma)
    offset = np.abs(dispersion_shift(wave, airmass, centred))[:, None] + 0 * total
    return gaussian_in_aperture(total, offset, diameter / 2) @ share
