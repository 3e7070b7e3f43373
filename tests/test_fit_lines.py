"""`fit_lines`: what it trains on, what it starts from, and that it adapts as `adapt` does."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import flowspec as fs
from flowspec import fitting
from flowspec.data.lines import State
from flowspec.sim.nebula.grid import mappings
from flowspec.sim.simulator import simulate_many
from tests.problems import LINES, line_simulator, untrained, vector_simulator

SIM = fs.NebulaSimulator(mappings(), LINES)
SIZES = fs.LineArchitecture(hidden=32, blocks=1, condition=12, layers=2, width=16, knots=4)
TRAINING = fs.Training(steps=200, batch=64, evaluate=50, validation=256, learning_rate=3e-3)
NONE = replace(TRAINING, steps=0)
ADAPTATION = fs.Adaptation(steps=2, injected=2, stages=1, weights=(1.0,))


@pytest.fixture(scope="module")
def plain() -> fs.Posterior:
    """Trained for seconds."""
    return fs.fit_lines(SIM, training=TRAINING, architecture=SIZES, progress=False)


def catalogue(rows: int = 60, dereddened=False) -> fs.Lines:
    """Rows without [NII], every third with an upper limit of [OIII]."""
    theta, source, data = simulate_many(SIM, jr.key(5), rows)
    flux = np.array(data[0])
    flux[:, 2], err, limit = np.nan, 0.1 * np.abs(flux) + 0.01, np.full(flux.shape, np.nan)
    flux[::3, 1], limit[::3, 1] = np.nan, 0.5
    return fs.Lines(LINES, flux, err, limit, dereddened=dereddened)


def leaves(posterior: fs.Posterior) -> list[np.ndarray]:
    return [np.asarray(a) for a in jax.tree.leaves(posterior.model) if hasattr(a, "shape")]


def assert_same(one: fs.Posterior, other: fs.Posterior) -> None:
    for a, b in zip(leaves(one), leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_a_short_training_learns_something(plain):
    """Mean information about parameters of rows not seen: above half a nat."""
    theta, source, data = simulate_many(SIM, jr.key(7), 500)
    obs = SIM.frame.observed(*data)
    gain = plain.log_prob(theta, obs) - np.asarray(plain.model.space.log_prior(theta, source))
    assert gain.mean() - 3 * gain.std() / len(gain) ** 0.5 > 0.5
    losses = np.array(plain.provenance["history"])[:, 2]
    assert losses[-1] < losses[0] and plain.lines == LINES and plain.sources == ("nebula",)


@pytest.mark.parametrize("said", [
    "not", *(pytest.param(s, marks=pytest.mark.slow) for s in ("by the rows", "by the keyword"))
])
@pytest.mark.slow
def test_it_trains_on_the_gaps_limits_and_dust_of_observations(said, monkeypatch):
    seen = []

    def spy(model, simulator, validation, config, key, **options):
        batch = simulator.batch(jr.key(1), jnp.int32(0), 256)
        seen.extend([batch.data, validation.data])
        return model, np.zeros((1, 3))

    monkeypatch.setattr(fitting, "train", spy)
    obs, free = catalogue(dereddened=said == "by the rows"), said != "not"
    options = {"dereddened": True} if said == "by the keyword" else {}
    fs.fit_lines(SIM, obs, training=NONE, architecture=SIZES, progress=False, **options)
    for _, _, state, dereddened in seen:
        assert (state[:, 2] == State.ABSENT).all() and (state[:, 0] == State.MEASURED).all()
        assert 0.05 < (state[:, 1] == State.LIMIT).mean() < 0.5  # the faint ones
        assert (dereddened == free).all()


@pytest.mark.slow
def test_nothing_trained_further_is_what_it_started_from(plain):
    same = fs.fit_lines(SIM, start=plain, training=NONE, progress=False, seed=3)
    assert_same(same, plain)
    assert same.provenance["start"] == plain.provenance and same.provenance["seed"] == 3
    assert same.architecture == SIZES  # not the default
    more = replace(TRAINING, steps=3, evaluate=3)  # of which the first has no rate yet
    other = fs.fit_lines(SIM, start=plain, training=more, progress=False)
    assert any((a != b).any() for a, b in zip(leaves(other), leaves(plain), strict=True))


@pytest.mark.slow
def test_a_start_of_other_data_or_sources_is_refused(plain):
    others = [fs.NebulaSimulator(mappings(), (*LINES, "Ha")),
              fs.NebulaSimulator({"HII": mappings()}, LINES), line_simulator()]  # fmt: skip
    for sim in others:
        with pytest.raises(ValueError, match="expected a model to start from"):
            fs.fit(sim, start=plain, training=NONE, progress=False)
        with pytest.raises(ValueError, match="expected a model to start from"):
            fs.adapt(plain, sim, catalogue())
    sim = vector_simulator()
    other = untrained(sim.priors, sim.sources, sim.frame, fs.VectorArchitecture(hidden=8, blocks=1))
    with pytest.raises(ValueError, match="expected a model to start from"):
        fs.fit_lines(SIM, start=other, training=NONE, progress=False)


@pytest.mark.slow
def test_it_adapts_as_the_verb_does_whoever_says_that_dust_is_gone(plain):
    """With nothing trained before: the same bits and the same record."""
    options = {"adaptation": ADAPTATION, "progress": False, "training": NONE, "seed": 2}
    one = fs.fit_lines(SIM, catalogue(dereddened=True), start=plain, adapt="mmd", **options)
    other = fs.adapt(plain, SIM, catalogue(), "mmd", dereddened=True, **options)
    record = one.provenance["adaptation"]
    assert record == other.provenance["adaptation"] and record["method"] == "mmd"
    assert any((a != b).any() for a, b in zip(leaves(one), leaves(plain), strict=True))
    assert_same(one, other)
    np.testing.assert_array_equal(one.screen.distances, other.screen.distances)
    assert one.provenance["start"] == plain.provenance


@pytest.mark.slow
def test_few_rows_are_left_alone(plain, caplog):
    post = fs.fit_lines(SIM, catalogue(30), start=plain, adapt="auto", training=NONE,
                        progress=False)  # fmt: skip
    assert post.provenance["adaptation"]["reason"] == "fewer than 50 observations"
    assert_same(post, plain)
    with pytest.raises(ValueError, match="at least 50 observations to adapt to; got 30"):
        fs.fit_lines(SIM, catalogue(30), adapt="coral")
    with pytest.raises(ValueError, match="expected Lines"):
        fs.fit(SIM, fs.Vectors(np.ones((60, 2))), adapt="auto")
