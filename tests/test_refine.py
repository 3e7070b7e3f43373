"""Posteriors corrected by an explicit likelihood, or by what is known of a redshift."""

import equinox as eqx
import jax.random as jr
import numpy as np
import pytest

import flowspec as fs
from flowspec.check.c2st import c2st
from flowspec.data.frame import Pixels
from flowspec.sim.simulator import draw_many
from tests import problems
from tests.problems import SIGMA, WAVE, line_simulator, linear_simulator, untrained

SIZES = fs.Architecture(
    templates=3, learned=0, aligned=4, window=21, condition=12, layers=2, width=12, knots=4
)


@pytest.fixture(scope="module")
def linear():
    """A posterior of the linear-Gaussian problem, trained for seconds, and two spectra."""
    training = fs.Training(steps=300, batch=64, evaluate=100, validation=256)
    sim = linear_simulator()
    posterior = fs.fit(sim, training=training, architecture=SIZES, progress=False)
    _, flux, ivar = draw_many(sim, jr.key(5), 2)
    return posterior, fs.Spectra(WAVE, flux, ivar)


@pytest.mark.slow
def test_a_refined_spectrum_has_the_exact_posterior_and_evidence(linear):
    posterior, obs = linear
    found = posterior.refine(obs, problems.linear_likelihood, 2000, draws=100_000)
    mean, covariance = problems.linear_posterior(obs.flux)
    # 0.02 nats are 2 standard errors of 10,000 draws of full weight
    assert (found.ess > 10_000).all()
    np.testing.assert_allclose(found.log_evidence, problems.linear_evidence(obs.flux), atol=0.02)
    rng = np.random.default_rng(0)
    for row in range(len(obs)):
        exact = rng.multivariate_normal(mean[row], covariance, 2000)
        # 0.5 if nothing tells them apart; by chance 0.008 more or less at 4,000 points
        assert c2st(found.samples[:, row], exact) < 0.52


@pytest.fixture(scope="module")
def tilted():
    """A density of redshift and strength that depend on each other, never trained, and a spectrum
    without data, of which it says most."""
    posterior = untrained(line_simulator().priors, ("a",), Pixels(WAVE), SIZES)
    last = lambda p: p.model.density.distribution.bijection.bijections[1].conditioner.layers[1].bias  # noqa: E731
    posterior = eqx.tree_at(last, posterior, replace_fn=lambda b: b.at[-1].set(1.5))
    flux = np.random.default_rng(0).normal(1, SIGMA, (2, 128))
    return posterior, fs.Spectra(WAVE, flux, np.full((2, 128), SIGMA**-2))


@pytest.mark.slow
def test_given_its_redshift_the_rest_has_the_conditional_density(tilted):
    posterior, obs = tilted
    z = np.array([0.2234, 0.3071])
    drawn = posterior.given(z=z).sample(obs, 4000)
    assert (drawn[..., 0] == z.astype(np.float32)).all()
    strength = np.linspace(0.0005, 0.9995, 1000)
    theta = np.stack(np.broadcast_arrays(z[None], strength[:, None]), axis=-1)
    density = np.exp(posterior.log_prob(theta, obs))
    density /= density.sum(0)
    mean = (density * strength[:, None]).sum(0)
    spread = np.sqrt((density * (strength[:, None] - mean) ** 2).sum(0))
    # 32,000 weighted draws: 5 standard errors of 3,000
    np.testing.assert_allclose(drawn[..., 1].mean(0), mean, atol=5 * spread.max() / 3000**0.5)
    np.testing.assert_allclose(drawn[..., 1].std(0), spread, rtol=0.08)


def test_given_a_window_it_is_the_part_of_the_posterior_inside(tilted):
    posterior, obs = tilted
    low, high = 0.2031, 0.2877  # neither is an edge of a bin
    drawn = posterior.given(z=(low, high)).sample(obs, 4000)
    assert ((drawn[..., 0] >= low - 1e-6) & (drawn[..., 0] <= high + 1e-6)).all()
    whole = posterior.sample(obs, 40_000, seed=1)
    for row in range(2):
        inside = whole[(whole[:, row, 0] > low) & (whole[:, row, 0] < high), row]
        error = 5 * inside.std(0) * (1 / 4000 + 1 / len(inside)) ** 0.5
        np.testing.assert_array_less(np.abs(drawn[:, row].mean(0) - inside.mean(0)), error)
    own = posterior.given(z=(np.array([0.1, low]), np.array([0.5, high]))).sample(obs, 4000)
    error = 5 * whole[:, 0].std(0) * (1 / 4000) ** 0.5
    np.testing.assert_array_less(np.abs(own[:, 0].mean(0) - whole[:, 0].mean(0)), error)


def test_given_a_density_draws_are_weighted_by_it(tilted):
    posterior, obs = tilted
    edges = np.linspace(0.1, 0.5, 9)
    density = np.arange(1.0, 9.0)
    drawn = posterior.given(z=(edges, density)).sample(obs, 4000)
    whole = posterior.sample(obs, 40_000, seed=1)
    for row in range(2):
        weight = density[np.clip(np.searchsorted(edges, whole[:, row, 0]) - 1, 0, 7)]
        mean = np.average(whole[:, row], axis=0, weights=weight)
        error = 5 * whole[:, row].std(0) * (1 / 3000) ** 0.5
        np.testing.assert_array_less(np.abs(drawn[:, row].mean(0) - mean), error)


@pytest.mark.slow
def test_the_table_of_a_given_redshift_has_it(tilted):
    posterior, obs = tilted
    table = posterior.given(z=0.25).summarize(obs, n=200)
    np.testing.assert_allclose(table["z_p50"], 0.25, atol=1e-6)
    assert "ess" in table.colnames and (table["ess"] > 100).all()
    edges, pdf = posterior.given(z=(0.2, 0.3)).redshift_pdf(obs)
    inside = (edges[1:] > 0.2) & (edges[:-1] < 0.3)
    np.testing.assert_allclose((pdf * np.diff(edges))[:, inside].sum(1), 1, rtol=1e-5)


def test_what_cannot_be_given_is_refused(tilted):
    posterior, obs = tilted
    for z in (0.9, (0.6, 0.7, 0.8), (0.3, 0.2)):
        with pytest.raises(ValueError, match="expected"):
            posterior.given(z=z)
    with pytest.raises(ValueError, match="between 0.1 and 0.5"):
        posterior.given(z=(0.6, 0.7)).sample(obs, 10)
    three = np.full(3, 0.2)
    with pytest.raises(ValueError, match="of 2 rows; got that of 3"):
        posterior.given(z=three).sample(obs, 10)
    with pytest.raises(ValueError, match="a model with a redshift"):
        untrained(linear_simulator().priors, ("a",), Pixels(WAVE), SIZES).given(z=0.2)
