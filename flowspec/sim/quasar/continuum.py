"""The continuum of quasars: a broken power law, and hydrogen's Balmer continuum."""

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Array, Float, ScalarLike

PIVOT = 3000.0  # angstrom, where the power law is 1
LYMAN_ALPHA, LYMAN_LIMIT, RED = 1215.67, 911.75, 5000.0  # angstrom, where it breaks
EUV, EUV_SCATTER = -1.70, 0.61  # alpha_nu below 912 A; Lusso et al. (2015, MNRAS 449, 4204)
# Change of alpha_nu at Lyman alpha: from none (Lusso et al. 2015, where the forest is corrected
# for sightline by sightline) to that of Telfer et al. (2002, ApJ 565, 773; from memory).
FAR = (-1.07, 0.0)
# Change of alpha_nu at 5000 A: from that of the SDSS (Vanden Berk et al. 2001: -0.44 to -2.45, of
# which host galaxies are a part) to none (Glikman et al. 2006, ApJ 640, 579; from memory).
REDWARD = (-2.01, 0.0)
EDGE = 3646.0  # angstrom, of the Balmer continuum
_LIMIT = 3647.05  # angstrom in vacuum, of the series: 4 over Rydberg's constant
TEMPERATURE = 15_000.0  # K
BALMER = 0.10  # of the power law at 3000 A; of the order that decompositions find, from memory
_C2 = 1.438777e8  # h c / k in angstrom K
# Upper levels of the series from H8 to where its lines cannot be told from the continuum
_LEVELS = np.arange(8, 41)


def power_law(
    ln_wave: Float[Array, "*n"],
    slope: ScalarLike,
    far: ScalarLike,
    euv: ScalarLike,
    red: ScalarLike,
) -> Float[Array, "*n"]:
    """Flux per angstrom of the power law, 1 at 3000 A (Vanden Berk et al. 2001).

    Args:
        ln_wave: ln of rest-frame wavelengths in angstrom.
        slope: Power of the frequency, alpha_nu, from Lyman alpha to 5000 A.
        far: Its change blue of Lyman alpha.
        euv: alpha_nu blue of the Lyman limit.
        red: Its change red of 5000 A.
    """
    x, far_x, euv_x, red_x = (ln_wave - np.log(w) for w in (PIVOT, LYMAN_ALPHA, LYMAN_LIMIT, RED))
    ln_nu = -(slope * x + far * jnp.minimum(far_x, 0.0) + red * jnp.maximum(red_x, 0.0))
    ln_nu -= (euv - slope - far) * jnp.minimum(euv_x, 0.0)
    return jnp.exp(ln_nu - 2 * x)


def balmer_continuum(ln_wave: Float[Array, " n"], blur: ScalarLike) -> Float[Array, " n"]:
    """Flux per angstrom of the Balmer continuum, 1 at 3000 A and none red of 3646 A.

    Gas of 15,000 K of an optical depth of one at the edge: Grandi (1982, ApJ 255, 25), equation 7.

    Args:
        ln_wave: ln of rest-frame wavelengths in angstrom.
        blur: Standard deviation in ln(wavelength) of the motion of the gas, which blurs the edge.
    """
    shape = _grandi(jnp.exp(ln_wave), jnp) / _grandi(np.float64(PIVOT), np)
    return shape * ndtr((np.log(EDGE) - ln_wave) / blur)


def _grandi(wave, numpy):
    x = wave / PIVOT
    planck = x**-5.0 / numpy.expm1(_C2 / (wave * TEMPERATURE))
    return -planck * numpy.expm1(-((wave / EDGE) ** 3.0))


def balmer_series() -> tuple[Float[np.ndarray, " lines"], Float[np.ndarray, " lines"]]:
    """High lines of the Balmer series, from H8, in units of `balmer_continuum`.

    Near the edge they fill the gaps between them to the level of the continuum, which they join
    (Wills, Netzer & Wills 1985, ApJ 288, 94); from there a share that falls linearly to a fifth at
    H8, which has the equivalent width that case B gives it beside H-delta.

    Returns:
        Wavelengths in angstrom, and fluxes [lines].
    """
    limit = lambda n: _LIMIT * n**2 / (n**2 - 4.0)  # noqa: E731
    gap = limit(_LEVELS - 0.5) - limit(_LEVELS + 0.5)
    gap[-1] += limit(_LEVELS[-1] + 0.5) - _LIMIT  # of all that follow
    level = _grandi(np.float64(EDGE), np) / _grandi(np.float64(PIVOT), np)
    return limit(_LEVELS), level * gap * np.clip((_LEVELS - 6) / 10, 0.0, 1.0)
