"""`Posterior`: draws and densities agree, files give the same answers back, bad rows stand out."""

from types import SimpleNamespace

import jax.random as jr
import numpy as np
import pytest

import flowspec as fs
from flowspec.check.redshift import reliability
from flowspec.data.frame import Pixels
from flowspec.model.space import RedshiftBins, Space
from flowspec.posterior.answers import Answers
from flowspec.posterior.files import read_model, write_model
from flowspec.posterior.redshift import Recalibration, peaks
from flowspec.posterior.screen import Screen
from flowspec.posterior.table import summary_table
from flowspec.posterior.weights import OVERSAMPLE
from flowspec.sim.simulator import draw_many
from tests.problems import WAVE, line_simulator

SIZES = fs.Architecture(templates=3, aligned=6, window=21, condition=16, layers=2, width=16)
SIM = line_simulator()


@pytest.fixture(scope="module")
def posterior():
    training = fs.Training(steps=400, batch=64, evaluate=200, validation=256)
    return fs.fit(SIM, seed=0, training=training, architecture=SIZES, progress=False)


@pytest.fixture(scope="module")
def mock():
    theta, flux, ivar = draw_many(SIM, jr.key(7), 300)
    return theta, fs.Spectra(WAVE, flux, ivar)


def test_redshifts_are_found(posterior, mock):
    theta, obs = mock
    table = posterior.summarize(obs[:200], n=300)
    strong = theta[:200, 1] > 0.5  # a line of over 6 sigma per pixel: never to be missed
    error = np.abs(table["z_best"] - theta[:200, 0])[strong]
    assert np.median(error) < 0.002 and (error < 0.01).mean() > 0.97


def test_draws_depend_on_the_row_and_the_seed_only(posterior, mock):
    obs = mock[1]
    whole = posterior.sample(obs, 20, seed=5)
    part = posterior.sample(obs[270:290], 20, seed=5, first=270)
    np.testing.assert_allclose(whole[:, 270:290], part, rtol=1e-4, atol=1e-4)
    assert not np.allclose(whole, posterior.sample(obs, 20, seed=6))


def test_no_draw_leaves_the_prior_and_outside_it_the_density_is_zero(posterior, mock):
    theta, obs = mock
    samples = posterior.sample(obs[:50], 500)
    low, high = (np.asarray(b) for b in SIM.prior.bounds(samples))
    assert ((samples >= low) & (samples <= high)).all()
    outside = theta[:5] + np.array([1.0, 0.0], np.float32)
    assert (posterior.log_prob(outside, obs[:5]) == -np.inf).all()


def test_density_of_the_draws_is_that_of_log_prob(posterior, mock):
    """The mean of 1 / q over draws of q is the volume of the prior where q covers it all."""
    obs = mock[1][:1]
    blank = fs.Spectra(WAVE, 0 * obs.flux, 1e-12 * obs.ivar)  # hardly any data
    samples = posterior.sample(blank, 4000, seed=1)
    log_prob = posterior.log_prob(samples, blank)
    assert np.exp(-log_prob).mean() == pytest.approx(0.4 * 1.0, rel=0.15)


def test_redshift_density_matches_the_draws(posterior, mock):
    obs = mock[1][:20]
    edges, density = posterior.redshift_pdf(obs)
    np.testing.assert_allclose((density * np.diff(edges)).sum(1), 1, rtol=1e-5)
    coarse = np.linspace(0.1, 0.5, 5)
    _, density = posterior.redshift_pdf(obs, coarse)
    samples = posterior.sample(obs, 2000)[..., 0]
    share = np.stack([np.histogram(s, coarse)[0] / 2000 for s in samples.T])
    # 2,000 draws: 0.011; a model bin cut by an edge is shared out evenly
    np.testing.assert_allclose(density * np.diff(coarse), share, atol=0.08)


def test_a_saved_model_gives_the_same_draws(posterior, mock, tmp_path):
    obs = mock[1][:5]
    posterior.save(tmp_path / "model")
    loaded = fs.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.sample(obs, 30), posterior.sample(obs, 30))
    assert loaded.provenance == posterior.provenance and loaded.names == ("z", "strength")
    posterior.save(tmp_path / "half", half=True)
    assert (tmp_path / "half").stat().st_size < 0.7 * (tmp_path / "model").stat().st_size
    close = fs.load(tmp_path / "half").summarize(obs)
    np.testing.assert_allclose(close["z_p50"], posterior.summarize(obs)["z_p50"], atol=0.02)


def test_bad_rows_are_flagged_and_the_rest_is_served(posterior, mock):
    obs = mock[1][:4]
    flux, ivar = obs.flux.copy(), obs.ivar.copy()
    ivar[1] = 0
    flux[2] = 1e4 * np.sin(np.arange(len(WAVE)))
    ivar[3, :80] = 0
    table = posterior.summarize(fs.Spectra(WAVE, flux, ivar))
    assert not table["flags"][0] & (fs.Flag.NO_DATA | fs.Flag.FEW_PIXELS)
    assert table["flags"][1] & fs.Flag.NO_DATA and table["notes"][1]
    assert table["flags"][2] & fs.Flag.OUT_OF_DISTRIBUTION
    assert table["flags"][3] & fs.Flag.FEW_PIXELS
    assert np.isfinite(table["z_p50"]).all()


def test_another_grid_is_resampled_and_one_elsewhere_refused(posterior, mock):
    theta, obs = mock
    finer = np.linspace(4000, 8000, 500)
    strong = np.flatnonzero(theta[:, 1] > 0.6)[:20]
    again = posterior.summarize(obs[strong].resample(finer))
    assert np.median(np.abs(again["z_p50"] - theta[strong, 0])) < 0.005
    elsewhere = fs.Spectra(np.linspace(9000, 12000, 50), np.ones((1, 50)), np.ones((1, 50)))
    with pytest.raises(ValueError, match="9000-12000"):
        posterior.sample(elsewhere)


def test_p_values_of_simulations_are_uniform():
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((5, 5))
    screen = Screen.from_summaries((rng.standard_normal((8000, 5)) @ mixing).astype(np.float32))
    p = screen.p_value((rng.standard_normal((2000, 5)) @ mixing).astype(np.float32))
    gap = np.abs(np.sort(p) - np.arange(2000) / 2000).max()
    assert gap < 0.05  # Kolmogorov-Smirnov, 99.9 % of samples of 2,000 and 4,000
    assert screen.p_value(np.full((1, 5), 100.0, np.float32))[0] < 1e-3


def test_z_prob_is_the_share_of_right_redshifts(posterior):
    theta, flux, ivar = draw_many(SIM, jr.key(11), 2000)
    table = posterior.summarize(fs.Spectra(WAVE, flux, ivar), n=100)
    right = np.abs(table["z_best"] - theta[:, 0]) < 0.01
    # 100 rows a bin and a model of seconds: 0.04 to 0.05 if exact
    prob = np.ma.filled(table["z_prob"], np.nan)
    told = np.isfinite(prob)  # all but those called unlike simulations, a thousandth
    assert told.mean() > 0.99 and reliability(prob[told], right[told]).error < 0.06
    unsure = (np.asarray(table["flags"]) & fs.Flag.UNSURE_REDSHIFT) > 0
    np.testing.assert_array_equal(unsure, ~(prob >= 0.9))
    assert right[~unsure].mean() > 0.9 > right[unsure].mean()


def test_two_peaks_are_flagged_and_a_broad_one_is_not(posterior, mock):
    obs = mock[1][:2]
    space = Space((SIM.prior,), ("a",), RedshiftBins(0.1, 0.5, 0.00905))
    share = np.zeros((2, space.bins))
    share[0, [5, 30]], share[1, 5:9] = [0.6, 0.4], 0.25
    edges = space.redshift.all_edges()
    z = 0.5 * (edges[5] + edges[6])
    found = peaks(edges, share / np.diff(edges))
    draws = np.full((10, 2, 2), z, np.float32)
    answers = Answers(draws, np.zeros((10, 2), int), share, np.ones(2), None, found, draws[0, :, 0])
    frame = Pixels(WAVE)
    judged = frame.judged(obs)
    table = summary_table(space, frame, obs, judged, answers, Recalibration.identity())
    two, broad = fs.Flag.MULTIMODAL_REDSHIFT, fs.Flag.UNSURE_REDSHIFT
    assert list(table["flags"] & (two | broad)) == [two | broad, broad]
    # a window of 0.02 holds one of the bins, or one and the better part of the next
    rest = (0.02 - (edges[6] - edges[5])) / (edges[7] - edges[6])
    assert 0.85 < rest < 1
    np.testing.assert_allclose(table["z_prob"], [0.6, 0.25 * (1 + rest)], atol=1e-9)


def test_files_without_a_recalibration_leave_probabilities_alone(posterior, mock, tmp_path):
    obs = mock[1][:50]
    posterior.save(tmp_path / "new")
    np.testing.assert_array_equal(
        fs.load(tmp_path / "new").summarize(obs)["z_prob"], posterior.summarize(obs)["z_prob"]
    )
    config, arrays = read_model(tmp_path / "new")
    del arrays["recalibration"]
    write_model(tmp_path / "old", config, arrays)
    old = fs.load(tmp_path / "old")
    assert list(old.recalibration.coefficients) == [0, 1, 0, 0]
    share = peaks(*old.redshift_pdf(obs)).share
    np.testing.assert_allclose(old.summarize(obs)["z_prob"], share, atol=1e-5)


def test_a_population_moves_the_posteriors(posterior, mock):
    obs = mock[1][:40]
    same = posterior.summarize(obs, n=200, population=SIM.prior)
    assert same["ess"] == pytest.approx(200 * OVERSAMPLE)  # equal weights
    i = posterior.names.index("z")
    low, high = (float(b[i]) for b in SIM.prior.bounds(mock[0][0]))
    lower = SimpleNamespace(
        log_prob=lambda theta: np.where(theta[..., i] < 0.5 * (low + high), 0.0, -np.inf)
    )
    blank = fs.Spectra(WAVE, 0 * obs.flux, 1e-12 * obs.ivar)  # the posterior is the prior
    half, samples = posterior.summarize(blank, n=200, population=lower, with_samples=True)
    assert (samples[..., i] < 0.5 * (low + high)).all()
    assert np.median(half["ess"]) == pytest.approx(100 * OVERSAMPLE, rel=0.2)
