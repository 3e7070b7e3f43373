"""Dust: Calzetti et al. (2000) on the stars, Cardelli et al. (1989) on the ionised gas.

The coefficients are those of the papers, as the `dust_extinction` package also carries them; the
tests compare the Milky-Way curve with it.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, ScalarLike

RV = 4.05  # A(V) / E(B-V) of the stars
RV_NEBULAR = 3.1  # of the ionised gas
NEBULAR_RATIO = 0.44  # stellar over nebular E(B-V); Calzetti et al. (2000), equation 3
_LN_MAG = -0.4 * float(np.log(10.0))  # ln of the transmission of one magnitude


def calzetti(wave: Float[Array, " n"]) -> Float[Array, " n"]:
    """A(wavelength) / A(V) of Calzetti et al. (2000, ApJ 533, 682), equation 4.

    The polynomial is measured from 1200 angstrom to 2.2 micron and continues smoothly to the
    Lyman limit. Beyond 2.2 micron, where it would become negative, a power law continues it with
    that of Cardelli et al. (1989).

    Args:
        wave: Rest-frame wavelengths in angstrom, 900 to 60,000.
    """
    x = 1e4 / wave
    blue = 2.659 * (-2.156 + x * (1.509 + x * (-0.198 + x * 0.011)))
    red = 2.659 * (-1.857 + 1.040 * jnp.maximum(x, 1 / 2.2))
    curve = (jnp.where(wave < 6300, blue, red) + RV) / RV
    return curve * jnp.minimum(2.2 * x, 1.0) ** 1.61


def transmission(wave: Float[Array, " n"], av: ScalarLike, slope: ScalarLike) -> Float[Array, " n"]:
    """Share of the light that passes: Calzetti tilted by a power law (Noll et al. 2009).

    Args:
        wave: Rest-frame wavelengths in angstrom.
        av: Attenuation at 5500 angstrom in magnitudes.
        slope: Power by which the curve is tilted about 5500 angstrom (0 is Calzetti; about -0.5
            the steepness of the Small Magellanic Cloud).
    """
    tilt = jnp.exp(slope * jnp.log(wave / 5500.0))
    return jnp.exp(_LN_MAG * av * calzetti(wave) * tilt)


def cardelli(wave: np.ndarray, rv: float = RV_NEBULAR) -> np.ndarray:
    """A(wavelength) / A(V) of Cardelli, Clayton & Mathis (1989, ApJ 345, 245), equations 1 to 5.

    Args:
        wave: Rest-frame wavelengths in angstrom, 1000 to 33,000.
        rv: A(V) / E(B-V).
    """
    x = 1e4 / np.asarray(wave, float)
    y, far = x - 1.82, x - 8.0
    bump = np.where(x > 5.9, x - 5.9, 0.0)
    infrared = (0.574 * x**1.61, -0.527 * x**1.61)
    optical = (
        np.polyval([0.32999, -0.7753, 0.01979, 0.72085, -0.02427, -0.50447, 0.17699, 1.0], y),
        np.polyval([-2.09002, 5.3026, -0.62251, -5.38434, 1.07233, 2.28305, 1.41338, 0.0], y),
    )
    ultraviolet = (
        1.752 - 0.316 * x - 0.104 / ((x - 4.67) ** 2 + 0.341)
        - 0.04473 * bump**2 - 0.009779 * bump**3,
        -3.090 + 1.825 * x + 1.206 / ((x - 4.62) ** 2 + 0.263)
        + 0.2130 * bump**2 + 0.1207 * bump**3,
    )  # fmt: skip
    extreme = (
        np.polyval([-0.070, 0.137, -0.628, -1.073], far),
        np.polyval([0.374, -0.420, 4.257, 13.670], far),
    )
    a, b = (
        np.select(
            [x < 1.1, x < 3.3, x < 8.0], [infrared[i], optical[i], ultraviolet[i]], extreme[i]
        )
        for i in (0, 1)
    )
    return a + b / rv


def nebular_excess(
    wave: Float[Array, " n"],
    curve: Float[Array, " n"],
    av: ScalarLike,
    ratio: ScalarLike,
    slope: ScalarLike,
) -> Float[Array, " n"]:
    """Transmission of emission lines divided by that of the stars at the same wavelengths.

    Args:
        wave: Rest-frame wavelengths in angstrom.
        curve: `cardelli` at `wave`.
        av: Attenuation of the stars at 5500 angstrom in magnitudes.
        ratio: Stellar over nebular E(B-V).
        slope: Tilt of the stars' curve, as in `transmission`.
    """
    nebular = av / RV / ratio * RV_NEBULAR * curve
    return jnp.exp(_LN_MAG * nebular) / transmission(wave, av, slope)
