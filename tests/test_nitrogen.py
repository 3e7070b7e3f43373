"""A prior whose N/O goes with O/H in part of the nebulae."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest

from flowspec.check.reference import exact_posterior, nuts
from flowspec.prior.mixture import read_prior
from flowspec.prior.nitrogen import SCATTER, NitrogenPrior
from flowspec.prior.prior import Prior
from flowspec.prior.relations import nitrogen

FLAT = Prior({"oh": dist.Uniform(7.0, 9.0), "no": dist.Uniform(-2.0, 0.0)})
PRIOR = NitrogenPrior(FLAT, 0.5)


def test_the_relation_has_its_limits():
    """Primary nitrogen alone, secondary alone; -0.97 for cosmic 8.76 (Nicholls et al., table 1)."""
    got = nitrogen(jnp.array([5.0, 12.0, 8.76]))
    np.testing.assert_allclose(got, [-1.732, 2.19, -0.97], atol=0.01)


def mesh(n=400):
    oh, no = (low + (np.arange(n) + 0.5) * 2 / n for low in (7.0, -2.0))
    return np.stack(np.meshgrid(oh, no, indexing="ij"), -1), (2 / n) ** 2


def test_the_density_integrates_to_one_and_its_draws_follow_it():
    theta, cell = mesh()
    density = np.exp(np.asarray(PRIOR.log_prob(theta), float))
    # the midpoint rule on cells of a fortieth of the scatter
    assert density.sum() * cell == pytest.approx(1, abs=1e-3)
    drawn = np.asarray(PRIOR.sample(jr.key(0), (20000,)), float)
    assert (drawn >= [7, -2]).all() and (drawn <= [9, 0]).all()
    away = drawn[:, 1] - np.asarray(nitrogen(drawn[:, 0]))
    want = (density * (np.abs(theta[..., 1] - np.asarray(nitrogen(theta[..., 0]))) < SCATTER)).sum()
    # 4 binomial errors
    assert (np.abs(away) < SCATTER).mean() == pytest.approx(want * cell, abs=4 * 0.5 / 20000**0.5)
    outside = jnp.array([[6.9, -1.0], [8.0, 0.1], [8.0, -2.1]])
    assert (PRIOR.log_prob(outside) == -jnp.inf).all()


@pytest.mark.slow
def test_the_exact_posterior_and_nuts_know_it():
    """Against a sum over a fine mesh, for data that know only N/O."""
    def log_likelihood(theta):
        return -0.5 * ((theta[1] + 0.8) / 0.1) ** 2

    theta, cell = mesh()
    log_p = np.asarray(PRIOR.log_prob(theta), float)
    log_p += np.asarray(jax.vmap(jax.vmap(log_likelihood))(jnp.asarray(theta)))
    weight = np.exp(log_p - log_p.max())
    mean = (weight[..., None] * theta).sum((0, 1)) / weight.sum()
    spread = np.sqrt((weight[..., None] * (theta - mean) ** 2).sum((0, 1)) / weight.sum())
    found = exact_posterior(log_likelihood, PRIOR, 4000)
    # 4 standard errors of 4,000 draws
    np.testing.assert_allclose(found.samples.mean(0), mean, atol=4 * spread.max() / 4000**0.5)
    evidence = np.log(weight.sum() * cell) + log_p.max()
    assert found.log_evidence == pytest.approx(evidence, abs=0.02)
    drawn, _ = nuts(log_likelihood, PRIOR, found.samples[:4], jr.key(0), warmup=200, draws=500)
    # a fifth of the draws are independent
    np.testing.assert_allclose(drawn.mean(0), mean, atol=4 * spread.max() / 400**0.5)


def test_it_is_written_and_read_and_replaced():
    again = read_prior(PRIOR.config())
    assert again == PRIOR and hash(again) == hash(PRIOR) and again != FLAT
    narrow = PRIOR.replace(no=dist.Uniform(-1.5, -0.5))
    assert isinstance(narrow, NitrogenPrior) and narrow.log_prob(jnp.array([8.0, -1.7])) == -jnp.inf
    free, _ = PRIOR.to_unconstrained(jnp.array([8.1, -1.1]))
    np.testing.assert_allclose(PRIOR.to_constrained(free), [8.1, -1.1], atol=2e-5)


@pytest.mark.parametrize("share", [0.0, 1.0, float("nan")])
def test_shares_and_parameters_that_make_no_sense_are_refused(share):
    with pytest.raises(ValueError, match="share between 0 and 1"):
        NitrogenPrior(FLAT, share)
    with pytest.raises(ValueError, match="expected parameters oh and no"):
        NitrogenPrior(Prior({"oh": dist.Uniform(7.0, 9.0)}), 0.5)
