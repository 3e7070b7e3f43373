"""Diagnostics against closed forms, on a linear-Gaussian problem with correlated parameters.

theta ~ N(0, I), x = A theta + noise: the posterior is N(m(x), S) with correlation -0.7. Judged
posteriors scale the exact samples about m by `k` (k < 1: too narrow) and shift them by `b`
standard deviations; both have coverage and PIT in closed form. Seeds are fixed; tolerances are
four standard errors of a share over `BATCH` rows, 4 * sqrt(0.25 / BATCH) = 0.032, unless told.
"""

from inspect import unwrap
from math import erf, exp, log, sqrt
from statistics import NormalDist

import numpy as np
import pytest

from flowspec.check import calibration

BATCH, NUM = 4000, 200
TOLERANCE = 4 * sqrt(0.25 / BATCH)
BOX = np.full(2, -5.0), np.full(2, 5.0)
NORMAL = NormalDist()
A = np.array([[1.0, 0.9], [0.2, 1.0], [0.5, 0.6]])
COV = np.linalg.inv(np.eye(2) + A.T @ A / 0.5**2)


def problem(k=1.0, b=0.0, num=NUM, seed=0):
    """Samples [num, BATCH, 2] of the altered posterior, truths, means and covariance."""
    rng = np.random.default_rng(seed)
    theta = rng.standard_normal((BATCH, 2))
    x = theta @ A.T + 0.5 * rng.standard_normal((BATCH, 3))
    mean = x @ A @ COV.T / 0.5**2
    noise = rng.standard_normal((num, BATCH, 2)) @ np.linalg.cholesky(COV).T
    return mean + b * np.sqrt(np.diag(COV)) + k * noise, theta, mean


def log_density(theta, mean, k):
    d = theta - mean
    return -0.5 * np.einsum("...i,ij,...j->...", d, np.linalg.inv(COV), d) / k**2 - 2 * log(k)


def central(level, k):
    """Share of truths inside the central interval of a Gaussian posterior k times too wide."""
    return erf(k * NORMAL.inv_cdf((1 + level) / 2) / sqrt(2))


def ks_of_scale(k):
    """max |Phi(kv) - Phi(v)|, which is where k phi(kv) = phi(v)."""
    v = sqrt(2 * log(k) / (k**2 - 1))
    return abs(NORMAL.cdf(k * v) - NORMAL.cdf(v))


def test_the_problem_is_correlated_and_exact():
    samples, theta, mean = problem()
    assert np.corrcoef(samples[:, 0].T)[0, 1] < -0.65
    np.testing.assert_allclose(np.cov((theta - mean).T), COV, atol=4 * sqrt(2 / BATCH) * COV.max())


@pytest.mark.parametrize("k", [1.0, 2.0, 0.5])
def test_coverage_follows_the_width(k):
    samples, theta, _ = problem(k=k)
    levels = [0.3, 0.68, 0.95]
    got = calibration.coverage(samples, theta, levels)
    want = np.array([[central(level, k)] * 2 for level in levels])
    np.testing.assert_allclose(got, want, atol=TOLERANCE)


@pytest.mark.parametrize("k", [1.0, 2.0, 0.5])
def test_expected_coverage_follows_the_area(k):
    samples, theta, mean = problem(k=k)
    levels = np.array([0.3, 0.68, 0.95])
    got = calibration.expected_coverage(
        log_density(samples, mean, k), log_density(theta, mean, k), levels
    )
    # squared radius is chi2 with 2 degrees of freedom, whose distribution is 1 - exp(-r2 / 2)
    np.testing.assert_allclose(got, 1 - (1 - levels) ** (k**2), atol=TOLERANCE)


@pytest.mark.parametrize(
    ("k", "b", "want"),
    [
        (2.0, 0.0, ks_of_scale(2.0)),
        (0.5, 0.0, ks_of_scale(0.5)),
        (1.0, 0.5, 2 * NORMAL.cdf(0.25) - 1),
    ],
)
def test_ks_distance_of_wrong_posteriors(k, b, want):
    samples, theta, _ = problem(k=k, b=b)
    got = calibration.ks_distance(calibration.pit(samples, theta))
    np.testing.assert_allclose(got, want, atol=TOLERANCE)


@pytest.mark.parametrize("num", [1, 3, NUM])
def test_exact_posterior_is_uniform_for_any_number_of_samples(num):
    samples, theta, _ = problem(num=num)
    u = calibration.pit(samples, theta)
    assert np.all((u > 0) & (u < 1))
    # 1 in 10,000 chance of a false alarm per parameter, the seed is fixed
    assert np.all(calibration.ks_distance(u) < calibration.ks_critical(BATCH, 0.9999))
    np.testing.assert_allclose(
        calibration.coverage(samples, theta), [[0.68] * 2, [0.95] * 2], atol=TOLERANCE
    )
    counts = [np.bincount(r, minlength=num + 1) / BATCH
              for r in calibration.sbc_ranks(samples, theta).T.astype(int)]
    np.testing.assert_allclose(counts, 1 / (num + 1), atol=TOLERANCE)


@pytest.mark.parametrize("k", [1.0, 2.0, 0.5])
def test_tarp_follows_the_width(k):
    """In a box much wider than the posterior, distance to the reference is linear in theta.

    Then the curve is Phi(k Phi^-1(level)); curvature and truths near a reference add 0.01.
    """
    samples, theta, _ = problem(k=k)
    got = calibration.tarp(samples, theta, 8 * BOX[0], 8 * BOX[1], num_bootstrap=20)
    inner = got.levels[1:-1]
    want = [NORMAL.cdf(k * NORMAL.inv_cdf(level)) for level in inner]
    np.testing.assert_allclose(got.coverage[1:-1], want, atol=TOLERANCE)
    assert got.coverage[0] == 0 and got.coverage[-1] == 1
    assert np.all((got.low <= got.coverage) & (got.coverage <= got.high))
    assert abs(got.deviation - (0 if k == 1 else ks_of_scale(k))) < TOLERANCE


def test_tarp_of_a_biased_posterior():
    """One parameter, references on either side: the mean of both one-sided curves."""
    samples, theta, _ = problem(b=1.0)
    got = calibration.tarp(samples[..., :1], theta[:, :1], 8 * BOX[0][:1], 8 * BOX[1][:1])
    inner = [NORMAL.inv_cdf(level) for level in got.levels[1:-1]]
    want = [(NORMAL.cdf(q + 1) + NORMAL.cdf(q - 1)) / 2 for q in inner]
    np.testing.assert_allclose(got.coverage[1:-1], want, atol=TOLERANCE)
    assert got.deviation > 3 * TOLERANCE


def test_tarp_scales_parameters_by_the_prior():
    samples, theta, _ = problem(k=0.5)
    scale, shift = np.array([1e-3, 1e3]), np.array([7.0, -3e4])
    a = calibration.tarp(samples, theta, *BOX, seed=3)
    b = calibration.tarp(samples * scale + shift, theta * scale + shift,
                         *(edge * scale + shift for edge in BOX), seed=3)
    np.testing.assert_allclose(a.coverage, b.coverage, atol=1e-3)  # rounding moves a tie or two


def test_tarp_of_an_unbounded_prior_uses_the_range_of_the_truths():
    samples, theta, _ = problem()
    free = calibration.tarp(samples, theta, *(np.inf * edge for edge in BOX))
    bound = calibration.tarp(samples, theta, theta.min(0), theta.max(0))
    np.testing.assert_array_equal(free.coverage, bound.coverage)


def test_ranks_by_hand():
    samples = np.array([[1.0], [2.0], [3.0], [4.0]])[:, :, None]
    for truth, rank in [(0.0, 0), (2.5, 2), (9.0, 4)]:
        assert calibration.sbc_ranks(samples, np.array([[truth]]))[0, 0] == rank


def test_ties_are_broken_evenly():
    samples, theta = np.full((4, 20_000, 1), 1.0), np.ones((20_000, 1))
    counts = np.bincount(calibration.sbc_ranks(samples, theta)[:, 0].astype(int))
    np.testing.assert_allclose(counts / 20_000, [0.2] * 5, atol=4 * sqrt(0.16 / 20_000))


def test_nan_samples_are_left_out_and_nan_rows_not_counted():
    samples, theta, mean = problem()
    rng = np.random.default_rng(2)
    samples[rng.random(samples.shape) < 0.3] = np.nan
    samples[:, :500] = np.nan
    theta[500:600] = np.nan
    u = calibration.pit(samples, theta)
    assert np.all(np.isnan(u[:600])) and not np.any(np.isnan(u[600:]))
    assert np.all(calibration.ks_distance(u) < calibration.ks_critical(BATCH - 600, 0.9999))
    curve = calibration.tarp(samples, theta, *BOX)
    assert curve.deviation < TOLERANCE
    log_p = log_density(samples, mean, 1.0), log_density(theta, mean, 1.0)
    np.testing.assert_allclose(calibration.expected_coverage(*log_p), [0.68, 0.95], atol=TOLERANCE)


def test_all_nan_gives_nan_not_a_crash():
    samples, theta = np.full((5, 3, 2), np.nan), np.zeros((3, 2))
    table = calibration.report(samples, theta, ["z", "av"], *BOX)
    assert np.all(np.isnan(table["ks"])) and list(table["n"]) == [0, 0]
    assert np.isnan(table.meta["tarp_deviation"]) and table.meta["nan_share"] == 1
    assert np.all(np.isnan(calibration.coverage(samples, theta)))


def test_truth_outside_the_prior_is_never_covered():
    log_p = np.zeros((10, 4)), np.full(4, -np.inf)
    np.testing.assert_array_equal(calibration.expected_coverage(*log_p, levels=[0.5, 0.9]), 0)


def test_ks_distance_by_hand():
    # the empirical distribution of (0.1, 0.2) is 1 from 0.2 on: 0.8 above the diagonal
    np.testing.assert_allclose(calibration.ks_distance(np.array([0.1, np.nan, 0.2])), 0.8)
    centred = (np.arange(50) + 0.5) / 50
    np.testing.assert_allclose(calibration.ks_distance(centred), 0.01)


def test_report_collects_the_same_numbers():
    samples, theta, mean = problem(k=0.5)
    log_p = log_density(samples, mean, 0.5), log_density(theta, mean, 0.5)
    table = calibration.report(samples, theta, ["z", "av"], *BOX,
                               log_prob_samples=log_p[0], log_prob_true=log_p[1])
    assert list(table["parameter"]) == ["z", "av"] and list(table["n"]) == [BATCH] * 2
    np.testing.assert_allclose(table["coverage_68"], central(0.68, 0.5), atol=TOLERANCE)
    np.testing.assert_allclose(table["ks"], ks_of_scale(0.5), atol=TOLERANCE)
    np.testing.assert_allclose(table["pit_mean"], 0.5, atol=TOLERANCE)
    assert abs(table.meta["hpd_coverage_95"] - (1 - exp(0.25 * log(0.05)))) < TOLERANCE
    assert table.meta["tarp_deviation"] > 0.05 and table.meta["num_samples"] == NUM


def test_wrong_shapes_are_refused_with_both_named():
    """As a user meets it: without the shape checks that the tests put around every function."""
    with pytest.raises(ValueError, match=r"theta \(4, 2\); got \(9, 3, 2\)"):
        unwrap(calibration.pit)(np.zeros((9, 3, 2)), np.zeros((4, 2)))
