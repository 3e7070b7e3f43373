"""Noise injection into simulated line catalogues: line ratios that models do not have right.

Photoionisation models of one nebula differ among each other, and from nebulae, by more than the
error that a simulator gives them. Each row therefore gets a random amount of log-normal scatter on
every line, without labels and without looking at observed fluxes, so that a network learns to rely
on no exact ratio (Belfiore et al. 2025, arXiv:2410.16370, for classes of nebulae).
"""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from flowspec.data.lines import State
from flowspec.sim.nebula.catalogues import REFERENCE

AMOUNT = (0.05, 0.3)  # dex, of one row's lines; log-uniform


class InjectedLines(eqx.Module):
    """A simulator whose measured fluxes are further off than its model error says.

    Every row draws its own amount of scatter, `AMOUNT`, and every measured line but the reference
    a factor of that scatter. Limits and quoted errors stay what they were.

    Attributes:
        simulator: Of catalogues as they ought to be.
        size: Of the scatter, over `AMOUNT`; 0 for none.
    """

    simulator: eqx.Module
    size: Float[Array, ""]

    @classmethod
    def measured(cls, simulator, simulated: tuple, observed: tuple) -> "InjectedLines":
        """As `flowspec.adaptation.injection.Injected.measured`; of lines there is nothing to
        measure, for what ratios ought to be is not known without labels."""
        del simulated, observed
        return cls(simulator, jnp.float32(1.0))

    @property
    def priors(self):
        """Of the simulator."""
        return self.simulator.priors

    @property
    def sources(self) -> tuple[str, ...]:
        """Of the simulator."""
        return self.simulator.sources

    @property
    def lines(self) -> tuple[str, ...]:
        """Of the simulator."""
        return self.simulator.lines

    def draw(self, key: PRNGKeyArray, n: int) -> tuple[Array, ...]:
        """As the simulator's, perturbed."""
        own, others = jr.split(key)
        return self.perturbed(others, *self.simulator.draw(own, n))

    def perturbed(
        self, key: PRNGKeyArray, theta: Array, source: Array, flux: Float[Array, "n lines"],
        err: Array, state: Array, dereddened: Array,
    ) -> tuple[Array, ...]:  # fmt: skip
        """Simulations already made, perturbed."""
        amount, each = jr.split(key)
        low, high = jnp.log(AMOUNT[0]), jnp.log(AMOUNT[1])
        scatter = self.size * jnp.exp(jr.uniform(amount, (len(flux), 1), minval=low, maxval=high))
        free = jnp.array([line != REFERENCE for line in self.lines])
        factor = 10 ** (free * scatter * jr.normal(each, flux.shape))
        flux = jnp.where(state == int(State.MEASURED), flux * factor, flux)
        return theta, source, flux, err, state, dereddened
