"""Exact posteriors of line catalogues without a network: draws of the prior, shared by all rows.

The fluxes of the draws are worked out once. For each row their logarithms are compared with the
measured ones, and what these are linear in (the scale, dust, abundances: `NebulaSimulator.slopes`)
is integrated analytically, as if errors of ln(flux) were normal: a product of matrices. That is
only where a few of the draws are taken, and their linear parameters drawn: each then gets its exact
weight, prior times `log_likelihood` over the density it was drawn with.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.linalg import solve_triangular

from flowspec.data.lines import Lines, State
from flowspec.data.observation import blocks
from flowspec.posterior.refine import Refined
from flowspec.posterior.weights import normalised, resample
from flowspec.sim.nebula.catalogues import NebulaSimulator

_ROWS = 32
_TEMPER = 0.8  # power of the approximate likelihood: tails of the draws are to be wider
_WIDER = 1.2  # of the linear parameters, likewise, in standard deviations
_LEAST = 0.03  # error of ln(flux) that the approximation has at least
_AV = 1  # row of the dust among the derivatives
_SCALE = 10.0  # standard deviation of ln(scale): nothing is known of it


class PriorDraws(NamedTuple):
    """Draws of the prior of a simulator, and their fluxes. Made by `prior_draws`.

    Attributes:
        sim: The simulator.
        theta: Parameters [draws, params], those of `slopes` at the middle of their prior.
        source: Number of the source of each [draws].
        log_flux: ln of the fluxes without dust and `NebulaSimulator.offset` [lines, draws].
    """

    sim: NebulaSimulator
    theta: Float[np.ndarray, "draws params"]
    source: Int[np.ndarray, " draws"]
    log_flux: Float[np.ndarray, "lines draws"]

    def posterior(self, obs: Lines, n: int = 300, *, tried: int = 1000, seed: int = 0) -> Refined:
        """Draws of the posterior of each row, their effective number and the evidence.

        Args:
            obs: Rows of a catalogue, each with a measured line.
            n: Draws wanted per row.
            tried: Draws that get an exact weight.
            seed: Random seed.
        """
        obs, rng = obs.select(self.sim.lines), np.random.default_rng(seed)
        present = obs.state != State.ABSENT
        unit = np.nanmedian(np.where(present, obs.err, np.nan), axis=1)[:, None]
        data = obs.flux / unit, np.where(present, obs.err / unit, 1.0), obs.state
        fluxes = self.log_flux + np.asarray(self.sim.offset)[:, None]
        share = np.asarray(self.sim.model_err).max(0)
        parts = []
        for rows in blocks(len(obs), _ROWS):
            taken = [_taken(rng, self, fluxes, share, tried, obs.dereddened[i],
                            *(a[i] for a in data)) for i in rows]  # fmt: skip
            theta, source, log_q = (np.stack(part) for part in zip(*taken, strict=True))
            row_data = (*(np.float32(a[rows]) for a in data[:2]), data[2][rows])
            log_p = _targets(self.sim, tuple(self._free), theta, source, *row_data,
                             np.float32(obs.dereddened[rows]))  # fmt: skip
            log_weight = (np.asarray(log_p, float) - log_q).T
            weight, ess = normalised(log_weight)
            both = np.concatenate([theta, source[..., None]], axis=-1).swapaxes(0, 1)
            evidence = np.logaddexp.reduce(log_weight, axis=0) - np.log(tried)
            parts.append((resample(both, weight, n, seed), ess, evidence))
        drawn, ess, evidence = zip(*parts, strict=True)
        drawn, count = np.concatenate(drawn, axis=1)[:, : len(obs)], len(obs)
        measured = (obs.state == State.MEASURED).sum(1)
        evidence = np.concatenate(evidence)[:count] - measured * np.log(unit[:, 0])
        return Refined(drawn[..., :-1].astype(np.float32), drawn[..., -1].astype(int),
                       np.concatenate(ess)[:count], evidence)  # fmt: skip

    @property
    def _free(self) -> list[int]:
        """Columns of the parameters of `slopes`."""
        return [self.sim.names.index(name) for name in self.sim.slopes]


def prior_draws(sim: NebulaSimulator, n: int = 50_000, *, seed: int = 0) -> PriorDraws:
    """Draws of the prior of a simulator and their fluxes.

    Args:
        sim: Of catalogues.
        n: Number of draws.
        seed: Random seed.
    """
    theta, source, _ = eqx.filter_jit(type(sim).nebulae)(sim, jr.key(seed), n)
    for name in sim.slopes:
        theta = theta.at[:, sim.names.index(name)].set(np.mean(sim.priors[0].limits(name)))
    fluxes = eqx.filter_jit(jax.vmap(type(sim).ratios, (None, 0, 0, None)))
    flux = np.asarray(fluxes(sim, theta, source, jnp.ones(()))[0])
    log_flux = np.log(flux) - np.asarray(sim.offset)
    return PriorDraws(sim, np.array(theta), np.array(source), log_flux.T.copy())


def _taken(rng, draws, fluxes, share, tried, dereddened, flux, err, state):
    """Parameters [tried, params], sources, and ln of the density that they were drawn with, over
    that of the prior of all but the linear parameters."""
    measured = state == int(State.MEASURED)
    seen = np.maximum(flux, err)[measured]  # a flux below zero has no logarithm
    square = (err[measured] / seen) ** 2 + share[measured] ** 2 + _LEAST**2
    weight = (1 / square).astype(np.float32)
    basis, spread = _linear(draws.sim, dereddened)
    basis = basis[:, measured]
    root = np.linalg.cholesky((basis * weight) @ basis.T + np.diag(spread**-2.0))
    # fluxes are without dust, and what is drawn is how much more of it there is than usual
    dust = basis[_AV] * draws.theta[0, draws.sim.names.index("av")]
    away = (np.log(seen) - dust)[:, None].astype(np.float32) - fluxes[measured]
    pull = solve_triangular(root, basis * weight, lower=True).astype(np.float32) @ away
    log_like = -0.5 * _TEMPER * (weight @ away**2 - (pull**2).sum(0))
    chance = np.exp(log_like - log_like.max())
    total = np.cumsum(chance, dtype=float)
    levels = (rng.uniform() + np.arange(tried)) / tried * total[-1]
    which = np.minimum(np.searchsorted(total, levels), len(chance) - 1)
    normal = rng.normal(size=(len(root), tried))
    step = solve_triangular(root.T, pull[:, which] + _WIDER * normal, lower=False)
    theta = draws.theta[which]
    theta[:, draws._free] += step[1:].T
    log_q = np.log(chance[which] / total[-1] * len(chance))
    log_q += (np.log(np.diag(root)[1:] / _WIDER / (2 * np.pi) ** 0.5).sum()
              - 0.5 * (normal[1:] ** 2).sum(0))  # fmt: skip
    return theta, draws.source[which], log_q


def _linear(sim, dereddened) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of ln(flux) by ln(scale) and by linear parameters, and the latter's spread."""
    slopes = {name: np.asarray(slope) for name, slope in sim.slopes.items()}
    slopes["av"] = slopes["av"] * (1 - float(dereddened))
    ends = [sim.priors[0].limits(name) for name in slopes]
    spread = [(high - low) / 3 for low, high in ends]
    return np.stack([np.ones(len(sim.lines)), *slopes.values()]), np.array([_SCALE, *spread])


@eqx.filter_jit
def _targets(sim, free: tuple[int, ...], theta, source, *data) -> Array:
    """``ln L + ln prior(linear parameters | the others)`` [rows, tried]."""

    def log_prior(prior, theta):
        others = prior.log_probs(theta).at[:, jnp.array(free)].set(0.0).sum(-1)
        inside = jnp.isfinite(prior.log_prob(theta))
        return jnp.where(inside, prior.log_prob(theta) - others, -jnp.inf)

    def of_row(row):
        theta, source, *data = row
        log_p = jnp.stack([log_prior(prior, theta) for prior in sim.priors])
        log_p = jnp.take_along_axis(log_p, source[None], 0)[0]
        ends = sim.priors[0].bounds(theta)
        like = jax.vmap(lambda t, s: sim.log_likelihood(t, s, *data))
        return log_p + like(jnp.clip(theta, *ends), source)

    return jax.lax.map(of_row, (theta, source, *data))
