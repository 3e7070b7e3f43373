"""Noise injection into simulated line catalogues: line ratios that models do not have right.

Photoionisation models of one nebula differ among each other, and from nebulae, by more than the
error that a simulator gives them. Each row therefore gets a random amount of log-normal scatter on
every line, without labels and without looking at observed fluxes, so that a network learns to rely
on no exact ratio (Belfiore et al. 2025, arXiv:2410.16370, for classes of nebulae).
"""

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from flowspec.data.lines import State
from flowspec.sim.nebula.catalogues import REFERENCE
from flowspec.sim.simulator import Perturbed, Simulated, Simulator

AMOUNT = (0.05, 0.3)  # dex, of one row's lines; log-uniform


class InjectedLines(Perturbed):
    """A simulator whose measured fluxes are further off than its model error says.

    Every row draws its own amount of scatter, `AMOUNT`, and every measured line but the reference
    a factor of that scatter. Limits and quoted errors stay what they were.

    Attributes:
        simulator: Of catalogues as they ought to be.
        size: Of the scatter, over `AMOUNT`; 0 for none.
    """

    simulator: Simulator
    size: Float[Array, ""]

    @classmethod
    def measured(cls, simulator: Simulator, simulated: tuple, observed: tuple) -> "InjectedLines":
        """The injection for some observations, of lines always the same.

        There is nothing to measure: what ratios ought to be is not known without labels.
        """
        del simulated, observed
        return cls(simulator, jnp.float32(1.0))

    def perturbed(self, key: PRNGKeyArray, simulated: Simulated) -> Simulated:
        """Simulations already made, perturbed."""
        amount, each = jr.split(key)
        flux, err, state, dereddened = simulated.data
        low, high = jnp.log(AMOUNT[0]), jnp.log(AMOUNT[1])
        scatter = self.size * jnp.exp(jr.uniform(amount, (len(flux), 1), minval=low, maxval=high))
        free = jnp.array([line != REFERENCE for line in self.frame.lines])
        factor = 10 ** (free * scatter * jr.normal(each, flux.shape))
        flux = jnp.where(state == int(State.MEASURED), flux * factor, flux)
        return simulated._replace(data=(flux, err, state, dereddened))
