"""Training losses: pure functions of a model and a batch of simulations, and what tells summaries
of simulations from those of observations."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

_WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the kernels, over the median distance


@jax.custom_vjp
def reverse_gradient(x: Array, strength: Float[Array, ""]) -> Array:
    """The identity, whose gradient is ``-strength`` times what arrives (Ganin et al. 2016,
    arXiv:1505.07818, equations 14 and 15)."""
    return x


reverse_gradient.defvjp(
    lambda x, strength: (x, strength),
    lambda strength, gradient: (-strength * gradient, jnp.zeros_like(strength)),
)


def adversarial(
    source: Float[Array, "simulated features"],
    target: Float[Array, "observed features"],
    weight: Float[Array, " simulated"],
    critic: Callable[[Float[Array, "rows features"]], Float[Array, " rows"]],
) -> Float[Array, ""]:
    """Cross entropy of a classifier that tells simulations from observations, each half.

    Behind `reverse_gradient` the summaries learn to defeat the classifier (Ganin et al. 2016).

    Args:
        source: Summaries of simulations.
        target: Of observations.
        weight: Of each simulation, of mean one: observed over simulated population.
        critic: Logits of being observed.
    """
    simulated = optax.sigmoid_binary_cross_entropy(critic(source), jnp.zeros(len(source)))
    observed = optax.sigmoid_binary_cross_entropy(critic(target), jnp.ones(len(target)))
    return 0.5 * ((weight * simulated).sum() / weight.sum() + observed.mean())


def mmd(
    source: Float[Array, "simulated features"],
    target: Float[Array, "observed features"],
    weight: Float[Array, " simulated"],
) -> Float[Array, ""]:
    """Squared maximum mean discrepancy, unbiased: ``E k(s,s') + E k(t,t') - 2 E k(s,t)``.

    Gretton et al. (2012), equation 3, with the mean of Gaussian kernels a quarter to four times as
    wide as the median distance (Long et al. 2015, arXiv:1502.02791).

    Args:
        source: Summaries of simulations.
        target: Of observations.
        weight: Of each simulation.
    """
    sides = weight, jnp.ones(len(target))
    own, others = jnp.pad(sides[0], (0, len(target))), jnp.pad(sides[1], (len(source), 0))
    return kernel_mmd(multi_kernel(jnp.concatenate([source, target])), own, others)


def multi_kernel(x: Float[Array, "rows features"]) -> Float[Array, "rows rows"]:
    """Mean of Gaussian kernels about the median distance; 0 for a row with itself."""
    distance = ((x[:, None] - x) ** 2).sum(-1)
    scale = jax.lax.stop_gradient(jnp.median(distance)) + 1e-12
    kernel = sum(jnp.exp(-distance / (2 * w**2 * scale)) for w in _WIDTHS) / len(_WIDTHS)
    return kernel * (1 - jnp.eye(len(x)))


def kernel_mmd(
    kernel: Float[Array, "rows rows"], own: Float[Array, " rows"], others: Float[Array, " rows"]
) -> Float[Array, ""]:
    """`mmd` of the rows that have a weight in `own` and those that have one in `others`."""

    def mean(v, w):
        return v @ kernel @ w / (v.sum() * w.sum() - v @ w)  # over different rows

    return mean(own, own) + mean(others, others) - 2 * mean(own, others)


def coral(
    source: Float[Array, "simulated features"],
    target: Float[Array, "observed features"],
    weight: Float[Array, " simulated"],
) -> Float[Array, ""]:
    """Mean squared differences of the means and of the covariances, ``|dm|^2 / d + |dC|^2 / d^2``.

    Sun & Saenko (2016, arXiv:1607.01719, equation 1) with the means, which they leave to a
    normalisation, and without their factor of a quarter.

    Args:
        source: Summaries of simulations.
        target: Of observations.
        weight: Of each simulation.
    """
    moments = [_moments(source, weight), _moments(target, jnp.ones(len(target)))]
    (mean, covariance), (other_mean, other_covariance) = moments
    return ((mean - other_mean) ** 2).mean() + ((covariance - other_covariance) ** 2).mean()


def _moments(x: Float[Array, "n features"], weight: Float[Array, " n"]) -> tuple[Array, Array]:
    weight = weight / weight.sum()
    mean = weight @ x
    return mean, (weight[:, None] * (x - mean)).T @ (x - mean)
