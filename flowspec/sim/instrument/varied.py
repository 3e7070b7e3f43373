"""One instrument's simulations as other spectrographs would have seen them."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, ArrayLike, Float, Int, PRNGKeyArray

from flowspec.sim.simulator import Perturbed, Simulated, Simulator

SHARES = (0.25, 0.15, 0.15)  # of spectra with coarser pixels, a shorter range, a gap
COARSEST = 4  # pixels of the grid in the widest foreign pixel
LONGEST = 0.45  # share of the grid that a shorter range or a gap leaves out at most


class Varied(Perturbed):
    """A simulator whose spectra lack stretches, or have coarser pixels resampled to its grid.

    A network trained on it accepts other spectrographs of the same range: it has met noise that
    repeats over a few pixels, and arms that are not there.

    Args:
        simulator: Of full spectra.
        shares: Probabilities of coarser pixels, a shorter range, a gap.
    """

    simulator: Simulator
    shares: tuple[float, float, float] = eqx.field(static=True, default=SHARES)

    def perturbed(self, key: PRNGKeyArray, simulated: Simulated) -> Simulated:
        """Spectra already made, as other spectrographs would have seen them."""
        flux, ivar, *width = simulated.data
        seen = jax.vmap(partial(foreign, shares=self.shares))(jr.split(key, len(flux)), flux, ivar)
        return simulated._replace(data=(*seen, *width))


def foreign(
    key: PRNGKeyArray,
    flux: Float[Array, " pixels"],
    ivar: Float[Array, " pixels"],
    shares: Float[ArrayLike, " 3"] | tuple[float, float, float] = SHARES,
) -> tuple[Float[Array, " pixels"], Float[Array, " pixels"]]:
    """One spectrum with, each by the chance in `shares`: pixels 2 to `COARSEST` times as wide, in
    any phase, copied to those of the grid; one end cut off; a gap."""
    chance, width, phase, cut, end, gap, place = jr.split(key, 7)
    coarse, short, holed = jr.uniform(chance, (3,)) < jnp.asarray(shares)
    pixels = len(flux)
    size = jnp.where(coarse, jr.randint(width, (), 2, COARSEST + 1), 1)
    flux, ivar = coarsened(flux, ivar, size, jr.randint(phase, (), 0, COARSEST))
    x = (jnp.arange(pixels) + 0.5) / pixels
    x = jnp.where(jr.bernoulli(end), x, 1 - x)
    lost = short & (x < jr.uniform(cut, maxval=LONGEST))
    length = jr.uniform(gap, maxval=LONGEST)
    start = jr.uniform(place, minval=-0.5 * length, maxval=1 - 0.5 * length)
    lost |= holed & (x > start) & (x < start + length)
    return jnp.where(lost, 0.0, flux), jnp.where(lost, 0.0, ivar)


def coarsened(
    flux: Float[Array, " pixels"],
    ivar: Float[Array, " pixels"],
    size: Int[Array, ""],
    phase: Int[Array, ""],
) -> tuple[Float[Array, " pixels"], Float[Array, " pixels"]]:
    """Coadded by inverse variance in groups of `size` pixels, the result in each of the group."""
    group = (jnp.arange(len(flux)) + phase) // size
    pixels = len(flux) + COARSEST

    def total(values):
        return jax.ops.segment_sum(values, group, pixels, indices_are_sorted=True)

    weight, good = total(ivar), total((ivar > 0).astype(flux.dtype))
    weight = jnp.where(2 * good >= total(jnp.ones_like(flux)), weight, 0.0)  # as `regrid.rebin`
    mean = total(ivar * flux) / jnp.maximum(weight, 1e-30)
    return jnp.where(weight > 0, mean, 0.0)[group], weight[group]
