"""How wrong the models are, line by line, learned from a catalogue without labels.

Each line is predicted from all others (`flowspec.check.predictive`, Gelfand, Dey & Chang 1992,
Bayesian Statistics 4, 147). Mean and spread of its misfit are those under which the measured fluxes
are most likely, given the draws that predict them: the product over lines and objects is the
pseudo-likelihood of Besag (1975, The Statistician 24, 179). It is maximised line after line, as the
prediction of one needs the errors of the others.
"""

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import minimize
from scipy.special import logsumexp

from flowspec.check.importance import PriorDraws, prior_draws
from flowspec.check.predictive import without
from flowspec.data.line_names import HYDROGEN
from flowspec.data.lines import Lines, State
from flowspec.data.observation import blocks
from flowspec.sim.nebula.catalogues import NebulaSimulator
from flowspec.sim.nebula.errors import LineErrors
from flowspec.sim.nebula.likelihood import scales

FEWEST = 20  # objects that a line is learned from
# Standard deviation of mean misfits before the data, ln, where `FEWEST` objects are as much data as
# all of them: what ionisation or dust can do nearly as well is theirs.
REACH = 0.3
START = 0.3  # least spread to begin with: a line that is predicted too surely is blamed for others
_ROWS = 64
LEAST, MOST = 0.01, 1.0  # of the spread


def line_errors(
    sim: NebulaSimulator,
    obs: Lines,
    *,
    n: int = 200,
    draws: int = 50_000,
    rounds: int = 8,
    enough: float = 0.01,
    seed: int = 0,
) -> LineErrors:
    """Mean misfit and spread of every line of a catalogue.

    Lines of hydrogen, which tell the scale and the dust, and lines of fewer than `FEWEST` objects
    keep the errors that the simulator has.

    Args:
        sim: Of catalogues, with errors to begin with.
        obs: Rows of a catalogue, without labels.
        n: Draws that predict each line of each object.
        draws: Of the prior, shared by all objects.
        rounds: Over all lines, at most.
        enough: Change of the largest mean or spread in a round at which it ends.
        seed: Random seed.

    Returns:
        `LineErrors`, for `NebulaSimulator.with_errors`.
    """
    obs = obs.select(sim.lines)
    prior, errors = prior_draws(sim, draws, seed=seed), sim.errors
    least = np.where([name in HYDROGEN for name in sim.lines], 0.0, START)
    errors = errors._replace(spread=np.maximum(errors.spread, least))
    for _ in range(rounds):
        before = errors
        for column, line in enumerate(sim.lines):
            if line not in HYDROGEN:
                known = prior._replace(sim=sim.with_errors(errors))
                errors = _apart(_relearned(known, obs, column, n, seed), sim, obs)
        moved = (a - b for a, b in zip(errors[1:], before[1:], strict=True))
        if max(np.abs(change).max() for change in moved) < enough:
            break
    return errors


def _apart(errors: LineErrors, sim: NebulaSimulator, obs: Lines) -> LineErrors:
    """Without the mean misfit of all lines of an element whose abundance is free: it is the same
    thing, and the abundance's."""
    offset = errors.offset.copy()
    told = (obs.state == State.MEASURED).sum(0) >= FEWEST
    for name, slope in sim.slopes.items():
        own = (np.asarray(slope) != 0) & told
        if name != "av" and own.any():
            offset[own] -= offset[own].mean()
    return errors._replace(offset=offset)


def _relearned(prior: PriorDraws, obs: Lines, column: int, n: int, seed: int) -> LineErrors:
    """The simulator's errors, with those of one line learned from the others."""
    sim, rest = prior.sim, without(obs, prior.sim.lines[column])
    told = (rest.state == State.MEASURED).sum(1) > 1
    rows = np.flatnonzero(told & (obs.state[:, column] == State.MEASURED))
    errors = sim.errors
    if len(rows) < FEWEST:
        return errors
    rest, offset, spread = rest[rows], errors.offset.copy(), errors.spread.copy()
    found = prior.posterior(rest, n, tried=3 * n, seed=seed)
    unit = np.nanmedian(np.where(rest.state > 0, rest.err, np.nan), axis=1)[:, None]
    data = (np.float32(rest.flux / unit), np.float32(rest.err / unit), rest.state,
            np.float32(rest.dereddened))  # fmt: skip
    parts = [
        _predicted(sim, jr.key(seed), found.samples[:, part], found.source[:, part],
                   *(a[part] for a in data))[..., column]
        for part in blocks(len(rest), _ROWS)
    ]  # fmt: skip
    flux = np.concatenate(parts, axis=1)[:, : len(rest)].astype(float)
    flux /= np.exp(offset[column])
    seen = obs.flux[rows, column] / unit[:, 0], obs.err[rows, column] / unit[:, 0]
    known = float(np.asarray(sim.interpolation)[:, column].max())
    first = float(offset[column]), float(spread[column])
    offset[column], spread[column] = most_likely(flux, *seen, known, *first)
    return LineErrors(errors.lines, offset, spread)


def most_likely(
    predicted: Float[np.ndarray, "n batch"],
    flux: Float[np.ndarray, " batch"],
    err: Float[np.ndarray, " batch"],
    known: float,
    offset: float,
    spread: float,
) -> tuple[float, float]:
    """Mean misfit of a line, with a normal prior of `REACH`, and its spread.

    Args:
        predicted: Draws of its flux without any misfit.
        flux: Measured.
        err: Of these.
        known: Share of the flux that the models are wrong by besides.
        offset: Where to begin.
        spread: Likewise.
    """

    def loss(x):
        mean = predicted * np.exp(x[0])
        variance = err**2 + mean**2 * (np.exp(2 * x[1]) + known**2)
        log_p = -0.5 * ((flux - mean) ** 2 / variance + np.log(variance))
        return 0.5 * len(flux) / FEWEST * (x[0] / REACH) ** 2 - logsumexp(log_p, axis=0).sum()

    first = [offset, np.log(np.clip(spread, 3 * LEAST, MOST))]
    best = minimize(loss, first, method="Nelder-Mead",
                    options={"xatol": 2e-3, "fatol": 1e-2, "maxiter": 200}).x  # fmt: skip
    return float(best[0]), float(np.clip(np.exp(best[1]), LEAST, MOST))


@eqx.filter_jit
def _predicted(sim, key, theta, source, flux, err, state, dereddened) -> Array:
    """Fluxes [n, rows, lines] of draws, each with a scale of its own."""

    def of_draw(key, theta, source, flux, err, state, dereddened):
        ratio, model_err = sim.ratios(theta, source, dereddened)
        scale, log_weight = scales(flux, err, state, ratio, model_err)
        return scale[jr.categorical(key, log_weight)] * ratio

    of_draws = jax.vmap(of_draw, (0, 0, 0, *[None] * 4))
    of_rows = jax.vmap(of_draws, (1, 1, 1, *[0] * 4), out_axes=1)
    keys = jr.split(key, theta.shape[:2])
    return of_rows(keys, theta, source, flux, err, state, dereddened)
