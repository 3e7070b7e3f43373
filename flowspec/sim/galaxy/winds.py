"""Winds of young, hot stars in the far ultraviolet: P Cygni profiles of N V, Si IV and C IV.

The stars' table has no winds. Each profile is a blueshifted trough and a redshifted emission of
Gaussian shape; trough and emission grow with metallicity, and with the share of the light that
stars of less than 10 Myr give.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, ScalarLike

from flowspec.sim.galaxy.stars import StellarTable
from flowspec.sim.instrument.lattice import C_KMS
from flowspec.sim.latent import uniform

# Mean vacuum wavelength of the doublet (angstrom); integral of the optical depth (angstrom) of
# trough and emission at solar metallicity where stars form steadily; power of metallicity of each.
# That gives C IV troughs of about 4.5 angstrom at solar, 1.5 at a fifth and 0.5 at a twentieth of
# it (Leitherer et al. 2010, ApJS 189, 309; Crowther et al. 2006, MNRAS 368, 895). N V hardly
# depends on metallicity, as its ionisation rises where abundance falls (Leitherer et al. 2001, ApJ
# 550, 724); Si IV is that of supergiants. Emission is 10 to 30 % of the continuum, as in composites
# of z = 2 to 3 (Pettini et al. 2000, ApJ 528, 96; Steidel et al. 2016, ApJ 826, 159).
WINDS = np.array([
    (1240.15, 1.5, 1.8, 0.2, 0.2), (1396.76, 2.0, 0.8, 0.7, 0.3), (1549.06, 7.5, 1.3, 0.8, 0.4),
])  # fmt: skip
NAMES = ("NV1240", "SiIV1397", "CIV1549")
STEADY = 0.6  # share of the light at 1500 A of stars below 10 Myr after 100 Myr of constant rate
CONTINUUM = 1500.0  # A, where that share is counted
SPEED = 2000.0  # km/s: terminal, typical of O stars (Prinja, Barlow & Howarth 1990, ApJ 361, 607)
# Centre and dispersion of trough and emission over the terminal speed.
_TROUGH, _EMISSION = (-0.45, 0.25), (0.25, 0.22)


def opacity(
    ln_rest: Float[Array, " n"],
    log_z: ScalarLike,
    youth: ScalarLike,
    amplitude: Float[Array, " 3"],
    speed: ScalarLike = SPEED,
) -> Float[Array, " n"]:
    """Optical depth of the winds, negative where they emit.

    Args:
        ln_rest: ln of wavelengths (angstrom) in the frame of the galaxy.
        log_z: log10 of the stars' metallicity over solar.
        youth: Share of the light at 1500 angstrom that stars below 10 Myr give.
        amplitude: dex, departure of each ion's profile from its typical strength.
        speed: Terminal, km/s.
    """
    tau = jnp.zeros_like(ln_rest)
    for i, (wave, trough, emission, power, power_emission) in enumerate(WINDS):
        v = (ln_rest - np.log(wave)) * C_KMS / speed
        scale = youth / STEADY * 10 ** amplitude[i] * C_KMS / speed / wave
        tau += scale * trough * 10 ** (power * log_z) * _bell(v, *_TROUGH)
        tau -= scale * emission * 10 ** (power_emission * log_z) * _bell(v, *_EMISSION)
    return tau


def youth(
    table: StellarTable, mass: Float[Array, "metallicities ages"]
) -> Float[Array, ""]:
    """Share of the light at 1500 angstrom that stars below 10 Myr give.

    Args:
        table: Populations.
        mass: Formed in each, in any unit.
    """
    light = (mass * table.flux[..., np.searchsorted(table.wave, CONTINUUM)]).sum(0)
    newest = (light * (table.age_edges[1:] <= 0.0101)).sum()
    return newest / (light.sum() + 1e-30)


def winds_of(latent: Float[Array, " 4"]) -> tuple[Float[Array, " 3"], Array]:
    """`amplitude` and `speed` of `opacity` for four standard normals.

    Strengths differ by 0.2 dex at given metallicity (Leitherer et al. 2011, AJ 141, 37, of local
    starbursts), speeds between those of late and early O stars.
    """
    return 0.2 * latent[:3], uniform(latent[3], 1500.0, 2500.0)


def _bell(v, centre, sigma):
    """Gaussian of unit area."""
    return jnp.exp(-0.5 * ((v - centre) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
