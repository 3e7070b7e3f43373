"""What real spectra have and parameters do not name: drawn afresh for every simulated spectrum.

Each nuisance is a name that can be switched on or off. Off means its neutral value, so the
simulator is then a deterministic function of the parameters.
"""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from flowspec.sim.galaxy.interstellar import SCATTER

NUISANCES = (
    "burst", "gas", "lines", "dust", "absorption", "lya", "igm", "calibration", "mismatch", "sky",
    "blemishes",
)  # fmt: skip


class Draw(eqx.Module):
    """One draw of everything that is not a parameter.

    Attributes:
        burst: dex, star-formation rate of the last 10 Myr over that of the last 100.
        gas: Gas over stellar velocity dispersion, natural log.
        pressure: log10 P/k of the ionised gas.
        lines: dex, departure of each line from the grid [lines].
        slope: Tilt of the attenuation curve.
        nebular: Stellar over nebular E(B-V).
        absorption: dex, departure of each interstellar line from its typical strength [lines].
        outflow: km/s, velocity and dispersion of the absorbing gas [2].
        column: log10 of the neutral hydrogen column density.
        lya: log10 escape fraction, velocity (km/s) and dispersion (km/s) of Lyman alpha [3].
        igm: dex, departure of the optical depth of the intergalactic medium.
        curve: Smooth factor on the flux: calibration error and template mismatch [pixels].
    """

    burst: Float[Array, ""]
    gas: Float[Array, ""]
    pressure: Float[Array, ""]
    lines: Float[Array, " lines"]
    slope: Float[Array, ""]
    nebular: Float[Array, ""]
    absorption: Float[Array, " absorbers"]
    outflow: Float[Array, " 2"]
    column: Float[Array, ""]
    lya: Float[Array, " 3"]
    igm: Float[Array, ""]
    curve: Float[Array, " pixels"]


def _clipped(key, scale, shape=()):
    return scale * jr.truncated_normal(key, -3.0, 3.0, shape)


def _uniform(key, low, high):
    return jr.uniform(key, minval=low, maxval=high)


def smooth_basis(wave: np.ndarray, knots: int) -> np.ndarray:
    """Rows of cubic B-splines, evenly spaced in ln(wavelength) [knots, pixels]."""
    x = np.log(wave / wave[0]) / np.log(wave[-1] / wave[0]) * (knots - 3)
    t = np.abs(x - np.arange(-1, knots - 1)[:, None])
    inner, outer = 2 / 3 - t**2 + t**3 / 2, np.maximum(2 - t, 0) ** 3 / 6
    return np.where(t < 1, inner, outer).astype(np.float32)


def polynomial_basis(wave: np.ndarray, degree: int = 4) -> np.ndarray:
    """Rows of Legendre polynomials of degree 0 to `degree` in ln(wavelength)."""
    x = 2 * np.log(wave / wave[0]) / np.log(wave[-1] / wave[0]) - 1
    return np.polynomial.legendre.legvander(x, degree).T.astype(np.float32)


def draw_nuisances(
    key: PRNGKeyArray,
    active: tuple[str, ...],
    *,
    groups: tuple[int, ...],
    offsets: tuple[float, ...],
    scatter: tuple[float, ...],
    kinds: tuple[int, ...],
    calibration: Float[Array, "5 pixels"],
    mismatch: Float[Array, "knots pixels"],
) -> Draw:
    """Draw the active nuisances; the others are neutral.

    Widths: bursts and line ratios as the scatter of Halpha over UV and about the star-forming
    sequence (Weisz+12, Kewley+19); attenuation slopes Salim+18 and nebular reddening Price+14;
    outflows and Lyman alpha Steidel+10, Steidel+18 and Shapley+03; columns Reddy+16; calibration
    a few per cent to ten per cent.

    Args:
        key: Random key.
        active: Names among `NUISANCES`.
        groups: Index of the multiplet of each emission line, scattered as one [lines].
        offsets: Mean departure of each emission line from the grid, dex [lines].
        scatter: Scatter about it, dex [lines].
        kinds: Kind of each interstellar line, as in `interstellar.LINES` [absorbers].
        calibration: `polynomial_basis` of the pixels.
        mismatch: `smooth_basis` of the pixels.
    """
    keys = dict(zip(NUISANCES, jr.split(key, len(NUISANCES)), strict=True))
    on = {name: 1.0 * (name in active) for name in NUISANCES}
    gas, dust = jr.split(keys["gas"]), jr.split(keys["dust"])
    departures = _clipped(keys["lines"], 1.0, (max(groups) + 1,))[np.array(groups)]
    absorption, outflow = _absorbing_gas(keys["absorption"], on["absorption"], kinds)
    column, lya = _neutral_hydrogen(keys["lya"], on["lya"])
    return Draw(
        burst=on["burst"] * _clipped(keys["burst"], 0.2),
        gas=on["gas"] * (_clipped(gas[0], 0.25) - 0.1),
        pressure=5.8 + on["gas"] * _uniform(gas[1], -0.6, 0.8),
        lines=on["lines"] * (np.array(offsets) + departures * np.array(scatter)),
        slope=on["dust"] * (_clipped(dust[0], 0.2) - 0.1),
        nebular=0.44 + on["dust"] * _uniform(dust[1], -0.09, 0.46),
        absorption=absorption,
        outflow=outflow,
        column=column,
        lya=lya,
        igm=on["igm"] * _clipped(keys["igm"], 0.12),
        curve=draw_curve(keys["calibration"], keys["mismatch"], active, calibration, mismatch),
    )


def draw_curve(
    overall: PRNGKeyArray,
    local: PRNGKeyArray,
    active: tuple[str, ...],
    calibration: Float[Array, "5 pixels"],
    mismatch: Float[Array, "knots pixels"],
) -> Float[Array, " pixels"]:
    """`Draw.curve`: a smooth factor on the flux, 1 where neither of its two parts is active.

    Args:
        overall: Key of the calibration error.
        local: Key of the mismatch.
        active: Names among `NUISANCES`.
        calibration: `polynomial_basis` of the pixels.
        mismatch: `smooth_basis` of the pixels.
    """
    on = {name: 1.0 * (name in active) for name in ("calibration", "mismatch")}
    return jnp.exp(
        on["calibration"] * _calibration(overall, calibration)
        + on["mismatch"] * _clipped(local, 0.015, (len(mismatch),)) @ mismatch
    )


def _absorbing_gas(key, on, kinds):
    """dex of each line's strength, and velocity and width of the gas in km/s."""
    keys = jr.split(key, 3)
    kind = np.array(kinds, int)
    strength = _clipped(keys[0], 1.0, (len(SCATTER) + len(kinds),))
    departure = jnp.array(SCATTER)[kind] * strength[kind] + 0.1 * strength[len(SCATTER) :]
    velocity, width = _uniform(keys[1], -350.0, 50.0), _uniform(keys[2], 120.0, 320.0)
    outflow = jnp.stack([on * velocity, 200.0 + on * (width - 200.0)])
    return jnp.log10(on + 1e-9) + on * departure, outflow


def _neutral_hydrogen(key, on):
    """log10 column density, and escape fraction, velocity and width of Lyman alpha."""
    keys = jr.split(key, 4)
    ends = ((19.0, 22.0), (-3.0, -0.2), (70.0, 770.0), (80.0, 300.0))
    column, escape, velocity, width = (_uniform(k, *e) for k, e in zip(keys, ends, strict=True))
    off = jnp.array([-9.0, 400.0, 200.0])
    lya = off + on * (jnp.stack([escape, velocity, width]) - off)
    return 10.0 + on * (column - 10.0), lya


def _calibration(key, basis):
    """ln of the factor on the flux: overall, slope, and three further degrees."""
    sizes = jnp.array([0.05, 0.08, 0.05, 0.03, 0.02])
    return (_clipped(key, 1.0, (len(basis),)) * sizes) @ basis
