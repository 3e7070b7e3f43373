"""Importance weights against closed forms of Gaussians."""

from types import SimpleNamespace

import numpy as np
import numpyro.distributions as dist
import pytest

from flowspec.model.redshift_bins import RedshiftBins
from flowspec.model.space import Space
from flowspec.posterior.weights import normalised, population_weights, resample, weighted
from flowspec.prior.prior import Prior


class Normal:
    """A population: one normal parameter."""

    def __init__(self, mean, sigma):
        self.prior = Prior({"x": dist.Normal(mean, sigma)})
        self.log_prob = self.prior.log_prob


def test_a_gaussian_population_times_a_gaussian_posterior():
    # under a flat prior the posterior is N(0, 1); population N(1, 1): N(1/2, 1/2)
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(20000, 2, 1)).astype(np.float32)
    flat = Prior({"x": dist.Uniform(-10.0, 10.0)})
    space = Space((flat,), ("a",))
    source = np.zeros((20000, 2), int)
    weight, ess = normalised(population_weights(samples, source, space, Normal(1.0, 1.0)))
    drawn = resample(samples, weight, 4000)
    # 5 standard errors at the effective size
    assert drawn.mean(0) == pytest.approx(0.5, abs=5 * 0.5**0.5 / 4000**0.5)
    assert drawn.var(0) == pytest.approx(0.5, abs=5 * 0.5 * (2 / 4000) ** 0.5)
    # w = exp(-(x - 1)^2 / 2) under N(0, 1): E[w] = e^(-1/4) / 2^(1/2), E[w^2] = e^(-1/3) / 3^(1/2)
    expected = np.exp(-1 / 2) / 2 / (np.exp(-1 / 3) / 3**0.5)
    assert ess / 20000 == pytest.approx(expected, rel=0.03)


def test_equal_weights_change_nothing():
    samples = np.random.default_rng(1).normal(size=(100, 3, 2))
    weight, ess = normalised(np.full((100, 3), -7.0))
    drawn = resample(samples, weight, 100)
    np.testing.assert_array_equal(drawn, samples)
    assert ess == pytest.approx(100)


def test_a_spectrum_without_weights_keeps_its_draws_and_says_so():
    samples = np.random.default_rng(2).normal(size=(50, 2, 1))
    weights = np.stack([np.full(50, -np.inf), np.where(np.arange(50) == 3, 0.0, -np.inf)], axis=1)
    weight, ess = normalised(weights)
    drawn = resample(samples, weight, 50)
    assert ess.tolist() == [0, 1]
    np.testing.assert_array_equal(drawn[:, 0], samples[:, 0])
    assert (drawn[:, 1] == samples[3, 1]).all()


def test_a_population_of_other_parameters_is_refused():
    flat = Prior({"y": dist.Uniform(-10.0, 10.0)})
    with pytest.raises(ValueError, match="expected a population of"):
        space = Space((flat,), ("a",))
        population_weights(np.zeros((2, 1, 1)), np.zeros((2, 1), int), space, Normal(0.0, 1.0))


def test_redshift_bins_follow_the_population():
    # two equal peaks, of which the population has one four times as often
    prior, bins = Prior({"z": dist.Uniform(0.0, 1.0)}), RedshiftBins(0.0, 1.0, np.log(2) / 10)
    space = Space((prior,), ("a",), bins)
    rng = np.random.default_rng(3)
    z = np.where(rng.uniform(size=4000) < 0.5, 0.25, 0.75) + 0.01 * rng.uniform(size=4000)
    population = SimpleNamespace(log_prob=lambda t: np.log(np.where(t[..., 0] < 0.5, 4.0, 1.0)))
    k = (np.searchsorted(bins.all_edges(), z, side="right") - 1)[:, None]
    theta, source = z[:, None, None], np.zeros((4000, 1), int)
    log_weight = population_weights(theta, source, space, population)
    drawn, source, share, ess = weighted(theta, k, log_weight, space, 1000)
    assert share.sum(1) == pytest.approx(1) and (source == 0).all()
    low = share[0, bins.all_edges()[1:] < 0.5].sum()
    assert low == pytest.approx(0.8, abs=5 * (0.16 / 4000) ** 0.5)
    assert (drawn[:, 0, 0] < 0.5).mean() == pytest.approx(low, abs=2e-3)
    # (sum w)^2 / sum w^2 with weights 4 and 1, half of the draws each
    assert ess == pytest.approx(4000 * 2.5**2 / 8.5, rel=0.05)
