"""Errors of models and posteriors without a network, on catalogues whose truth is known."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.special import logsumexp

import flowspec as fs
from flowspec.check.importance import prior_draws
from flowspec.check.line_errors import FEWEST, REACH, _apart, line_errors, most_likely
from flowspec.data.line_grid import LineGrid

LINES = ("Hbeta", "[OIII]5007", "[NII]6584", "[SII]6717,6731", "[OI]6300", "[NeIII]3869",
         "[SIII]9069", "[ArIII]7136")  # fmt: skip
ROWS = 240


def made_up() -> LineGrid:
    """Planes of log10 flux in O/H and log U: what the interpolation has exactly."""
    axes = np.linspace(8.0, 9.0, 5), np.linspace(-4.0, -2.0, 5)
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    slopes = np.array([[0, 0], [-1.0, 0.6], [0.8, -0.2], [0.5, -0.4], [0.6, -0.5], [-1.1, 0.7],
                       [0.4, 0.2], [0.3, 0.3]])  # fmt: skip
    flux = 10 ** ((points - points.mean(0)) @ slopes.T)
    return LineGrid(points, flux, ("oh", "log_u"), LINES, 1e-6, "made up")


def catalogue(sim: fs.NebulaSimulator, rows: int, snr: float, seed: int = 0):
    """Parameters, and fluxes with errors of models and of the measurement."""
    theta, source, _ = sim.nebulae(jr.key(seed), rows)
    ratio, err = jax.jit(jax.vmap(sim.ratios, (0, 0, None)))(theta, source, jnp.ones(()))
    rng = np.random.default_rng(seed)
    noise = np.asarray(ratio) / snr
    flux = ratio + np.hypot(err, noise) * rng.normal(size=ratio.shape)
    return np.asarray(theta), fs.Lines(LINES, np.asarray(flux), noise, dereddened=True)


@pytest.mark.slow
def test_known_errors_of_each_line_are_found_again():
    spread = np.array([0.0, 0.05, 0.1, 0.3, 0.15, 0.08, 0.2, 0.12])
    truth = fs.LineErrors(LINES, np.array([0.0] * 6 + [0.3, 0.0]), spread)
    sim = fs.NebulaSimulator(made_up(), error=truth)
    _, obs = catalogue(sim, ROWS, snr=50.0)
    start = sim.with_errors(fs.LineErrors.alike(LINES, 0.1))
    found = line_errors(start, obs, n=100, draws=8000)
    # a spread s of n objects has the error s / (2 n)^1/2, and another of what predicts the line
    # (about as large as 0.08 / n^1/2); a mean (s^2 + 0.08^2)^1/2 / n^1/2: four of these
    error = np.hypot(spread / 2**0.5, 0.08) / ROWS**0.5
    np.testing.assert_array_less(np.abs(found.spread - spread), 4 * error + 1e-9)
    assert np.abs(found.offset[1:] - truth.offset[1:]).max() < 0.08
    assert found.offset[0] == 0 and found.spread[0] == 0


def test_the_most_likely_misfit_is_the_closed_form():
    """One exact prediction of each object: mean and scatter of the ratios."""
    rng = np.random.default_rng(3)
    predicted, ratio = 10 ** rng.uniform(-1, 1, 4000), 1.1 + 0.2 * rng.normal(size=4000)
    err = 1e-3 * predicted
    offset, spread = most_likely(predicted[None], predicted * ratio, err, 0.0, 0.0, 0.1)
    shrunk = (0.2 / 1.1) ** -2 / ((0.2 / 1.1) ** -2 + 1 / (FEWEST * REACH**2))  # by the prior
    assert offset == pytest.approx(shrunk * np.log(1.1), abs=4 * 0.2 / 4000**0.5 + 0.002)
    # as a share of the flux with the offset
    assert spread == pytest.approx(0.2 / 1.1, abs=4 * 0.2 / 8000**0.5 + 0.002)


@pytest.mark.parametrize("kind", [fs.NebulaSimulator, fs.MixtureSimulator])
def test_posteriors_and_evidence_are_those_of_brute_force(kind):
    """Likelihoods of a hundred thousand draws of the prior, few lines."""
    sim = kind(made_up(), LINES[:4], error=0.25)
    _, obs = catalogue(kind(made_up(), LINES, error=0.25), 6, snr=8.0, seed=5)
    obs = obs.corrected(np.arange(6) % 2 == 0).select(LINES[:4])
    found = prior_draws(sim, 40_000).posterior(obs, 4000, tried=4000)
    assert found.ess.min() > 200
    theta = sim.priors[0].sample(jr.key(9), (100_000,))
    first = jnp.array(0)
    many = jax.jit(jax.vmap(lambda t, *row: sim.log_likelihood(t, first, *row),
                            (0, *[None] * 4)))  # fmt: skip
    for row in range(6):
        data = (obs.flux, obs.err, obs.state, np.float32(obs.dereddened))
        log_like = np.asarray(many(theta, *(jnp.asarray(a[row]) for a in data)), float)
        weight = np.exp(log_like - logsumexp(log_like))
        error = (1 / found.ess[row] + (weight**2).sum()) ** 0.5  # of ln evidence, and of means
        assert found.log_evidence[row] == pytest.approx(
            logsumexp(log_like) - np.log(len(theta)), abs=5 * error)
        mean = weight @ np.asarray(theta)
        sigma = (weight @ (np.asarray(theta) - mean) ** 2) ** 0.5
        away = (found.samples[:, row].mean(0) - mean) / sigma
        assert np.abs(away).max() < 5 * error


def test_the_mean_misfit_of_lines_of_a_free_abundance_is_the_abundance():
    """Of two sulphur lines only the difference is kept, of one nitrogen line nothing."""
    sim = fs.MixtureSimulator(made_up(), LINES)
    obs = fs.Lines(LINES, np.ones((FEWEST, len(LINES))), np.full((FEWEST, len(LINES)), 0.1))
    errors = fs.LineErrors(LINES, np.array([0, 0.1, 0.2, 0.3, 0, 0.4, 0, 0]), np.full(8, 0.1))
    found = _apart(errors, sim, obs).offset
    np.testing.assert_allclose(found, [0, 0.1, 0, 0.15, 0, 0.4, -0.15, 0], atol=1e-12)
