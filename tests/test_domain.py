"""Losses of alignment, the gap and the population: against closed forms on Gaussians."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr

from flowspec.adaptation.distances import adversarial, coral, mmd, reverse_gradient
from flowspec.adaptation.gap import area, area_error, domain_gap, mmd_test, pixel_shifts, shifts
from flowspec.adaptation.population import PopulationRatio, estimate_population, marginals

RNG = np.random.default_rng


def arrays(*values):
    return [jnp.asarray(v, jnp.float32) for v in values]


def test_reversed_gradient_is_minus_the_gradient():
    x = jnp.array([0.3, -1.2, 2.0])

    def f(x, strength):
        y = reverse_gradient(x, strength)
        return jnp.sum(jnp.sin(y) * y)

    value, gradient = jax.value_and_grad(f)(x, jnp.float32(0.7))
    assert value == pytest.approx(float(jnp.sum(jnp.sin(x) * x)), rel=1e-6)
    # sums of two terms of up to two, which cancel at x = 2
    np.testing.assert_allclose(gradient, -0.7 * (jnp.cos(x) * x + jnp.sin(x)), atol=2e-6)
    # also where the strength is traced, as in a training step
    traced = jax.jit(jax.grad(f))(x, jnp.float32(0.7))
    np.testing.assert_allclose(traced, gradient, atol=2e-6)


def test_adversarial_loss_at_the_best_classifier():
    """Its minimum is ln 2 less the Jensen-Shannon divergence (Goodfellow et al. 2014)."""
    rng, shift = RNG(0), 1.5
    source = rng.standard_normal((20000, 1))
    target = rng.standard_normal((20000, 1)) + shift

    def critic(x):
        return (shift * x - shift**2 / 2)[:, 0]

    def p(x, m):
        return np.exp(-0.5 * (x - m) ** 2) / np.sqrt(2 * np.pi)

    def entropy_term(x):
        a, b = p(x, 0), p(x, shift)
        return 0.5 * (a * np.log1p(b / a) + b * np.log1p(a / b))

    expected, _ = quad(entropy_term, -8, 9)
    found = float(adversarial(*arrays(source, target, np.ones(len(source))), critic))
    assert found == pytest.approx(expected, abs=4 * 0.5 / np.sqrt(20000))


@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_mmd_is_that_of_gaussians(shift):
    """E k(x, y) of unit Gaussians a distance m apart and a Gaussian kernel of width h, in d
    dimensions: (h^2 / (h^2 + 2))^(d/2) exp(-m^2 / (2 h^2 + 4))."""
    rng, d, n = RNG(1), 3, 600
    x, y = rng.standard_normal((n, d)), rng.standard_normal((n, d))
    y[:, 0] += shift
    both = np.concatenate([x, y])
    median = np.median(((both[:, None] - both) ** 2).sum(-1))
    h2 = np.array([0.25, 0.5, 1, 2, 4]) ** 2 * median
    same = (h2 / (h2 + 2)) ** (d / 2)
    expected = (2 * same * (1 - np.exp(-(shift**2) / (2 * h2 + 4)))).mean()
    # three times the spread over 20 seeds
    found = float(mmd(*arrays(x, y, np.ones(n))))
    assert found == pytest.approx(expected, abs=0.004 + 0.02 * shift)


def test_weights_stand_for_copies():
    rng = RNG(2)
    x, y = rng.standard_normal((60, 4)), rng.standard_normal((40, 4)) + 0.5
    weight = np.repeat([1.0, 2.0, 3.0], 20)
    copies = np.repeat(x, weight.astype(int), axis=0)
    one = np.ones(len(copies))
    whole = float(coral(*arrays(copies, y, one)))
    assert float(coral(*arrays(x, y, weight))) == pytest.approx(whole, rel=1e-5)

    def critic(x):
        return x.sum(-1)

    weighted = float(adversarial(*arrays(x, y, weight), critic))
    whole = float(adversarial(*arrays(copies, y, one), critic))
    assert weighted == pytest.approx(whole, rel=1e-5)


def test_coral_is_the_difference_of_moments():
    rng = RNG(3)
    x, y = rng.standard_normal((500, 3)), rng.standard_normal((400, 3)) * [1, 2, 3] + [0, 1, 0]
    mean = x.mean(0) - y.mean(0)
    covariance = np.cov(x.T, bias=True) - np.cov(y.T, bias=True)
    expected = (mean**2).sum() / 3 + (covariance**2).sum() / 9
    assert float(coral(*arrays(x, y, np.ones(500)))) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.5])
def test_gap_of_gaussians(shift):
    """Area Phi(m / sqrt 2) and overlap 2 Phi(-m / 2) of unit Gaussians a distance m apart."""
    rng = RNG(4)
    x, y = rng.standard_normal((2000, 6)), rng.standard_normal((1000, 6))
    y[:, 2] += shift
    gap = domain_gap(x, y)
    assert gap.auc == pytest.approx(ndtr(shift / np.sqrt(2)), abs=4 * gap.error)
    # a classifier of few rows is less sure, and so sees a little more in common or less
    assert gap.overlap == pytest.approx(2 * ndtr(-shift / 2), abs=0.06)
    assert gap.closed == (shift == 0)


def test_gap_is_closed_by_the_weights_of_a_population():
    rng = RNG(5)
    x, y = rng.standard_normal((4000, 2)), rng.standard_normal((1000, 2))
    y[:, 0] += 1
    weight = np.exp(x[:, 0] - 0.5)
    assert domain_gap(x, y).auc > 0.7
    gap = domain_gap(x, y, weight)
    assert gap.auc == pytest.approx(0.5, abs=4 * gap.error)


def test_error_of_an_area_is_its_spread():
    rng = RNG(6)
    areas = [area(rng.standard_normal(150), rng.standard_normal(100) + 1) for _ in range(400)]
    # 3 sigma of a standard deviation of 400 areas; the formula is of exponential scores
    assert area_error(float(np.mean(areas)), 150.0, 100.0) == pytest.approx(np.std(areas), rel=0.15)


def test_permutations_find_a_shift_and_nothing_else():
    rng = RNG(7)
    x, y = rng.standard_normal((200, 3)), rng.standard_normal((150, 3))
    assert mmd_test(x, y, 100)[1] > 0.02
    assert mmd_test(x, y + [0.5, 0, 0], 100)[1] == pytest.approx(1 / 101)


def test_shifts_name_the_summary_and_the_pixel():
    rng = RNG(8)
    x, y = rng.standard_normal((4000, 3)), rng.standard_normal((4000, 3)) * [1, 1, 2] + [0, 1, 0]
    expected = [[0, 0], [1, 0], [0, np.log(2)]]
    np.testing.assert_allclose(shifts(2 * x, 2 * y), expected, atol=4 / np.sqrt(2000))
    x[0, 0] = np.nan
    np.testing.assert_allclose(pixel_shifts(x, y), np.transpose(expected), atol=4 / np.sqrt(2000))


def test_population_of_a_gaussian_measurement():
    """Labels of N(0, 1) simulated, N(1, 0.5^2) observed, with an error of 0.5; exact posteriors."""
    rng, error = RNG(9), 0.5
    simulated = rng.standard_normal((8000, 2))
    truth = np.stack([1 + 0.5 * rng.standard_normal(3000), rng.standard_normal(3000)], axis=1)
    seen = truth + error * rng.standard_normal(truth.shape)
    gain = 1 / (1 + error**2)
    draws = gain * seen + np.sqrt(1 - gain) * rng.standard_normal((64, *seen.shape))
    ratio = estimate_population(simulated, draws)
    edges = np.concatenate([np.full((2, 1), -np.inf), ratio.edges, np.full((2, 1), np.inf)], axis=1)
    expected = np.stack([np.diff(ndtr((edges[0] - 1) / 0.5)), np.diff(ndtr(edges[1]))])
    found = marginals(ratio, simulated)
    # binomial errors of 3,000 are 0.008; deconvolution costs a few times as much
    np.testing.assert_allclose(found, expected, atol=0.05)
    naive = np.histogram(draws[..., 0], edges[0])[0] / draws[..., 0].size
    assert np.abs(found[0] - expected[0]).sum() < 0.4 * np.abs(naive - expected[0]).sum()


def test_population_of_classes():
    """Three classes, equally many simulated, 80, 15 and 5 % observed, told apart three in four."""
    rng, shares = RNG(10), np.array([0.8, 0.15, 0.05])
    confusion = np.full((3, 3), 0.125) + 0.625 * np.eye(3)
    simulated = np.stack([rng.uniform(size=6000), np.arange(6000) % 3], axis=1)
    seen = np.array([rng.choice(3, p=confusion[k]) for k in rng.choice(3, 4000, p=shares)])
    drawn = np.array([rng.choice(3, 64, p=confusion[k]) for k in seen]).T
    draws = np.stack([rng.uniform(size=drawn.shape), drawn], axis=-1)
    ratio = estimate_population(simulated, draws)
    np.testing.assert_allclose(marginals(ratio, simulated)[1][:3], shares, atol=0.03)
    log_ratio = ratio.log_ratio(np.full((3, 1), 0.5), np.arange(3))
    odds = np.exp(log_ratio - log_ratio[0])
    np.testing.assert_allclose(odds, shares / shares[0], atol=0.04)


def test_flat_population_changes_nothing():
    ratio = PopulationRatio.flat(RNG(11).uniform(size=(100, 2)))
    assert (ratio.log_ratio(jnp.zeros((5, 2))) == 0).all()
