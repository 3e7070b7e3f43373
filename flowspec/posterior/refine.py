"""Posterior draws corrected by an explicit likelihood, and the evidence of each object."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, Int

from flowspec.data.observation import blocks
from flowspec.posterior.adaptive import ROWS, adapted
from flowspec.posterior.weights import normalised, resample
from flowspec.sim.marginal import Marginal

_NUMBERS = 1 << 22  # of the data of one object, once a draw, that are worked on at once


class Refined(NamedTuple):
    """Posterior draws corrected by an explicit likelihood.

    Attributes:
        samples: Draws of the exact posterior [n, batch, params].
        source: Number of the source of each [n, batch].
        ess: Effective number of independent draws per object [batch].
        log_evidence: ``ln p(data)`` of each object [batch].
    """

    samples: Float[np.ndarray, "n batch params"]
    source: Int[np.ndarray, "n batch"]
    ess: Float[np.ndarray, " batch"]
    log_evidence: Float[np.ndarray, " batch"]


def refined(
    posterior, obs, likelihood: Callable, n: int, draws: int, seed: int, first: int,
    by_name: bool = False,
) -> Refined:  # fmt: skip
    """`Posterior.refine`, as many rows at a time as memory wants.

    Args:
        posterior: With `sample_sources` and `log_prob`.
        obs: Observations, as `Frame.seen` has them.
        likelihood: ``(theta, source, *data) -> ln L`` of one object.
        n: Draws wanted per row.
        draws: Draws of the flow that are weighted.
        seed: Random seed.
        first: Number of the first row.
        by_name: See `Posterior.sample`.
    """
    if isinstance(likelihood, Marginal):
        return _of_spectra(posterior, obs, likelihood, n, draws, seed, first, by_name)
    most = max(1, _NUMBERS // (draws * posterior.model.frame.size))
    parts = [_refined(posterior, obs[rows], likelihood, n, draws, seed, first + int(rows[0]),
                      by_name)
             for rows in blocks(len(obs), most)]
    samples, source, *of_rows = zip(*parts, strict=True)
    of_draws = (np.concatenate(p, axis=1)[:, : len(obs)] for p in (samples, source))
    return Refined(*of_draws, *(np.concatenate(p)[: len(obs)] for p in of_rows))


def _refined(posterior, obs, likelihood, n, draws, seed, first, by_name) -> Refined:
    """`refined` of few rows."""
    samples, source = posterior.sample_sources(obs, draws, seed=seed, first=first,
                                               by_name=by_name)
    proposal = posterior.log_prob(samples, obs, source)
    data = posterior.model.frame.arrays(obs)
    target = _targets(posterior.model.space, likelihood, samples, source, data)
    return _chosen(samples, source, np.asarray(target, float) - proposal, n, seed)


def _of_spectra(posterior, obs, likelihood, n, draws, seed, first, by_name) -> Refined:
    """`refined` where the likelihood knows the best fit, few rows at a time."""
    parts = []
    for start in range(0, len(obs), ROWS):
        rows = np.arange(start, min(start + ROWS, len(obs)))
        parts.append(adapted(posterior, obs[rows], likelihood, draws, seed, first + start, by_name))
    samples, log_weight = (np.concatenate(p, axis=1) for p in zip(*parts, strict=True))
    return _chosen(samples, np.zeros(samples.shape[:2], int), log_weight, n, seed)


def _chosen(samples, source, log_weight, n, seed) -> Refined:
    """Draws in proportion to their weights."""
    log_weight = np.where(np.isfinite(log_weight), log_weight, -np.inf)
    weight, ess = normalised(log_weight)
    both = np.concatenate([samples, source[..., None]], axis=-1)
    drawn = resample(both, weight, n, seed)
    evidence = np.logaddexp.reduce(log_weight, axis=0) - np.log(len(samples))
    return Refined(drawn[..., :-1], drawn[..., -1].astype(int), ess, evidence)


@eqx.filter_jit
def _targets(space, likelihood, samples, source, data: tuple[Array, ...]) -> Array:
    """``ln L + ln prior`` [n, batch], a row after the other: each has its draws at once."""

    def of_row(row):
        theta, source, data = row
        return jax.vmap(lambda t, s: likelihood(t, s, *data))(theta, source)

    rows = samples.swapaxes(0, 1), source.T, data
    return space.log_prior(samples, source) + jax.lax.map(of_row, rows, batch_size=16).T
