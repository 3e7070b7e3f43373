"""The exact posterior of an explicit likelihood: by brute force in few dimensions, else by NUTS."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from numpyro.infer import MCMC, NUTS

from flowspec.prior.prior import Prior

LOST = 1e-6  # share of the posterior that a refinement of the grid may leave outside
_AT_ONCE = 1 << 14


class Exact(NamedTuple):
    """The exact posterior of one object.

    Attributes:
        samples: Independent draws [n, params].
        log_evidence: ``ln p(data)``.
        ess: Effective number of the weighted draws that the samples come from.
    """

    samples: Float[np.ndarray, "n params"]
    log_evidence: float
    ess: float


def exact_posterior(
    log_likelihood: Callable[..., Float[Array, ""]],
    prior: Prior,
    n: int,
    *,
    data: tuple = (),
    nodes: int = 16,
    refinements: int = 2,
    draws: int = 40_000,
    seed: int = 0,
) -> Exact:
    """Draws of the exact posterior of up to four or five parameters.

    In the levels of the parameters, where a prior of independent ones is uniform, a grid of cells
    finds where the posterior is, and is laid anew around the cells that hold all but `LOST` of it.
    Cells in proportion to their mass and places inside them at random are then a proposal, whose
    weights by the exact likelihood leave no trace of the grid.

    Args:
        log_likelihood: Of parameters, then `data`; traceable by JAX.
        prior: Of the parameters.
        n: Draws wanted.
        data: Of one object; those of the next one are not compiled anew.
        nodes: Cells along each parameter.
        refinements: How often the grid is laid anew.
        draws: Of the proposal.
        seed: Random seed.
    """
    dims, data = len(prior.names), jax.tree.map(jnp.asarray, data)
    density = partial(_log_density, log_likelihood, prior, data)
    low, high = np.zeros(dims), np.ones(dims)
    for step in range(refinements + 1):
        width = (high - low) / nodes
        centre = np.indices((nodes,) * dims).reshape(dims, -1).T + 0.5
        mass = _softmax(_in_parts(density, low + centre * width))
        if step < refinements:
            order = np.argsort(mass)
            kept = centre[order[np.cumsum(mass[order]) > LOST]]
            # one cell more: half of it is where the grid could not see
            low, high = (
                np.clip(low + (kept.min(0) - 1.5) * width, 0, 1),
                np.clip(low + (kept.max(0) + 1.5) * width, 0, 1),
            )
    rng = np.random.default_rng(seed)
    # a tenth everywhere, for what lies between the centres
    mass = 0.9 * mass + 0.1 / len(mass)
    cell = rng.choice(len(mass), draws, p=mass)
    levels = low + (centre[cell] + rng.uniform(-0.5, 0.5, (draws, dims))) * width
    log_weight = _in_parts(density, levels) - np.log(mass[cell] / width.prod())
    weight = _softmax(log_weight)
    chosen = rng.choice(draws, n, p=weight)
    theta = prior.to_constrained(jax.scipy.special.ndtri(jnp.asarray(levels[chosen], jnp.float32)))
    evidence = np.logaddexp.reduce(log_weight) - np.log(draws)
    return Exact(np.asarray(theta), float(evidence), float(1 / (weight**2).sum()))


def nuts(
    log_likelihood: Callable[[Float[Array, " params"]], Float[Array, ""]],
    prior: Prior,
    start: Float[np.ndarray, "chains params"],
    key: PRNGKeyArray,
    *,
    warmup: int = 500,
    draws: int = 1000,
) -> tuple[Float[np.ndarray, "n params"], dict[str, dict[str, float]]]:
    """Draws by the No-U-Turn sampler of numpyro (Hoffman & Gelman 2014), chains side by side.

    Args:
        log_likelihood: Of parameters, traceable by JAX.
        prior: Of the parameters; the chains run where it is a standard normal.
        start: Where the chains start, such as draws of the flow.
        key: Random key.
        warmup: Steps to adapt.
        draws: Of each chain after that.

    Returns:
        The draws, and per parameter ``r_hat`` and ``n_eff`` (Gelman et al. 2013).
    """
    def potential(free):
        theta = prior.to_constrained(free)
        # the density of the free parameters is the prior's over the slope of their map
        slope = prior.to_unconstrained(theta)[1].sum()
        return slope - prior.log_prob(theta) - log_likelihood(theta)

    sampler = MCMC(
        NUTS(potential_fn=potential), num_warmup=warmup, num_samples=draws,
        num_chains=len(start), chain_method="vectorized", progress_bar=False,
    )  # fmt: skip
    free, _ = prior.to_unconstrained(jnp.asarray(start))
    sampler.run(key, init_params=free)
    theta = np.asarray(prior.to_constrained(sampler.get_samples(group_by_chain=True)))
    report = {
        name: {
            "r_hat": float(split_gelman_rubin(theta[..., i])),
            "n_eff": float(effective_sample_size(theta[..., i])),
        }
        for i, name in enumerate(prior.names)
    }
    return theta.reshape(-1, theta.shape[-1]), report


@eqx.filter_jit
def _log_density(log_likelihood, prior, data, levels):
    free = jax.scipy.special.ndtri(levels)
    theta = prior.to_constrained(free)
    # 0 for priors of independent parameters, which are flat in their levels
    slope = (prior.to_unconstrained(theta)[1] + norm.logpdf(free)).sum(-1)
    return jax.vmap(lambda t: log_likelihood(t, *data))(theta) + prior.log_prob(theta) - slope


def _in_parts(density, levels: np.ndarray) -> np.ndarray:
    size = min(_AT_ONCE, len(levels))
    padded = np.pad(levels, ((0, -len(levels) % size), (0, 0)), mode="edge").astype(np.float32)
    parts = [np.asarray(density(padded[i : i + size])) for i in range(0, len(padded), size)]
    values = np.concatenate(parts)[: len(levels)].astype(float)
    return np.where(np.isfinite(values), values, -np.inf)


def _softmax(x: np.ndarray) -> np.ndarray:
    weight = np.exp(x - x.max())
    return weight / weight.sum()
