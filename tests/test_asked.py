"""What is asked of a posterior: parameters of any shape, any number of draws, draws by name."""

import hashlib

import numpy as np
import numpyro.distributions as dist
import pytest

import flowspec as fs
from flowspec.data.frame import Columns
from flowspec.posterior.asked import draw_count, parameters_of, row_numbers, sources_of
from flowspec.prior.prior import Prior
from tests.problems import untrained

NAMES = ("x", "y")
ROWS = fs.VectorArchitecture(hidden=8, blocks=1, condition=8, layers=2, width=8, knots=4)


@pytest.fixture(scope="module")
def posterior():
    prior = Prior({"a": dist.Uniform(0.0, 1.0), "b": dist.Uniform(0.0, 2.0)})
    return untrained((prior, prior), ("one", "two"), Columns(NAMES), ROWS)


@pytest.fixture(scope="module")
def obs():
    values = np.random.default_rng(0).normal(size=(5, 2))
    return fs.Vectors(values, 0.1, NAMES, ["p", "q", "r", "s", "t"])


def test_one_theta_is_that_of_every_row(posterior, obs):
    theta = np.array([0.3, 0.7])
    each = posterior.log_prob(np.tile(theta, (5, 1)), obs)
    assert each.shape == (5,) and np.isfinite(each).all()
    for same in (theta, theta.astype(">f8")):
        np.testing.assert_array_equal(posterior.log_prob(same, obs), each)
    big = np.tile(theta, (3, 5, 1)).astype(">f4")
    np.testing.assert_allclose(posterior.log_prob(big, obs), np.tile(each, (3, 1)), rtol=1e-5)
    joint = [posterior.log_prob(theta, obs, np.full(5, k, ">i8")) for k in (0, 1)]
    np.testing.assert_allclose(np.logaddexp(*joint), each, rtol=1e-5)


def test_parameters_and_sources_of_other_shapes_are_refused(posterior, obs):
    for shape in [(4, 2), (5, 3), (5,), ()]:
        with pytest.raises(ValueError, match=r"\[5, 2\] or \[n, 5, 2\], or \[2\] for all"):
            parameters_of(np.zeros(shape), 5, 2)
    with pytest.raises(ValueError, match=r"\[5, 2\].*got \[4, 2\]"):
        posterior.log_prob(np.zeros((4, 2)), obs)
    for source in (2, -1, 0.5, [0, 1], np.zeros((3, 5, 1), int)):
        with pytest.raises(ValueError, match=r"sources from 0 to 1, of shape \[3, 5\]"):
            sources_of(source, (3, 5), 2)
    np.testing.assert_array_equal(sources_of(1, (3, 5), 2), np.ones((3, 5)))


def test_any_number_of_draws(posterior, obs):
    assert posterior.sample(obs, 0).shape == (0, 5, 2)
    assert posterior.sample(obs, 3).shape == (3, 5, 2)
    with pytest.raises(ValueError, match="whole number of draws, at least 0; got -1"):
        posterior.sample(obs, -1)
    with pytest.raises(ValueError, match="whole number of draws, at least 1; got 0"):
        posterior.summarize(obs, n=0)
    for n in (0, 2.5, "many", None):
        with pytest.raises(ValueError, match="whole number of draws, at least 1; got"):
            draw_count(n)
    assert draw_count(np.int64(7)) == 7


@pytest.mark.slow
def test_names_key_the_draws_wherever_a_row_stands(posterior, obs):
    whole = posterior.sample(obs, 40, seed=2, by_name=True)
    order = [3, 0, 4]
    np.testing.assert_allclose(
        posterior.sample(obs[order], 40, seed=2, by_name=True), whole[:, order], rtol=1e-5
    )
    for i in range(5):
        alone = posterior.sample(obs[i], 40, seed=2, by_name=True, first=7)
        np.testing.assert_allclose(alone[:, 0], whole[:, i], rtol=1e-5)
    table, draws = posterior.summarize(
        obs[[4, 1]], n=40, seed=2, by_name=True, with_samples=True
    )
    np.testing.assert_allclose(draws, whole[:, [4, 1]], rtol=1e-5)
    other = fs.Vectors(obs.values, obs.err, NAMES, ["u", "q", "r", "s", "t"])
    changed = np.abs(posterior.sample(other, 40, seed=2, by_name=True) - whole).max((0, 2))
    assert changed[0] > 0.01 and (changed[1:] < 1e-4).all()
    assert not np.allclose(posterior.sample(obs, 40, seed=3, by_name=True), whole, atol=0.01)


def test_names_are_hashed_as_the_standard_says(obs):
    words = row_numbers(obs, by_name=True)
    digest = hashlib.blake2b(b"r", digest_size=8).digest()
    assert int.from_bytes(digest, "little") == int(words[2, 0]) + (int(words[2, 1]) << 32)
    np.testing.assert_array_equal(row_numbers(obs, 6)[:, 0], [6, 7, 8, 9, 10])
