"""Do the models give the lines that were measured? Posterior-predictive checks, line by line.

The flux of a line predicted for one object is a mixture over the draws of its posterior and over
the scale A that each draw leaves open, ``p(A | theta, fluxes)``, of normal distributions of mean
``A r(theta)`` and variance ``err^2 + (A model_err)^2``: what a second measurement of the object
would give. It is integrated, not drawn, so that `n` draws tell p-values far below ``1 / n``.

Predicted from all lines (`predict`; Gelman, Meng & Stern 1996, Statistica Sinica 6, 733), a line
has been used already: its residuals scatter less than normal ones and its p-values lie closer to
1/2 than uniform ones, the more so the fewer lines there are. Predicted from the other lines
(`left_out`; Gelfand, Dey & Chang 1992, Bayesian Statistics 4, 147), its residuals have mean 0 and
variance 1 and its p-values are uniform, if models, errors and posterior are right. One line that
the models do not give spoils the predictions of others from it: look at both.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy.table import Table
from jax.scipy.stats import norm
from jaxtyping import Array, Float, Int

from flowspec.data.line_names import parts
from flowspec.data.lines import Lines, State, of_states
from flowspec.data.observation import blocks
from flowspec.sim.nebula.catalogues import NebulaSimulator
from flowspec.sim.nebula.likelihood import NODES, scales

_MOST = 2**23  # numbers of one array in memory: rows x draws x nodes of the scale x lines

Draw = Callable[[Lines], tuple[np.ndarray, np.ndarray]]


class Predictive(NamedTuple):
    """What is predicted for each line of each object, and how the measurement compares.

    All are NaN where a line is absent, or where no measured line is left to tell the scale.

    Attributes:
        flux: Mean of the predicted flux, in the unit of the object [batch, lines].
        sigma: Its standard deviation: of the posterior, of the models and of the measurement.
        median: Median of the flux of the models, which skewed predictions have far from `flux`.
        residual: (measured - `flux`) / `sigma`; NaN for an upper limit.
        p_value: P(predicted <= measured). For an upper limit, P(predicted <= limit): how likely
            the line was to remain undetected, which is not uniform but nearer to 1 (times a
            uniform random number it is, together with those of measured lines of catalogues
            with limits: Czado, Gneiting & Held 2009).
    """

    flux: Float[np.ndarray, "batch lines"]
    sigma: Float[np.ndarray, "batch lines"]
    median: Float[np.ndarray, "batch lines"]
    residual: Float[np.ndarray, "batch lines"]
    p_value: Float[np.ndarray, "batch lines"]


def predict(
    sim: NebulaSimulator,
    theta: Float[np.ndarray, "n batch params"],
    source: Int[np.ndarray, "n batch"],
    obs: Lines,
    *,
    used: Lines | None = None,
    dereddened: bool = False,
) -> Predictive:
    """The lines of `obs` as draws of the posterior predict them.

    Args:
        sim: What the posterior was trained on.
        theta: Draws of the posterior, such as those of `Posterior.sample_sources` or `refine`.
        source: Number of the source of each.
        obs: Rows of a catalogue; lines of the result are those of `sim`.
        used: The same rows with the lines that the draws were made of, which alone fix the scale;
            by default `obs`.
        dereddened: Whether all fluxes are corrected for dust, whatever the rows say.

    Raises:
        ValueError: If the draws are none of these rows or of this simulator.
    """
    expected = (len(obs), len(sim.names))
    if theta.shape[1:] != expected or source.shape != theta.shape[:2]:
        got = f"{theta.shape} and {source.shape}"
        raise ValueError(f"expected draws [n, {expected[0]}, {expected[1]}], sources; got {got}")
    obs, used = obs.select(sim.lines), (obs if used is None else used).select(sim.lines)
    present = (obs.state != State.ABSENT) & (used.state == State.MEASURED).any(1, keepdims=True)
    err = np.where(present, obs.err, np.nan)
    unit = np.nanmedian(np.where(present.any(1, keepdims=True), err, 1), axis=1)[:, None]
    bit, found = np.float32(obs.dereddened | dereddened), []
    # the numbers of one array: draws, nodes of the scale and lines of each row
    for rows in blocks(len(obs), max(_MOST // (len(theta) * len(sim.lines) * NODES), 1)):
        data = [(a / unit)[rows] for a in (obs.flux, err, used.flux, used.err)]
        values = _moments(
            sim, theta[:, rows], source[:, rows], bit[rows], *data, used.state[rows]
        )
        found.append(np.asarray(values, float))
    known = np.where(present, np.concatenate(found, axis=1)[:, : len(obs)], np.nan)
    flux, sigma, median = known[0] * unit, np.sqrt(known[1]) * unit, known[2] * unit
    measured = np.where(obs.state == State.MEASURED, obs.flux, np.nan)
    return Predictive(flux, sigma, median, (measured - flux) / sigma, known[3])


def left_out(
    draw: Draw, sim: NebulaSimulator, obs: Lines, *, dereddened: bool = False
) -> Predictive:
    """As `predict`, each line from the posterior of all others.

    With a line go the sums that hold it, or the lines that it sums. An object is left out of a
    line's column where no other line is measured.

    Args:
        draw: From rows of a catalogue to draws [n, batch, params] and the number of their sources
            [n, batch], such as ``functools.partial(posterior.sample_sources, n=300)``; once a line.
        sim: What the posterior was trained on.
        obs: Rows of a catalogue.
        dereddened: Whether all fluxes are corrected for dust, whatever the rows say; `draw` must
            know it as well.

    Returns:
        `Predictive`.
    """
    obs = obs.select(sim.lines)
    found = Predictive(*np.full((5, len(obs), len(sim.lines)), np.nan))
    for column, line in enumerate(sim.lines):
        rest = without(obs, line)
        told = (rest.state == State.MEASURED).any(1) & (obs.state[:, column] != State.ABSENT)
        rows = np.flatnonzero(told)
        if len(rows):
            rest = rest[rows]
            one = predict(sim, *draw(rest), obs[rows], used=rest, dereddened=dereddened)
            for whole, part in zip(found, one, strict=True):
                whole[rows, column] = part[:, column]
    return found


def without(obs: Lines, line: str) -> Lines:
    """The catalogue as if `line`, and whatever sum shares a line with it, had not been observed."""
    shared = np.array([bool({*parts(line)} & {*parts(other)}) for other in obs.lines])
    state = np.where(shared, int(State.ABSENT), obs.state)
    return of_states(
        obs.lines, obs.flux, obs.err, state, obs.names, dereddened=obs.dereddened
    )


def report(found: Predictive, obs: Lines, lines: tuple[str, ...]) -> Table:
    """A row per line that was predicted.

    Args:
        found: Of `predict` or `left_out`.
        obs: The catalogue.
        lines: Names of the lines of `found`, those of the simulator.

    Returns:
        Columns `line`; `n` measurements and `limits`; of the residuals `median`, `nmad` about it
        and share `beyond_2`; `extreme`, the share of p-values below 0.025 or above 0.975;
        `offset`, the median of measured over predicted flux (its `median`) in dex; `p_limit`, the
        mean p-value of the limits. If all is right and the lines were left out: 0, 1, 0.046 (where
        predictions are normal) and 0.05. NaN where there is none.
    """
    obs, rows = obs.select(lines), []
    for column, line in enumerate(lines):
        residual, p_value = found.residual[:, column], found.p_value[:, column]
        good = np.isfinite(residual)
        limit = np.isfinite(p_value) & ~good
        with np.errstate(invalid="ignore", divide="ignore"):  # fluxes may be negative
            offset = np.log10(obs.flux[:, column] / found.median[:, column])
        if (good | limit).any():
            extreme = np.abs(p_value - 0.5) > 0.475
            scores = _median(residual), _nmad(residual), _mean(np.abs(residual[good]) > 2)
            rows.append((line, good.sum(), limit.sum(), *scores, _mean(extreme[good]),
                         _median(offset[good]), _mean(p_value[limit])))  # fmt: skip
    names = ("line", "n", "limits", "median", "nmad", "beyond_2", "extreme", "offset", "p_limit")
    return Table(rows=rows, names=names)


def _mean(x: np.ndarray) -> float:
    return float(np.mean(x)) if len(x) else np.nan


def _median(x: np.ndarray) -> float:
    x = x[np.isfinite(x)]
    return float(np.median(x)) if len(x) else np.nan


def _nmad(x: np.ndarray) -> float:
    return 1.4826 * _median(np.abs(x - _median(x)))


@eqx.filter_jit
def _moments(sim, theta, source, dereddened, flux, err, used_flux, used_err, state) -> Array:
    """Mean, variance, median and share below the measured flux [4, rows, lines]."""

    def of_draw(theta, source, dereddened, flux, err, used_flux, used_err, state):
        ratio, model_err = sim.ratios(theta, source, dereddened)
        scale, log_weight = scales(used_flux, used_err, state, ratio, model_err)
        scale, weight = scale[:, None], jax.nn.softmax(log_weight)
        sigma = jnp.hypot(err, scale * model_err)
        mean = weight @ (scale * ratio)
        variance = weight @ ((scale * ratio - mean) ** 2 + sigma**2)
        return mean, variance, weight @ norm.cdf((flux - scale * ratio) / sigma)

    def of_row(theta, source, *data):
        draws = jax.vmap(of_draw, (0, 0, *[None] * 6))(theta, source, *data)
        mean, variance, below = (d.mean(0) for d in draws)
        return jnp.stack([mean, variance + draws[0].var(0), jnp.median(draws[0], 0), below])

    data = dereddened, flux, err, used_flux, used_err, state
    return jax.vmap(of_row, (1, 1, *[0] * 6), out_axes=1)(theta, source, *data)
