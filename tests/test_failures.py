"""Simulators that fail for a share of their prior, and the cause of a loss that is not finite."""

import logging
from types import SimpleNamespace

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest

from flowspec.data.frame import Columns, Pixels
from flowspec.prior.prior import Prior
from flowspec.sim.simulated import Simulated, failed, share_failed, sound
from flowspec.sim.simulator import simulate_checked, simulate_many
from flowspec.sim.user import CallableSimulator
from flowspec.train.cause import cause
from flowspec.train.settings import Training

FRAME = Columns(("x", "y"))
PRIOR = Prior({"a": dist.Uniform(0.0, 2.0)})


def failing(below: float) -> CallableSimulator:
    """Two numbers, NaN for parameters below a limit."""
    def function(key, theta):
        return jnp.where(theta[0] < below, jnp.nan, theta[0] * jnp.ones(2))
    return CallableSimulator(function, PRIOR, columns=("x", "y"))


def some(theta) -> Simulated:
    theta = jnp.asarray(theta)[:, None]
    return Simulated(theta, jnp.arange(len(theta)), (theta * jnp.ones(2), 0 * theta, theta > -9))


def test_other_rows_stand_in_for_those_that_failed():
    found = sound(some([1.0, jnp.nan, 3.0, jnp.inf, 5.0]), FRAME)
    np.testing.assert_array_equal(found.theta[:, 0], [1, 3, 3, 1, 5])
    np.testing.assert_array_equal(found.source, [0, 2, 2, 0, 4])
    np.testing.assert_array_equal(found.data[0][:, 1], [1, 3, 3, 1, 5])
    whole = some([1.0, 2.0])
    np.testing.assert_array_equal(sound(whole, FRAME).theta, whole.theta)


def test_a_spectrum_may_be_nan_where_it_has_no_data():
    frame, flux = Pixels([4000.0, 5000.0]), jnp.array([[jnp.nan, 1], [jnp.nan, 1], [1, 1]])
    ivar = jnp.array([[0.0, 1], [1, 1], [1, jnp.inf]])
    rows = Simulated(jnp.zeros((3, 1)), jnp.zeros(3, int), (flux, ivar))
    np.testing.assert_array_equal(failed(rows, frame), [False, True, True])


def test_batches_are_draws_from_the_prior_where_the_simulator_works(caplog):
    sim = failing(0.1)
    theta = sim.batch(jr.key(0), jnp.int32(3), 2000).theta
    # uniform from 0.1 to 2: a mean of 1.05, known to 0.55 / sqrt(2000), 4 of them
    assert theta.min() >= 0.1 and abs(theta.mean() - 1.05) < 0.05
    with caplog.at_level(logging.WARNING, "flowspec"):
        drawn, share = simulate_checked(sim, jr.key(1), 1024)
    assert np.isfinite(drawn.data[0]).all() and drawn.theta.min() >= 0.1
    assert share == pytest.approx(0.05, abs=4 * (0.05 / 1024) ** 0.5)
    assert "CallableSimulator gives NaN or infinity for" in caplog.text and "a = 0.0" in caplog.text
    np.testing.assert_array_equal(simulate_many(sim, jr.key(1), 1024).theta, drawn.theta)


def test_a_simulator_that_fails_too_often_is_named():
    with pytest.raises(ValueError, match=r"80% .*from sim for 40.0% of 5 rows, such as a = 2$"):
        share_failed(some([2.0, jnp.inf, 3.0, jnp.inf, 5.0])._replace(
            theta=jnp.array([[1.0], [2], [3], [4], [5]])), FRAME, ("a",), "sim")
    with pytest.raises(ValueError, match="100.0% .* within single precision"):
        share_failed(some([jnp.inf]), FRAME, ("a",), "sim")
    assert share_failed(some([1.0]), FRAME, ("a",), "sim") == 0


def test_the_cause_of_a_loss_is_the_simulator_its_prior_or_the_training():
    def encode(theta, source):
        free, log_det = PRIOR.to_unconstrained(theta)
        return SimpleNamespace(free=free, log_det=log_det.sum(-1))

    space = SimpleNamespace(encode=encode, names=("a",))
    model = SimpleNamespace(frame=FRAME, space=space)
    why = [cause(model, sim, Training(batch=8, learning_rate=0.5), jr.key(0), range(2))
           for sim in (failing(9.0), failing(-1.0))]
    assert why[0].startswith("CallableSimulator, which gives no finite batch at step 0, such as a")
    assert "a learning rate below 0.5" in why[1]
    beyond = CallableSimulator(failing(-1.0).function, PRIOR.replace(a=dist.Uniform(5.0, 6.0)),
                               columns=("x", "y"))
    why = cause(model, beyond, Training(batch=8), jr.key(0), range(2))
    assert why.startswith("CallableSimulator, whose parameters are outside its own prior at step 0")
