"""Which lines a catalogue has, how well each is measured, and which are only limits.

Nothing here depends on the parameters of the nebula but the fluxes themselves, so that the
likelihood of `flowspec.sim.line_likelihood` is all that the data say about them.
"""

from typing import NamedTuple

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from flowspec.lines import LIMIT_SIGMA, State

AMPLITUDE = (0.3, 3000.0)  # flux of the reference line over the error of a faint one, log-uniform
SCATTER = 0.25  # dex, of the errors of the faint lines of an object
SHARE = (0.003, 0.15)  # errors of bright lines over the flux of such lines, log-uniform
KEPT = (0.15, 1.0)  # share of the lines that an object's catalogue has
LIMITED = 0.5  # share of the catalogues that give limits instead of faint fluxes


class Noise(NamedTuple):
    """What one object's fluxes are measured with.

    Attributes:
        amplitude: Flux of the reference line, in units of the typical error of a faint line.
        err: 1 sigma of each line, in the same units [lines].
        present: Whether the catalogue has each line [lines].
        limited: Whether lines below `LIMIT_SIGMA` become upper limits.
    """

    amplitude: Float[Array, ""]
    err: Float[Array, " lines"]
    present: Bool[Array, " lines"]
    limited: Bool[Array, ""]


def draw_noise(key: PRNGKeyArray, other: Float[Array, " lines"]) -> Noise:
    """Errors and gaps of one object.

    Args:
        key: Random key.
        other: Fluxes relative to the reference line of *another* object drawn from the prior:
            bright lines have larger errors, and errors that followed the object's own fluxes would
            tell about its parameters.
    """
    size, faint, own, share, keep, lines, two, limit = jr.split(key, 8)
    count = len(other)
    amplitude = _log_uniform(size, AMPLITUDE)
    background = 10 ** (SCATTER * jr.normal(faint, (count,)))
    proportional = _log_uniform(share, SHARE) * _log_uniform(own, AMPLITUDE) * other
    kept = jr.uniform(keep, minval=KEPT[0], maxval=KEPT[1])
    present = jr.uniform(lines, (count,)) < kept
    # one line alone tells nothing: at least two
    rank = jnp.argsort(jr.uniform(two, (count,)))
    present = present.at[rank[:2]].set(True)
    err = jnp.sqrt(background**2 + proportional**2)
    return Noise(amplitude, err, present, jr.bernoulli(limit, LIMITED))


def observe(
    key: PRNGKeyArray,
    flux: Float[Array, " lines"],
    model_err: Float[Array, " lines"],
    noise: Noise,
) -> tuple[Float[Array, " lines"], Float[Array, " lines"], Int[Array, " lines"]]:
    """Measured fluxes, their errors and states (`flowspec.lines.State`) of one object.

    Args:
        key: Random key.
        flux: True fluxes relative to the reference line.
        model_err: Standard deviation of the model, likewise.
        noise: Of the object.
    """
    sigma = jnp.sqrt(noise.err**2 + (noise.amplitude * model_err) ** 2)
    measured = noise.amplitude * flux + sigma * jr.normal(key, flux.shape)
    faint = noise.limited & (measured < LIMIT_SIGMA * noise.err)
    state = jnp.where(faint, int(State.LIMIT), int(State.MEASURED))
    state = jnp.where(noise.present, state, int(State.ABSENT))
    value = jnp.where(faint, LIMIT_SIGMA * noise.err, measured)
    value, err = (jnp.where(noise.present, v, 0.0) for v in (value, noise.err))
    return value, err, state


def _log_uniform(key, ends):
    return jnp.exp(jr.uniform(key, minval=jnp.log(ends[0]), maxval=jnp.log(ends[1])))
