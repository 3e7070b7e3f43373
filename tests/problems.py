"""Small inference problems whose answers are known."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from flowspec.prior.prior import Prior
from flowspec.sim.user import CallableSimulator

WAVE = np.geomspace(4000.0, 8000.0, 128)
SIGMA = 0.5


def linear_simulator() -> CallableSimulator:
    """Two amplitudes with normal priors on fixed shapes and white noise: a Gaussian posterior."""
    prior = Prior({"a": dist.Normal(0.0, 1.0), "b": dist.Normal(0.0, 1.0)})
    return CallableSimulator(lambda key, theta: theta @ shapes(), prior, WAVE, SIGMA)


def shapes() -> jax.Array:
    """Two bumps that overlap [2, pixels]."""
    x = jnp.linspace(-1, 1, len(WAVE))
    return jnp.stack([jnp.exp(-((x - 0.2) ** 2) / 0.1), jnp.exp(-((x + 0.2) ** 2) / 0.1)])


def linear_posterior(flux: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exact posterior means [batch, 2] and covariance of `linear_simulator`."""
    a = np.asarray(shapes())
    covariance = np.linalg.inv(np.eye(2) + a @ a.T / SIGMA**2)
    return flux @ a.T / SIGMA**2 @ covariance, covariance


def line_simulator() -> CallableSimulator:
    """One emission line of free strength on a flat continuum: z and log10 of the strength."""
    prior = Prior({"z": dist.Uniform(0.1, 0.5), "strength": dist.Uniform(0.0, 1.0)})

    def flux(key, theta):
        x = (jnp.log(WAVE / 5000.0) - jnp.log1p(theta[0])) / 0.01
        return 1 + 10 ** theta[1] * jnp.exp(-0.5 * x**2)

    return CallableSimulator(flux, prior, WAVE, SIGMA)
