"""A line through posteriors against the exact posterior of a linear-Gaussian problem."""

import numpy as np
import pytest

from flowspec import gradient

OBJECTS, DRAWS = 60, 3000
SLOPE, ZERO, SCATTER = -0.4, 8.7, 0.08
PRIOR = 8.3, 0.3  # normal, of the quantity


def problem(seed: int = 0):
    """Places, measured values and their errors."""
    rng = np.random.default_rng(seed)
    x, sigma = rng.uniform(0, 1.2, OBJECTS), rng.uniform(0.05, 0.2, OBJECTS)
    truth = ZERO + SLOPE * x + SCATTER * rng.standard_normal(OBJECTS)
    return x, truth + sigma * rng.standard_normal(OBJECTS), sigma, rng


def exact(x, value, sigma) -> np.ndarray:
    """Means and standard deviations of slope, zero point and scatter, by a grid."""
    slope = np.linspace(-0.8, 0.0, 61)[:, None, None, None]
    zero = np.linspace(8.45, 8.95, 61)[:, None, None]
    scatter = np.linspace(0, 0.3, 61)[:, None]
    variance = scatter**2 + sigma**2
    away = value - zero - slope * x
    log_p = -0.5 * (away**2 / variance + np.log(variance)).sum(-1)
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    grids = (slope[..., 0], zero[..., 0], scatter[..., 0])
    means = [(p * g).sum() for g in grids]
    return np.array([(m, np.sqrt((p * (g - m) ** 2).sum())) for g, m in zip(grids, means)])  # noqa: B905


def found(line) -> np.ndarray:
    return np.array([(a.mean(), a.std()) for a in (line.slope, line.zero, line.scatter)])


def assert_alike(line, wanted):
    """Means within a fifth of a sigma, and sigmas within 15 %."""
    assert line.effective > 0.3
    got = found(line)
    np.testing.assert_array_less(np.abs(got[:, 0] - wanted[:, 0]), 0.2 * wanted[:, 1])
    np.testing.assert_allclose(got[:, 1], wanted[:, 1], rtol=0.15)


def test_flat_priors_of_the_objects():
    x, value, sigma, rng = problem()
    draws = value + sigma * rng.standard_normal((DRAWS, OBJECTS))
    assert_alike(gradient(x, draws), exact(x, value, sigma))


def test_the_prior_of_each_object_is_taken_back():
    x, value, sigma, rng = problem(1)
    variance = 1 / (1 / sigma**2 + 1 / PRIOR[1] ** 2)
    mean = variance * (value / sigma**2 + PRIOR[0] / PRIOR[1] ** 2)
    draws = mean + np.sqrt(variance) * rng.standard_normal((DRAWS, OBJECTS))
    log_prior = -0.5 * ((draws - PRIOR[0]) / PRIOR[1]) ** 2
    wanted = exact(x, value, sigma)
    assert_alike(gradient(x, draws, log_prior), wanted)
    # as if it had been flat: too shallow
    shallow = gradient(x, draws).slope.mean()
    assert shallow > wanted[0, 0] + 0.25 * wanted[0, 1]


def test_intervals_hold_as_often_as_they_say():
    inside = []
    for seed in range(40):
        x, value, sigma, rng = problem(100 + seed)
        line = gradient(x, value + sigma * rng.standard_normal((100, OBJECTS)), lines=1000)
        low, high = np.percentile(line.slope, [16, 84])
        inside.append(low < SLOPE < high)
    assert np.mean(inside) == pytest.approx(0.68, abs=0.22)  # 3 standard errors


def test_without_scatter_it_is_small():
    x, value, sigma, rng = problem(2)
    value = ZERO + SLOPE * x + sigma * rng.standard_normal(OBJECTS)
    line = gradient(x, value + sigma * rng.standard_normal((DRAWS, OBJECTS)))
    wanted = exact(x, value, sigma)
    assert np.percentile(line.scatter, 95) < wanted[2, 0] + 3 * wanted[2, 1]
    assert line.at(np.array([0.0, 1.0])).mean(0) == pytest.approx([ZERO, ZERO + SLOPE], abs=0.06)


def test_objects_without_numbers_are_left_out_and_too_few_refused():
    x, value, sigma, rng = problem(3)
    draws = value + sigma * rng.standard_normal((100, OBJECTS))
    whole = gradient(x[2:], draws[:, 2:], lines=200)
    draws[3, 0], x[1] = np.nan, np.nan
    np.testing.assert_array_equal(gradient(x, draws, lines=200).slope, whole.slope)
    with pytest.raises(ValueError, match="expected four objects or more with draws; got 1"):
        gradient(x[:3], draws[:, :3])
    with pytest.raises(ValueError, match=r"expected draws \[n, objects\] at x"):
        gradient(x, draws.T)
    with pytest.raises(ValueError, match="effective draws of each object"):
        gradient(x, draws, 40 * draws)
