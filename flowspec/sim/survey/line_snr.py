"""Expected signal-to-noise ratio of emission lines, from parameters and inverse variance."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float
from scipy.special import ndtr

from flowspec.data.regrid import bridged, pixel_edges
from flowspec.sim.galaxy import dust
from flowspec.sim.galaxy.nuisance import Draw
from flowspec.sim.galaxy.simulator import GalaxySimulator
from flowspec.sim.instrument.lattice import C_KMS

# The lines by which a survey is given redshifts, names of `load_nebula`; a doublet is one line.
STRONG = (
    ("CIII1907", "CIII1909"), ("OII3726", "OII3729"), ("NeIII3869",), ("Hgamma",), ("Hbeta",),
    ("OIII5007",), ("Halpha",), ("SIII9531",),
)  # fmt: skip
_REACH = 5.0  # sigma of a line that are summed
_DRAWS = 512  # behind the mean nuisances, which they give to a twentieth of their scatter


def strongest_line_snr(
    sim: GalaxySimulator,
    theta: Float[np.ndarray, "n params"],
    wave: Float[np.ndarray, " pixels"],
    lsf: Float[np.ndarray, " pixels"],
    ivar: Float[np.ndarray, "n pixels"],
) -> Float[np.ndarray, " n"]:
    """Largest expected signal-to-noise ratio among the lines of `STRONG`.

    The nuisances of the galaxies (bursts, line ratios, dust of the gas) are at their means.

    Args:
        sim: For the light of the lines; its pixels are of no matter.
        theta: In the order of its prior.
        wave: Pixel centres in angstrom.
        lsf: Gaussian sigma of the line-spread function in km/s, without the pixel.
        ivar: Inverse variance of the spectra, 0 where there is no data.

    Returns:
        The ratio; 0 where no line is in view.
    """
    lines = tuple(sim.nebula.names.index(n) for n in sum(STRONG, ()))
    found = line_fluxes(sim, jnp.asarray(theta), mean_nuisances(sim), lines)
    flux, dispersion = (np.asarray(a) for a in found)
    z = theta[:, [sim.prior.names.index("z")]]
    centre = sim.nebula.wave[list(lines)] * (1 + z)
    sigma = np.hypot(dispersion[:, None], np.interp(centre, wave, lsf)) / C_KMS * centre
    best, first = np.zeros(len(theta)), 0
    for names in STRONG:
        own = slice(first, first := first + len(names))
        best = np.maximum(best, line_snr(flux[:, own], centre[:, own], sigma[:, own], wave, ivar))
    return best


def line_snr(
    flux: Float[np.ndarray, "n lines"],
    centre: Float[np.ndarray, "n lines"],
    sigma: Float[np.ndarray, "n lines"],
    wave: Float[np.ndarray, " pixels"],
    ivar: Float[np.ndarray, "n pixels"],
) -> Float[np.ndarray, " n"]:
    """Signal-to-noise ratio of a blend of Gaussian lines of known shape: ``sqrt(sum m^2 ivar)``.

    That of the best-fitting factor on the model ``m`` of their light in the pixels, the optimal
    extraction of Horne (1986, PASP 98, 609, equation 9).

    Args:
        flux: 1e-17 erg/s/cm2.
        centre: Observed wavelengths in angstrom.
        sigma: Widths in angstrom, without the pixel.
        wave: Pixel centres in angstrom.
        ivar: Inverse variance of the flux density, 0 where there is no data.
    """
    bridge, source = bridged(np.asarray(wave, float))
    width = np.diff(pixel_edges(bridge))[source >= 0]
    first = np.searchsorted(wave, (centre - _REACH * sigma).min(1))
    last = np.searchsorted(wave, (centre + _REACH * sigma).max(1))
    pixel = first[:, None] + np.arange(max(1, (last - first).max(initial=0)))
    seen = pixel < last[:, None]
    pixel = np.minimum(pixel, len(wave) - 1)
    model = np.zeros(pixel.shape)
    for f, c, s in zip(flux.T, centre.T, sigma.T, strict=True):
        low, high = (wave[pixel] + side * width[pixel] / 2 - c[:, None] for side in (-1, 1))
        model += f[:, None] * (ndtr(high / s[:, None]) - ndtr(low / s[:, None])) / width[pixel]
    weight = np.where(seen, np.take_along_axis(ivar, pixel, axis=1), 0.0)
    return np.sqrt((model**2 * weight).sum(1))


@eqx.filter_jit
def mean_nuisances(sim: GalaxySimulator) -> Draw:
    """The mean of the simulator's nuisances, in the middle of its prior."""
    middle = jnp.zeros(len(sim.prior.names))
    latent = jax.vmap(sim.learned.draw, (0, None))(jr.split(jr.key(0), _DRAWS), middle)
    draws = jax.vmap(sim.nuisances_of, (0, None))(latent, sim.prior.to_constrained(middle))
    return jax.tree.map(lambda a: a.mean(0), draws)


@eqx.filter_jit
def line_fluxes(
    sim: GalaxySimulator,
    theta: Float[Array, "n params"],
    draw: Draw,
    lines: tuple[int, ...],
) -> tuple[Float[Array, "n lines"], Float[Array, " n"]]:
    """Observed fluxes of emission lines, and the velocity dispersion of the gas.

    Args:
        sim: The simulator.
        theta: In the order of its prior.
        draw: Nuisances, those of all.
        lines: Numbers in ``sim.nebula``.

    Returns:
        1e-17 erg/s/cm2, and km/s.
    """
    own = np.array(lines)
    rest = jnp.asarray(sim.nebula.wave, jnp.float32)[own]

    def one(row):
        p = sim.parameters(row)
        power = sim.line_power(p, draw)[own] * dust.transmission(rest, p["av"], draw.slope)
        return sim.flux_scale(p) * power, p["dispersion"] * jnp.exp(draw.gas)

    return jax.vmap(one)(theta)
