"""NumPy simulators, their failures and interruptions, and noise that is added to simulations."""

import logging

import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest

import flowspec as fs
from flowspec.fitting import _check_simulator
from flowspec.sim import processes
from tests.numpy_simulators import line, lines, noisy
from tests.problems import WAVE

PRIOR = fs.Prior({"a": dist.Normal(0.0, 1.0), "b": dist.Normal(0.0, 1.0)})
QUIET = {"progress": False}


@pytest.fixture(scope="module")
def made() -> fs.Simulations:
    return fs.simulate(line, PRIOR, 250, **QUIET)


def test_it_is_the_function_called_by_hand(made):
    theta, values = np.asarray(made.theta, float), np.asarray(made.data[0])
    np.testing.assert_allclose(values, [line(row) for row in theta], rtol=1e-5, atol=1e-6)
    assert len(made) + made.failed == 250
    # of normal numbers those above 2 or below -1.5: 8.8 %, to four standard errors
    assert made.failed / 250 == pytest.approx(0.088, abs=4 * (0.088 * 0.912 / 250) ** 0.5)
    assert theta[:, 0].max() <= 2 and theta[:, 1].min() >= -1.5


def test_failures_are_counted_and_the_first_is_named(caplog):
    with caplog.at_level(logging.WARNING, "flowspec"):
        sims = fs.simulate(line, PRIOR, 250, **QUIET)
    said = [record.getMessage() for record in caplog.records]
    assert "first ValueError: a slope below -1.5" in said[0]
    assert f"{sims.failed} of 250 simulations" in said[1]


def test_rows_do_not_depend_on_batches_of_the_function_or_its_failures(made):
    found = fs.simulate(lines, PRIOR, 250, batch=100, **QUIET)  # a batch with a failure: row by row
    np.testing.assert_array_equal(found.theta, made.theta)
    np.testing.assert_array_equal(found.data[0], made.data[0])


def test_processes_change_nothing():
    state = np.random.get_state()[1].copy()
    one = fs.simulate(noisy, PRIOR, 150, seed=3, **QUIET)
    two = fs.simulate(noisy, PRIOR, 150, seed=3, workers=2, **QUIET)
    np.testing.assert_array_equal(one.data[0], two.data[0])
    np.testing.assert_array_equal(one.theta, two.theta)
    other = fs.simulate(noisy, PRIOR, 150, seed=4, **QUIET)
    assert not np.array_equal(one.theta[:50], other.theta[:50])
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # the user's own, left alone
    line_of = np.asarray([line(row) for row in np.asarray(one.theta, float)])
    away = np.asarray(one.data[0]) - line_of
    assert away.std() == pytest.approx(2**0.5, abs=4 / away.size**0.5)  # of a variance of 2


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch):
    path, calls = tmp_path / "run.h5", []

    def stopped(theta, rng):
        calls.append(theta)
        if len(calls) == 230:
            raise KeyboardInterrupt
        return noisy(theta, rng)

    with pytest.raises(KeyboardInterrupt):
        fs.simulate(stopped, PRIOR, 350, path=path, **QUIET)
    monkeypatch.setattr(processes, "_EVERY", 0.0)  # saved after every piece
    resumed = fs.simulate(stopped, PRIOR, 350, path=path, **QUIET)
    assert len(calls) == 230 + 200  # two pieces of 100 were kept
    whole = fs.simulate(noisy, PRIOR, 350, **QUIET)
    np.testing.assert_array_equal(resumed.data[0], whole.data[0])
    again = fs.simulate(stopped, PRIOR, 350, path=path, **QUIET)
    assert len(calls) == 430 and np.array_equal(again.data[0], whole.data[0])
    stored = fs.Simulations.from_file(path, PRIOR)  # in whole pieces
    np.testing.assert_array_equal(stored.data[0][: len(whole)], whole.data[0])
    with pytest.raises(ValueError, match="this prior, seed and batch"):
        fs.simulate(noisy, PRIOR, 350, path=path, seed=1, **QUIET)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: fs.simulate(lambda t: t @ t @ t, PRIOR, 9, **QUIET), "for all of the first 100"),
        (lambda: fs.simulate(lambda t: t[: int(t[0] > 0)], PRIOR, 9, **QUIET), "as for the first"),
        (lambda: fs.simulate(lambda t: t, PRIOR, 300, workers=2, **QUIET), "processes can import"),
        (lambda: fs.simulate(line, PRIOR, 9, wave=WAVE[:5], **QUIET), "expected noise= with wave="),
        (lambda: fs.simulate(line, PRIOR, 0, **QUIET), "of 1 or more; got 0"),
        (lambda: fs.CallableSimulator(lambda k, t: line(t), PRIOR, columns="abcde"),
         "jax.numpy in place of numpy; got Tracer.*fs.simulate"),
        (lambda: fs.CallableSimulator(line, PRIOR, columns="abcde"), "fs.simulate"),
        (lambda: _check_simulator(line), "got function.*fs.simulate"),
        (lambda: fs.Simulations(np.zeros((3, 2)), np.zeros((3, 4))), "expected prior="),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_in_one_line(act, message):
    with pytest.raises(ValueError, match=message) as caught:
        act()
    assert "\n" not in str(caught.value)


def test_rows_that_failed_are_dropped(caplog):
    theta = np.asarray(PRIOR.sample(jr.key(0), (40,)))
    values = theta @ np.ones((2, 5))
    values[3, 1], values[7, 0] = np.nan, 1e60  # which single precision has not
    with caplog.at_level(logging.WARNING, "flowspec"):
        sims = fs.Simulations(theta, values, prior=PRIOR)
    assert sims.failed == 2 and "2 of 40 simulations (5 %)" in caplog.text
    np.testing.assert_array_equal(sims.theta, np.delete(theta, [3, 7], axis=0))
    gaps = fs.Simulations(theta, fs.Vectors(values), prior=PRIOR)  # of which NaN is not measured
    assert gaps.failed == 0 and not gaps.data[2][3, 1]


@pytest.mark.parametrize("wave", [None, WAVE[:5]], ids=["numbers", "spectra"])
@pytest.mark.parametrize("kind", ["constant", "each column", "each value", "function"])
def test_noise_is_new_at_every_use_and_as_large_as_was_said(made, wave, kind):
    theta, clean = np.asarray(made.theta), np.asarray(made.data[0])
    sigma = {"constant": np.full(clean.shape, 0.5), "each column": 0 * clean + 1 + np.arange(5),
             "each value": 0.1 + np.abs(clean), "function": 0.2 + 0.1 * np.abs(clean)}[kind]
    given = {"constant": 0.5, "each column": 1.0 + np.arange(5), "each value": sigma,
             "function": lambda x: 0.2 + 0.1 * np.abs(x)}[kind]  # fmt: skip
    sims = fs.Simulations(theta, clean, wave=wave, prior=PRIOR, noise=given)
    first, second = (sims.batch(jr.key(0), step, len(sims)) for step in (0, 1))
    away = []
    for batch in (first, second):
        rows = np.argmin(np.abs(np.asarray(batch.theta)[:, :1] - theta[:, 0]), axis=1)
        away.append((np.asarray(batch.data[0]) - clean[rows]) / sigma[rows])
        told = batch.data[1] if wave is None else batch.data[1] ** -0.5
        np.testing.assert_allclose(told, sigma[rows], rtol=1e-4)
    white = np.concatenate(away)
    assert white.std() == pytest.approx(1, abs=4 / (2 * white.size) ** 0.5)
    assert abs(np.corrcoef(away[0].ravel(), away[1].ravel())[0, 1]) < 4 / away[0].size**0.5
    np.testing.assert_array_equal(sims.rows().data[0], sims.rows().data[0])
