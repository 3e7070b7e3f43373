"""`Posterior`: draws and densities agree, files give the same answers back, bad rows stand out."""

from types import SimpleNamespace

import jax.random as jr
import numpy as np
import pytest

import flowspec as fs
from flowspec.check.redshift import reliability
from flowspec.data.frame import Pixels
from flowspec.model.redshift_bins import RedshiftBins
from flowspec.model.space import Space
from flowspec.posterior.answers import Answers
from flowspec.posterior.files import read_model, write_model
from flowspec.posterior.redshift import Recalibration, peaks
from flowspec.posterior.screen import Screen
from flowspec.posterior.table import summary_table
from flowspec.posterior.weights import OVERSAMPLE
from flowspec.sim.simulator import draw_many
from tests.museum.tiny import trained
from tests.problems import WAVE, line_simulator

# trains a small model; test_posteriors has the properties of every kind, test_cli its tables
pytestmark = pytest.mark.slow

SIM = line_simulator()
N, ROWS = 100, 256  # draws and rows of most tests: others are other programs to compile


@pytest.fixture(scope="module")
def posterior():
    """Trained as the code of today trains."""
    return trained()


@pytest.fixture(scope="module")
def mock():
    theta, flux, ivar = draw_many(SIM, jr.key(7), 300)
    return theta, fs.Spectra(WAVE, flux, ivar)


def test_redshifts_are_found(posterior, mock):
    theta, obs = mock
    table = posterior.summarize(obs[:ROWS], n=N)[:200]
    strong = theta[:200, 1] > 0.5  # a line of over 6 sigma per pixel: never to be missed
    error = np.abs(table["z_best"] - theta[:200, 0])[strong]
    assert np.median(error) < 0.002 and (error < 0.01).mean() > 0.97


def test_draws_depend_on_the_row_and_the_seed_only(posterior, mock):
    obs = mock[1]
    whole = posterior.sample(obs, N, seed=5)
    part = posterior.sample(obs[-ROWS:], N, seed=5, first=len(obs) - ROWS)
    np.testing.assert_allclose(whole[:, -ROWS:], part, rtol=1e-4, atol=1e-4)
    assert not np.allclose(whole, posterior.sample(obs, N, seed=6))


def by_name(posterior, obs, width, picks):
    """A row gets what it gets in a batch where the others come in another order, or alone.

    Draws to 1e-5 of the width of the prior, single precision through a network and a flow (1.0e-5
    is the most of 43,000 draws of `sdss`); columns likewise, in units of their own.
    """
    words = {"n": N, "seed": 2, "by_name": True, "with_samples": True}
    table, draws = posterior.summarize(obs, **words)
    order = np.random.default_rng(0).permutation(len(obs))
    for rows in [order, *[[i] for i in picks]]:
        own, again = posterior.summarize(obs[rows], **words)
        assert (np.abs(again - draws[:, rows]) < 2e-5 * width).all()
        for name in table.colnames:
            one, other = (np.ma.asarray(t[name]) for t in (own, table[rows]))
            np.testing.assert_array_equal(np.ma.getmaskarray(one), np.ma.getmaskarray(other))
            if one.dtype.kind == "f":
                np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4, err_msg=name)
            else:
                np.testing.assert_array_equal(one, other, err_msg=name)


def test_a_name_keys_what_a_row_gets(posterior, mock):
    obs = mock[1]  # more than are embedded at once
    obs = fs.Spectra(WAVE, obs.flux, obs.ivar, [f"galaxy {i}" for i in range(len(obs))])
    by_name(posterior, obs, np.array([0.4, 1.0]), (0, 137, 299))


@pytest.mark.slow
def test_a_name_keys_what_a_row_of_the_sky_gets():
    """The shipped model of SDSS, on spectra of its simulator."""
    posterior, sim = fs.load("sdss"), fs.GalaxySimulator("sdss")
    _, flux, ivar = draw_many(sim, jr.key(1), 24)
    obs = fs.Spectra(sim.wave, flux, ivar, [f"galaxy {i}" for i in range(24)])
    low, high = (np.asarray(b) for b in sim.prior.bounds(np.zeros(len(posterior.names))))
    by_name(posterior, obs, high - low, (0, 7, 23))


def test_no_draw_leaves_the_prior_and_outside_it_the_density_is_zero(posterior, mock):
    theta, obs = mock
    samples = posterior.sample(obs[:ROWS], N)
    low, high = (np.asarray(b) for b in SIM.prior.bounds(samples))
    assert ((samples >= low) & (samples <= high)).all()
    outside = theta[:ROWS] + np.array([1.0, 0.0], np.float32)
    assert (posterior.log_prob(outside, obs[:ROWS]) == -np.inf).all()


def test_density_of_the_draws_is_that_of_log_prob(posterior, mock):
    """The mean of 1 / q over draws of q is the volume of the prior where q covers it all."""
    obs = mock[1][:ROWS]
    blank = fs.Spectra(WAVE, 0 * obs.flux, 1e-12 * obs.ivar)  # hardly any data
    samples = posterior.sample(blank, N, seed=1)
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
    obs = mock[1][:ROWS]
    posterior.save(tmp_path / "model")
    loaded = fs.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.sample(obs, N), posterior.sample(obs, N))
    assert loaded.provenance == posterior.provenance and loaded.names == ("z", "strength")
    posterior.save(tmp_path / "half", half=True)
    assert (tmp_path / "half").stat().st_size < 0.7 * (tmp_path / "model").stat().st_size
    close, own = (p.summarize(obs, n=N) for p in (fs.load(tmp_path / "half"), posterior))
    np.testing.assert_allclose(close["z_p50"][:5], own["z_p50"][:5], atol=0.02)


def test_bad_rows_are_flagged_and_the_rest_is_served(posterior, mock):
    obs = mock[1][:ROWS]
    flux, ivar = obs.flux.copy(), obs.ivar.copy()
    ivar[1] = 0
    flux[2] = 1e4 * np.sin(np.arange(len(WAVE)))
    ivar[3, :80] = 0
    table = posterior.summarize(fs.Spectra(WAVE, flux, ivar), n=N)
    assert not table["flags"][0] & (fs.Flag.NO_DATA | fs.Flag.FEW_PIXELS)
    assert table["flags"][1] & fs.Flag.NO_DATA and table["notes"][1]
    assert table["flags"][2] & fs.Flag.OUT_OF_DISTRIBUTION
    assert table["flags"][3] & fs.Flag.FEW_PIXELS
    assert np.isfinite(table["z_p50"]).all()


def test_another_grid_is_resampled_and_one_elsewhere_refused(posterior, mock):
    theta, obs = mock
    finer = np.linspace(4000, 8000, 500)
    again = posterior.summarize(obs[:ROWS].resample(finer), n=N)
    strong = np.flatnonzero(theta[:ROWS, 1] > 0.6)
    assert np.median(np.abs(again["z_p50"] - theta[:ROWS, 0])[strong]) < 0.005
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
    table = posterior.summarize(fs.Spectra(WAVE, flux, ivar), n=N)
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
    obs = mock[1][:ROWS]
    posterior.save(tmp_path / "new")

    def z_prob(posterior):
        return np.ma.filled(posterior.summarize(obs, n=N)["z_prob"], np.nan)

    np.testing.assert_array_equal(z_prob(fs.load(tmp_path / "new")), z_prob(posterior))
    config, arrays = read_model(tmp_path / "new")
    del arrays["recalibration"]
    write_model(tmp_path / "old", config, arrays)
    old = fs.load(tmp_path / "old")
    assert list(old.recalibration.coefficients) == [0, 1, 0, 0]
    share = peaks(*old.redshift_pdf(obs)).share
    found = z_prob(old)
    told = np.isfinite(found)  # all but those called unlike simulations
    assert told.mean() > 0.98
    np.testing.assert_allclose(found[told], share[told], atol=1e-5)


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
