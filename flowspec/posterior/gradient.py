"""A line through many posteriors: the gradient of a quantity, its zero point and its scatter.

The posterior of each object was found under a prior of its own. Draws of it, weighted by one over
that prior, stand for its likelihood, and the line with its scatter takes the prior's place: a
hierarchical model (Hogg, Myers & Bovy 2010, ApJ 725, 2166, equation 7).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Float
from scipy.optimize import minimize

from flowspec.posterior.adaptive import StudentT
from flowspec.posterior.weights import normalised

_WIDER = 1.2  # standard deviations of the proposal over those of Laplace's approximation
_AT_ONCE = 64  # lines weighed at once
_LEAST = 20  # effective draws of an object that tell its likelihood
_SMALLEST = 1e-3  # scatter, in standard deviations of the objects' means, where the search begins


class Gradient(NamedTuple):
    """Draws of a line ``zero + slope x`` and of the scatter about it.

    Attributes:
        slope: Change of the quantity per unit of x [n].
        zero: The quantity where x is 0 [n].
        scatter: Standard deviation of the objects themselves about the line [n].
        effective: Share of the proposed lines that are effective draws; below 0.1 it is not to be
            trusted.
    """

    slope: Float[np.ndarray, " n"]
    zero: Float[np.ndarray, " n"]
    scatter: Float[np.ndarray, " n"]
    effective: float

    def at(self, x: Float[ArrayLike, " places"]) -> Float[np.ndarray, "n places"]:
        """The line of each draw."""
        return self.zero[:, None] + self.slope[:, None] * np.asarray(x)


def gradient(
    x: Float[ArrayLike, " places"],
    draws: Float[ArrayLike, "n objects"],
    log_prior: Float[ArrayLike, "draws others"] | None = None,
    *,
    lines: int = 4000,
    seed: int = 0,
) -> Gradient:
    """Slope, zero point and scatter of a quantity along x, by the posteriors of many objects.

    Flat priors of slope, zero point and scatter. Between the draws of an object its likelihood is
    smooth: kernels of the width of Silverman (1986), about draws that are drawn together so that
    their variance is not changed (West 1993). Objects without a finite draw, or without an x, are
    left out. What a finite number of draws costs: of 60 objects with 400 draws each a quarter of
    a standard deviation, with 4,000 none.

    Args:
        x: Place of each object, such as its radius over that of the galaxy.
        draws: Of the quantity, of every object, such as ``post.sample(obs, 200)[..., i]``.
        log_prior: ln of the prior's density of the quantity at the draws; by default it was flat.
        lines: How many are proposed and drawn.
        seed: Random seed.

    Raises:
        ValueError: On other shapes, fewer than four objects, or a prior that leaves an object with
            hardly any draw.
    """
    x, draws = np.asarray(x, float), np.asarray(draws, float)
    if draws.ndim != 2 or x.shape != draws.shape[1:]:
        raise ValueError(f"expected draws [n, objects] at x [objects]; got {draws.shape} at "
                         f"{x.shape}")
    weight = np.zeros_like(draws) if log_prior is None else -np.asarray(log_prior, float)
    if weight.shape != draws.shape:
        raise ValueError(f"expected log_prior like draws, {draws.shape}; got {weight.shape}")
    kept = np.isfinite(x) & np.isfinite(draws).all(0) & np.isfinite(weight).all(0)
    if kept.sum() < 4:
        raise ValueError(f"expected four objects or more with draws; got {kept.sum()}")
    weight, effective = normalised(weight[:, kept])
    if effective.min() < min(_LEAST, 0.5 * len(draws)):
        raise ValueError(f"expected {_LEAST} effective draws of each object or more; got "
                         f"{effective.min():.1f}")
    return _drawn(x[kept], draws[:, kept], weight, effective, lines, seed)


def _drawn(x, draws, weight, effective, lines: int, seed: int) -> Gradient:
    """Lines proposed about the best one, and drawn by their weight."""
    mean = (weight * draws).sum(0)
    spread = np.sqrt((weight * (draws - mean) ** 2).sum(0))
    middle, unit = mean.mean(), max(mean.std(), spread.mean())
    place, reach = x.mean(), x.std() or 1.0
    width = (4 / (3 * effective)) ** 0.2  # Silverman's rule, in standard deviations
    shrunk = mean + (draws - mean) * np.sqrt(np.maximum(1 - width**2, 0))
    args = ((x - place) / reach, (shrunk - middle) / unit, np.log(weight), width * spread / unit)
    args = tuple(jnp.asarray(a, jnp.float32) for a in args)

    def cost(p):
        value, slope = _value_and_slope(jnp.asarray(p, jnp.float32), *args)
        return -float(value), -np.asarray(slope, float)

    fits = [minimize(cost, [0.0, 0.0, np.log(s)], jac=True, method="L-BFGS-B",
                     bounds=[(None, None)] * 2 + [(np.log(_SMALLEST), None)])
            for s in (1.0, 0.1)]  # fmt: skip
    best = min(fits, key=lambda fit: fit.fun).x
    curvature = -np.asarray(_curvature(jnp.asarray(best, jnp.float32), *args), float)
    values, vectors = np.linalg.eigh(curvature)
    covariance = (vectors / np.maximum(values, 0.25)) @ vectors.T  # flat where scatter may be none
    rng = np.random.default_rng(seed)
    pilot, chance = _tried(best, covariance, args, rng, max(lines // 4, 200))
    mean = chance @ pilot
    covariance = (chance[:, None] * (pilot - mean)).T @ (pilot - mean)
    tried, chance = _tried(mean, covariance, args, rng, lines)
    slope, zero, ln_scatter = tried[rng.choice(lines, lines, p=chance)].T
    slope = slope * unit / reach
    return Gradient(slope, middle + unit * zero - slope * place, unit * np.exp(ln_scatter),
                    float(1 / (chance**2).sum() / lines))  # fmt: skip


def _tried(centre, covariance, args, rng, count: int):
    """Lines drawn from a t, and how probable each is."""
    proposal = StudentT.of(centre[None], _WIDER**2 * covariance[None])
    lines = proposal.draw([rng], count)
    target = np.asarray(_log_posterior_of(jnp.asarray(lines[:, 0], jnp.float32), *args), float)
    return lines[:, 0], normalised(target[:, None] - proposal.log_prob(lines))[0][:, 0]


def _log_posterior(p, x, draws, log_weight, width):
    """ln of likelihood and prior of slope, zero point and ln(scatter); flat in scatter."""
    variance = jnp.exp(2 * p[2]) + width**2
    away = draws - (p[1] + p[0] * x)
    each = log_weight - 0.5 * away**2 / variance - 0.5 * jnp.log(variance)
    return jax.nn.logsumexp(each, axis=0).sum() + p[2]


_value_and_slope = jax.jit(jax.value_and_grad(_log_posterior))
_curvature = jax.jit(jax.hessian(_log_posterior))


@jax.jit
def _log_posterior_of(lines, *args):
    return jax.lax.map(lambda p: _log_posterior(p, *args), lines, batch_size=_AT_ONCE)
