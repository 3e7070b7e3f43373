"""What real spectra have and parameters do not name: drawn afresh for every simulated spectrum.

Each nuisance is a name that can be switched on or off. Off means its neutral value, so the
simulator is then a deterministic function of the parameters. On, it is a function of standard
normal latents (`flowspec.sim.latent`), which can also be fitted to an observation.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, ScalarLike

from flowspec.prior.relations import typical_tilt
from flowspec.sim.curves import CURVES
from flowspec.sim.galaxy.igm import SIGHTLINES
from flowspec.sim.galaxy.interstellar import SCATTER
from flowspec.sim.galaxy.nucleus import NONE, nucleus_of
from flowspec.sim.galaxy.winds import SPEED, winds_of
from flowspec.sim.instrument.blur import ln_width
from flowspec.sim.latent import Layout, uniform

NUISANCES = (
    "burst", "light", "gas", "lines", "nucleus", "dust", "absorption", "winds", "lya", "igm", "lsf",
    "zero", "element", "library", "calibration", "mismatch", "sky", "blemishes",
)  # fmt: skip
# dex: error of mass-to-light ratios that all libraries of stars share. Masses of nearby galaxies
# carry 0.3 dex at 95 % (Conroy, Gunn & White 2009, ApJ 699, 486), of which libraries (`response`),
# histories, dust and metallicity are drawn on their own.
LIGHT = 0.1
_BURST = 0.3  # dex: scatter of H-alpha over the ultraviolet (Weisz et al. 2012, ApJ 744, 44)
TILT = 0.25  # of the power of an attenuation curve, which is about 1


class Draw(eqx.Module):
    """One draw of everything that is not a parameter.

    Attributes:
        burst: dex, star-formation rate of the last 10 Myr over that of the last 100.
        light: dex, light of the stars per mass over that of the models.
        gas: Gas over stellar velocity dispersion, natural log.
        pressure: log10 P/k of the ionised gas.
        lines: dex, departure of each line from the grid [lines].
        nucleus: An active nucleus's log10 H-alpha over that of star formation, log10 U, log10 P/k
            and log10 E_peak in keV (`nucleus_of`) [4].
        slope: Tilt of the attenuation curve.
        nebular: Stellar over nebular E(B-V).
        absorption: dex, departure of each interstellar line from its typical strength [lines].
        outflow: km/s, velocity and dispersion of the absorbing gas [2].
        winds: dex, departure of the wind profiles of N V, Si IV and C IV from typical ones [3].
        wind_speed: km/s, terminal.
        column: log10 of the neutral hydrogen column density.
        lya: log10 escape fraction, velocity (km/s) and dispersion (km/s) of Lyman alpha [3].
        igm: dex, departure of the optical depth of the intergalactic medium.
        lsf: Natural log of the width of the line-spread function over the instrument's.
        zero: Error of the zero point of wavelengths over the instrument's largest.
        curve: Smooth factor on the flux: calibration error and template mismatch [pixels].
    """

    burst: Float[Array, ""]
    light: Float[Array, ""]
    gas: Float[Array, ""]
    pressure: Float[Array, ""]
    lines: Float[Array, " lines"]
    nucleus: Float[Array, " 4"]
    slope: Float[Array, ""]
    nebular: Float[Array, ""]
    absorption: Float[Array, " absorbers"]
    outflow: Float[Array, " 2"]
    winds: Float[Array, " 3"]
    wind_speed: Float[Array, ""]
    column: Float[Array, ""]
    lya: Float[Array, " 3"]
    igm: Float[Array, ""]
    lsf: Float[Array, ""]
    zero: Float[Array, ""]
    curve: Float[Array, " pixels"]


def layout_of(
    active: tuple[str, ...], groups: tuple[int, ...], absorbers: int, curves: dict[str, int],
    templates: dict[str, int],
) -> Layout:  # fmt: skip
    """Numbers of latents of the active nuisances of a galaxy's light.

    Args:
        active: Names among `NUISANCES`; those of the noise have no latents.
        groups: Index of the multiplet of each emission line, scattered as one [lines].
        absorbers: Number of interstellar lines.
        curves: Numbers of those of stars by name.
        templates: Numbers of templates by name, which are always active.
    """
    counts = {
        "burst": 1, "light": 1, "gas": 2, "lines": max(groups) + 1, "nucleus": 4, "dust": 2,
        "absorption": len(SCATTER) + absorbers + 2, "winds": 4, "lya": 4, "igm": 1, "lsf": 1,
        "zero": 1,
    } | curves | CURVES  # fmt: skip
    return Layout.of({name: n for name, n in counts.items() if name in active} | templates)


def nuisances_of(
    latent: Float[Array, " latents"],
    layout: Layout,
    *,
    groups: tuple[int, ...],
    offsets: tuple[float, ...],
    scatter: tuple[float, ...],
    kinds: tuple[int, ...],
    curve: Float[Array, " pixels"],
    av: ScalarLike,
    widest: float = 1.0,
) -> Draw:
    """Nuisances of standard normal latents; those without latents are neutral.

    Widths: attenuation slopes by a quarter of their power about that of their dust
    (`relations.typical_tilt`); nebular reddening as Calzetti+00 in the mean, its range that of
    Kreckel+13 and Price+14; outflows and Lyman alpha Steidel+10, Steidel+18 and Shapley+03; columns
    Reddy+16; calibration 2 to 10 per cent; line-spread functions as the fibres of the SDSS differ.

    Args:
        latent: Standard normal.
        layout: What they are (`layout_of`).
        groups: Index of the multiplet of each emission line, scattered as one [lines].
        offsets: Mean departure of each emission line from the grid, dex [lines].
        scatter: Scatter about it, dex [lines].
        kinds: Kind of each interstellar line, as in `interstellar.LINES` [absorbers].
        curve: `Draw.curve`.
        av: Attenuation at 5500 angstrom in magnitudes, which attenuation curves depend on.
        widest: As of `Instrument`.
    """
    part = layout.parts(latent)
    draw = _neutral(len(groups), len(kinds))
    for name, width in (("burst", _BURST), ("light", LIGHT), ("igm", SIGHTLINES)):
        if name in part:
            draw |= {name: width * part[name][0]}
    if "gas" in part:
        width, pressure = part["gas"]
        draw |= {"gas": 0.25 * width - 0.1, "pressure": uniform(pressure, 5.2, 6.6)}
    if "lines" in part:
        departures = part["lines"][np.array(groups)] * np.array(scatter)
        draw |= {"lines": np.array(offsets) + departures}
    if "nucleus" in part:
        draw |= {"nucleus": nucleus_of(part["nucleus"])}
    if "dust" in part:
        slope, ratio = part["dust"]
        slope = jnp.clip(typical_tilt(av) + TILT * slope, -1.2, 0.5)
        draw |= {"slope": slope, "nebular": uniform(ratio, 0.2, 0.68)}
    if "absorption" in part:
        draw |= _absorbing_gas(part["absorption"], kinds)
    if "winds" in part:
        draw |= dict(zip(("winds", "wind_speed"), winds_of(part["winds"]), strict=True))
    if "lya" in part:
        ends = ((19.0, 22.0), (-3.0, -0.2), (70.0, 770.0), (80.0, 300.0))
        column, *lya = (uniform(u, *e) for u, e in zip(part["lya"], ends, strict=True))
        draw |= {"column": column, "lya": jnp.stack(lya)}
    if "lsf" in part:
        draw |= {"lsf": ln_width(part["lsf"][0], widest)}
    if "zero" in part:
        draw |= {"zero": uniform(part["zero"][0], -1.0, 1.0)}
    return Draw(**draw, curve=curve)


def _neutral(lines: int, absorbers: int) -> dict[str, Array]:
    """The fields of `Draw` where nothing is active."""
    return {
        "burst": jnp.float32(0.0), "light": jnp.float32(0.0), "gas": jnp.float32(0.0),
        "pressure": jnp.float32(5.8),
        "lines": jnp.zeros(lines), "nucleus": jnp.array([NONE, -3.0, 6.6, -1.25]),
        "slope": jnp.float32(0.0), "nebular": jnp.float32(0.44),
        "absorption": jnp.full(absorbers, -9.0), "outflow": jnp.array([0.0, 200.0]),
        "winds": jnp.zeros(3), "wind_speed": jnp.float32(SPEED), "column": jnp.float32(10.0),
        "lya": jnp.array([-9.0, 400.0, 200.0]), "igm": jnp.float32(0.0),
        "lsf": jnp.float32(0.0), "zero": jnp.float32(0.0),
    }  # fmt: skip


def _absorbing_gas(latent, kinds) -> dict[str, Array]:
    """dex of each line's strength, and velocity and width of the gas in km/s."""
    kind, common = np.array(kinds, int), latent[: len(SCATTER)]
    own, (velocity, width) = latent[len(SCATTER) : -2], latent[-2:]
    outflow = jnp.stack([uniform(velocity, -350.0, 50.0), uniform(width, 120.0, 320.0)])
    return {"absorption": (jnp.array(SCATTER) * common)[kind] + 0.1 * own, "outflow": outflow}
