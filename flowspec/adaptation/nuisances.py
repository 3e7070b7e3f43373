"""What unlabelled observations say of the nuisances of a simulator: their means and covariance.

The forward model is fitted to each observation (`flowspec.sim.explicit`). In Laplace's
approximation what that says of Gaussianised parameters and latents ``v`` is the likelihood
``exp(h v - v L v / 2)``. Their distribution over the observations, a normal one, follows by
expectation-maximisation (Hogg et al. 2010, arXiv:1008.4146; Bovy et al. 2011, arXiv:0905.2979),
with an inverse-Wishart prior at what the simulator had, whose weight is chosen on held-out
observations. The simulator is given the latents' distribution *at given parameters*: no population
of parameters enters. No label is used.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from flowspec.sim.explicit import Fitted
from flowspec.sim.latent import LIMIT, Learned

STRENGTHS = (3.0, 10.0, 30.0, 100.0, 300.0)  # of the prior, in observations
ROUNDS = 25
FOLDS = 2
ROUNDING = 1e-5  # of the eigenvalues of a matrix of unit diagonal, in single precision


class Likelihoods(NamedTuple):
    """Normal likelihoods ``exp(h v - v L v / 2)`` of parameters and latents of each observation.

    Attributes:
        information: L [batch, unknowns, unknowns].
        pull: h [batch, unknowns].
    """

    information: Float[np.ndarray, "batch unknowns unknowns"]
    pull: Float[np.ndarray, "batch unknowns"]

    def __getitem__(self, rows) -> "Likelihoods":
        return Likelihoods(self.information[rows], self.pull[rows])


class Normal(NamedTuple):
    """A normal distribution of parameters and latents.

    Attributes:
        mean: [unknowns].
        covariance: [unknowns, unknowns].
    """

    mean: Float[np.ndarray, " unknowns"]
    covariance: Float[np.ndarray, "unknowns unknowns"]

    @classmethod
    def standard(cls, size: int) -> "Normal":
        """Independent and of unit variance."""
        return cls(np.zeros(size), np.eye(size))


def likelihoods(fit: Fitted, learned: Learned, temper: float) -> Likelihoods:
    """What fits say of Gaussianised parameters and *unwhitened* latents.

    Args:
        fit: Of observations.
        learned: What the simulator knew of the latents when it was fitted.
        temper: Factor on the information: noise that is correlated says less than it seems to.
    """
    params = fit.theta.shape[1]
    white, pull = positive(fit)
    whitened = np.eye(len(pull[0]))
    factor = np.linalg.inv(np.asarray(learned.factor, float))
    whitened[params:, params:] = factor
    whitened[params:, :params] = -factor @ np.asarray(learned.slopes, float)
    shift = np.zeros(len(whitened))
    shift[params:] = -factor @ np.asarray(learned.mean, float)  # white = whitened v + shift
    information = np.einsum("ji,njk,kl->nil", whitened, white, whitened)
    pull = (pull - white @ shift) @ whitened
    return Likelihoods(temper * information, temper * pull)


def positive(fit: Fitted) -> tuple[np.ndarray, np.ndarray]:
    """Information and pull without what single precision and unfinished fits put in wrongly.

    The information about a redshift is 10^9 times that about other unknowns: eigenvalues are those
    of the matrix of unit diagonal. Along an axis without information there is no pull.
    """
    matrix = np.asarray(fit.information, float)
    scale = np.sqrt(np.maximum(np.diagonal(matrix, axis1=1, axis2=2), 1e-12))
    outer = scale[:, :, None] * scale[:, None]
    size, axes = np.linalg.eigh(matrix / outer)
    size = np.where(size > ROUNDING, size, 0.0)
    matrix = np.einsum("nij,nj,nkj->nik", axes, size, axes, optimize=True) * outer
    gradient = np.einsum("nij,ni->nj", axes, fit.gradient / scale) * (size > 0)
    gradient = np.einsum("nij,nj->ni", axes, gradient) * scale
    return matrix, np.einsum("nij,nj->ni", matrix, np.asarray(fit.unknowns, float)) + gradient


def posterior_moments(given: Likelihoods, prior: Normal) -> tuple[np.ndarray, np.ndarray]:
    """Means [batch, unknowns] and covariances of `given` times a prior."""
    precision = np.linalg.inv(prior.covariance)
    covariance = np.linalg.inv(given.information + precision)
    mean = np.einsum("nij,nj->ni", covariance, given.pull + precision @ prior.mean)
    return mean, covariance


def log_evidence(given: Likelihoods, prior: Normal) -> Float[np.ndarray, " batch"]:
    """ln of the integral of each likelihood over a prior."""
    precision = np.linalg.inv(prior.covariance)
    both = given.information + precision
    pull = given.pull + precision @ prior.mean
    fit = np.einsum("ni,ni->n", pull, np.linalg.solve(both, pull[..., None])[..., 0])
    own = prior.mean @ precision @ prior.mean + np.linalg.slogdet(prior.covariance)[1]
    return 0.5 * (fit - own - np.linalg.slogdet(both)[1])


def population(given: Likelihoods, strength: float, held: np.ndarray | None = None) -> Normal:
    """The normal distribution that observations come from, shrunk towards the standard one.

    Args:
        given: Of each observation.
        strength: Weight of the standard normal distribution, in observations.
        held: Which unknowns stay standard normal and independent [unknowns].
    """
    size, count = given.pull.shape[1], len(given.pull)
    prior = Normal.standard(size)
    free = np.ones(size) if held is None else 1.0 - held
    for _ in range(ROUNDS):
        means, covariances = posterior_moments(given, prior)
        mean = free * means.sum(0) / (count + 0.1 * strength)
        mean = np.clip(mean, -LIMIT, LIMIT)  # no simulation would be drawn further off
        off = means - mean
        total = covariances.sum(0) + off.T @ off + 0.1 * strength * np.outer(mean, mean)
        covariance = (strength * np.eye(size) + total) / (strength + count)
        prior = Normal(mean, covariance * np.outer(free, free) + np.diag(1 - free))
    return prior


def best_population(
    given: Likelihoods, held: np.ndarray | None = None, seed: int = 0
) -> tuple[Normal, dict[float, float]]:
    """`population` with the strength that held-out observations prefer, and a record of it.

    Returns:
        The distribution, and the mean gain in log evidence of a held-out observation over the
        standard normal distribution, by strength, in nats.
    """
    fold = np.random.default_rng(seed).permutation(len(given.pull)) % FOLDS
    before = log_evidence(given, Normal.standard(given.pull.shape[1]))
    gains = {}
    for strength in STRENGTHS:
        gain = np.zeros(len(before))
        for k in range(FOLDS):
            learned = population(given[fold != k], strength, held)
            gain[fold == k] = log_evidence(given[fold == k], learned) - before[fold == k]
        gains[strength] = float(gain.mean())
    best = max(gains, key=gains.get)
    if gains[best] <= 0:
        return Normal.standard(given.pull.shape[1]), gains
    return population(given, best, held), gains


def conditional(joint: Normal, params: int) -> Learned:
    """The latents at given parameters, from the joint distribution of both."""
    mean, covariance = joint
    block = covariance[params:, :params]
    slopes = block @ np.linalg.inv(covariance[:params, :params])
    rest = covariance[params:, params:] - slopes @ block.T
    factor = np.linalg.cholesky(rest)
    centre = mean[params:] - slopes @ mean[:params]
    return Learned(*(jnp.asarray(a, jnp.float32) for a in (centre, slopes, factor)))
