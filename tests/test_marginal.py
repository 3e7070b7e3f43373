"""The likelihood of a spectrum with nuisances and noise integrated over, where it is known."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro.infer import MCMC, NUTS

import flowspec as fs
from flowspec.check.c2st import c2st
from flowspec.prior.prior import Prior
from flowspec.sim.explicit import split
from flowspec.sim.instrument.instrument import Instrument
from flowspec.sim.latent import Layout
from flowspec.sim.marginal import Marginal
from flowspec.sim.residual import Residual
from flowspec.sim.simulator import draw_many
from flowspec.sim.spectrum import SpectrumSimulator
from tests.problems import untrained

WAVE = np.geomspace(5000.0, 8000.0, 160)
X = np.linspace(-1, 1, 160)
SIZES = fs.Architecture(
    templates=3, learned=0, aligned=4, window=21, condition=12, layers=2, width=12, knots=4
)
SHAPES = np.stack([np.ones(160), X])  # of the two parameters
GLOW = np.stack([0.3 * np.exp(-(((X - c) / 0.2) ** 2)) for c in (-0.5, 0.1, 0.6)])


class Glow(SpectrumSimulator):
    """A level and a slope, on which lie three bumps of unknown height: all of it linear."""

    def __init__(self, nuisances=("glow",)):
        prior = Prior({"level": dist.Normal(5.0, 1.0), "slope": dist.Normal(0.0, 1.0)})
        toy = Instrument("toy", WAVE, np.full(160, 300.0), np.ones(160), (20.0, 20.0), prior=prior)
        super().__init__(toy, prior, (0.0, 0.1), None, nuisances, ("glow", "sky", "calibration"))
        self._lay_out()

    def own_layout(self):
        counts = {"glow": 3, "calibration": 5}
        return Layout.of({name: n for name, n in counts.items() if name in self.nuisances})

    def spectrum_of(self, theta, latent):
        part = self.layout.parts(latent)
        return (theta @ SHAPES + part["glow"] @ GLOW) * self.curve(part, theta)


def covariance(sigma, extra=()) -> np.ndarray:
    """Of pixels about the model of given parameters."""
    return GLOW.T @ GLOW + np.diag(sigma**2) + sum(extra)


def log_normal(away, square) -> np.ndarray:
    """ln density of rows of a normal distribution with mean 0."""
    distance = np.einsum("bi,ij,bj->b", away, np.linalg.inv(square), away)
    return -0.5 * (distance + np.linalg.slogdet(2 * np.pi * square)[1])


@pytest.fixture(scope="module")
def glow():
    """The simulator, four parameters, and spectra of them."""
    sim = Glow()
    theta, flux, ivar = draw_many(sim, jr.key(3), 4)
    return sim, theta, np.asarray(flux), np.asarray(ivar)


@pytest.mark.slow
def test_the_likelihood_of_a_linear_model_is_the_normal_one(glow):
    sim, theta, flux, ivar = glow
    wanted = [log_normal((flux[i] - theta[i] @ SHAPES)[None].astype(float),
                         covariance(ivar[i].astype(float) ** -0.5))[0] for i in range(4)]
    exact = Marginal(sim, scatter=0.0)
    data = map(jnp.asarray, (theta, flux, ivar))
    found = jax.vmap(lambda theta, *row: exact(theta, 0, *row))(*data)
    np.testing.assert_allclose(found, wanted, atol=0.02)  # of about 100, in single precision


@pytest.mark.slow
def test_far_from_the_best_fit_it_is_still_exact_where_all_is_linear(glow):
    sim, theta, flux, ivar = glow
    exact = Marginal(sim, scatter=0.0)
    near = exact.prepared(fs.Spectra(WAVE, flux, ivar), theta)
    other = theta + np.float32([0.2, -0.3])
    found = jax.vmap(lambda t, e: exact.at(t, 0, e))(jnp.asarray(other), near)
    wanted = [log_normal((flux[i] - other[i] @ SHAPES)[None].astype(float),
                         covariance(ivar[i].astype(float) ** -0.5))[0] for i in range(4)]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=0.05)


def test_correlated_noise_is_not_counted_as_independent(glow):
    """Against the normal distribution with the covariance that the filter of the noise makes."""
    sim, theta, flux, ivar = glow
    kernel = np.array([0.02, 0.25, 1.0, 0.25, 0.02])
    kernel, size = kernel / np.linalg.norm(kernel), 0.8 + 0.2 * X
    noise = Residual(jnp.asarray(size), jnp.asarray(kernel), *map(jnp.float32, (0.0, 0.0, 1.0)))
    told = eqx.tree_at(lambda s: s.residual, sim, noise, is_leaf=lambda x: x is None)
    exact = Marginal(told, scatter=0.0)
    other = theta + np.float32([0.2, -0.3])
    draw = jax.vmap(lambda key, theta, ivar: told.add_noise(key, told.flux(key, theta), ivar))
    flux = np.asarray(draw(jr.split(jr.key(5), 4), theta, ivar))
    both = [jax.vmap(lambda t, *row: exact(t, 0, *row))(*map(jnp.asarray, (t, flux, ivar)))
            for t in (theta, other)]
    filtered = np.stack([np.convolve(row, kernel, "same") for row in np.eye(160)], axis=1)
    for i in range(4):
        noisy = np.diag(size * ivar[i].astype(float) ** -0.5) @ filtered
        square = GLOW.T @ GLOW + noisy @ noisy.T
        wanted = [log_normal((flux[i] - t[i] @ SHAPES)[None].astype(float), square)[0]
                  for t in (theta, other)]
        # at the ends of these few pixels a filter has nothing to go on; were the noise taken as
        # independent, differences would be twice as large
        np.testing.assert_allclose([b[i] for b in both], wanted, atol=2.0)
        assert both[0][i] - both[1][i] == pytest.approx(wanted[0] - wanted[1], rel=0.03)


@pytest.mark.slow
def test_the_noise_is_integrated_over():
    """Against sums over fine grids of the factor on the errors and the amplitude of the sky."""
    sim = Glow(("glow", "sky"))
    theta, flux, ivar = (np.asarray(a, float) for a in draw_many(sim, jr.key(8), 2))
    flux = flux + 0.5 * np.random.default_rng(0).normal(size=flux.shape) * ivar**-0.5
    found = jax.vmap(lambda *row: Marginal(sim)(row[0], 0, *row[1:]))(
        *(jnp.asarray(a, jnp.float32) for a in (theta, flux, ivar)))  # fmt: skip
    rows = np.asarray(sim.sight["sky"] * sim.sight["mismatch"], float)
    log_scale, amplitude = np.linspace(-0.2, 0.4, 25), np.linspace(0.05, 3.5, 24)
    for i in range(2):
        sigma, away = ivar[i] ** -0.5, (flux[i] - theta[i] @ SHAPES)[None]
        sky = (rows * sigma).T @ (rows * sigma)
        terms = [
            log_normal(away, covariance(sigma * np.exp(s), [a * a * sky]))[0]
            - 0.5 * (s / 0.15) ** 2 - np.log(0.15 * np.sqrt(2 * np.pi)) - a * a / 2
            + 0.5 * np.log(2 / np.pi)
            for s in log_scale for a in amplitude
        ]  # fmt: skip
        cell = (log_scale[1] - log_scale[0]) * (amplitude[1] - amplitude[0])
        # the amplitude's nodes are 52 % apart
        assert abs(np.logaddexp.reduce(terms) + np.log(cell) - found[i]) < 0.3


@pytest.mark.slow
def test_refined_from_the_prior_alone_a_linear_spectrum_has_its_posterior_and_evidence(glow):
    sim, _, flux, ivar = glow
    obs = fs.Spectra(WAVE, flux[:2], ivar[:2])
    posterior = untrained(sim.priors, sim.sources, sim.frame, SIZES)
    found = posterior.refine(obs, Marginal(sim, scatter=0.0), 4000, draws=4000, seed=1)
    assert (found.ess > 0.4 * 4000).all()
    prior_mean = np.array([5.0, 0.0])
    for i in range(2):
        noise = covariance(ivar[i].astype(float) ** -0.5)
        away = flux[i] - prior_mean @ SHAPES
        square = np.linalg.inv(SHAPES @ np.linalg.inv(noise) @ SHAPES.T + np.eye(2))
        mean = prior_mean + square @ SHAPES @ np.linalg.inv(noise) @ away
        wide = np.sqrt(np.diag(square))
        # 1,600 effective draws: three standard errors of the mean, and of the width
        np.testing.assert_allclose((found.samples[:, i].mean(0) - mean) / wide, 0, atol=0.08)
        np.testing.assert_allclose(found.samples[:, i].std(0) / wide, 1, atol=0.06)
        evidence = log_normal(away[None], noise + SHAPES.T @ SHAPES)[0]
        assert abs(found.log_evidence[i] - evidence) < 0.1


def test_a_model_of_other_parameters_is_refused(glow):
    sim, _, flux, ivar = glow
    other = Prior({"level": dist.Normal(5.0, 1.0), "tilt": dist.Normal(0.0, 1.0)})
    posterior = untrained((other,), sim.sources, sim.frame, SIZES)
    with pytest.raises(ValueError, match="expected a simulator of .*; got one of"):
        posterior.refine(fs.Spectra(WAVE, flux, ivar), sim.log_likelihood, 10, draws=20)


@pytest.mark.slow
def test_p_values_of_fits_see_a_trough_and_raise_few_false_alarms(glow):
    sim = glow[0]
    posterior = untrained(sim.priors, sim.sources, sim.frame, SIZES)
    test = fs.Goodness.learned(posterior, sim.log_likelihood, 200)
    _, flux, ivar = draw_many(sim, jr.key(11), 60)
    usual = test.compared(posterior, fs.Spectra(WAVE, flux, ivar))
    # 60 draws: four standard errors of a share of 0.1 are 0.15
    assert (usual.p_value < 0.1).mean() < 0.25
    assert 0.3 < np.median(usual.p_value) < 0.7
    trough = flux * (1 - 0.3 * np.exp(-0.5 * ((WAVE - 6500) / 60) ** 2))
    table = posterior.summarize(fs.Spectra(WAVE, trough, ivar), n=50, evidence=test)
    assert (table["fit_p_value"] < 0.01).mean() > 0.9
    assert (table["log_evidence"] < usual.log_evidence).all()


@pytest.mark.slow
def test_it_agrees_with_a_long_run_over_parameters_and_nuisances():
    """A factor on the flux is not linear: against numpyro's sampler over everything."""
    sim = Glow(("glow", "calibration"))
    theta, flux, ivar = draw_many(sim, jr.key(4), 1)
    posterior = untrained(sim.priors, sim.sources, sim.frame, SIZES)
    obs = fs.Spectra(WAVE, flux, ivar)
    found = posterior.refine(obs, Marginal(sim, scatter=0.0), 2000, draws=4000)
    data = jnp.asarray(flux[0]), jnp.asarray(ivar[0])

    def potential(unknowns):
        away = (data[0] - sim.spectrum_of(*split(sim, unknowns))) * jnp.sqrt(data[1])
        return 0.5 * (away @ away + unknowns @ unknowns)

    sampler = MCMC(NUTS(potential_fn=potential, dense_mass=True), num_warmup=500,
                   num_samples=4000, progress_bar=False)  # fmt: skip
    sampler.run(jr.key(0), init_params=jnp.asarray(sim.fit(obs, theta).unknowns[0]))
    exact = np.asarray(sim.prior.to_constrained(sampler.get_samples()[::2, :2]))
    assert c2st(exact, found.samples[:, 0]) < 0.55
