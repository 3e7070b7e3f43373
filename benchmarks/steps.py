"""The training step on its own, to be timed."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.random as jr

from flowspec import Training
from flowspec.train import devices
from flowspec.train.loop import State, first_state, make_step
from flowspec.train.optimiser import make_optimiser


def stepper(simulator, model, training: Training, seed: int = 0) -> tuple[Callable, State]:
    """``state -> state, loss`` of `flowspec.train.loop.train`, and a state to start from.

    Args:
        simulator: Whose batches are trained on.
        model: A `flowspec.model.model.Model`, or what `train` takes instead.
        training: Batch size and optimiser.
        seed: Of the simulations.
    """
    params, static = eqx.partition(model, eqx.is_inexact_array)
    optimiser = make_optimiser(training, model.network.rates(training))
    mesh = devices.mesh(training.batch)
    step = make_step(simulator, static, optimiser, training, mesh, jr.key(seed))
    return step, jax.device_put(first_state(params, optimiser, 1), devices.replicated(mesh))


def repeat(step: Callable, state: State, n: int) -> State:
    """`n` steps."""
    for _ in range(n):
        state, _ = step(state)
    return state
