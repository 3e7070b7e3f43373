"""How quasars of the same parameters differ: functions of standard normal latents.

Names, layout and limits as in `flowspec.sim.galaxy.nuisance`. Here latents of zero are the neutral
values: a quasar without nuisances is that of latents of zero, the composite of the SDSS.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from flowspec.sim.curves import CURVES
from flowspec.sim.galaxy import igm
from flowspec.sim.instrument.blur import ln_width
from flowspec.sim.latent import Layout, uniform
from flowspec.sim.quasar import continuum, lines, troughs

NUISANCES = (
    "continuum", "balmer", "iron", "lines", "widths", "shifts", "narrow", "weak", "troughs", "igm",
    "lsf", "calibration", "mismatch", "sky", "blemishes",
)  # fmt: skip
# Scatter of ln of the Balmer continuum and of iron, the latter as wide as R_Fe of the optical
# (Boroson & Green 1992, ApJS 80, 109); both from memory
_BALMER, _IRON = 0.4, 0.5
_WINGS = 0.5  # of the logit of the share of light in the wings
# dex: all narrow lines (the [O III] of quasars spans a decade; Boroson & Green 1992), those of low
# ionisation beside them, and their width
_NARROW = (0.3, 0.2, 0.12)
# Share of weak-line quasars (Diamond-Stanic et al. 2009, ApJ 699, 782: 1.3 % below redshift 4.2;
# from memory), as a normal quantile, and the softness of their onset
WEAK_SHARE, WEAK_THRESHOLD, _WEAK_SOFT = 0.013, 2.2262, 0.05
_FASTER = -1500.0  # km/s: C IV of weak-line quasars is shifted further (Cheng et al. 2025)


class Draw(eqx.Module):
    """One draw of everything that is not a parameter.

    Attributes:
        far: Change of alpha_nu blue of Lyman alpha.
        euv: alpha_nu blue of the Lyman limit.
        red: Change of alpha_nu red of 5000 A.
        balmer: ln of the Balmer continuum over the typical one.
        iron: Likewise of iron in the ultraviolet and the optical [2].
        lines: dex, departure of the equivalent width of each of `lines.FAMILIES` [families].
        widths: dex, likewise of the width in each of `lines.MOTIONS` [motions].
        wings: Share of the light of broad lines in their wings.
        blueshift: Velocity of C IV, km/s.
        shifts: Further velocity of each of `lines.MOTIONS`, km/s [motions].
        narrow: dex: narrow lines, those of low ionisation beside them, their width [3].
        trough: An outflow that absorbs.
        igm: dex, departure of the optical depth of the intergalactic medium.
        lsf: Natural log of the width of the line-spread function over the instrument's.
        curve: Smooth factor on the flux: calibration error and template mismatch [pixels].
    """

    far: Float[Array, ""]
    euv: Float[Array, ""]
    red: Float[Array, ""]
    balmer: Float[Array, ""]
    iron: Float[Array, " 2"]
    lines: Float[Array, " families"]
    widths: Float[Array, " motions"]
    wings: Float[Array, ""]
    blueshift: Float[Array, ""]
    shifts: Float[Array, " motions"]
    narrow: Float[Array, " 3"]
    trough: troughs.Trough
    igm: Float[Array, ""]
    lsf: Float[Array, ""]
    curve: Float[Array, " pixels"]


def layout_of(active: tuple[str, ...], templates: dict[str, int]) -> Layout:
    """Numbers of latents of the active nuisances.

    Args:
        active: Names among `NUISANCES`; those of the noise have no latents.
        templates: Numbers of templates by name, which are always active.
    """
    counts = {
        "continuum": 3, "balmer": 1, "iron": 2, "lines": len(lines.FAMILIES),
        "widths": len(lines.MOTIONS) + 1, "shifts": len(lines.MOTIONS), "narrow": 3, "weak": 1,
        "troughs": 5, "igm": 1, "lsf": 1,
    } | CURVES  # fmt: skip
    return Layout.of({name: n for name, n in counts.items() if name in active} | templates)


def nuisances_of(
    latent: Float[Array, " latents"], layout: Layout, curve: Float[Array, " pixels"],
    widest: float = 1.0,
) -> Draw:  # fmt: skip
    """Nuisances of standard normal latents; those without latents are as with latents of zero.

    Args:
        latent: Standard normal.
        layout: What they are (`layout_of`).
        curve: `Draw.curve`.
        widest: As of `Instrument`.
    """
    part = {name: jnp.zeros(count) for name, count in zip(*layout_of(NUISANCES, {}), strict=True)}
    part |= layout.parts(latent)
    far, euv, red = part["continuum"]
    weak = jax.nn.sigmoid((part["weak"][0] - WEAK_THRESHOLD) / _WEAK_SOFT)
    scatter = np.array([f.scatter for f in lines.FAMILIES.values()])
    fading = np.array([f.fading for f in lines.FAMILIES.values()])
    motions = lines.MOTIONS.values()
    carbon = part["lines"][list(lines.FAMILIES).index("C IV")]
    return Draw(
        far=uniform(far, *continuum.FAR),
        euv=continuum.EUV + continuum.EUV_SCATTER * euv,
        red=uniform(red, *continuum.REDWARD),
        balmer=_BALMER * part["balmer"][0],
        iron=_IRON * part["iron"],
        lines=scatter * part["lines"] + weak * fading,
        widths=np.array([m.scatter for m in motions]) * part["widths"][:-1],
        wings=jax.nn.sigmoid(np.log(lines.WINGS / (1 - lines.WINGS)) + _WINGS * part["widths"][-1]),
        blueshift=_blueshift(carbon, part["shifts"][0]) + _FASTER * weak,
        shifts=np.array([m.shift for m in motions]) * part["shifts"],
        narrow=np.array(_NARROW) * part["narrow"],
        trough=troughs.trough_of(part["troughs"]),
        igm=igm.SIGHTLINES * part["igm"][0],
        lsf=ln_width(part["lsf"][0], widest) if "lsf" in layout.names else jnp.float32(0.0),
        curve=curve,
    )


def _blueshift(strength, own):
    """Velocity of C IV in km/s, the more negative the weaker it is (Richards et al. 2011)."""
    rest = np.sqrt(1 - lines.CORRELATION**2)
    departure = lines.CORRELATION * strength + rest * own
    return lines.BLUESHIFT + lines.BLUESHIFT_SCATTER * departure
