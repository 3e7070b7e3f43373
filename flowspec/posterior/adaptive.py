"""Draws of the exact posterior of spectra, from proposals that learn where it is.

A quarter of the draws are the flow's and a quarter those of a Student's t about the best fit; the
rest are of a t whose mean and covariance are the weighted ones of all draws before. Weights are
over the mixture of all proposals, so that a narrow one does no harm: adaptive multiple importance
sampling (Cornuet et al. 2012, Scandinavian Journal of Statistics 39, 798).
"""

from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float
from scipy.special import gammaln

from flowspec.posterior.asked import row_numbers
from flowspec.posterior.weights import normalised
from flowspec.sim.marginal import Expansion, Marginal

ROWS = 32  # at once: each has some MB of derivatives
STARTS = 16  # draws of the flow from which the fit may start
SHARES = (0.25, 0.25, 0.25, 0.25)  # of the flow, about the best fit, and of two that have learned
FREEDOM = 6.0  # degrees of the t: tails that a normal posterior does not outreach
WIDER = 1.1  # standard deviations of the first t over those of Laplace's approximation
_LEAST = 5.0  # effective draws per parameter that a covariance is learned from
_AT_ONCE = 50  # evaluations of the model, side by side: four times as fast as in a loop


class StudentT(NamedTuple):
    """A multivariate t of each row, in Gaussianised parameters.

    Attributes:
        centre: Its mean [batch, params].
        factor: Lower triangular factor of its scale matrix [batch, params, params].
    """

    centre: Float[np.ndarray, "batch params"]
    factor: Float[np.ndarray, "batch params params"]

    @classmethod
    def of(cls, centre, covariance) -> "StudentT":
        """With a mean and a covariance, which need not be quite positive."""
        values, vectors = np.linalg.eigh(np.asarray(covariance, float))
        values = np.clip(values, 1e-12, None)  # the prior has 1
        square = np.einsum("bij,bj,bkj->bik", vectors, values, vectors)
        return cls(np.asarray(centre, float), np.linalg.cholesky(square))

    def draw(self, rngs: list[np.random.Generator], n: int) -> Float[np.ndarray, "n batch params"]:
        """Draws of every row, each with its own random numbers."""
        rows = []
        for rng, centre, factor in zip(rngs, *self, strict=True):
            normal = rng.normal(size=(n, len(centre)))
            stretch = np.sqrt(FREEDOM / rng.chisquare(FREEDOM, n))[:, None]
            rows.append(centre + stretch * (normal @ factor.T))
        return np.stack(rows, axis=1)

    def log_prob(self, free: Float[np.ndarray, "n batch params"]) -> Float[np.ndarray, "n batch"]:
        """Natural log density."""
        dims = free.shape[-1]
        white = np.linalg.solve(self.factor, (free - self.centre)[..., None])[..., 0]
        log_det = np.log(np.diagonal(self.factor, axis1=1, axis2=2)).sum(-1)
        norm = gammaln((FREEDOM + dims) / 2) - gammaln(FREEDOM / 2)
        norm -= 0.5 * dims * np.log(FREEDOM * np.pi)
        square = (white**2).sum(-1) / FREEDOM
        return norm - log_det - 0.5 * (FREEDOM + dims) * np.log1p(square)


class Tried(NamedTuple):
    """Draws of all proposals.

    Attributes:
        theta: Parameters [n, batch, params].
        free: Gaussianised [n, batch, params].
        slope: ln of the derivative of these by the parameters [n, batch].
        target: ln of likelihood times prior [n, batch].
        flow: ln of the flow's density [n, batch].
    """

    theta: Float[np.ndarray, "n batch params"]
    free: Float[np.ndarray, "n batch params"]
    slope: Float[np.ndarray, "n batch"]
    target: Float[np.ndarray, "n batch"]
    flow: Float[np.ndarray, "n batch"]

    def log_weight(self, counts: list[int], others: list[StudentT]) -> Float[np.ndarray, "n batch"]:
        """Over the mixture of the flow and the others, of each of which there are so many."""
        parts = [self.flow] + [other.log_prob(self.free) + self.slope for other in others]
        shares = np.log(np.array(counts) / sum(counts))
        proposal = np.logaddexp.reduce([p + s for p, s in zip(parts, shares, strict=True)])
        weight = self.target - proposal
        return np.where(np.isfinite(weight), weight, -np.inf)


def adapted(
    posterior, obs, likelihood: Marginal, draws: int, seed: int, first: int, by_name: bool
) -> tuple[Float[np.ndarray, "n batch params"], Float[np.ndarray, "n batch"]]:
    """Draws and the natural logs of their weights, whose mean is the evidence.

    Args:
        posterior: With `sample` and `log_prob`, under the prior of the simulator.
        obs: Spectra on the model's pixels.
        likelihood: Of the simulator.
        draws: In all.
        seed: Random seed.
        first: Number of the first row.
        by_name: See `Posterior.sample`.

    Raises:
        ValueError: If the model and the simulator have other parameters.
    """
    prior = likelihood.sim.prior
    if posterior.sources != likelihood.sim.sources or posterior.names != prior.names:
        raise ValueError(f"expected a simulator of {posterior.names}; got one of {prior.names}")
    rngs = [np.random.default_rng([seed, *map(int, words)])
            for words in row_numbers(obs, first, by_name)]
    counts = [max(round(draws * share), 1) for share in SHARES]
    counts[0] += draws - sum(counts)
    theta = posterior.sample(obs, max(counts[0], STARTS), seed=seed, first=first, by_name=by_name)
    none = np.isnan(theta).any((0, 2))
    theta = np.where(none[:, None], np.asarray(prior.to_constrained(np.zeros(len(prior.names)))),
                     theta)
    near = likelihood.prepared(obs, theta[:STARTS])
    tried = _tried(posterior, obs, likelihood, near, theta[: counts[0]])
    others = [StudentT.of(near.centre, WIDER**2 * near.covariance)]
    for i, count in enumerate(counts[1:]):
        free = others[i].draw(rngs, count)
        found = _tried(posterior, obs, likelihood, near, np.asarray(prior.to_constrained(free)))
        tried = Tried(*(np.concatenate(both) for both in zip(tried, found, strict=True)))
        log_weight = tried.log_weight(counts[: i + 2], others)
        if i + 2 < len(counts):
            others.append(_learned(tried.free, log_weight))
    return tried.theta, np.where(none, -np.inf, log_weight)


def _learned(free, log_weight) -> StudentT:
    """The t of the weighted mean and covariance, of weights evened out where few draws count."""
    weight = np.stack([_evened(row, _LEAST * free.shape[-1]) for row in log_weight.T], axis=1)
    mean = np.einsum("nb,nbi->bi", weight, free)
    away = free - mean
    return StudentT.of(mean, np.einsum("nb,nbi,nbj->bij", weight, away, away))


def _evened(log_weight, least: float) -> Float[np.ndarray, " n"]:
    """Weights to the largest power up to 1 that leaves so many effective draws."""
    for power in 0.8 ** np.arange(30):
        weight, ess = normalised(power * log_weight[:, None])
        if ess[0] >= min(least, len(log_weight) / 2):
            break
    return weight[:, 0]


def _tried(posterior, obs, likelihood, near: Expansion, theta) -> Tried:
    theta = np.asarray(theta, np.float32)
    free, slope = likelihood.sim.prior.to_unconstrained(theta)
    source = np.zeros(theta.shape[:2], int)
    prior = np.asarray(posterior.model.space.log_prior(theta, source), float)
    target = np.asarray(_likelihoods(likelihood, near, theta.swapaxes(0, 1))).T
    flow = np.asarray(posterior.log_prob(theta, obs), float)
    flow = np.where(np.isnan(flow), -np.inf, flow)
    return Tried(theta, np.asarray(free, float), np.asarray(slope, float).sum(-1),
                 prior + target, flow)


def _likelihoods(likelihood: Marginal, near: Expansion, theta) -> Float[np.ndarray, "batch n"]:
    """``ln L`` of draws [batch, n, params], some of one row at a time."""
    found = []
    for row, draws in enumerate(theta):
        own = jax.tree.map(lambda a, row=row: a[row], near)
        full = np.resize(draws, (-(-len(draws) // _AT_ONCE) * _AT_ONCE, draws.shape[1]))
        parts = [_likelihoods_at(likelihood, own, full[i : i + _AT_ONCE])
                 for i in range(0, len(full), _AT_ONCE)]
        found.append(np.concatenate([np.asarray(p) for p in parts])[: len(draws)])
    return np.stack(found)


@eqx.filter_jit
def _likelihoods_at(likelihood: Marginal, near: Expansion, theta):
    return jax.vmap(lambda t: likelihood.at(t, 0, near))(theta)
