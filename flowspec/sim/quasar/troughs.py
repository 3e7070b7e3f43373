"""Broad absorption troughs of outflows in front of quasars."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, ScalarLike

from flowspec.sim.instrument.lattice import C_KMS
from flowspec.sim.latent import uniform

# Share of quasars with a trough in C IV that is 10 % deep: 13.4 +- 1.2 % by balnicity (Reichard et
# al. 2003, AJ 125, 1711), 15 % where the signal is good (Gibson et al. 2009, ApJ 692, 758)
SHARE = 0.15
# Of those, with one of Mg II and Al III: of 34,973 quasars 1.3 % have broad Mg II and 0.5 % pass
# the test of balnicity (Trump et al. 2006, ApJS 165, 1)
LOW_SHARE = 0.07
# Normal quantiles of the latents at which there is any: of `SHARE`, 0.145 above it, as the depth
# does not begin at once, and of `LOW_SHARE`
THRESHOLD, LOW_THRESHOLD = 1.0364 + 0.145, 1.4758
_SOFT = 0.1  # of the onset, which keeps it differentiable
_DEPTH = 5.0  # optical depth of C IV for each unit of the latent beyond the threshold
SPEED = (-21_000.0, -4_000.0)  # km/s, of the middle of the trough
HALF_WIDTH = (1_200.0, 4_500.0)  # km/s
_EDGE = 300.0  # km/s, over which the trough begins and ends
# Wavelength in angstrom, log10 of the optical depth over that of C IV and its scatter, dex; the
# ratios are rough: Si IV troughs are weaker than C IV, those of N V alike
SPECIES = np.array([
    [1549.06, 0.0, 0.0], [1396.76, -0.4, 0.3], [1240.14, 0.0, 0.0], [2798.75, -0.3, 0.0],
    [1857.40, -0.3, 0.0],
])  # fmt: skip
_LOW = np.array([0.0, 0.0, 0.0, 1.0, 1.0])  # ionisation


class Trough(NamedTuple):
    """One outflow.

    Attributes:
        depth: Optical depth of each of `SPECIES` [species].
        speed: Velocity of its middle, km/s, negative towards us.
        half_width: km/s.
    """

    depth: Float[Array, " species"]
    speed: ScalarLike
    half_width: ScalarLike


def trough_of(latent: Float[Array, " 5"]) -> Trough:
    """An outflow of five standard normals: strength, low ionisation, Si IV, speed and width.

    At zero there is none. Its onset is smooth, but so sudden that a fit started without a trough
    does not find one.
    """
    strength, low, silicon, speed, width = latent
    excess = _SOFT * jax.nn.softplus((strength - THRESHOLD) / _SOFT)
    onset = jax.nn.sigmoid((low - LOW_THRESHOLD) / (_SOFT / 4))
    ratio = 10 ** (SPECIES[:, 1] + SPECIES[:, 2] * silicon)
    depth = _DEPTH * excess * ratio * jnp.where(_LOW > 0, onset, 1.0)
    return Trough(depth, uniform(speed, *SPEED), uniform(width, *HALF_WIDTH))


def opacity(ln_rest: Float[Array, " n"], trough: Trough) -> Float[Array, " n"]:
    """Optical depth at ln of rest-frame wavelengths in angstrom."""
    velocity = (ln_rest - np.log(SPECIES[:, :1])) * C_KMS - trough.speed
    sides = (trough.half_width + velocity) / _EDGE, (trough.half_width - velocity) / _EDGE
    return (trough.depth[:, None] * jax.nn.sigmoid(sides[0]) * jax.nn.sigmoid(sides[1])).sum(0)
