"""What real spectra have and parameters do not name: drawn afresh for every simulated spectrum.

Each nuisance is a name that can be switched on or off. Off means its neutral value, so the
simulator is then a deterministic function of the parameters.
"""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

NUISANCES = (
    "burst", "gas", "lines", "dust", "absorption", "lya", "igm", "calibration", "mismatch", "sky",
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
    kinds: tuple[int, ...],
    calibration: Float[Array, "terms pixels"],
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
        kinds: Kind of each interstellar line: 0 low ions, 1 high ions, 2 sodium [absorbers].
        calibration: `polynomial_basis` of the pixels.
        mismatch: `smooth_basis` of the pixels.
    """
    keys = dict(zip(NUISANCES, jr.split(key, len(NUISANCES)), strict=True))
    on = {name: 1.0 * (name in active) for name in NUISANCES}
    gas = jr.split(keys["gas"], 2)
    dust, lya, kin = (jr.split(keys[k], n) for k, n in (("dust", 2), ("lya", 4), ("absorption", 2)))
    scatter = _clipped(keys["lines"], 0.1, (max(groups) + 1,))[np.array(groups)]
    kind = np.array(kinds, int)
    strength = jr.truncated_normal(kin[0], -3.0, 3.0, (3 + len(kinds),))
    absorption = jnp.array([0.2, 0.25, 0.45])[kind] * strength[:3][kind] + 0.1 * strength[3:]
    sizes = jnp.array([0.05, 0.08, 0.05, 0.03, 0.02])[: len(calibration)]
    polynomial = _clipped(keys["calibration"], 1.0, (len(calibration),)) * sizes
    wiggles = _clipped(keys["mismatch"], 0.015, (len(mismatch),))
    escape = jr.uniform(lya[0], minval=-3.0, maxval=-0.2)
    return Draw(
        burst=on["burst"] * _clipped(keys["burst"], 0.2),
        gas=on["gas"] * (_clipped(gas[0], 0.25) - 0.1),
        pressure=5.8 + on["gas"] * jr.uniform(gas[1], minval=-0.6, maxval=0.8),
        lines=on["lines"] * scatter,
        slope=on["dust"] * (_clipped(dust[0], 0.2) - 0.1),
        nebular=0.44 + on["dust"] * jr.uniform(dust[1], minval=-0.09, maxval=0.46),
        absorption=jnp.log10(on["absorption"] + 1e-9) + absorption * on["absorption"],
        outflow=jnp.array([0.0, 200.0])
        + on["absorption"] * jnp.array([-150.0, 20.0])
        + on["absorption"] * jnp.array([200.0, 100.0]) * jr.uniform(kin[1], (2,), minval=-1.0),
        column=jnp.where(on["lya"] > 0, jr.uniform(lya[1], minval=19.0, maxval=21.8), 10.0),
        lya=jnp.stack(
            [
                jnp.where(on["lya"] > 0, escape, -9.0),
                275.0 + on["lya"] * jr.uniform(lya[2], minval=-275.0, maxval=275.0),
                190.0 + on["lya"] * jr.uniform(lya[3], minval=-110.0, maxval=110.0),
            ]
        ),  # fmt: skip
        igm=on["igm"] * _clipped(keys["igm"], 0.12),
        curve=jnp.exp(
            on["calibration"] * polynomial @ calibration + on["mismatch"] * wiggles @ mismatch
        ),
    )
