"""Bands conditioned on the data, and parts of the model, against closed forms and simulations."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest

from flowspec.data.spectra import Spectra
from flowspec.prior.parameters import broad_prior
from flowspec.prior.prior import Prior
from flowspec.sim.conditioned import band
from flowspec.sim.explicit import Fitted, split
from flowspec.sim.galaxy.nuisance import NUISANCES
from flowspec.sim.galaxy.simulator import GalaxySimulator
from flowspec.sim.instrument.instrument import Instrument
from flowspec.sim.latent import Layout
from flowspec.sim.spectrum import SpectrumSimulator

WAVE = np.geomspace(6000.0, 7600.0, 300)  # Na D to [S II] at redshift 0.1, at R = 400
THETA = [0.1, 10.5, 0.4, 0.5, -0.13, 0.5, -2.9, 8.5, 120.0]
PIXELS = tuple(n for n in NUISANCES if n not in ("sky", "blemishes"))  # without those of the noise


def instrument(prior):
    lsf, noise = np.full(300, 300.0), np.ones(300)
    return Instrument("small", WAVE, lsf, noise, snr=(2.0, 30.0), prior=prior)


class Linear(SpectrumSimulator):
    """Two amplitudes with standard normal priors on fixed shapes, and one latent on a third."""

    def __init__(self):
        normal = dist.Normal(0.0, 1.0)
        prior = Prior({"z": dist.Uniform(0.0, 0.1), "a": normal, "b": normal})
        super().__init__(instrument(prior), prior, (0.0, 0.1), None, ("lsf",), ("lsf",))
        self._lay_out()

    def own_layout(self):
        return Layout.of({"lsf": 1})

    def spectrum_of(self, theta, latent):
        return 5.0 + jnp.stack([theta[1], theta[2], latent[0]]) @ SHAPES


SHAPES = jnp.asarray(np.polynomial.legendre.legvander(np.linspace(-1, 1, 300), 2).T, jnp.float32)


@pytest.fixture(scope="module")
def galaxy():
    return GalaxySimulator(instrument(broad_prior()), nuisances=PIXELS)


def observed(sim, flux, ivar):
    return Spectra(sim.wave, np.asarray(flux), np.broadcast_to(ivar, flux.shape))


def test_the_band_of_a_linear_model_is_that_of_least_squares():
    sim = Linear()
    ivar = np.where(np.arange(300) < 110, 4.0, 0.0)  # the rest is unseen: there the band is wide
    shapes = np.asarray(SHAPES, float)
    seen = (shapes * ivar) @ shapes.T
    covariance = np.linalg.inv(seen + np.eye(3))
    want = np.sqrt(np.einsum("ip,ij,jp->p", shapes, covariance, shapes))
    theta, latent = jnp.array([0.05, 0.3, -0.5]), np.array([[0.2]])
    unknowns = np.concatenate([sim.prior.to_unconstrained(theta)[0][None], latent], 1)
    none, one = np.zeros((1, 300)), np.zeros(1)
    information = np.pad(seen, ((1, 0), (1, 0)))[None]  # nothing is said of the redshift
    fit = Fitted(
        theta=theta[None], latent=latent, model=none, ivar=none, residual=none, chi2=one,
        unknowns=unknowns, information=information, gradient=unknowns, log_evidence=one,
    )  # fmt: skip
    np.testing.assert_allclose(sim.band(fit)[0], want, rtol=1e-4)  # single precision
    assert want[-1] > 5 * want[:110].max()


def test_parts_of_any_simulator_of_spectra_sum_to_the_model():
    sim, theta, latent = Linear(), np.array([0.05, 0.3, -0.5]), np.array([0.2])
    np.testing.assert_array_equal(sum(sim.parts(theta, latent).values()),
                                  sim.spectrum_of(jnp.asarray(theta), jnp.asarray(latent)))


@pytest.mark.slow
def test_parts_of_a_galaxy_sum_to_the_model_and_are_what_they_say(galaxy):
    theta = jnp.array(THETA)
    latent = galaxy.draw_latent(jr.key(0), theta)
    parts = {k: np.asarray(v) for k, v in galaxy.parts(theta, latent).items()}
    model = np.asarray(jax.jit(galaxy.spectrum_of)(theta, latent))
    np.testing.assert_allclose(sum(parts.values()), model, rtol=1e-4)
    halpha, away = np.argmin(np.abs(WAVE - 6564.6 * 1.1)), np.argmin(np.abs(WAVE - 6710))
    assert parts["gas"][halpha] > 20 * abs(parts["gas"][away])
    assert parts["stars"].min() > 0
    curve = galaxy.curve(galaxy.layout.parts(latent), theta)
    light = parts["stars"] + parts["gas"]
    np.testing.assert_allclose(parts["smooth factor"] / light, curve - 1, atol=1e-5)
    passive = galaxy.parts(theta.at[2].set(-6.0), latent)
    np.testing.assert_allclose(passive["gas"], 0, atol=1e-4 * parts["gas"].max())


@pytest.mark.slow
def test_the_band_of_a_galaxy_follows_from_the_derivative_of_its_spectrum(galaxy):
    flux, _ = simulated(galaxy, 1)
    ivar = (30 / np.median(flux)) ** 2
    fit = galaxy.fit(observed(galaxy, flux, ivar), np.array([THETA]), 3)
    unknowns = jnp.asarray(fit.unknowns[0])
    slopes = jax.jit(jax.jacfwd(lambda u: galaxy.spectrum_of(*split(galaxy, u))))(unknowns)
    slopes = np.asarray(slopes, float)
    want = np.sqrt(np.einsum("pi,ij,pj->p", slopes, fit.covariance[0].astype(float), slopes))
    np.testing.assert_allclose(band(galaxy, fit)[0], want, rtol=0.01)


@pytest.mark.slow
def test_bands_hold_68_percent_of_the_truth(galaxy):
    truth, theta = simulated(galaxy, 30)
    sigma = np.median(truth, 1, keepdims=True) / 20
    noisy = truth + sigma * np.random.default_rng(0).normal(size=truth.shape)
    fit = galaxy.fit(observed(galaxy, noisy, sigma**-2.0), theta)
    width = galaxy.band(fit)
    inside = (np.abs(truth - fit.model) < width).mean()
    # neighbours move together: some ten independent pixels in each of 30, hence 0.03, twice
    assert 0.62 < inside < 0.74
    assert (width < sigma).mean() > 0.9  # and they are no wider than the data


def simulated(sim, n):
    """Noiseless spectra of galaxies like `THETA`, and their parameters."""
    scatter = np.array([0.02, 0.3, 0.3, 0.2, 0.1, 0.1, 0.2, 0.1, 10.0])
    theta = np.array(THETA) + scatter * np.random.default_rng(1).normal(size=(n, 9))
    flux = jax.jit(jax.vmap(sim.flux))(jr.split(jr.key(2), n), jnp.asarray(theta, jnp.float32))
    return np.asarray(flux), theta
