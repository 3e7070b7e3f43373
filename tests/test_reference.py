"""The exact posterior, NUTS and the classifier test against Gaussians."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.special import ndtr

from flowspec.check.c2st import c2st
from flowspec.check.reference import exact_posterior, nuts
from flowspec.prior.prior import Prior

PRIOR = Prior({"a": dist.Uniform(-5.0, 5.0), "b": dist.Uniform(0.0, 20.0)})
MEAN, COVARIANCE = np.array([1.0, 9.0]), np.array([[0.04, 0.054], [0.054, 0.09]])
PRECISION = jnp.asarray(np.linalg.inv(COVARIANCE), jnp.float32)


def log_likelihood(theta):
    away = theta - MEAN
    return -0.5 * away @ PRECISION @ away


def test_a_gaussian_well_inside_a_flat_prior():
    """Correlated at 0.9 and a hundredth of the prior wide; its evidence in closed form."""
    found = exact_posterior(log_likelihood, PRIOR, 4000, draws=40_000)
    # 5 standard errors of 4,000 draws
    np.testing.assert_allclose(found.samples.mean(0), MEAN, atol=5 * 0.3 / 4000**0.5)
    covariance = np.cov(found.samples.T)
    np.testing.assert_allclose(covariance, COVARIANCE, atol=5 * 0.09 * (2 / 4000) ** 0.5)
    volume = 2 * np.pi * np.sqrt(np.linalg.det(COVARIANCE))
    assert found.log_evidence == pytest.approx(np.log(volume / 200), abs=0.03)
    assert found.ess > 10_000


def test_two_peaks_keep_their_shares():
    def two(theta):
        places = jnp.array([[-3.0, 4.0], [2.0, 15.0]])
        near = -0.5 * (((theta - places) / 0.1) ** 2).sum(1)
        return jnp.logaddexp(near[0] + jnp.log(3.0), near[1])

    found = exact_posterior(two, PRIOR, 4000, nodes=60, draws=40_000)
    share = (found.samples[:, 0] < 0).mean()
    # 5 binomial errors, and those of the weights
    assert share == pytest.approx(0.75, abs=5 * (0.19 / 4000) ** 0.5 + 0.01)


@pytest.mark.slow
def test_nuts_agrees():
    start = np.array([[1.0, 9.0], [0.8, 8.8], [1.2, 9.2]])
    drawn, report = nuts(log_likelihood, PRIOR, start, jr.key(0), warmup=300, draws=500)
    assert all(r["r_hat"] < 1.05 and r["n_eff"] > 200 for r in report.values())
    np.testing.assert_allclose(drawn.mean(0), MEAN, atol=5 * 0.3 / 200**0.5)
    np.testing.assert_allclose(np.cov(drawn.T), COVARIANCE, atol=5 * 0.09 * (2 / 200) ** 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("away", [0.0, 1.0, 3.0])
def test_the_classifier_reaches_what_can_be_reached(away):
    """Of unit Gaussians `away` apart the best classifier is right Phi(away / 2) of the time."""
    rng = np.random.default_rng(4)
    first, second = rng.normal(size=(2, 2000, 3))
    second[:, 0] += away
    # 4 binomial errors of 4,000, and what a small network misses
    assert c2st(first, second) == pytest.approx(ndtr(away / 2), abs=4 * 0.5 / 4000**0.5 + 0.01)


def test_different_numbers_of_draws_are_refused():
    with pytest.raises(ValueError, match="expected as many draws"):
        c2st(np.zeros((4, 2)), np.zeros((5, 2)))
