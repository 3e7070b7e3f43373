"""Small inference problems whose answers are known."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist

from flowspec.data.frame import Pixels
from flowspec.model.model import model_for
from flowspec.posterior.posterior import Posterior
from flowspec.posterior.redshift import Recalibration
from flowspec.posterior.screen import Screen
from flowspec.prior.prior import Prior
from flowspec.sim.simulator import Simulated, Simulator
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

    return CallableSimulator(flux, prior, WAVE, SIGMA, redshift="z")


def linear_likelihood(theta, source, flux, ivar):
    """``ln p(flux | theta)`` of `linear_simulator`, for `Posterior.refine`."""
    del source
    away = flux - theta @ shapes()
    return (-0.5 * away**2 * ivar + 0.5 * jnp.log(ivar / (2 * jnp.pi))).sum()


def linear_evidence(flux: np.ndarray) -> np.ndarray:
    """Exact ``ln p(flux)`` of `linear_simulator`: its fluxes are normal with a known covariance."""
    a = np.asarray(shapes(), float)
    covariance = a.T @ a + SIGMA**2 * np.eye(len(WAVE))
    _, log_det = np.linalg.slogdet(2 * np.pi * covariance)
    square = np.einsum("bi,ij,bj->b", flux, np.linalg.inv(covariance), flux)
    return -0.5 * (square + log_det)


NAMES = ("mean", "slope", "third")
MIXING = np.array([[1.0, 0.3], [0.2, 1.0], [0.5, -0.4]])
VECTOR_SIGMA = np.array([0.3, 0.5, 0.4])


def vector_simulator() -> CallableSimulator:
    """Three numbers, linear in two parameters with normal priors: a Gaussian posterior."""
    prior = Prior({"a": dist.Normal(0.0, 1.0), "b": dist.Normal(0.0, 1.0)})
    return CallableSimulator(
        lambda key, theta: MIXING @ theta, prior, noise=VECTOR_SIGMA, columns=NAMES
    )


def vector_posterior(values: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exact posterior mean [2] and covariance of one row of `vector_simulator`."""
    weight = present / VECTOR_SIGMA**2
    covariance = np.linalg.inv(np.eye(2) + MIXING.T @ (weight[:, None] * MIXING))
    return covariance @ MIXING.T @ (weight * values), covariance


class TwoSources(Simulator):
    """Spectra of an emission or of an absorption line, alike in number: redshift and strength."""

    priors: tuple[Prior, ...] = eqx.field(static=True)

    def __init__(self):
        wide = Prior({"z": dist.Uniform(0.1, 0.5), "strength": dist.Uniform(0.0, 1.0)})
        self.priors = wide, wide.replace(strength=dist.Uniform(0.0, 0.5))

    @property
    def sources(self):
        return ("emission", "absorption")

    @property
    def frame(self):
        return Pixels(WAVE)

    def simulate(self, key, n):
        which, own, pixel = jr.split(key, 3)
        source = jr.randint(which, (n,), 0, 2)
        each = jnp.stack([prior.sample(own, (n,)) for prior in self.priors])
        theta = each[source, jnp.arange(n)]
        x = (jnp.log(WAVE / 5000.0) - jnp.log1p(theta[:, :1])) / 0.01
        height = jnp.where(source == 0, 10 ** theta[:, 1], -4 * theta[:, 1])
        flux = 1 + height[:, None] * jnp.exp(-0.5 * x**2) + SIGMA * jr.normal(pixel, x.shape)
        return Simulated(theta, source, (flux, jnp.full_like(flux, SIGMA**-2)))


LINES = ("Hbeta", "[OIII]5007", "[NII]6584")


def spectral_model(prior: Prior, wave: np.ndarray, sizes):
    """An untrained model of spectra of one source."""
    return model_for(jr.key(0), (prior,), ("a",), Pixels(wave), sizes)


def untrained(priors, sources, frame, architecture, seed: int = 0) -> Posterior:
    """A posterior as it is before training: a density like any other, right by construction."""
    model = model_for(jr.key(seed), priors, sources, frame, architecture)
    shape = jax.eval_shape(lambda *x: model.described(model.embed(*x)), *frame.blank())
    screen = Screen.from_summaries(np.random.default_rng(0).normal(size=(400, shape.shape[1])))
    return Posterior(model, screen, Recalibration.identity(), {"history": [[1, 0.0, 0.0]]})
