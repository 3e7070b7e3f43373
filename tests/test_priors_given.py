"""Priors of every kind that users give, against SciPy, numpyro and finite differences."""

import logging

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

from flowspec.prior.prior import Prior
from flowspec.prior.tabulated import Tabulated

COVARIANCE = np.array([[1.0, 0.9], [0.9, 2.0]])
NORMAL = dist.MultivariateNormal(jnp.array([1.0, 2.0]), jnp.asarray(COVARIANCE))
SCIPY_NORMAL = stats.multivariate_normal([1.0, 2.0], COVARIANCE)
MIXTURE = dist.MixtureSameFamily(
    dist.Categorical(jnp.array([0.3, 0.7])), dist.Normal(jnp.array([0.0, 3.0]), 0.5)
)
# As given; the same by SciPy. None of numpyro's here has a cumulative distribution and an inverse,
# but for truncated ones.
SINGLE = {
    "scipy normal": (stats.norm(1, 2), stats.norm(1, 2)),
    "scipy student": (stats.t(3), stats.t(3)),
    "scipy gamma": (stats.gamma(0.3), stats.gamma(0.3)),
    "scipy truncated": (stats.truncnorm(-1, 2), stats.truncnorm(-1, 2)),
    "scipy of 60 decades": (stats.loguniform(1e-30, 1e30), stats.loguniform(1e-30, 1e30)),
    "of 1e-30": (stats.norm(0, 1e-30), stats.norm(0, 1e-30)),
    "of 1e30": (stats.norm(5e30, 1e30), stats.norm(5e30, 1e30)),
    "normal of 1e-30": (dist.Normal(0.0, 1e-30), stats.norm(0, 1e-30)),
    "truncated on the left": (dist.TruncatedNormal(0.0, 1.0, low=0.5), stats.truncnorm(0.5, 99)),
    "truncated Cauchy": (dist.TruncatedCauchy(low=0.0), stats.halfcauchy()),
    "weibull": (dist.Weibull(1.0, 2.0), stats.weibull_min(2.0)),
    "transformed": (dist.TransformedDistribution(
        dist.Normal(0.0, 1.0), dist.transforms.AffineTransform(1.0, 2.0)), stats.norm(1, 2)),
}  # fmt: skip


@pytest.mark.parametrize("case", SINGLE)
def test_a_distribution_of_one_number_is_what_it_was(case):
    given, exact = SINGLE[case]
    prior = Prior({"a": given})
    theta = prior.sample(jr.key(0), (4000,))
    x = np.asarray(theta, float)[:, 0]
    # 5 % of those that are right are further from it than 0.021, one in ten thousand than 0.036
    assert stats.kstest(x, exact.cdf).statistic < 0.03
    away = np.abs(np.asarray(prior.log_prob(theta)) - exact.logpdf(x))
    # interpolated: at the ends, which are a thousandth of the draws, less well
    assert np.quantile(away, 0.99) < 1e-4 and away.max() < 1e-2
    free, _ = prior.to_unconstrained(theta)
    np.testing.assert_allclose(prior.to_constrained(free), theta, rtol=2e-4, atol=1e-6 * x.std())
    assert Prior.from_config(prior.config()) == prior


def test_a_mixture_without_a_quantile_function_is_integrated():
    prior = Prior({"a": MIXTURE})
    x = prior.sample(jr.key(1), (4000,))
    expected = np.asarray(MIXTURE.log_prob(x[:, 0]))
    # between knots, of a density with two peaks
    np.testing.assert_allclose(prior.log_prob(x), expected, atol=5e-3)
    assert np.mean(np.asarray(x) < 1.5) == pytest.approx(0.3, abs=4 * (0.21 / 4000) ** 0.5)


def test_slopes_of_a_table_are_derivatives():
    prior = Prior({"a": stats.gamma(2.0), "b": MIXTURE})
    theta = prior.sample(jr.key(2), (200,))
    step = 1e-3 * jnp.array([1.0, 0.0]), 1e-3 * jnp.array([0.0, 1.0])
    ends = [(prior.to_unconstrained(theta + h)[0] - prior.to_unconstrained(theta - h)[0]).sum(-1)
            for h in step]  # fmt: skip
    found = np.log(np.stack(ends, axis=-1) / 2e-3)
    # scores in single precision, some millionths, over twice the step
    np.testing.assert_allclose(prior.to_unconstrained(theta)[1], found, atol=0.03)


JOINT = {
    "normal": (NORMAL, SCIPY_NORMAL.logpdf),
    "scipy normal": (SCIPY_NORMAL, SCIPY_NORMAL.logpdf),
    "box": (dist.Uniform(jnp.zeros(2), jnp.array([1.0, 2.0])).to_event(1),
            lambda x: np.full(len(x), -np.log(2.0))),
    "log-normal": (dist.TransformedDistribution(NORMAL, dist.transforms.ExpTransform()),
                   lambda x: SCIPY_NORMAL.logpdf(np.log(x)) - np.log(x).sum(1)),
    "copula": (dist.GaussianCopula(dist.Gumbel(jnp.array([2.0, 3.0]), 1.5),
                                   jnp.array([[1.0, 0.5], [0.5, 1.0]])), None),
}  # fmt: skip


@pytest.mark.parametrize("case", JOINT)
def test_a_joint_distribution_is_what_it_was(case):
    given, log_density = JOINT[case]
    prior = Prior({"first": dist.Uniform(0.0, 3.0), ("a", "b"): given})
    assert prior.names == ("first", "a", "b")
    theta = prior.sample(jr.key(0), (4000,))
    x = theta[:, 1:]
    of_numpyro = lambda x: np.asarray(given.log_prob(jnp.asarray(x, jnp.float32)))  # noqa: E731
    expected = (log_density or of_numpyro)(np.asarray(x, float)) - np.log(3.0)
    np.testing.assert_allclose(prior.log_prob(theta), expected, atol=2e-2)  # of tables in the tails
    free, log_slope = prior.to_unconstrained(theta)
    np.testing.assert_allclose(np.cov(free.T), np.eye(3), atol=0.09)  # four standard errors
    np.testing.assert_allclose(prior.to_constrained(free), theta, rtol=2e-3, atol=1e-4)
    assert Prior.from_config(prior.config()) == prior
    jacobian = jax.vmap(jax.jacfwd(lambda t: prior.to_unconstrained(t)[0]))(theta[:20])
    np.testing.assert_allclose(log_slope[:20].sum(1), np.linalg.slogdet(jacobian)[1], atol=5e-2)


def test_draws_of_a_joint_normal_distribution_have_its_covariance():
    theta = np.asarray(Prior({("a", "b"): NORMAL}).sample(jr.key(0), (20_000,)))
    np.testing.assert_allclose(theta.mean(0), [1.0, 2.0], atol=0.04)  # four standard errors of 1.4
    np.testing.assert_allclose(np.cov(theta.T), COVARIANCE, atol=0.08)
    far = jnp.array([[1.0 + 8.0, 2.0 - 12.0]])  # where a cumulative distribution is 1 or 0
    prior = Prior({("a", "b"): NORMAL})
    np.testing.assert_allclose(prior.log_prob(far), SCIPY_NORMAL.logpdf(far), rtol=1e-5)
    np.testing.assert_allclose(prior.to_constrained(prior.to_unconstrained(far)[0]), far, rtol=1e-4)


def test_correlations_are_of_differences_where_a_parameter_is_relative():
    parts = {"mass": dist.Normal(10.0, 1.0), "sfr": dist.Normal(-10.0, 0.5)}
    matrix = np.array([[1.0, 0.6], [0.6, 1.0]])
    prior = Prior(parts, {"sfr": "mass"}, correlations={("mass", "sfr"): matrix})
    theta = np.asarray(prior.sample(jr.key(3), (20_000,)), float)
    both = stats.multivariate_normal([10, -10], [[1.0, 0.3], [0.3, 0.25]])
    expected = both.logpdf(np.stack([theta[:, 0], theta[:, 1] - theta[:, 0]], axis=1))
    np.testing.assert_allclose(prior.log_prob(theta), expected, atol=1e-3)
    assert prior.replace(mass=dist.Normal(9.0, 1.0)).correlations.keys() == {("mass", "sfr")}


def test_a_prior_of_samples_is_where_they_are():
    rng = np.random.default_rng(0)
    x = rng.multivariate_normal([1.0, 2.0], COVARIANCE, 5000)
    samples = np.stack([x[:, 0], np.exp(x[:, 1]), rng.uniform(0, 1, 5000)], axis=1)
    prior = Prior.from_samples(samples, ["a", "b", "c"])
    assert all(isinstance(d, Tabulated) for d in prior.distributions.values())
    drawn = np.asarray(prior.sample(jr.key(0), (5000,)))
    for column in range(3):  # of two samples of 5,000: one in ten thousand beyond 0.045
        assert stats.ks_2samp(drawn[:, column], samples[:, column]).statistic < 0.04
    low, high = (np.array([prior.limits(n)[side] for n in prior.names]) for side in (0, 1))
    assert (low <= samples.min(0)).all() and (high >= samples.max(0)).all() and low[1] == 0
    assert (high - low < 1.01 * np.ptp(samples, axis=0)).all() and (drawn >= low).all()
    assert prior.log_prob(jnp.array([0.0, -1.0, 0.5])) == -jnp.inf
    truth = SCIPY_NORMAL.logpdf(x) - x[:, 1]
    # a density of 5,000 samples in 64 steps: a tenth per parameter
    assert np.std(np.asarray(prior.log_prob(samples)) - truth) < 0.3
    assert abs(np.mean(np.asarray(prior.log_prob(samples)) - truth)) < 0.05
    assert Prior.from_config(prior.config()) == prior


def test_what_correlations_do_not_describe_is_said(caplog):
    rng = np.random.default_rng(1)
    a = rng.normal(size=2000)
    bent = np.stack([a, a**2 + 0.3 * rng.normal(size=2000)], axis=1)
    with caplog.at_level(logging.WARNING, "flowspec"):
        Prior.from_samples(rng.normal(size=(2000, 2)), ["a", "b"])
        assert not caplog.records
        Prior.from_samples(bent, ["a", "b"])
        Prior({("a", "b"): dist.MultivariateStudentT(5.0, jnp.zeros(2), jnp.eye(2))})
    said = [r.getMessage() for r in caplog.records]
    assert "log_prob of the prior is approximate" in said[0] and "20000 of its draws" in said[1]


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: Prior.from_samples(np.ones((100, 1)), ["a"]), "'a' that varies; got 1 different"),
        (lambda: Prior.from_samples(np.arange(5.0)[:, None], ["a"]), "20 samples or more"),
        (lambda: Prior.from_samples(np.repeat(np.arange(40.0)[:, None], 2, 1), ["a", "b"]),
         "none is a function of the others"),
        (lambda: Prior({"n": dist.Poisson(3.0)}), "discrete Poisson: draw it inside the simulator"),
        (lambda: Prior({"n": stats.poisson(3.0)}), "scipy.stats' poisson"),
        (lambda: Prior({"a": NORMAL}), "several parameters have a tuple of names"),
    ],
)  # fmt: skip
def test_a_prior_that_is_none_is_refused(act, message):
    with pytest.raises(ValueError, match=message) as caught:
        act()
    assert "\n" not in str(caught.value)
