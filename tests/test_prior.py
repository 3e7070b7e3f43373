"""Priors against numpyro and automatic differentiation."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.stats import multivariate_normal as scipy_normal

from flowspec.prior.prior import Prior

PRIOR = Prior(
    {
        "z": dist.Uniform(0.0, 0.5),
        "log_mstar": dist.Uniform(7.0, 12.0),
        "log_sfr": dist.Uniform(-13.0, -8.0),
        "dispersion": dist.LogUniform(50.0, 350.0),
        "offset": dist.Normal(1.0, 2.0),
    },
    relative={"log_sfr": "log_mstar"},
)
THETA = PRIOR.sample(jr.key(0), (4000,))


def test_log_prob_is_that_of_the_offsets():
    offset = THETA.at[:, 2].add(-THETA[:, 1])
    expected = sum(d.log_prob(offset[:, i]) for i, d in enumerate(PRIOR.distributions.values()))
    # sums of five logarithms of up to ten
    np.testing.assert_allclose(PRIOR.log_prob(THETA), expected, atol=2e-5)


def test_relative_parameters_follow_their_reference():
    ratio = THETA[:, 2] - THETA[:, 1]
    assert ratio.min() >= -13 and ratio.max() <= -8
    assert abs(np.corrcoef(ratio, THETA[:, 1])[0, 1]) < 0.06  # four standard errors
    low, high = PRIOR.bounds(THETA)
    np.testing.assert_allclose(high[:, 2] - low[:, 2], 5, atol=1e-5)  # of numbers up to 13
    assert (THETA >= low - 1e-4).all() and (THETA <= high + 1e-4).all()


def test_prior_is_a_standard_normal_in_unconstrained_space():
    free, _ = PRIOR.to_unconstrained(THETA)
    np.testing.assert_allclose(free.mean(0), 0, atol=0.07)  # 4.4 standard errors of 4,000
    np.testing.assert_allclose(jnp.cov(free.T), np.eye(5), atol=0.09)
    np.testing.assert_allclose(PRIOR.to_constrained(free), THETA, rtol=2e-4, atol=2e-4)


def test_jacobian_is_the_determinant():
    theta = THETA[:5]
    slopes = jax.jit(jax.vmap(jax.jacfwd(lambda t: PRIOR.to_unconstrained(t)[0])))(theta)
    expected = jnp.linalg.slogdet(slopes)[1]
    np.testing.assert_allclose(PRIOR.to_unconstrained(theta)[1].sum(-1), expected, atol=2e-2)


def test_outside_the_support_is_impossible_and_unreachable():
    theta = THETA[0].at[0].set(0.6)
    assert PRIOR.log_prob(theta) == -jnp.inf
    extreme = PRIOR.to_constrained(jnp.array([[-50.0] * 5, [50.0] * 5]))
    low, high = PRIOR.bounds(extreme)
    rounding = 1e-5 * jnp.abs(extreme)  # a relative parameter is a sum in single precision
    assert (extreme >= low - rounding).all() and (extreme <= high + rounding).all()


def test_configuration_comes_back_the_same():
    other = Prior.from_config(PRIOR.config())
    assert other.names == PRIOR.names
    np.testing.assert_array_equal(other.log_prob(THETA), PRIOR.log_prob(THETA))


def test_columns_of_fits_tables_are_parameters():
    """They are big-endian, which JAX does not take."""
    given = np.asarray(THETA[:3]).astype(">f8")
    np.testing.assert_array_equal(PRIOR.log_prob(given), PRIOR.log_prob(THETA[:3]))
    np.testing.assert_array_equal(PRIOR.bounds(given), PRIOR.bounds(THETA[:3]))


@pytest.mark.parametrize(
    ("distribution", "message"),
    [
        (dist.Delta(1.0), "of some width for 'a'; got a constant"),
        (dist.Categorical(jnp.ones(3) / 3), "continuous.*for 'a'; got a discrete"),
        (dist.DiscreteUniform(0, 3), "continuous.*for 'a'; got a discrete"),
        (dist.Normal(jnp.zeros(3), 1.0), "one number for 'a'; got an array"),
        (dist.MultivariateNormal(jnp.zeros(2), jnp.eye(2)), "one number for 'a'; got an array"),
        (dist.Uniform(1.0, 1.0), "limits.*for 'a'; got Uniform from 1 to 1"),
        (dist.Uniform(1e8, 1e8 + 1), "limits.*for 'a'; got Uniform"),
        (dist.Uniform(0.0, jnp.inf), "limits.*for 'a'; got Uniform from 0 to inf"),
        ((0.0, 1.0), "distribution of numpyro or SciPy for 'a'; got tuple"),
    ],
)
def test_a_distribution_that_cannot_be_a_prior_is_refused_when_the_prior_is_made(
    distribution, message
):
    with pytest.raises(ValueError, match=message) as caught:
        Prior({"b": dist.Normal(0.0, 1.0), "a": distribution})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "act",
    [
        lambda: PRIOR.replace(nonsense=dist.Uniform(0.0, 1.0)),
        lambda: Prior({"a": dist.Normal(0.0, 1.0)}, {"a": "b"}),
        lambda: Prior.from_config({"distributions": {"a": {"distribution": "os"}}, "relative": {}}),
        lambda: Prior({("a", "a"): dist.Uniform(jnp.zeros(2), 1.0)}),
        lambda: Prior({("a", "b"): dist.Dirichlet(jnp.ones(2))}),
        lambda: Prior({("a", "b"): dist.MultivariateNormal(jnp.zeros(3), jnp.eye(3))}),
        lambda: Prior({"a": dist.Normal(0.0, 1.0)}, correlations={("a", "b"): np.eye(2)}),
        lambda: Prior({("a", "b"): scipy_normal([0.0, 0.0], np.ones((2, 2)), allow_singular=True)}),
        lambda: Prior.from_samples(np.ones((100, 1)), ["a"]),
    ],
)
def test_what_cannot_be_is_refused(act):
    with pytest.raises(ValueError, match="expected"):
        act()
