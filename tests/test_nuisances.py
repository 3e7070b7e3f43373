"""What fits say of nuisances, on observations whose distribution is known."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest

import flowspec as fs
from flowspec.adaptation.nuisances import (
    Likelihoods,
    Normal,
    best_population,
    conditional,
    likelihoods,
    log_evidence,
    population,
    posterior_moments,
)
from flowspec.adaptation.residuals import components, measured_noise, rest_templates
from flowspec.adaptation.taught import taught
from flowspec.sim.explicit import Fitted
from flowspec.sim.instrument.instrument import Instrument
from flowspec.sim.latent import Layout, Learned
from flowspec.sim.template import Templates, resampled

SIZE, ROWS = 4, 600
MEAN = np.array([0.5, -1.0, 1.5, 0.0])
FACTOR = np.array([[1, 0, 0, 0], [0.5, 0.6, 0, 0], [-0.4, 0.2, 0.8, 0], [0, 0, 0, 1.0]])


@pytest.fixture(scope="module")
def given():
    """Linear measurements of unknowns of known distribution: four with unit noise, each of two."""
    rng = np.random.default_rng(0)
    truth = MEAN + rng.normal(size=(ROWS, SIZE)) @ FACTOR.T
    design = rng.normal(size=(ROWS, 6, SIZE)) * 1.5
    data = np.einsum("nij,nj->ni", design, truth) + rng.normal(size=(ROWS, 6))
    information = np.einsum("nij,nik->njk", design, design)
    return Likelihoods(information, np.einsum("nij,ni->nj", design, data))


def test_population_is_that_which_observations_come_from(given):
    """Means to 4 standard errors, covariances to 4 of theirs, sqrt(2 / n) and a little more."""
    found = population(given, 1.0)
    np.testing.assert_allclose(found.mean, MEAN, atol=4 * 1.3 / ROWS**0.5)
    error = 1.5 * (2 / ROWS) ** 0.5
    np.testing.assert_allclose(found.covariance, FACTOR @ FACTOR.T, atol=4 * error)


def test_unknowns_that_are_held_stay_standard_normal(given):
    held = np.array([0, 1.0, 0, 0])
    found = population(given, 1.0, held)
    assert found.mean[1] == 0
    np.testing.assert_array_equal(found.covariance[1], [0, 1, 0, 0])


def test_moments_and_evidence_are_those_of_a_normal_likelihood(given):
    """One unknown: N(d; v, 1) times N(v; m, s^2), and the ratio of two evidences."""
    d = 1.7
    one = Likelihoods(np.ones((1, 1, 1)), np.full((1, 1), d))
    mean, covariance = posterior_moments(one, Normal(np.array([0.5]), np.array([[4.0]])))
    np.testing.assert_allclose((mean.item(), covariance.item()), ((d + 0.5 / 4) / 1.25, 0.8))

    def ln_normal(m, s2):
        return -0.5 * ((d - m) ** 2 / (1 + s2) + np.log(1 + s2))

    values = [log_evidence(one, Normal(np.array([m]), np.array([[s2]]))).item()
              for m, s2 in ((0.5, 4.0), (0.0, 1.0))]
    np.testing.assert_allclose(values[0] - values[1], ln_normal(0.5, 4.0) - ln_normal(0.0, 1.0))


def test_what_the_simulator_knows_is_kept_where_observations_are_few_or_alike(given):
    """Held-out evidence: of truly standard normal unknowns hardly anything is learned."""
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(80, SIZE))
    information = np.tile(2.0 * np.eye(SIZE), (80, 1, 1))
    plain = Likelihoods(information, 2 * truth + rng.normal(size=truth.shape) * 2**0.5)
    found, gains = best_population(plain)
    assert max(gains.values()) < 0.1
    np.testing.assert_allclose(found.mean, 0, atol=4 / 80**0.5)
    assert max(best_population(given)[1].values()) > 0.5


def test_latents_at_given_parameters():
    """Against the conditional distribution of a bivariate normal one."""
    joint = Normal(np.array([1.0, 2.0]), np.array([[4.0, 1.0], [1.0, 9.0]]))
    learned = conditional(joint, 1)
    expected = 2.0 + 0.25 * (np.array([0.5]) - 1.0)
    np.testing.assert_allclose(learned.expected(jnp.array([0.5])), expected, rtol=1e-6)
    np.testing.assert_allclose(learned.factor.item() ** 2, 9 - 0.25, rtol=1e-6)


def test_whitened_unknowns_are_unwhitened():
    """ln L as a function of parameters and latents does not depend on how it is written."""
    rng = np.random.default_rng(2)
    learned = Learned(*(jnp.asarray(a, jnp.float32) for a in (
        rng.normal(size=2), rng.normal(size=(2, 1)), [[1.5, 0], [0.3, 0.7]])))
    design = rng.normal(size=(5, 3))
    information = (design.T @ design)[None]
    best, gradient = rng.normal(size=(1, 3)), rng.normal(size=(1, 3))
    blank = np.zeros((1, 1))
    fit = Fitted(blank, blank, blank, blank, blank, np.zeros(1), best, information,
                 gradient, np.zeros(1))
    found = likelihoods(fit, learned, 1.0)

    def ln_ratio(given, unknowns):
        values = [h @ u - 0.5 * u @ given.information[0] @ u
                  for h, u in ((given.pull[0], u) for u in unknowns)]
        return values[0] - values[1]

    white = rng.normal(size=(2, 3))
    factor, slopes = np.asarray(learned.factor), np.asarray(learned.slopes)
    latent = np.asarray(learned.mean) + white[:, :1] @ slopes.T + white[:, 1:] @ factor.T
    natural = Likelihoods(information, best @ information[0] + gradient)
    expected = ln_ratio(natural, white)
    got = ln_ratio(found, np.concatenate([white[:, :1], latent], axis=1))
    np.testing.assert_allclose(got, expected, rtol=1e-4)


def test_components_of_incomplete_data_span_what_made_them():
    rng = np.random.default_rng(3)
    x = np.linspace(0, 1, 300)
    truth = np.stack([np.sin(7 * x), np.exp(-(((x - 0.4) / 0.03) ** 2))])
    values = rng.normal(size=(400, 2)) @ truth + 0.3 * rng.normal(size=(400, 300))
    weight = np.where(rng.uniform(size=values.shape) < 0.4, 0.0, 0.3**-2)
    found = components(values, weight, 2)
    share = np.linalg.lstsq(found.T, truth.T, rcond=None)[0].T @ found
    # noise of 0.3 over 240 spectra of each pixel: 0.02
    np.testing.assert_allclose(share, truth, atol=0.08)


def fits(residual, ivar, model):
    """As of fits that took nothing away."""
    rows = len(residual)
    blank, none = np.zeros((rows, 1)), np.zeros(rows)
    return Fitted(blank, blank, model, ivar, residual, none, blank, np.zeros((rows, 1, 1)), blank,
                  none)  # fmt: skip


def test_noise_of_residuals_is_measured():
    """Size by pixel, correlation of neighbours, scatter between spectra, outliers."""
    rng = np.random.default_rng(4)
    white = rng.normal(size=(300, 1001))
    noise = (white[:, 1:] + 0.5 * white[:, :-1]) / 1.25**0.5  # correlation 0.4
    size = np.where(np.arange(1000) < 500, 0.8, 1.1)
    noise = noise * size * np.exp(0.1 * rng.normal(size=(300, 1)))
    far = rng.uniform(size=noise.shape) < 1e-3
    residual = np.where(far, 20.0, noise)
    found = measured_noise(fits(residual, np.ones_like(noise), np.ones_like(noise)))
    np.testing.assert_allclose(np.asarray(found.size)[100:400], 0.8, rtol=0.05)
    np.testing.assert_allclose(np.asarray(found.size)[600:900], 1.1, rtol=0.05)
    assert found.scatter == pytest.approx(0.1, abs=0.03)
    assert found.outliers == pytest.approx(1e-3, rel=0.2)
    flux = np.asarray(found.add(jr.key(0), jnp.zeros(1000), jnp.ones(1000)))
    middle = np.clip(flux, -4, 4)
    neighbours = (middle[1:] * middle[:-1]).mean() / (middle**2).mean()
    assert neighbours == pytest.approx(0.4, abs=0.12)  # 3 standard errors of 1,000 pixels


@pytest.mark.slow
def test_templates_of_the_rest_frame_are_found_at_their_redshifts():
    rng = np.random.default_rng(5)
    wave = np.geomspace(4000, 8000, 1200)
    z = rng.uniform(0, 0.3, 250)
    rest = wave / (1 + z[:, None])
    feature = np.exp(-0.5 * ((rest - 5000) / 15) ** 2)
    values = 0.05 * rng.normal(size=(250, 1)) * feature
    sigma = 0.02
    residual = values / sigma + rng.normal(size=rest.shape)
    fit = fits(residual, np.full_like(rest, sigma**-2.0), np.ones_like(rest))
    white = rng.normal(size=rest.shape)
    noise = measured_noise(fits(white, np.ones_like(rest), np.ones_like(rest)))
    found, gains = rest_templates(fit, z, wave, noise)
    assert len(found.rest) == 1 and gains[1] > 5
    grid = np.exp(found.start + found.step * np.arange(found.rest.shape[1]))
    expected = 0.05 * np.exp(-0.5 * ((grid - 5000) / 15) ** 2)
    row = np.asarray(found.rest[0]) * np.sign(found.rest[0] @ expected)
    np.testing.assert_allclose(row, expected, atol=0.012)  # 0.02 / sqrt(3 * 250), 15 of them
    seen = found.at(jnp.log(jnp.asarray(wave)), 0.2)[0]
    assert abs(wave[np.abs(seen).argmax()] - 6000) < 6


def test_templates_move_with_the_redshift():
    wave = np.linspace(4000, 6000, 4000)
    rows, start = resampled(wave, np.exp(-0.5 * ((wave[None] - 5000) / 40) ** 2), 2e-4)
    templates = Templates(jnp.asarray(rows), jnp.zeros((0, 3)), start, 2e-4)
    got = templates.at(jnp.log(jnp.array([5500.0, 5540.0 * 1.1 / 1.108, 9000.0])), 0.1)[0]
    expected = [np.exp(-0.5 * ((w / 1.1 - 5000) / 40) ** 2) for w in (5500.0, 5500.0)]
    np.testing.assert_allclose(got, [*expected, 0.0], atol=1e-3)


def test_layouts_place_latents_by_name():
    layout = Layout.of({"a": 2, "b": 3})
    parts = layout.parts(jnp.arange(5.0))
    assert layout.size == 5 and parts["a"].tolist() == [0, 1] and parts["b"].tolist() == [2, 3, 4]


@pytest.fixture(scope="module")
def small():
    """Galaxies in 300 pixels, with few nuisances."""
    wave = np.geomspace(4800, 7200, 300)
    prior = fs.GalaxySimulator("sdss").prior.replace(z=dist.Uniform(0.02, 0.05))
    instrument = Instrument("small", wave, np.full(300, 150.0), np.ones(300), (20.0, 40.0),
                            prior=prior)
    return fs.GalaxySimulator(instrument, nuisances=("lines", "dust", "calibration"))


@pytest.mark.slow
def test_a_simulator_is_taught_the_line_ratios_of_observations(small):
    """Observations whose metal lines are 2 (prior) standard deviations stronger, at half the
    noise that they state, are recognised as such, and fitted to their noise."""
    layout = small.layout
    shift = np.zeros(layout.size, np.float32)
    own = np.arange(layout.size)[layout.place("lines")]
    nitrogen = small.groups[small.nebula.names.index("NII6583")]
    shift[own[nitrogen]] = 2.0
    other = Learned.nothing(layout, 9)
    other = Learned(jnp.asarray(shift), other.slopes, other.factor)
    sky = eqx.tree_at(lambda s: s.learned, small, other)
    theta, flux, ivar = sky.draw(jr.key(1), 160)
    obs = fs.Spectra(small.wave, np.asarray(flux), np.asarray(ivar))
    lesson = taught(small, obs, np.asarray(theta)[None])
    mean = np.asarray(lesson.simulator.learned.mean)
    assert mean[own[nitrogen]] == pytest.approx(2.0, abs=0.7)
    others = np.delete(mean[own], nitrogen)
    assert np.abs(others).max() < 0.8
    assert np.median(lesson.fit.chi2) < 1.1
