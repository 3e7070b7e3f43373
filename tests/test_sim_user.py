"""A user's own simulator or simulations, and the noise that goes with them."""

import equinox as eqx
import h5py
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest

from flowspec.data.spectra import Spectra
from flowspec.io import write
from flowspec.prior.prior import Prior
from flowspec.sim.curves import smooth_basis
from flowspec.sim.instrument.detector import Detector
from flowspec.sim.instrument.noise import Noise, add_noise, blemishes
from flowspec.sim.stored import Simulations, degraded
from flowspec.sim.user import CallableSimulator

WAVE = np.linspace(4000, 5000, 120)
PRIOR = Prior({"level": dist.Uniform(1.0, 2.0), "slope": dist.Uniform(-1.0, 1.0)})
DRAW = eqx.filter_jit(lambda sim, key, n: sim.draw(key, n))


def ramp(key, theta):
    return theta[0] + theta[1] * jnp.linspace(0, 1, 120)


def test_any_function_becomes_a_simulator():
    sim = CallableSimulator(ramp, PRIOR, WAVE, 0.01)
    theta, flux, ivar = DRAW(sim, jr.key(0), 500)
    truth = theta[:, :1] + theta[:, 1:] * np.linspace(0, 1, 120)
    chi = np.asarray((flux - truth) * np.sqrt(ivar))
    np.testing.assert_allclose(ivar, 1e4, atol=0.1)
    # 5 standard errors of the mean of 60,000
    np.testing.assert_allclose([chi.mean(), chi.std()], [0, 1], atol=0.02)


def test_preset_noise_spans_the_promised_ratios():
    sim = CallableSimulator(lambda key, theta: jnp.full(120, theta[0]), PRIOR, WAVE)
    theta, _, ivar = DRAW(sim, jr.key(0), 2000)
    ratio = np.log10(theta[:, 0] * np.sqrt(ivar[:, 0]))
    edges = np.linspace(np.log10(0.5), np.log10(50), 5)
    counts = np.histogram(ratio, edges)[0]
    # 500 in each of four, to 4 standard errors
    assert counts.sum() > 1990 and counts.min() > 500 - 4 * (2000 * 0.25 * 0.75) ** 0.5


def test_noise_of_observations_keeps_its_shape_and_masks():
    sigma = np.where(WAVE < 4500, 1.0, 3.0)
    ivar = np.where(np.arange(120) % 7 == 0, 0, sigma**-2.0)[None]
    sim = CallableSimulator(ramp, PRIOR, WAVE).with_noise(Spectra(WAVE, 5 + 0 * ivar, ivar))
    _, flux, got = DRAW(sim, jr.key(1), 50)
    np.testing.assert_array_equal(np.asarray(got > 0), np.broadcast_to(ivar > 0, got.shape))
    np.testing.assert_allclose(got[:, 1] / got[:, -2], 9.0, atol=1e-3)
    assert (np.asarray(flux)[:, ::7] == 0).all()


def test_noise_of_observations_needs_pixels():
    with pytest.raises(ValueError, match="good pixels between 4000 and 5000 A"):
        Noise.from_observed(Spectra(WAVE, np.ones((2, 120)), np.zeros((2, 120))), WAVE)


def test_resampled_noise_has_unit_variance_and_the_right_correlation():
    native = np.arange(4000.0, 5000.0, 5.0)
    pixels = np.arange(4008.75, 4980.0, 2.5)
    detector = Detector(native, pixels, correlation=0.2)
    noise = np.asarray(jax.vmap(detector.noise)(jr.split(jr.key(0), 400)))
    # a standard deviation of 400 is known to 0.035, that of all pixels ten times as well
    np.testing.assert_allclose(noise.std(0), 1.0, atol=0.15)
    np.testing.assert_allclose(noise.std(), 1.0, atol=0.01)
    # pixels of half the size: the two halves of one pixel are the same, the next pixel's are not
    pairs = np.array([np.corrcoef(noise[:, i], noise[:, i + 1])[0, 1] for i in range(200)])
    assert pairs.max() > 0.97
    far = [np.corrcoef(noise[:, i], noise[:, i + 6])[0, 1] for i in range(200)]
    # a correlation of 400 is known to 0.05, the mean of 200 overlapping ones ten times as well
    np.testing.assert_allclose(np.mean(far), 0.0, atol=0.02)


def test_sky_residuals_come_on_top_of_the_noise():
    sky = jnp.zeros(120).at[60].set(3.0)
    keys = jr.split(jr.key(0), 600)
    one = jnp.ones(120)
    noisy = jax.vmap(lambda k: add_noise(k, 0 * one, one, sky, one[None], None, False))(keys)
    assert noisy[:, 60].std() > 1.8
    # a standard deviation of 600 is known to 0.029
    np.testing.assert_allclose(noisy[:, 61].std(), 1.0, atol=0.08)


def test_blemishes_spoil_few_pixels_of_few_spectra():
    knots = jnp.asarray(smooth_basis(np.geomspace(4000, 9000, 1500), 20))
    flaws = np.asarray(jax.vmap(lambda k: blemishes(k, knots))(jr.split(jr.key(0), 4000)))
    middle = np.abs(flaws[:, 500:1000])  # far from both ends, a third of the pixels
    # three spikes of probability 0.02 over all pixels, of which a little over 90 % peak above 3
    assert (middle.max(1) > 3).mean() == pytest.approx(0.02, abs=4 * (0.02 / 4000) ** 0.5)
    ends = np.abs(flaws[:, :15]).mean(1) > 1.5
    assert ends.mean() == pytest.approx(1 / 30, abs=4 * (1 / 30 / 4000) ** 0.5)


def test_wrong_functions_and_noise_are_refused():
    with pytest.raises(ValueError, match=r"flux of shape \(120,\); got \(7,\)"):
        CallableSimulator(lambda key, theta: jnp.zeros(7), PRIOR, WAVE)
    with pytest.raises(ValueError, match="noise above zero"):
        CallableSimulator(ramp, PRIOR, WAVE, np.zeros(120))


@pytest.fixture
def arrays():
    sim = CallableSimulator(ramp, PRIOR, WAVE, 0.1)
    return tuple(np.asarray(a) for a in sim.draw(jr.key(2), 30))


def test_rows_of_simulations_stay_together(arrays):
    sims = Simulations(*arrays, WAVE, PRIOR)
    theta, flux, ivar = DRAW(sims, jr.key(0), 200)
    rows = np.argmin(np.abs(arrays[0][:, 0] - np.asarray(theta)[:, :1]), axis=1)
    np.testing.assert_array_equal(flux, arrays[1][rows])
    assert len(np.unique(rows)) > 25


def test_bad_simulations_are_named_by_row(arrays):
    theta, flux, ivar = arrays
    with pytest.raises(ValueError, match="shapes"):
        Simulations(theta, flux[:, :-1], ivar, WAVE, PRIOR)
    outside = theta.copy()
    outside[4, 0] = 9.0
    with pytest.raises(ValueError, match="inside the prior; got row 4"):
        Simulations(outside, flux, ivar, WAVE, PRIOR)
    with pytest.raises(ValueError, match="finite spectra; got others in row 0"):
        Simulations(theta, flux * np.nan, ivar, WAVE, PRIOR)


@pytest.fixture
def file(arrays, tmp_path):
    """Simulations in a file, a column more than the prior has and the others the other way round;
    a pixel of each row without data."""
    theta, flux, ivar = (a.copy() for a in arrays)
    ivar[:, 7] = 0
    columns = np.stack([theta[:, 1], np.arange(30.0), theta[:, 0]], axis=1)
    write(tmp_path / "sims.h5", Spectra(WAVE, flux, ivar), columns, ("slope", "seed", "level"))
    return tmp_path / "sims.h5", theta, flux, ivar


def test_a_file_has_its_columns_in_the_order_of_the_prior(file):
    path, theta, flux, ivar = file
    sims = Simulations.from_file(path, PRIOR)
    assert sims.prior == PRIOR and len(sims) == 30
    pairs = (sims.theta, theta), (sims.spectra, flux), (sims.ivar, ivar), (sims.wave, WAVE)
    for found, expected in pairs:
        np.testing.assert_array_equal(found, expected)
    one = Simulations.from_file(path, Prior({"slope": PRIOR.distributions["slope"]}))
    np.testing.assert_array_equal(one.theta, theta[:, 1:])


def test_a_file_may_be_told_what_its_columns_are(file):
    path, theta, flux, ivar = file
    other = path.with_name("other.h5")
    with h5py.File(other, "w") as f:
        f["lambda"], f["flux"], f["ivar"], f["theta"] = WAVE, flux, ivar, theta
    names = {"param_names": ("level", "slope"), "columns": {"wave": "lambda"}}
    np.testing.assert_array_equal(Simulations.from_file(other, PRIOR, **names).theta, theta)
    with pytest.raises(ValueError, match="other.h5: expected 2 parameter names"):
        Simulations.from_file(other, PRIOR, columns={"wave": "lambda"})


def test_a_file_without_a_parameter_or_outside_the_prior_is_refused(file):
    path, theta, *_ = file
    more = Prior(PRIOR.distributions | {"age": dist.Uniform(0.0, 1.0)})
    words = "sims.h5: expected parameters level, slope, age; got slope, seed, level"
    with pytest.raises(ValueError, match=words):
        Simulations.from_file(path, more)
    row = int(np.argmax(theta[:, 1] > 0))
    with pytest.raises(ValueError, match=f"inside the prior; got row {row}: .*'slope'"):
        Simulations.from_file(path, PRIOR.replace(slope=dist.Uniform(-1.0, 0.0)))


def test_further_noise_is_as_large_as_its_inverse_variance_says():
    flux, ivar = jnp.zeros((400, 100)), jnp.full((400, 100), 4.0).at[:, 0].set(0)
    noisy, left = map(np.asarray, degraded(jr.key(0), flux, ivar, 2.0))
    added = 1 / left[:, 1:] - 1 / 4  # variance
    chosen = added[:, 0] > 1e-6
    assert chosen.mean() == pytest.approx(0.5, abs=5 * 0.5 / 400**0.5)
    assert added.max() <= 2.0**2 / 4 * (1 + 1e-5)
    white = noisy[chosen, 1:] / np.sqrt(added[chosen])
    assert white.var() == pytest.approx(1, abs=5 * (2 / white.size) ** 0.5)
    assert (noisy[~chosen] == 0).all()
    assert (noisy[:, 0] == 0).all() and (left[:, 0] == 0).all()  # no data stays no data


def test_batches_with_further_noise_are_the_stored_ones_where_it_is_not_added():
    prior = Prior({"x": dist.Uniform(0.0, 1.0)})
    rng = np.random.default_rng(0)
    arrays = rng.uniform(size=(8, 1)), rng.normal(size=(8, 5)), np.ones((8, 5))
    plain = Simulations(*arrays, np.linspace(4000, 5000, 5), prior)
    noisy = Simulations(*arrays, np.linspace(4000, 5000, 5), prior, extra_noise=1.0)
    theta, _, (flux, ivar) = noisy.batch(jr.key(1), 3, 4)
    expected = plain.batch(jr.key(1), 3, 4)
    np.testing.assert_array_equal(theta, expected.theta)
    same = np.asarray(ivar[:, 0] == 1)
    assert 0 < same.sum() < 4
    np.testing.assert_array_equal(flux[same], expected.data[0][same])
    again = noisy.batch(jr.key(1), 3, 4)
    np.testing.assert_array_equal(flux, again.data[0])
