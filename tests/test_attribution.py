"""Attributions add up to what they explain, and fall on the line that carries the redshift."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import flowspec as fs
from flowspec.check.attribution import ELSEWHERE, by_line, log_odds, redshift_attribution
from flowspec.data.continuum import continuum
from flowspec.data.line_names import GALAXY_LINES
from flowspec.sim.simulator import draw_many
from tests.problems import WAVE, line_simulator, linear_simulator

SIZES = fs.Architecture(
    templates=3, learned=0, aligned=6, window=21, condition=16, layers=2, width=16
)


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


@pytest.mark.slow
def test_shares_add_up_to_the_change_of_the_log_odds(posterior, strong):
    obs = strong[1][:20]
    shares = redshift_attribution(posterior, obs, half=0.02, steps=64)
    flux, ivar = jnp.asarray(obs.flux), jnp.asarray(obs.ivar)
    edges = posterior.model.space.redshift.all_edges()
    centre = 0.5 * (edges[1:] + edges[:-1])
    best = centre[np.asarray(posterior.model.embed(flux, ivar).logits.argmax(-1))]
    near = jnp.asarray(np.abs(centre - best[:, None]) <= 0.02)
    baseline = continuum(flux, ivar, posterior.model.network.window)
    change = log_odds(posterior.model, flux, ivar, near)
    change = np.asarray(change - log_odds(posterior.model, baseline, ivar, near))
    # the midpoint rule with 64 points along a path that bends at the noise
    np.testing.assert_allclose(shares.sum(1), change, rtol=0.02, atol=0.1)
    assert (change > 2).all()


@pytest.mark.slow
def test_the_line_carries_the_redshift(posterior, strong):
    wave, obs = strong
    shares = np.maximum(redshift_attribution(posterior, obs), 0)
    on_line = np.abs(np.log(WAVE / wave[:, None])) < 0.03  # three sigma of the line
    fraction = (shares * on_line).sum(1) / shares.sum(1)
    assert on_line.mean() < 0.1 and np.median(fraction) > 0.7


@pytest.mark.slow
def test_a_model_without_a_redshift_is_refused():
    sim = linear_simulator()
    training = fs.Training(steps=1, batch=8, evaluate=1, validation=16)
    other = fs.fit(sim, training=training, architecture=SIZES, progress=False)
    with pytest.raises(ValueError, match="expected a model with a redshift"):
        redshift_attribution(other, fs.Spectra(WAVE, np.ones((1, 128)), np.ones((1, 128))))


@pytest.mark.slow
def test_an_explained_redshift_may_be_given(posterior, strong):
    """The most probable one is the default; another window has other odds."""
    wave, obs = strong[0][:10], strong[1][:10]
    edges = posterior.model.space.redshift.all_edges()
    most = np.argmax(posterior.redshift_pdf(obs)[1] * np.diff(edges), axis=1)
    z = 0.5 * (edges[1:] + edges[:-1])[most]
    shares = redshift_attribution(posterior, obs)
    np.testing.assert_array_equal(redshift_attribution(posterior, obs, z), shares)
    wrong = np.where(z < 0.3, z + 0.15, z - 0.15)
    against = redshift_attribution(posterior, obs, wrong)
    on_line = np.abs(np.log(WAVE / wave[:, None])) < 0.03
    assert ((against * on_line).sum(1) < 0).all()  # the line speaks against where it is not
    for half in (0.0, 1.0):
        with pytest.raises(ValueError, match="expected windows that hold some of the redshift"):
            redshift_attribution(posterior, obs, z + 1e-5, half=half)  # between two bins


def test_lines_and_the_rest_add_up_to_all_pixels():
    """Against a loop over all lines; whole numbers, so that every order of summing is exact."""
    rng = np.random.default_rng(0)
    wave = np.geomspace(6400.0, 18000.0, 800)
    shares = rng.integers(-99, 99, (5, 800)).astype(float)
    z = np.array([0.0, 0.6, 1.234, 2.1, 9.0])
    sums = by_line(shares, wave, z, half=3.0)
    assert list(sums) == [*sorted(GALAXY_LINES, key=GALAXY_LINES.get), ELSEWHERE]
    np.testing.assert_array_equal(sum(sums.values()), shares.sum(1))
    step = np.log(wave[1] / wave[0])
    for row in range(5):
        want = dict.fromkeys(sums, 0.0)
        for pixel, value in zip(wave, shares[row], strict=True):
            apart = {n: abs(np.log(pixel / (1 + z[row]) / w)) for n, w in GALAXY_LINES.items()}
            near = min(apart, key=apart.get)
            want[near if apart[near] <= 3 * step else ELSEWHERE] += value
        assert {name: total[row] for name, total in sums.items()} == want
