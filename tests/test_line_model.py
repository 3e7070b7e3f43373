"""The density of line catalogues: normalised, blind to units and gaps, and correctable."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest

from flowspec.data.flags import Flag
from flowspec.data.frame import LineSet, Pixels
from flowspec.data.lines import Lines, State
from flowspec.data.spectra import Spectra
from flowspec.networks.lines import LineArchitecture
from flowspec.posterior.load import load
from flowspec.posterior.posterior import Posterior
from flowspec.prior.prior import Prior
from tests.problems import untrained

NAMES = ("Hbeta", "[OIII]5007", "[NII]6584")
WIDE = Prior({"oh": dist.Uniform(7.0, 9.0), "av": dist.Uniform(0.0, 4.0)})
NARROW = Prior({"oh": dist.Uniform(8.0, 8.5), "av": dist.Uniform(0.0, 1.0)})
SIZES = LineArchitecture(hidden=16, blocks=1, condition=8, layers=2, width=8, knots=4)


@pytest.fixture(scope="module")
def posterior() -> Posterior:
    """Untrained, of two sources, the parameters of the second in a smaller box."""
    return untrained((WIDE, NARROW), ("HII", "AGN"), LineSet(NAMES), SIZES)


OBS = Lines(NAMES, [[1.0, 3.0, 0.2], [1.0, np.nan, 0.4], [2.0, 1.0, np.nan]],
            [[0.1, 0.1, 0.1], [0.2, np.nan, 0.1], [0.2, 0.2, np.nan]],
            [[np.nan] * 3, [np.nan] * 3, [np.nan, np.nan, 0.3]])  # fmt: skip


def test_the_density_integrates_to_one_over_each_box(posterior):
    """By Monte Carlo over the boxes: the joint densities of both sources sum to one."""
    total, variance = np.zeros(3), np.zeros(3)
    for source, (prior, volume) in enumerate(((WIDE, 8.0), (NARROW, 0.5))):
        theta = np.asarray(prior.sample(jr.key(source), (20_000, 3)))
        density = np.exp(posterior.log_prob(theta, OBS, np.full((20_000, 3), source))) * volume
        total, variance = total + density.mean(0), variance + density.var(0) / 20_000
    np.testing.assert_allclose(total, 1, atol=4 * np.sqrt(variance.max()))


def test_the_sum_over_sources_is_the_default(posterior):
    theta = np.asarray(NARROW.sample(jr.key(5), (20, 3)))
    each = [posterior.log_prob(theta, OBS, np.full((20, 3), k)) for k in (0, 1)]
    whole = posterior.log_prob(theta, OBS)
    np.testing.assert_allclose(whole, np.logaddexp(*each), rtol=1e-5, atol=1e-5)
    outside = theta.copy()
    outside[..., 1] = 2.0  # of the second source only
    assert (posterior.log_prob(outside, OBS, np.full((20, 3), 1)) == -np.inf).all()
    assert np.isfinite(posterior.log_prob(outside, OBS)).all()


def test_draws_stay_in_the_box_of_their_source(posterior):
    samples, source = posterior.sample_sources(OBS, 500, seed=1)
    share = posterior.source_probabilities(OBS)
    # 4 binomial errors of 500
    np.testing.assert_allclose((source == 1).mean(0), share[:, 1], atol=4 * 0.5 / 500**0.5)
    inside = samples[source == 1]
    assert (inside >= [8.0, 0.0]).all() and (inside <= [8.5, 1.0]).all()
    given = posterior.sample(OBS, 100, source="AGN")
    assert (given[..., 0] >= 8.0).all() and (given[..., 0] <= 8.5).all()
    with pytest.raises(ValueError, match="expected a source among"):
        posterior.sample(OBS, 10, source="star")


def test_a_class_is_all_its_sources_in_proportion_to_their_odds():
    names = ("AGN-1.2", "AGN-2.0", "HII")
    three = untrained((WIDE, WIDE, NARROW), names, LineSet(NAMES), SIZES)
    _, source = three.sample_sources(OBS, 2000, seed=2, source="AGN")
    share = three.source_probabilities(OBS)
    assert (source < 2).all()
    # 4 binomial errors of 2,000
    want = share[:, 1] / share[:, :2].sum(1)
    np.testing.assert_allclose((source == 1).mean(0), want, atol=4 * 0.5 / 2000**0.5)
    table = three.summarize(OBS, n=50)
    np.testing.assert_allclose(table["p_AGN"], table["p_AGN-1.2"] + table["p_AGN-2.0"])
    assert three.classes == ("AGN", "HII") and "p_HII" in table.colnames


def test_draws_do_not_depend_on_their_company(posterior):
    together = posterior.sample(OBS, 50, seed=3)
    apart = [posterior.sample(OBS[i], 50, seed=3, first=i) for i in range(3)]
    np.testing.assert_allclose(together, np.concatenate(apart, axis=1), rtol=1e-5, atol=1e-5)


def test_units_and_absent_lines_do_not_matter(posterior):
    flux, err, state = (jnp.asarray(a) for a in (OBS.flux, OBS.err, OBS.state))

    def summary(flux, err, state):
        return posterior.model.embed(flux, err, state, jnp.zeros(3)).summary

    expected = summary(flux, err, state)
    np.testing.assert_allclose(summary(1e-15 * flux, 1e-15 * err, state), expected, atol=1e-5)
    junk = jnp.where(state == State.ABSENT, 5.0, flux)
    np.testing.assert_array_equal(summary(junk, err, state), expected)
    limit = summary(flux, err, jnp.where(state == 2, 0, state))
    assert not np.allclose(limit[2], expected[2])  # an absent line is no undetected one


def test_rows_say_themselves_that_they_are_corrected_for_dust(posterior):
    said = Lines(NAMES, [[1.0, 3.0, 0.2]] * 2, 0.1 * np.ones((2, 3)), dereddened=[True, False])
    plain = Lines(NAMES, said.flux, said.err)
    both = posterior.sample(said, 50, seed=1)
    for row, bit in enumerate((True, False)):
        of_all = posterior.sample(plain, 50, seed=1, dereddened=bit)
        np.testing.assert_array_equal(both[:, row], of_all[:, row])
    table = posterior.summarize(said, n=100)
    assert np.isnan(np.ma.filled(table["av_p50"][0], np.nan)) and np.isfinite(table["av_p50"][1])
    with pytest.raises(ValueError, match="dereddened= only with line fluxes"):
        Pixels(np.geomspace(4000, 8000, 9)).seen(
            Spectra(np.geomspace(4000, 8000, 9), np.ones(9), np.ones(9)), True)


@pytest.mark.slow
def test_refined_by_no_data_it_is_the_prior(posterior):
    """A likelihood of one everywhere: the evidence is one, and both sources are as likely."""
    flat = lambda theta, source, *data: jnp.zeros(())  # noqa: E731
    found = posterior.refine(OBS, flat, 2000, draws=8000)
    np.testing.assert_allclose(found.log_evidence, 0, atol=0.1)
    np.testing.assert_allclose((found.source == 1).mean(0), 0.5, atol=0.05)
    wide = found.samples[found.source == 0]
    # flat between 7 and 9: 5 standard errors of a thousand draws at half their worth
    assert wide[:, 0].mean() == pytest.approx(8, abs=5 * 0.58 / 500**0.5)
    assert wide[:, 0].std() == pytest.approx(2 / 12**0.5, rel=0.1)


def test_refined_by_a_gaussian_it_has_its_moments(posterior):
    def gaussian(theta, source, *data):
        return -0.5 * ((theta[0] - 8.2) / 0.1) ** 2 - 0.5 * ((theta[1] - 0.5) / 0.1) ** 2

    found = posterior.refine(OBS, gaussian, 2000, draws=20000)
    # boxes of 8 and 0.5 at even odds: the second is 16 times as dense
    assert (found.source == 1).mean() == pytest.approx(16 / 17, abs=0.03)
    volume = 2 * np.pi * 0.01 * 0.5 * (1 / 8 + 1 / 0.5)
    np.testing.assert_allclose(found.log_evidence, np.log(volume), atol=0.15)
    np.testing.assert_allclose(found.samples.reshape(-1, 2).mean(0), [8.2, 0.5], atol=0.01)


def test_a_model_file_comes_back_the_same(posterior, tmp_path):
    posterior.save(tmp_path / "lines.model")
    again = load(tmp_path / "lines.model")
    assert again.sources == ("HII", "AGN") and again.lines == NAMES
    np.testing.assert_array_equal(again.sample(OBS, 20), posterior.sample(OBS, 20))


def test_the_table_says_what_was_used(posterior):
    table = posterior.summarize(OBS, n=100)
    assert table["lines"].tolist() == [3, 2, 3] and table["limits"].tolist() == [0, 0, 1]
    np.testing.assert_allclose(table["p_HII"] + table["p_AGN"], 1, rtol=1e-5)
    assert {"oh_p16", "av_p84", "source", "p_value", "flags"} <= set(table.colnames)
    assert "av_p50" not in posterior.summarize(OBS, n=100, dereddened=True).colnames
    other = Lines(("HeI5876", "[OIII]5007"), [[1.0, np.nan], [1.0, 2.0]],
                  [[0.1, np.nan], [0.1, 0.1]])  # fmt: skip
    flags = posterior.summarize(other, n=100)["flags"]
    assert flags[0] & Flag.NO_DATA and not flags[1] & Flag.NO_DATA


def test_the_log_jacobian_is_that_of_the_map(posterior):
    theta, source = jnp.array([[8.3, 0.4]]), jnp.array([1])
    space = posterior.model.space
    k, free, log_det = space.encode(theta, source)
    jacobian = jax.jacfwd(lambda t: space.encode(t[None], source).free[0])(theta[0])
    assert float(log_det[0]) == pytest.approx(float(jnp.linalg.slogdet(jacobian)[1]), abs=1e-4)
    np.testing.assert_allclose(space.decode(k, free), theta, rtol=1e-5)


@pytest.mark.slow
def test_refined_a_few_rows_at_a_time_is_refined_together(posterior, monkeypatch):
    gaussian = lambda theta, source, *data: -50 * (theta[0] - 8.2) ** 2  # noqa: E731
    together = posterior.refine(OBS, gaussian, 50, draws=200)
    monkeypatch.setattr("flowspec.posterior.refine._NUMBERS", 1200)  # two rows, then one
    apart = posterior.refine(OBS, gaussian, 50, draws=200)
    for one, other in zip(together, apart, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)
