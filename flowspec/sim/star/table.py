"""Spectra of single stars: a table over temperature, gravity and metallicity, and what is between.

A spectrum is a black body of the effective temperature times a smooth level times a sum of
components; the level's logarithm and the amplitudes are linear between the nodes of the table.
"""

from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, ScalarLike

TABLES = Path(__file__).parents[1] / "tables"
REFERENCE = 6250.0  # angstrom, where black bodies are 1
_HC_K = 1.438776877e8  # second radiation constant, angstrom kelvin (CODATA 2018)
# km/s: dispersion that the table has from 5000 angstrom on, and by how much in angstrom blue of it
RESOLUTION, BLUE = 64.0, 5000.0


class StarTable(NamedTuple):
    """Spectra over black bodies on a grid (``tables/README.md``).

    Attributes:
        wave: Vacuum wavelengths in angstrom [n].
        component: Components of the spectra over black body and level [components, n].
        knot: Vacuum wavelengths of the level's points in angstrom [knots].
        log_teff: Nodes, log10 K.
        log_g: Nodes, log10 cm/s2.
        feh: Nodes, [M/H].
        level: Natural log of the level [temperatures, gravities, metallicities, knots].
        amplitude: Of each component [temperatures, gravities, metallicities, components].
    """

    wave: np.ndarray
    component: np.ndarray
    knot: np.ndarray
    log_teff: np.ndarray
    log_g: np.ndarray
    feh: np.ndarray
    level: np.ndarray
    amplitude: np.ndarray


def load_single_stars(path: Path = TABLES / "single_stars.npz") -> StarTable:
    """Read the table of single stars (its origin is in ``tables/README.md``).

    Components are put on twice as fine a grid by cubic splines, for their lines are hardly wider
    than its steps. Beyond the ends they go on as they are there, which leaves the black body.
    """
    from scipy.interpolate import CubicSpline  # slow to load, and only simulators ask

    with np.load(path, allow_pickle=False) as f:
        given = {name: f[name].astype(float) for name in f.files}
    amplitude = given.pop("amplitude") * given.pop("unit")
    number = np.arange(len(given["wave"]))
    fine = CubicSpline(number, given["wave"])(np.arange(2 * number[-1] + 1) / 2)
    component = CubicSpline(given["wave"], given["component"], axis=-1)(fine)
    beyond = np.array([1.01, 2, 4])
    wave = np.concatenate([fine[0] / beyond[::-1], fine, fine[-1] * beyond])
    component = np.pad(component, ((0, 0), (3, 3)), mode="edge")
    return StarTable(**given | {"wave": wave, "component": component, "amplitude": amplitude})


def dispersion(wave: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Dispersion in km/s that the table has at wavelengths in angstrom.

    Spectra of observed stars, 2.51 angstrom (FWHM) below 5000; above, smoothed to `RESOLUTION`.
    """
    return RESOLUTION * np.maximum(BLUE / wave, 1.0)


def black_body(wave: Float[Array, " n"], log_teff: ScalarLike) -> Float[Array, " n"]:
    """Planck's law per angstrom over its value at 6250 angstrom.

    Args:
        wave: Wavelengths in angstrom.
        log_teff: log10 of the temperature in K.
    """
    x = _HC_K / 10**log_teff
    return (REFERENCE / wave) ** 5 * jnp.expm1(x / REFERENCE) / jnp.expm1(x / wave)


class Between(NamedTuple):
    """Linear interpolation in a table over three axes, held at its ends.

    Attributes:
        axes: Increasing nodes of each axis.
        values: [nodes, nodes, nodes, columns].
    """

    axes: tuple[Float[Array, " nodes"], ...]
    values: Float[Array, "nodes1 nodes2 nodes3 columns"]

    def at(self, *point: ScalarLike) -> Float[Array, " columns"]:
        """Values at a point of one number an axis."""
        values = self.values
        for nodes, x in zip(self.axes, point, strict=True):
            place = jnp.interp(x, nodes, jnp.arange(len(nodes), dtype=nodes.dtype))
            i = jnp.clip(place.astype(int), 0, len(nodes) - 2)
            share = place - i
            values = (1 - share) * values[i] + share * values[i + 1]
        return values


def between(table: StarTable) -> Between:
    """Levels and amplitudes of a table, side by side, at any temperature, gravity, metallicity."""
    values = np.concatenate([table.level, table.amplitude], -1)
    axes = table.log_teff, table.log_g, table.feh
    return Between(tuple(jnp.asarray(a, jnp.float32) for a in axes),
                   jnp.asarray(values, jnp.float32))  # fmt: skip
