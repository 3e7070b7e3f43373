"""Training: one jitted step for any number of devices, and the loop around it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray
from tqdm import tqdm

from flowspec.sim.simulator import Simulated
from flowspec.train import devices
from flowspec.train.cause import cause
from flowspec.train.checkpoint import fingerprint, load_checkpoint, save_checkpoint
from flowspec.train.ending import Ending
from flowspec.train.optimiser import make_optimiser
from flowspec.train.settings import Training

_LOSS = 3  # folded into the key of a step, for losses that are random
_ROWS = 256  # of the validation set at once


@runtime_checkable
class Batches(Protocol):
    """What is trained on: a simulator, or what has more in a batch than one."""

    def batch(self, key: PRNGKeyArray, step: Array, n: int):
        """The rows of one training step, a function of key and step."""


class State(eqx.Module):
    """All that a resumed run needs: arrays only, so that it can be saved leaf by leaf."""

    params: eqx.Module
    optimiser: optax.OptState
    best: eqx.Module
    best_loss: Float[Array, ""]
    waited: Array
    step: Array
    history: Float[Array, "evaluations 3"]


def train(
    model: eqx.Module,
    simulator: Batches,
    validation: Simulated,
    config: Training,
    key: PRNGKeyArray,
    *,
    checkpoint: str | Path | None = None,
    progress: bool = True,
    loss: Callable | None = None,
    last: bool = False,
) -> tuple[eqx.Module, Float[np.ndarray, "evaluations 3"]]:
    """Train a model; the result is the one with the best loss on the validation set.

    Every random number of step ``i`` comes from ``fold_in(key, i)``, so a run that was killed and
    resumed ends in the same bits as one that was not. Signals to end wait for the checkpoint.

    Args:
        model: Where to start, with `settings`, `network`, `loss` and `validation_loss` of `Model`.
        simulator: Whose `batch` is trained on, such as a `Simulator`.
        validation: Simulations that are not trained on.
        config: How to train.
        key: Random key.
        checkpoint: File to resume from, if it exists, and to write at every evaluation.
        progress: Whether to show a progress bar with the loss and the time left.
        loss: Of ``model, key, simulated``, instead of `Model.loss`, but for the validation set.
        last: Return the last model instead of the best on the validation set.

    Returns:
        The model, and per evaluation the step, the training and the validation loss.

    Raises:
        ValueError: If the batch does not divide among the devices, the loss is not finite, or the
            checkpoint is of another run.
    """
    mesh = devices.mesh(config.batch)
    params, static = eqx.partition(model, eqx.is_inexact_array)
    optimiser = make_optimiser(config, model.network.rates(config))
    state = first_state(params, optimiser, -(-config.steps // config.evaluate))
    digest = fingerprint((config, *model.settings), (simulator, validation, jr.key_data(key)))
    state, losses = _resumed(checkpoint, state, config, digest)
    saves = checkpoint is not None and devices.writes()
    validation = jax.tree.map(jnp.asarray, validation)
    state, validation = jax.device_put((state, validation), devices.replicated(mesh))
    step = make_step(simulator, static, optimiser, config, mesh, key, loss)
    evaluate = make_evaluate(static, config, mesh, key)
    with _bar(state, config, progress) as bar, Ending(saves) as ending:
        while int(state.step) < config.steps and int(state.waited) < config.patience:
            count = min(config.evaluate - len(losses), config.steps - int(state.step))
            state, whole = _run(step, state, count, losses, bar, ending)
            if whole:
                state = _evaluated(evaluate, state, losses, validation, config, bar)
                _check_finite(state, config, len(losses), model, simulator, key)
                losses = []
            if saves:
                save_checkpoint(checkpoint, (state, _padded(losses, config)), digest)
            ending.obey()
    kept = eqx.combine(state.params if last else state.best, static)
    return kept, np.asarray(state.history)[np.isfinite(state.history[:, 0])]


def _bar(state, config, progress: bool) -> tqdm:
    """Steps with their rate and the time left, where a terminal shows them."""
    hidden = not progress or None  # None: hidden unless it is a terminal
    return tqdm(total=config.steps, disable=hidden, unit="step", initial=int(state.step))


def first_state(params: eqx.Module, optimiser: optax.GradientTransformation, rows: int) -> State:
    """State before the first step, with room for `rows` evaluations.

    Copies: a step donates its state, and with it would take the arrays of the model given.
    """
    return State(
        jax.tree.map(jnp.copy, params), optimiser.init(params), jax.tree.map(jnp.copy, params),
        jnp.float32(jnp.inf), jnp.int32(0), jnp.int32(0),
        jnp.full((rows, 3), jnp.nan),
    )  # fmt: skip


def make_step(
    simulator: Batches, static, optimiser, config: Training, mesh, key: PRNGKeyArray,
    loss: Callable | None = None,
) -> Callable:  # fmt: skip
    """Jitted ``state -> state, loss``: simulate, differentiate, update, wherever the data lie.

    The batch is sharded over the mesh and the state replicated; the compiler inserts the
    reductions. Arrays of the simulator and the key are arguments, not constants of the compiled
    program, which serves any seed.
    """
    arrays, rest = eqx.partition((simulator, key), eqx.is_array)
    sharded = devices.sharded(mesh)

    def step(state, arrays):
        simulator, key = eqx.combine(arrays, rest)
        batch = simulator.batch(key, state.step, config.batch)
        batch = jax.lax.with_sharding_constraint(batch, sharded)
        own = jr.fold_in(jr.fold_in(key, _LOSS), state.step)

        def loss_of(params):
            model = eqx.combine(params, static)
            return model.loss(own, batch) if loss is None else loss(model, own, batch)

        value, gradient = jax.value_and_grad(loss_of)(state.params)
        updates, opt_state = optimiser.update(gradient, state.optimiser, state.params)
        params = optax.apply_updates(state.params, updates)
        return _replace(state, params=params, optimiser=opt_state, step=state.step + 1), value

    compiled = jax.jit(step, donate_argnums=0, out_shardings=devices.replicated(mesh))
    return lambda state: compiled(state, arrays)


def make_evaluate(static, config: Training, mesh, key: PRNGKeyArray) -> Callable:
    """``state, training loss, validation -> state`` with the best model and history updated.

    A random loss sees the same random numbers at every evaluation.
    """

    @jax.jit
    def loss_of(params, key, rows):
        return eqx.combine(params, static).validation_loss(key, rows)

    # One sharding throughout, or the step would be compiled a second time for what comes out here.
    @partial(jax.jit, out_shardings=devices.replicated(mesh))
    def update(state, training, loss):
        better = loss < state.best_loss
        best = jax.tree.map(lambda a, b: jnp.where(better, a, b), state.params, state.best)
        row = (state.step - 1) // config.evaluate
        return _replace(
            state,
            best=best,
            best_loss=jnp.where(better, loss, state.best_loss),
            waited=jnp.where(better, 0, state.waited + 1),
            history=state.history.at[row].set(jnp.stack([state.step, training, loss])),
        )

    def evaluate(state, training, validation):
        size = min(_ROWS, len(validation.theta))
        starts = range(0, len(validation.theta) - size + 1, size)
        parts = [
            loss_of(state.params, jr.fold_in(key, i),
                    jax.tree.map(lambda a, i=i: a[i : i + size], validation))
            for i in starts
        ]  # fmt: skip
        return update(state, training, jnp.stack(parts).mean())

    return evaluate


def _resumed(checkpoint, state: State, config: Training, digest: str) -> tuple[State, list]:
    """State of a checkpoint, and the losses of its steps since the last evaluation."""
    if checkpoint is None or not Path(checkpoint).exists():
        return state, []
    state, losses = load_checkpoint(checkpoint, (state, _padded([], config)), digest)
    return state, list(losses[: int(state.step) % config.evaluate])


def _evaluated(evaluate, state, losses, validation, config: Training, bar) -> State:
    mean = jnp.stack(losses).mean()
    state = evaluate(state, mean, validation)
    bar.set_postfix(loss=f"{mean:.3f}", validation=f"{_last(state, config)[1]:.3f}")
    return state


def _run(step, state, count, losses, bar, ending) -> tuple[State, bool]:
    """`count` steps without waiting for the device, fewer where an end is asked for; their losses
    are appended. Returns the state, and whether all steps were taken."""
    for _ in range(count):
        if ending.asked:
            return state, False
        state, loss = step(state)
        losses.append(loss)
        bar.update()
        if len(losses) % 25 == 0:
            # One loss of 25 steps ago: shows life, and bounds how far the host runs ahead.
            bar.set_postfix(loss=f"{float(losses[-25]):.3f}")
    return state, True


def _padded(losses: list, config: Training) -> Float[Array, " evaluate"]:
    """Losses since the last evaluation, in an array of one length for all checkpoints."""
    room = np.full(config.evaluate, np.nan, np.float32)
    room[: len(losses)] = losses
    return jnp.asarray(room)


def _replace(state: State, **changes) -> State:
    names = list(changes)
    return eqx.tree_at(
        lambda s: [getattr(s, n) for n in names],
        state,
        list(changes.values()),
        is_leaf=lambda x: x is None,
    )


def _check_finite(state: State, config: Training, count: int, model, simulator, key) -> None:
    """Raise where the last `count` steps or their evaluation gave a loss that is not finite."""
    losses, step = _last(state, config), int(state.step)
    if not np.isfinite(losses).all():
        why = cause(model, simulator, config, key, range(step - count, step))
        raise ValueError(f"expected a finite loss; got {losses[0]:g}, of validation {losses[1]:g}, "
                         f"by step {step}: the cause is {why}")


def _last(state: State, config: Training) -> tuple[float, float]:
    """Training and validation loss of the last evaluation."""
    return tuple(map(float, state.history[(int(state.step) - 1) // config.evaluate, 1:]))
