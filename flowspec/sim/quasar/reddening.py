"""Dust at the quasar: the extinction curve of the Small Magellanic Cloud's bar."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, ScalarLike

RV = 2.74  # A(V) / E(B-V)
# Gordon et al. (2003, ApJ 594, 279), table 3 and, as smoothed by Gordon et al. (2016, ApJ 826,
# 104), table 4: the far ultraviolet in the form of Fitzpatrick & Massa (1990), then A / A(V) by
# wavelength in micron
_FM = (-4.959, 2.264, 0.389, 0.461, 4.6, 1.0)
_WAVE = np.array([2.198, 1.65, 1.25, 0.81, 0.65, 0.55, 0.44, 0.37])
_RATIO = np.array([0.11, 0.169, 0.25, 0.567, 0.801, 1.00, 1.374, 1.672])
_JOINED = (0.27, 0.26)  # micron, where the two are joined
_LN = np.linspace(np.log(500.0), np.log(22_000.0), 2000)


def smc(wave: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """A(wavelength) / E(B-V) of the bar of the Small Magellanic Cloud.

    Measured from 1170 angstrom; the form is continued to the Lyman limit, and constant beyond.

    Args:
        wave: Rest-frame wavelengths in angstrom.
    """
    from scipy.interpolate import CubicSpline  # slow to load, and only simulators ask

    x = 1e4 / np.maximum(np.asarray(wave, float), 911.75)
    joined = 1 / np.array(_JOINED)
    nodes = np.concatenate([[0.0], 1 / _WAVE, joined])
    values = np.concatenate([[0.0], RV * _RATIO, _ultraviolet(joined)])
    return np.where(x < joined[0], CubicSpline(nodes, values)(x), _ultraviolet(x))


def _ultraviolet(x):
    """Fitzpatrick & Massa (1990), in units of E(B-V), at inverse wavelengths in 1/micron."""
    c1, c2, c3, c4, centre, gamma = _FM
    bump = x**2 / ((x**2 - centre**2) ** 2 + (gamma * x) ** 2)
    far = np.maximum(x - 5.9, 0.0)
    return RV + c1 + c2 * x + c3 * bump + c4 * (0.5392 * far**2 + 0.05644 * far**3)


def table() -> Float[np.ndarray, " nodes"]:
    """`smc` at the nodes of `transmission`."""
    return smc(np.exp(_LN))


def transmission(
    ln_wave: Float[Array, "*n"], curve: Float[Array, " nodes"], ebv: ScalarLike
) -> Float[Array, "*n"]:
    """Share of the light that passes.

    Args:
        ln_wave: ln of rest-frame wavelengths in angstrom.
        curve: `table`.
        ebv: E(B-V), magnitudes.
    """
    return jnp.exp(-0.4 * np.log(10.0) * ebv * jnp.interp(ln_wave, _LN.astype(np.float32), curve))
