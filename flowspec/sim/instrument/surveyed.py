"""Spectra of a wide instrument as the spectrographs see them that it stands for."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from flowspec.data.frame import Pixels
from flowspec.sim.simulator import Perturbed, Simulated, Simulator

CUT, STEP = 0.7, 0.15  # probabilities of a shorter range, of arms that do not join
LEAST = 1 / 3  # of the grid that the shortest range covers
UNKNOWN = 0.3  # probability that nobody says how wide the line-spread function is
_SIZE = 0.1  # standard deviation of ln(flux) of one arm over another


class Surveyed(Perturbed):
    """A simulator whose spectra are cut at both ends, and have arms that do not join.

    Of a share of those whose line-spread function is an input it is not known.

    Args:
        simulator: Of full spectra.
    """

    simulator: Simulator
    cut: float = eqx.field(static=True, default=CUT)
    step: float = eqx.field(static=True, default=STEP)

    @property
    def frame(self) -> Pixels:
        """The grid of the simulator, of which a part will do."""
        own = self.simulator.frame
        return Pixels(own.wave, LEAST, own.lsf)

    def perturbed(self, key: PRNGKeyArray, simulated: Simulated) -> Simulated:
        """Spectra already made, as spectrographs of a shorter range would have seen them."""
        flux, ivar, *width = simulated.data
        kept, factor = jax.vmap(lambda key: view(key, flux.shape[1], self.cut, self.step))(
            jr.split(key, len(flux))
        )
        data = jnp.where(kept, flux * factor, 0.0), jnp.where(kept, ivar / factor**2, 0.0)
        told = jr.bernoulli(jr.fold_in(key, 1), 1 - UNKNOWN, (len(flux), 1))
        return simulated._replace(data=(*data, *(told * known for known in width)))


def view(
    key: PRNGKeyArray, pixels: int, cut: float, step: float
) -> tuple[Array, Float[Array, " pixels"]]:
    """Which pixels a spectrograph has, and the factor on the flux of its arms.

    A range leaves out up to 1 - `LEAST` of the grid, mostly little, a third of them at one end
    only. Two arms meet anywhere and differ by `_SIZE` in ln(flux).

    Args:
        key: Random key.
        pixels: Of the grid.
        cut: Probability of a range shorter than the grid.
        step: Probability of arms that do not join.
    """
    chance, length, place, where, size = jr.split(key, 5)
    short, broken = jr.uniform(chance, (2,)) < jnp.array([cut, step])
    x = (jnp.arange(pixels) + 0.5) / pixels
    lost = short * (1 - LEAST) * jr.uniform(length) ** 2
    first = lost * jnp.clip(1.5 * jr.uniform(place) - 0.25, 0.0, 1.0)
    kept = (x >= first) & (x <= first + 1 - lost)
    blue = x < jr.uniform(where)
    return kept, jnp.exp(broken * blue * _SIZE * jr.normal(size))
