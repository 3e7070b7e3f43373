"""Mock galaxies of known kinds, under a sky that is not quite as simulated.

Examples need observations that a simulator does not simply repeat, and whose truth is known. Real
surveys differ from `GalaxySimulator` by more than is put here; what is here has sizes that they
show.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from flowspec.data.line_waves import WAVES
from flowspec.data.seeds import key_of
from flowspec.data.spectra import Spectra
from flowspec.sim.curves import KNOTS, MISMATCH
from flowspec.sim.galaxy.simulator import GalaxySimulator
from flowspec.sim.instrument.lattice import C_KMS
from flowspec.sim.instrument.noise import Noise
from flowspec.sim.residual import Residual

# Ranges of parameters: ``log_sfr`` is per stellar mass. Masses, rates and abundances as nearby
# galaxies have them (Brinchmann et al. 2004; Gallazzi et al. 2005; Tremonti et al. 2004).
_STARS = {"z": (0.02, 0.15), "av": (0.1, 0.6), "log_age": (0.4, 0.9), "log_zstar": (-0.4, 0.2)}
_MASSIVE = {"log_mstar": (10.3, 11.0), "oh": (8.7, 8.9), "dispersion": (130.0, 220.0)}
KINDS: dict[str, dict[str, tuple[float, float]]] = {
    "passive": _STARS | _MASSIVE | {
        "log_sfr": (-13.0, -12.0), "log_u": (-3.6, -3.2), "av": (0.0, 0.2),
        "dispersion": (170.0, 280.0)},
    "star-forming": _STARS | {
        "log_mstar": (9.3, 10.5), "log_sfr": (-10.3, -9.7), "log_u": (-3.4, -3.0),
        "oh": (8.4, 8.8), "dispersion": (60.0, 120.0)},
    "starburst": _STARS | {
        "log_mstar": (8.3, 9.3), "log_sfr": (-9.0, -8.3), "log_u": (-2.8, -2.3),
        "oh": (7.9, 8.3), "log_age": (0.0, 0.5), "log_zstar": (-1.2, -0.6),
        "dispersion": (50.0, 80.0)},
    "Seyfert 2": _STARS | _MASSIVE | {"log_sfr": (-11.5, -10.7), "log_u": (-3.4, -3.0)},
    "Seyfert 1": _STARS | _MASSIVE | {"log_sfr": (-11.5, -10.7), "log_u": (-3.4, -3.0)},
}  # fmt: skip
SNR = (8.0, 30.0)  # mean, per pixel
# An active nucleus, as latents of `nucleus_of`: three times the H-alpha of star formation, log U of
# -2.6; or one of 10^-5 times.
ACTIVE, QUIET = (1.94, 0.0, 0.0, 0.0), (-1.23, 0.0, 0.0, 0.0)
# Equivalent widths in angstrom of broad lines, which the simulator has not, and their sigma.
BROAD, BROAD_SIGMA = {"Halpha": 150.0, "Hbeta": 40.0, "Hgamma": 18.0}, 1800.0
# How the sky differs. dex by which lines of an ion are stronger than the grid's:
LINES = {"OIII": 0.25, "NeIII": 0.25, "NII": 0.15}
SEAM, SEAM_AT, SEAM_WIDTH = 0.04, 5950.0, 220.0  # ln(flux), and angstrom: where two arms meet
NOISE, TAPS = 1.25, (0.25, 1.0, 0.25)  # over the stated error; over the middle pixel, neighbours
SCATTER, OUTLIERS, REACH = 0.1, 3e-4, 8.0  # of the noise from spectrum to spectrum; odd pixels


class Mocks(NamedTuple):
    """Observations whose truth is known.

    Attributes:
        kind: Of each galaxy, a name of `KINDS` [batch].
        theta: Parameters, in the order of the simulator's prior [batch, params].
        obs: The spectra, named by kind.
    """

    kind: list[str]
    theta: Float[np.ndarray, "batch params"]
    obs: Spectra


def other_sky(sim: GalaxySimulator) -> GalaxySimulator:
    """The same simulator under a sky that differs from it.

    Lines of some ions are stronger (`LINES`), the flux has a bump where two arms of the
    spectrograph meet (`SEAM`), and the noise is larger than stated, correlated between neighbouring
    pixels, and has outliers (`NOISE`); signal-to-noise ratios are `SNR`. The prior is the same:
    draws are of known truth, and a posterior that knew the sky would be calibrated on them.

    Args:
        sim: With its nuisances, and the noise of its instrument, which is one curve.

    Raises:
        ValueError: If it lacks one of these.
    """
    missing = {"lines", "nucleus", "mismatch"} - set(sim.layout.names)
    if missing or not isinstance(sim.noise, Noise):
        raise ValueError(f"expected a simulator with all nuisances and one curve of noise; got "
                         f"none of {', '.join(sorted(missing)) or 'the latter'}")
    lines = sim.layout.place("lines").start
    shift = np.zeros(sim.layout.size, np.float32)
    for name, group, scatter in zip(sim.nebula.names, sim.groups, sim.scatter, strict=True):
        shift[lines + group] = LINES.get(name.rstrip("0123456789"), 0.0) / scatter
    ends = np.log(sim.wave[[0, -1]])
    knots = np.exp(ends[0] + (np.arange(KNOTS) - 1) / (KNOTS - 3) * (ends[1] - ends[0]))
    bump = SEAM * np.exp(-0.5 * ((knots - SEAM_AT) / SEAM_WIDTH) ** 2)
    shift[sim.layout.place("mismatch")] = bump / MISMATCH
    kernel = np.array(TAPS) / np.linalg.norm(TAPS)
    numbers = np.full(len(sim.wave), NOISE), kernel, SCATTER, OUTLIERS, REACH
    noise = Residual(*(jnp.asarray(a, jnp.float32) for a in numbers))
    stated = Noise.preset(np.asarray(sim.noise.ivar[0]) ** -0.5, SNR)
    new = sim.learned.mean + shift, noise, stated
    return eqx.tree_at(lambda s: (s.learned.mean, s.residual, s.noise), sim, new,
                       is_leaf=lambda x: x is None or x is sim.noise)


def own_sky(sim: GalaxySimulator) -> GalaxySimulator:
    """The same simulator at signal-to-noise ratios of `SNR`.

    Args:
        sim: With the noise of its instrument, which is one curve.
    """
    stated = Noise.preset(np.asarray(sim.noise.ivar[0]) ** -0.5, SNR)
    return eqx.tree_at(lambda s: s.noise, sim, stated, is_leaf=lambda x: x is sim.noise)


def mock_galaxies(
    sim: GalaxySimulator, n: int, *, seed: int = 0,
    sky: Callable[[GalaxySimulator], GalaxySimulator] = other_sky,
) -> Mocks:  # fmt: skip
    """Galaxies of all `KINDS` in turn, seen under a sky.

    Args:
        sim: Of the instrument; parameters that its prior leaves out stay at their defaults.
        n: How many.
        seed: Random seed.
        sky: What becomes of the simulator: `other_sky` or `own_sky`.

    Raises:
        ValueError: As `other_sky`.
    """
    kind = [list(KINDS)[i % len(KINDS)] for i in range(n)]
    theta = parameters(sim, kind, np.random.default_rng(seed))
    nucleus = np.array([ACTIVE if "Seyfert" in k else QUIET for k in kind], np.float32)
    broad = np.array([k == "Seyfert 1" for k in kind], np.float32)
    keys = jr.split(key_of(seed), n)
    flux, ivar = map(np.asarray, _observed(sky(sim), keys, theta, nucleus, broad))
    names = [f"spec-{k.replace(' ', '')}-{i:04d}" for i, k in enumerate(kind)]
    return Mocks(kind, theta, Spectra(sim.wave, flux, ivar, names))


def parameters(
    sim: GalaxySimulator, kind: list[str], rng: np.random.Generator
) -> Float[np.ndarray, "batch params"]:
    """Uniform in the ranges of each kind."""
    rows = []
    for ranges in map(KINDS.get, kind):
        p = {name: rng.uniform(*ends) for name, ends in ranges.items()}
        p["log_sfr"] += p["log_mstar"]
        rows.append([p[name] for name in sim.prior.names])
    return np.array(rows, np.float32)


@eqx.filter_jit
@eqx.filter_vmap(in_axes=(None, 0, 0, 0, 0))
def _observed(sky: GalaxySimulator, key: PRNGKeyArray, theta, nucleus, broad):
    latent_key, error_key, noise_key = jr.split(key, 3)
    latent = sky.draw_latent(latent_key, theta).at[sky.layout.place("nucleus")].set(nucleus)
    flux = sky.spectrum_of(theta, latent)
    flux = flux + broad * broad_lines(jnp.asarray(sky.wave), flux, sky.parameters(theta)["z"])
    ivar = sky.noise.draw(error_key, flux)
    return sky.add_noise(noise_key, flux, ivar), ivar


def broad_lines(
    wave: Float[Array, " pixels"], flux: Float[Array, " pixels"], z: Float[Array, ""]
) -> Float[Array, " pixels"]:
    """Broad Balmer lines to add to a spectrum.

    Args:
        wave: Å.
        flux: Without them, noiseless; its median about each line is taken as the continuum.
        z: Redshift.

    Returns:
        In the unit of `flux`.
    """
    total, sigma = jnp.zeros(len(wave)), BROAD_SIGMA / C_KMS
    for name, width in BROAD.items():
        x = (jnp.log(wave / WAVES[name]) - jnp.log1p(z)) / sigma
        level = jnp.nanmedian(jnp.where(jnp.abs(x) < 4, flux, jnp.nan))
        peak = level * width / (sigma * WAVES[name] * np.sqrt(2 * np.pi))
        total = total + peak * jnp.exp(-0.5 * x**2)
    return total
