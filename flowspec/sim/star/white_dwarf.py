"""White dwarfs: a black body, and lines of hydrogen or helium that pressure makes broad.

Lines are Lorentzians, multiplied where they overlap, in place of model atmospheres, which are not
free to copy; Stark wings fall like the power of 2.5, sharp cores make up for it. Equivalent widths
are what the author of this file recalls of published models of gravity 1e8 cm/s2 (Bergeron,
Wesemael & Beauchamp 1995; Tremblay & Bergeron 2009; of helium Bergeron et al. 2011), to a quarter;
none was looked up. Latents let them be off by that much, so that little rests on them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, ScalarLike

from flowspec.sim.instrument.lattice import C_KMS
from flowspec.sim.latent import uniform
from flowspec.sim.star.table import REFERENCE

# Stars that are white dwarfs: no star of the main sequence is as hot with a gravity that high
# (Pecaut & Mamajek 2013: 4.7 at 4,000 K, and less if hotter).
GRAVITY, COOLEST = 4.75, 3.6
LATENTS = 6  # atmosphere, strength, depth, decrement, jump, metals
# Of helium instead of hydrogen: a fifth to a quarter (Kepler et al. 2019; from memory). Without
# lines (DC) where it is cooler than 11,000 K, or hydrogen cooler than 5,000 K.
HELIUM = 0.22
POLLUTED = 0.25  # of those of helium: calcium in sight where they are cool (DZ; memory)
SCATTER, RAISED, STEEPER = 0.2, 0.3, 0.15  # of ln of strength and depth, of the jump, per line
DEEPEST, SATURATED = 0.65, 20.0  # depth of strong lines; equivalent width of a line 0.63 as deep
# Set by colours of hydrogen, u - g and g - r (Holberg & Bergeron 2006; from memory): ln of Balmer's
# jump at most, where (angstrom), how soft
JUMP, EDGE, SOFT = 0.65, 3720.0, 40.0
TILT = 0.28  # likewise, steeper than a black body: hydrogen is more opaque in the red

_RYDBERG = 109677.58  # per cm, of hydrogen
BALMER = 1e8 / _RYDBERG / (1 / 4 - 1 / np.arange(3, 11) ** 2.0)  # H-alpha to H10, vacuum, angstrom
HELIUM_LINES = np.array([3889.75, 4027.33, 4472.76, 4714.49, 4923.30, 5017.08, 5877.25, 6679.99,
                         7067.14])  # fmt: skip
CALCIUM = np.array([3934.78, 3969.59, 4227.92])  # K, H, neutral

TEFF = np.array([4e3, 5e3, 6e3, 7e3, 8e3, 9e3, 1e4, 11e3, 12e3, 13e3, 14e3, 16e3, 2e4, 25e3, 3e4])
# Equivalent widths in angstrom at these temperatures
ALPHA = np.array([0, 1, 8, 16, 23, 29, 35, 40, 43, 44, 43, 39, 31, 24, 20.0])
BETA = np.array([0, 0.1, 3.5, 10, 19, 28, 37, 45, 50, 52, 51, 46, 37, 29, 24.0])
HIGHER = np.array([0.87, 0.70, 0.48, 0.28, 0.13, 0.06])  # H-gamma to H10 over H-beta
# of helium, at its strongest; that strength, of 1, at the same temperatures
STRONGEST = np.array([10, 14, 22, 5, 9, 6, 14, 9, 8.0])
_SHARE = np.array([0, 0, 0, 0, 0, 0, 0, 0, 0.1, 0.25, 0.4, 0.65, 0.95, 1, 0.9])
METALS = np.array([25, 20, 8.0])  # of calcium at its strongest, cooler than 9,000 K


class Lines(NamedTuple):
    """Absorption lines.

    Attributes:
        wave: Vacuum wavelengths in angstrom [lines].
        width: Equivalent widths in angstrom [lines].
        depth: Share of the continuum missing in the middle [lines].
    """

    wave: Float[Array, " lines"]
    width: Float[Array, " lines"]
    depth: Float[Array, " lines"]


def is_white_dwarf(log_teff: ScalarLike, logg: ScalarLike) -> Bool[Array, ""]:
    """If a star of this temperature (log10 K) and gravity (log10 cm/s2) is taken for one."""
    return (jnp.asarray(log_teff) > COOLEST) & (jnp.asarray(logg) > GRAVITY)


def lines(log_teff: ScalarLike, latent: Float[Array, " latents"]) -> Lines:
    """Lines of a white dwarf of hydrogen or helium, as many of either.

    Args:
        log_teff: log10 of the effective temperature in K.
        latent: Standard normals (`LATENTS`).
    """
    atmosphere, strength, depth, decrement, _, metals = latent
    ln_nodes = jnp.asarray(np.log10(TEFF), jnp.float32)
    alpha, beta, share = (jnp.interp(log_teff, ln_nodes, jnp.asarray(y, jnp.float32))
                          for y in (ALPHA, BETA, _SHARE))  # fmt: skip
    teff = 10 ** jnp.asarray(log_teff)
    # upper levels are empty in cool atmospheres, and gone at high pressure
    power = 1 + jnp.maximum(1e4 - teff, 0.0) / 1500
    steps = jnp.arange(1, len(HIGHER) + 1)
    higher = jnp.asarray(HIGHER) ** power * jnp.exp(-STEEPER * decrement * steps)
    hydrogen = jnp.concatenate([jnp.stack([alpha, beta]), beta * higher])
    cool = jnp.clip((12e3 - teff) / 3e3, 0.0, 1.0)
    polluted = jnp.maximum(uniform(metals, 0.0, 1.0) - (1 - POLLUTED), 0.0) / POLLUTED
    other = jnp.concatenate([STRONGEST * share, METALS * cool * polluted])
    missing = len(other) - len(hydrogen)
    hydrogen = jnp.pad(hydrogen, (0, missing))
    waves = np.pad(BALMER, (0, missing), mode="edge"), np.append(HELIUM_LINES, CALCIUM)
    helium = uniform(atmosphere, 0.0, 1.0) > 1 - HELIUM
    width = jnp.where(helium, other, hydrogen) * jnp.exp(SCATTER * strength)
    deep = -DEEPEST * jnp.expm1(-width / SATURATED) * jnp.exp(SCATTER * depth)
    return Lines(jnp.where(helium, waves[1], waves[0]), width, jnp.minimum(deep, 0.95))


def edges(log_teff: ScalarLike, latent: Float[Array, " latents"]) -> Float[Array, ""]:
    """How strong edges of hydrogen in the continuum are: about 1 at most, 0 of helium."""
    beta = jnp.interp(log_teff, jnp.asarray(np.log10(TEFF)), jnp.asarray(BETA / BETA.max()))
    helium = uniform(latent[0], 0.0, 1.0) > 1 - HELIUM
    return jnp.where(helium, 0.0, beta * jnp.exp(RAISED * latent[4]))


def over_black_body(
    wave: Float[Array, " n"],
    log_teff: ScalarLike,
    latent: Float[Array, " latents"],
    dispersion: ScalarLike = 0.0,
) -> Float[Array, " n"]:
    """Spectrum of a white dwarf over a black body of its temperature.

    Args:
        wave: Vacuum wavelengths at rest in angstrom.
        log_teff: log10 of the effective temperature in K.
        latent: Standard normals (`LATENTS`).
        dispersion: Of the line-spread function in km/s. Lines are widened as Lorentzians are by
            it (Olivero & Longbothum 1977), of unchanged equivalent width.
    """
    line = lines(log_teff, latent)
    half = line.width / (np.pi * jnp.maximum(line.depth, 1e-6))
    seen = np.sqrt(2 * np.log(2)) * dispersion / C_KMS * line.wave
    wider = 0.5346 * half + jnp.sqrt(0.2166 * half**2 + seen**2 + 1e-6)
    depth = line.depth * half / wider
    left = jnp.ones_like(wave)
    for i in range(len(half)):  # one pass over the wavelengths, without an array of all lines
        left *= 1 - depth[i] / (1 + ((wave - line.wave[i]) / wider[i]) ** 2)
    shape = TILT * (REFERENCE / wave - 1) - JUMP * jax.nn.sigmoid((EDGE - wave) / SOFT)
    return left * jnp.exp(edges(log_teff, latent) * shape)
