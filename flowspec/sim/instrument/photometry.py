"""Broad-band magnitudes of model spectra."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from flowspec.sim.instrument.instrument import Instrument
from flowspec.sim.instrument.lattice import C_KMS

# Angstrom: a top hat between the half-power points of common H filters (1.49 to 1.78 micron),
# inside the H arm of MOONS (1.452 to 1.800).
H_BAND = (14900.0, 17800.0)


def top_hat(wave: np.ndarray, band: tuple[float, float] = H_BAND) -> np.ndarray:
    """Share of each pixel that lies inside the band [pixels].

    Args:
        wave: Pixel centres in angstrom, increasing [pixels].
        band: Lower and upper end in angstrom.

    Raises:
        ValueError: If the pixels do not cover the band.
    """
    middle = 0.5 * (wave[1:] + wave[:-1])
    edges = np.concatenate([[2 * wave[0] - middle[0]], middle, [2 * wave[-1] - middle[-1]]])
    if edges[0] > band[0] or edges[-1] < band[1]:
        raise ValueError(f"expected pixels from {band[0]} to {band[1]}; got {wave[[0, -1]]}")
    return np.diff(np.clip(edges, *band)) / np.diff(edges)


def ab_magnitude(
    flux: Float[Array, "*shape pixels"],
    wave: Float[ArrayLike, " pixels"],
    band: Float[ArrayLike, " pixels"],
) -> Float[Array, "*shape"]:
    """AB magnitude of a spectrum as a photon-counting detector measures it.

    Minus 2.5 log10 of the photons over those of a source of constant F_nu, with the zero point of
    Oke & Gunn (1983), 48.60; Bessell & Murphy (2012, PASP 124, 140), appendix A.

    Args:
        flux: 1e-17 erg/s/cm2/A, without noise [*shape, pixels].
        wave: Pixel centres in angstrom [pixels].
        band: Transmission at each pixel, in any unit [pixels].
    """
    photons = jnp.asarray(band * wave * jnp.gradient(wave))
    flat = C_KMS * 1e13 * (photons / wave**2).sum()  # 1e13: angstrom per km
    mean = (flux * photons / photons.sum()).sum(-1)
    zero = 2.5 * (jnp.log10(photons.sum() / flat) - 17) + 48.60
    return -2.5 * jnp.log10(mean) - zero


def h_band() -> Instrument:
    """The H band in coarse pixels, for the magnitudes of many galaxies at little cost."""
    wave = np.geomspace(14600, 18100, 128)
    return Instrument("h-band", wave, np.full(128, 500.0), np.ones(128), (1.0, 1.0))


def h_magnitudes(sim, theta: Float[Array, "n params"]) -> Float[Array, " n"]:
    """H magnitudes (AB) of galaxies: the light that the simulator makes of their parameters.

    Args:
        sim: A `GalaxySimulator` whose pixels cover `H_BAND`, such as those of `h_band`, without
            nuisances.
        theta: In the order of its prior [n, params].
    """
    band = top_hat(sim.wave)
    neutral = jnp.zeros(sim.layout.size)
    flux = jax.lax.map(lambda t: sim.spectrum_of(t, neutral), theta, batch_size=256)
    return ab_magnitude(flux, sim.wave, band)
