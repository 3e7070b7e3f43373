"""Which lines a catalogue has, how well each is measured, and which are only limits.

Nothing here depends on the parameters of the nebula but the fluxes themselves, so that the
likelihood of `flowspec.sim.nebula.likelihood` is all that the data say about them.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from flowspec.data.lines import LIMIT_SIGMA, Lines, State

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


class ObservedNoise(eqx.Module):
    """Errors, gaps and limits of the rows of a catalogue.

    A simulated object gets those of a random row, scaled to its own brightness: that in the
    reference line where the row has it, else in all the lines that it has. A row whose catalogue
    could have given limits, but had no faint line, gives them as often as the other rows do.

    Attributes:
        err: 1 sigma over the flux of the reference line, 0 where absent [rows, lines].
        present: Whether the row has each line [rows, lines].
        limited: Chance that faint lines of the row are limits [rows].
    """

    err: Float[Array, "rows lines"]
    present: Bool[Array, "rows lines"]
    limited: Float[Array, " rows"]

    @classmethod
    def of(
        cls, obs: Lines, typical: Float[np.ndarray, " lines"], reference: str
    ) -> "ObservedNoise":
        """That of a catalogue.

        Args:
            obs: Rows with the lines of the simulator.
            typical: Fluxes of a typical object relative to the reference line.
            reference: Name of that line.

        Raises:
            ValueError: If no row has a line of use.
        """
        obs = obs[np.flatnonzero(obs.usable)]
        if len(obs) == 0:
            raise ValueError(f"expected rows with fluxes or limits of {', '.join(obs.lines)}; "
                             "got none")
        measured, limit = obs.state == State.MEASURED, obs.state == State.LIMIT
        seen = np.where(measured, np.maximum(obs.flux, obs.err), np.where(limit, obs.err, 0))
        scale = seen.sum(1) / ((measured | limit) * typical).sum(1)
        if reference in obs.lines:
            k = obs.lines.index(reference)
            bright = measured[:, k] & (obs.flux[:, k] > LIMIT_SIGMA * obs.err[:, k])
            scale = np.where(bright, obs.flux[:, k], scale)
        limits, faint = limit.any(1), (measured & (obs.flux < LIMIT_SIGMA * obs.err)).any(1)
        told = limits | faint
        usual = limits[told].mean() if told.any() else 0.0
        err = jnp.asarray(obs.err / scale[:, None], jnp.float32)
        chance = jnp.asarray(np.where(told, limits, usual), jnp.float32)
        return cls(err, jnp.asarray(measured | limit), chance)

    def draw(self, key: PRNGKeyArray, other: Float[Array, " lines"]) -> Noise:
        """Of one object; `other` is not needed, for errors are those of another object already."""
        del other
        which, limit = jr.split(key)
        row = jr.randint(which, (), 0, len(self.err))
        limited = jr.bernoulli(limit, self.limited[row])
        return Noise(jnp.ones(()), self.err[row], self.present[row], limited)


def observe(
    key: PRNGKeyArray,
    flux: Float[Array, " lines"],
    model_err: Float[Array, " lines"],
    noise: Noise,
) -> tuple[Float[Array, " lines"], Float[Array, " lines"], Int[Array, " lines"]]:
    """Measured fluxes, their errors and states (`flowspec.data.lines.State`) of one object.

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
