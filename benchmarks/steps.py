"""The training step on its own, to be timed."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from flowspec import Training
from flowspec.model.model import Model
from flowspec.train.loop import State, first_state, make_step
from flowspec.train.optimiser import make_optimiser


def stepper(simulator, model: Model, training: Training) -> tuple[Callable, State]:
    """``state -> state, loss`` of `flowspec.train.loop.train`, and a state to start from."""
    params, static = eqx.partition(jax.tree.map(_copy, model), eqx.is_inexact_array)
    optimiser = make_optimiser(training)
    state = first_state(params, optimiser, 1)
    mesh = device_mesh(training.batch)
    replicated = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    step = make_step(simulator, static, optimiser, training, mesh, jr.key(0))
    return step, jax.device_put(state, replicated)


def repeat(step: Callable, state: State, n: int) -> State:
    """`n` steps."""
    for _ in range(n):
        state, _ = step(state)
    return state


def _copy(leaf):
    return jnp.copy(leaf) if eqx.is_array(leaf) else leaf  # the step donates what it is given
