"""Mean absorption by intergalactic hydrogen: Inoue et al. (2014, MNRAS 442, 1805)."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, ScalarLike

LYMAN_LIMIT = 911.8
SIGHTLINES = 0.12  # dex, scatter of the optical depth between sightlines
# Lyman-series wavelengths (angstrom) and coefficients of Inoue+14, table 2, to n = 20: the forest
# (below z = 1.2) and the damped systems (below z = 2), times 1e4. The coefficients at higher
# redshift are these times the same factor for every line, because each piecewise power law is
# continuous where the pieces meet.
_LINES = np.array([
    [1215.67, 169.0, 1.617], [1025.72, 46.92, 1.545], [972.537, 22.39, 1.498],
    [949.743, 13.19, 1.460], [937.803, 8.707, 1.429], [930.748, 6.178, 1.402],
    [926.226, 4.609, 1.377], [923.150, 3.569, 1.355], [920.963, 2.843, 1.335],
    [919.352, 2.318, 1.316], [918.129, 1.923, 1.298], [917.181, 1.622, 1.281],
    [916.429, 1.385, 1.265], [915.824, 1.196, 1.250], [915.329, 1.043, 1.236],
    [914.919, 0.9174, 1.222], [914.576, 0.8128, 1.209], [914.286, 0.7251, 1.197],
    [914.039, 0.6505, 1.185],
]) * [1.0, 1e-4, 1e-4]  # fmt: skip
_FOREST = (1.0, 2.354e-3 / 1.690e-2, 1.026e-4 / 1.690e-2)


def _forest(x, scale):
    """Piecewise power law of the Lyman-alpha forest in x = 1 + z of the absorber, equation 21."""
    laws = [scale * c * x**p for c, p in zip(_FOREST, (1.2, 3.7, 5.5), strict=True)]
    return np.where(x < 2.2, laws[0], np.where(x < 5.7, laws[1], laws[2]))


def _damped(x, scale):
    """Piecewise power law of damped systems in x = 1 + z of the absorber, equation 22."""
    return np.where(x < 3.0, scale * x**2, scale / 3 * x**3)


class Opacity(eqx.Module):
    """Mean optical depth of the intergalactic medium at fixed observed wavelengths.

    Everything that depends on wavelength alone is computed once, so that a redshift costs one
    product of small matrices.

    Args:
        wave: Observed wavelengths in angstrom [n].
        edge: Width in ln(wavelength) over which the edge of each line at the source is drawn,
            which keeps the result differentiable in redshift (one pixel of the lattice).
    """

    ln_wave: Float[Array, " n"]
    lines: Float[Array, "lines n"]
    continuum: Float[Array, "terms n"]
    edge: float = eqx.field(static=True)

    def __init__(self, wave: np.ndarray, edge: float):
        self.ln_wave = jnp.asarray(np.log(wave), jnp.float32)
        self.lines = jnp.asarray(_line_terms(wave), jnp.float32)
        self.continuum = jnp.asarray(_continuum_terms(wave), jnp.float32)
        self.edge = edge

    def __call__(self, z: ScalarLike) -> Float[Array, " n"]:
        """Optical depth [n] towards a source at redshift `z`."""
        forest, damped = _continuum_coefficients(1 + z)
        continuum = jnp.maximum(forest @ self.continuum[:4], 0.0)
        continuum += jnp.maximum(damped @ self.continuum[4:], 0.0)
        tau = continuum * self._within(LYMAN_LIMIT, z)
        for rest, line in zip(_LINES[:, 0], self.lines, strict=True):
            tau += line * self._within(rest, z)
        return tau

    def _within(self, rest, z):
        """1 at wavelengths that a line at `rest` can absorb between us and `z`, 0 elsewhere."""
        end = np.log(rest) + jnp.log1p(z)
        return jnp.clip((end - self.ln_wave) / self.edge + 0.5, 0.0, 1.0)


def _line_terms(wave):
    """Optical depth [lines, n] of each Lyman line, were the source infinitely far."""
    x = wave / _LINES[:, :1]
    tau = _forest(x, _LINES[:, 1:2]) + _damped(x, _LINES[:, 2:3])
    return np.where(x > 1, tau, 0.0)


def _continuum_terms(wave):
    """What multiplies the coefficients of `_continuum_coefficients`: [4 + 4, n]."""
    x = np.maximum(wave / LYMAN_LIMIT, 1.0)
    middle = np.where(x < 2.2, 0.325 * x**1.2 - 0.250 * x**2.1, -2.55e-2 * x**3.7)
    far = np.select(
        [x < 2.2, x < 5.7],
        [0.325 * x**1.2 - 3.14e-2 * x**2.1, 0.218 * x**2.1 - 2.55e-2 * x**3.7],
        -5.22e-4 * x**5.5,
    )
    high = np.where(x < 3, 0.634 - 0.135 * x**2 - 0.291 * x**-0.3, -2.92e-2 * x**3)
    terms = [x**1.2, x**2.1, middle, far, np.ones_like(x), x**-0.3, x**2, high]
    return np.where(wave > LYMAN_LIMIT, terms, 0.0)


def _continuum_coefficients(s):
    """Lyman-continuum optical depth, equations 25 to 29, as factors of `_continuum_terms`.

    Args:
        s: 1 + redshift of the source.

    Returns:
        Factors for the forest [4] and for the damped systems [4].
    """
    near, middle = 1.0 * (s < 2.2), 1.0 * ((s >= 2.2) & (s < 5.7))
    far, low = 1.0 * (s >= 5.7), 1.0 * (s < 3.0)
    broad = -0.325 * near * s**-0.9 + 2.55e-2 * middle * s**1.6 + 5.22e-4 * far * s**3.4
    constant = low * 0.211 * s**2 + (1 - low) * 4.70e-2 * s**3
    falling = -low * 7.66e-2 * s**2.3 - (1 - low) * 1.78e-2 * s**3.3
    return (
        jnp.stack([0.325 * near, broad, middle, far]),
        jnp.stack([constant, falling, -0.135 * low, 1 - low]),
    )
