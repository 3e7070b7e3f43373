"""Kinds of objects with parameters of their own, against posteriors that are known."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest

import flowspec as fs
from flowspec.fitting import _new
from flowspec.model.space import Space
from flowspec.posterior.answers import (
    Answers,
    class_shares,
    of_best_kind,
    redshift_density,
)
from flowspec.posterior.redshift import Recalibration, peaks
from flowspec.posterior.table import summary_table
from flowspec.prior.galaxies import moons_prior
from flowspec.prior.mixture import MixedPrior, read_prior
from flowspec.prior.nitrogen import NitrogenPrior
from flowspec.prior.prior import Prior
from flowspec.sim.classes import Classes
from flowspec.sim.simulator import simulate_many
from flowspec.sim.user import CallableSimulator
from tests.problems import (
    SIGMA,
    WAVE,
    line_simulator,
    linear_evidence,
    linear_likelihood,
    linear_simulator,
    untrained,
    vector_simulator,
)

SIZES = fs.Architecture(
    templates=3, aligned=4, window=21, learned=0, condition=12, layers=2, width=12, knots=4
)


class Bumps(CallableSimulator):
    """The linear problem, whose likelihood is known."""

    def log_likelihood(self, theta, source, *data):
        return linear_likelihood(theta, source, *data)


class Level(CallableSimulator):
    """A constant of unknown height."""

    def log_likelihood(self, theta, source, flux, ivar):
        away = flux - theta[0]
        return (-0.5 * away**2 * ivar + 0.5 * jnp.log(ivar / (2 * jnp.pi))).sum()


def bumps() -> Bumps:
    prior = Prior({"a": dist.Normal(0.0, 1.0), "b": dist.Normal(0.0, 1.0)})
    return Bumps(linear_simulator().function, prior, WAVE, SIGMA)


def level() -> Level:
    prior = Prior({"height": dist.Normal(0.0, 0.2)})
    return Level(lambda key, theta: jnp.full(len(WAVE), theta[0]), prior, WAVE, SIGMA)


@pytest.fixture(scope="module")
def kinds() -> Classes:
    return Classes({"BUMPS": bumps(), "LEVEL": level()})


def test_rows_are_those_of_each_kind(kinds):
    made = jax.tree.map(np.asarray, jax.jit(lambda key: kinds.simulate(key, 4001))(jr.key(0)))
    assert kinds.priors[0].names == kinds.priors[1].names == ("a", "b", "height")
    share = np.bincount(made.source, minlength=2)
    assert share.sum() == 4001 and abs(share[0] - share[1]) <= 1
    flux, theta = made.data[0], made.theta
    # what is left of each row's own model is noise
    shapes = np.stack([bumps().function(None, jnp.eye(2)[i]) for i in range(2)])
    models = theta[:, :2] @ shapes, np.repeat(theta[:, 2:], len(WAVE), axis=1)
    for k, model in enumerate(models):
        away = (flux - model)[made.source == k]
        assert away.std() == pytest.approx(SIGMA, rel=0.01)  # of 250,000 pixels: 7 standard errors
    # a kind's parameters are draws of its prior, those of others are uniform
    unused = np.concatenate([theta[made.source == 0, 2], theta[made.source == 1, :2].ravel()])
    assert (unused >= 0).all() and (unused <= 1).all()
    assert unused.mean() == pytest.approx(0.5, abs=4 * 0.289 / len(unused) ** 0.5)
    assert theta[made.source == 1, 2].std() == pytest.approx(0.2, rel=0.07)  # 4 standard errors


def test_unused_parameters_cost_no_density(kinds):
    theta = jnp.array([0.3, -0.2, 0.7])
    own = bumps().priors[0]
    found = kinds.priors[0].log_prob(theta)
    assert float(found) == pytest.approx(float(own.log_prob(theta[:2])), abs=1e-6)
    assert kinds.priors[0].unused == {"height"}
    again = Prior.from_config(kinds.priors[0].config())
    assert again == kinds.priors[0] and again != again.replace(a=dist.Normal(0.0, 2.0))


def test_the_odds_of_kinds_are_the_ratio_of_their_evidence(kinds):
    """Refined from the prior, where one kind has two parameters and the other has one."""
    posterior = untrained(kinds.priors, kinds.sources, kinds.frame, SIZES)
    made = simulate_many(kinds, jr.key(1), 6)
    flux, ivar = made.data
    covariance = 0.2**2 + SIGMA**2 * np.eye(len(WAVE))
    square = np.einsum("bi,ij,bj->b", flux, np.linalg.inv(covariance), flux.astype(float))
    of_level = -0.5 * (square + np.linalg.slogdet(2 * np.pi * covariance)[1])
    evidence = np.stack([linear_evidence(flux.astype(float)), of_level], axis=1)
    found = posterior.refine(fs.Spectra(WAVE, flux, ivar), kinds.log_likelihood, 2000, draws=60_000)
    wanted = np.logaddexp(*evidence.T) - np.log(2)
    error = 4 / np.sqrt(found.ess.min())
    np.testing.assert_allclose(found.log_evidence, wanted, atol=error)
    share = np.exp(evidence - np.logaddexp(*evidence.T)[:, None])
    np.testing.assert_allclose((found.source == 1).mean(0), share[:, 1], atol=error)


def test_a_kind_is_found_in_its_own_range_of_redshift():
    """No density outside the redshifts of a source, whatever the network says."""
    lines = line_simulator()
    near = CallableSimulator(
        lines.function, lines.priors[0].replace(z=dist.Uniform(0.2, 0.21)), WAVE, SIGMA,
        redshift="z",
    )
    both = Classes({"ANY": lines, "NEAR": near})
    posterior = untrained(both.priors, both.sources, both.frame, SIZES)
    obs = fs.Spectra(WAVE, *simulate_many(both, jr.key(2), 3).data)
    samples, source = posterior.sample_sources(obs, 4000, seed=3)
    z = samples[source == 1][:, 0]
    assert len(z) > 100 and z.min() >= 0.2 and z.max() <= np.float32(0.21)
    theta = np.asarray(both.priors[1].sample(jr.key(4), (4000, 3)))
    log_q = posterior.log_prob(theta, obs, np.ones((4000, 3), int))
    ratio = np.exp(log_q - np.asarray(both.priors[1].log_prob(theta)))
    share = posterior.source_probabilities(obs)[:, 1]
    np.testing.assert_allclose(ratio.mean(0), share, atol=5 * ratio.std(0).max() / 4000**0.5)


def test_the_table_masks_what_the_kind_has_not():
    """Nothing has no redshift and no strength of a line; of lines draws that are none do not count.
    """
    lines = line_simulator()
    empty = CallableSimulator(
        lambda key, theta: jnp.zeros(len(WAVE)),
        Prior({"z": dist.Uniform(0.1, 0.1001)}, unused=("z",)), WAVE, SIGMA, redshift="z",
    )  # fmt: skip
    both = Classes({"LINE": lines, "NOTHING": empty})
    posterior = untrained(both.priors, both.sources, both.frame, SIZES)
    obs = fs.Spectra(WAVE, *simulate_many(both, jr.key(2), 4).data)
    space, frame = posterior.model.space, posterior.model.frame
    rng = np.random.default_rng(0)
    source = (rng.uniform(size=(300, 4)) < [0.1, 0.3, 0.8, 1.0]).astype(int)
    samples = np.asarray(both.priors[0].sample(jr.key(5), (300, 4)))
    share = np.zeros((4, space.classes))
    share[:, 3], share[:, space.bins] = 1 - source.mean(0), source.mean(0)
    found = peaks(space.redshift.all_edges(), redshift_density(space, of_best_kind(space, share)))
    answers = Answers(samples, source, share, np.full(4, 0.5), None, found, found.z)
    table = summary_table(space, frame, obs, frame.judged(obs), answers, Recalibration.identity())
    assert table["class"].tolist() == ["LINE", "LINE", "NOTHING", "NOTHING"]
    np.testing.assert_allclose(table["p_nothing"], source.mean(0))
    # the redshift is right where the kind is too: all of a line is in one bin here
    np.testing.assert_allclose(table["z_prob"][:2], table["p_line"][:2], atol=1e-6)
    for column in ("z_best", "z_prob", "z_p50", "strength_p50"):
        assert np.ma.getmaskarray(table[column]).tolist() == [False, False, True, True]
    for row in (0, 1):
        of_lines = samples[source[:, row] == 0, row, 1]
        assert table["strength_p84"][row] == pytest.approx(np.percentile(of_lines, 84), rel=1e-6)
    assert not any("strength" in text for text in table["prior_dominated"][2:])


def test_what_is_no_set_of_kinds_is_refused(kinds):
    with pytest.raises(ValueError, match="two kinds of objects or more"):
        Classes({"BUMPS": bumps()})
    with pytest.raises(ValueError, match="data of NUMBERS like those of BUMPS"):
        Classes({"BUMPS": bumps(), "NUMBERS": vector_simulator()})
    with pytest.raises(ValueError, match="one source of BOTH; got"):
        Classes({"BUMPS": bumps(), "BOTH": kinds})
    with pytest.raises(ValueError, match="2 shares above 0; got"):
        Classes({"BUMPS": bumps(), "LEVEL": level()}, (1.0, 0.0))
    mixed = NitrogenPrior(Prior({n: dist.Uniform(-1.0, 9.0) for n in ("oh", "no")}), 0.5)
    with pytest.raises(ValueError, match="independent parameters among those of other kinds"):
        mixed.among((*mixed.names, "height"))


def test_a_population_among_other_parameters_is_the_same_population():
    mixed = MixedPrior(moons_prior(), 0.5)
    wider = mixed.among(("height", *mixed.names))
    theta = wider.sample(jr.key(0), (200,))
    found, expected = wider.log_prob(theta), mixed.log_prob(theta[:, 1:])
    np.testing.assert_allclose(found, expected, atol=2e-4)  # single precision, sums of 9 terms
    assert (theta[:, 0] > 0).all() and (theta[:, 0] < 1).all()
    assert read_prior(wider.config()) == wider and wider.unused == {"height"}


def test_shares_are_the_probability_before_the_data():
    """Of rows as drawn, exactly but for what does not divide; and in the density of the prior."""
    unequal = Classes({"BUMPS": bumps(), "LEVEL": level()}, (3.0, 1.0))
    assert unequal.source_shares == (0.75, 0.25)
    counts = [np.bincount(np.asarray(unequal.simulate(jr.key(i), 10).source), minlength=2)
              for i in range(200)]
    assert {tuple(c) for c in counts} == {(8, 2), (7, 3)}
    # 7.5 of ten: each as often, within 4 standard errors
    assert np.mean(counts, 0)[0] == pytest.approx(7.5, abs=4 * 0.5 / 200**0.5)
    model = _new(unequal, unequal, jr.split(jr.key(0), 3), SIZES)
    theta = jnp.array([[0.3, 0.2, 0.7]])
    odds = [float(model.space.log_prior(theta, jnp.array([k]))[0]
                  - unequal.priors[k].log_prob(theta)[0]) for k in range(2)]  # fmt: skip
    np.testing.assert_allclose(np.exp(odds), [0.75, 0.25], rtol=1e-5)
    assert Space.from_config(model.space.config()) == model.space


def test_other_shares_are_bayes_theorem(kinds):
    """Odds of two kinds change by the ratio of their shares, and nothing inside a kind changes."""
    both = Classes({"ANY": line_simulator(), "NEAR": line_simulator()})
    posterior = untrained(both.priors, both.sources, both.frame, SIZES)
    other = replace(posterior, model=posterior.model.with_shares([8.0, 2.0]))
    obs = fs.Spectra(WAVE, *simulate_many(both, jr.key(3), 5).data)
    old, new = (class_shares(p, obs) for p in (posterior, other))
    odds = [x.sum(2)[:, 0] / x.sum(2)[:, 1] for x in (old, new)]
    np.testing.assert_allclose(odds[1] / odds[0], 4.0, rtol=1e-4)
    for k in range(2):
        np.testing.assert_allclose(new[:, k] / new[:, k].sum(1, keepdims=True),
                                   old[:, k] / old[:, k].sum(1, keepdims=True), rtol=1e-3)
    assert other.model.space.shares == (0.8, 0.2)
    with pytest.raises(ValueError, match="shares above 0 of"):
        posterior.model.with_shares([1.0, 0.0])
    with pytest.raises(ValueError, match="expected a model of spectra"):
        fs.load("nebula").model.with_shares([1.0])
