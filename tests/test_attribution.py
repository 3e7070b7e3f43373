"""Attributions add up to what they explain, and fall on the line that carries the redshift."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import flowspec as fs
from flowspec.check.attribution import log_odds, redshift_attribution
from flowspec.fit import draw_many
from flowspec.networks import continuum
from tests.problems import WAVE, line_simulator, linear_simulator

SIZES = fs.Architecture(templates=3, aligned=6, window=21, condition=16, layers=2, width=16)


@pytest.fixture(scope="module")
def posterior():
    training = fs.Training(steps=300, batch=64, evaluate=300, validation=256)
    return fs.fit(line_simulator(), seed=0, training=training, architecture=SIZES, progress=False)


@pytest.fixture(scope="module")
def strong():
    """Spectra whose line is over 6 sigma per pixel, and the line's place."""
    theta, flux, ivar = draw_many(line_simulator(), jr.key(7), 200)
    rows = theta[:, 1] > 0.5
    return 5000 * (1 + theta[rows, 0]), fs.Spectra(WAVE, flux[rows], ivar[rows])


def test_shares_add_up_to_the_change_of_the_log_odds(posterior, strong):
    obs = strong[1][:20]
    shares = redshift_attribution(posterior, obs, half=0.02, steps=64)
    flux, ivar = jnp.asarray(obs.flux), jnp.asarray(obs.ivar)
    edges = posterior.model.redshift.all_edges()
    centre = 0.5 * (edges[1:] + edges[:-1])
    best = centre[np.asarray(posterior.model.embed(flux, ivar).logits.argmax(-1))]
    near = jnp.asarray(np.abs(centre - best[:, None]) <= 0.02)
    baseline = continuum(flux, ivar, posterior.model.network.window)
    change = log_odds(posterior.model, flux, ivar, near)
    change = np.asarray(change - log_odds(posterior.model, baseline, ivar, near))
    # the midpoint rule with 64 points along a path that bends at the noise
    np.testing.assert_allclose(shares.sum(1), change, rtol=0.02, atol=0.1)
    assert (change > 2).all()


def test_the_line_carries_the_redshift(posterior, strong):
    wave, obs = strong
    shares = np.maximum(redshift_attribution(posterior, obs), 0)
    on_line = np.abs(np.log(WAVE / wave[:, None])) < 0.03  # three sigma of the line
    fraction = (shares * on_line).sum(1) / shares.sum(1)
    assert on_line.mean() < 0.1 and np.median(fraction) > 0.7


def test_a_model_without_a_redshift_is_refused():
    sim = linear_simulator()
    training = fs.Training(steps=1, batch=8, evaluate=1, validation=16)
    other = fs.fit(sim, training=training, architecture=SIZES, progress=False)
    with pytest.raises(ValueError, match="expected a model with a redshift"):
        redshift_attribution(other, fs.Spectra(WAVE, np.ones((1, 128)), np.ones((1, 128))))
