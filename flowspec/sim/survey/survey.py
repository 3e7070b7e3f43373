"""A survey: galaxies of a population, selected by magnitude, as an instrument observes them."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from flowspec.prior.galaxies import Population
from flowspec.sim.galaxy.simulator import GalaxySimulator
from flowspec.sim.instrument.exposure import ExposureNoise
from flowspec.sim.instrument.photometry import ab_magnitude, top_hat

# What is known of each spectrum beyond the parameters of the simulator: exposure time in hours,
# H magnitude (AB), half-light radius in arcsec, whether the galaxy is of the quiescent type.
EXTRA = ("t_exp", "m_h", "radius", "quiescent")


class Observed(NamedTuple):
    """Spectra of candidates, and which of them are in the survey.

    Attributes:
        theta: Parameters of the simulator, then `EXTRA` [n, params + 4].
        flux: 1e-17 erg/s/cm2/A, with noise [n, pixels].
        ivar: Inverse variance [n, pixels].
        selected: Whether each is bright and faint enough [n].
    """

    theta: Float[Array, "n columns"]
    flux: Float[Array, "n pixels"]
    ivar: Float[Array, "n pixels"]
    selected: Bool[Array, " n"]


class Survey(eqx.Module):
    """Galaxies of a population whose H magnitude is in a range, each with an exposure time.

    Args:
        simulator: Of spectra; its instrument must cover H and have an `ExposureNoise`.
        population: Of galaxies, over the simulator's prior.
        hours: Exposure times to draw from, each as likely.
        magnitudes: Brightest and faintest H magnitude (AB).

    Raises:
        ValueError: If the noise of the simulator does not depend on exposure time, or the two
            have other parameters.
    """

    simulator: GalaxySimulator
    population: Population
    band: np.ndarray
    hours: tuple[float, ...] = eqx.field(static=True)
    magnitudes: tuple[float, float] = eqx.field(static=True)

    def __init__(
        self,
        simulator: GalaxySimulator,
        population: Population | None = None,
        *,
        hours: tuple[float, ...] = (2.0, 4.0, 8.0),
        magnitudes: tuple[float, float] = (21.0, 25.5),
    ):
        if not isinstance(simulator.noise, ExposureNoise):
            raise ValueError("expected a simulator of an instrument with exposure times")
        self.simulator = simulator
        self.band = top_hat(simulator.wave)
        self.population = population or Population(simulator.prior)
        if self.population.prior.names != simulator.prior.names:
            raise ValueError(
                f"expected a population of {simulator.prior.names}; "
                f"got {self.population.prior.names}"
            )
        self.hours = tuple(float(h) for h in hours)
        self.magnitudes = (float(magnitudes[0]), float(magnitudes[1]))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of `Observed.theta`."""
        return (*self.simulator.prior.names, *EXTRA)

    def observe(self, key: PRNGKeyArray, candidates: Int[Array, " n"]) -> Observed:
        """Spectra of numbered candidates.

        Each depends on the key and its own number only, so that a survey is the same however it
        is cut into batches.
        """
        return jax.vmap(lambda i: self._one(jr.fold_in(key, i)))(candidates)

    def _one(self, key):
        galaxy_key, nuisance_key, time_key, pixel_key = jr.split(key, 4)
        sim = self.simulator
        galaxy = self.population.draw(galaxy_key)
        flux = sim.flux(nuisance_key, galaxy.theta)
        magnitude = ab_magnitude(flux, sim.wave, self.band)
        hours = jr.choice(time_key, jnp.array(self.hours))
        ivar = sim.noise.ivar(flux, hours, galaxy.radius)
        extra = jnp.stack([hours, magnitude, galaxy.radius, galaxy.quiescent.astype(float)])
        return Observed(
            jnp.concatenate([galaxy.theta, extra]),
            sim.add_noise(pixel_key, flux, ivar),
            ivar,
            (magnitude >= self.magnitudes[0]) & (magnitude <= self.magnitudes[1]),
        )
