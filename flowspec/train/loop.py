"""Training: one jitted step for any number of devices, and the loop around it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, PRNGKeyArray
from optax.contrib import MuonDimensionNumbers, muon
from tqdm import tqdm

from flowspec.train.checkpoint import fingerprint, load_checkpoint, save_checkpoint
from flowspec.train.settings import Training

_DRAWN = 256  # simulations drawn at once outside of training


def negative_log_likelihood(
    model, theta: Float[Array, "batch params"], *data: Array
) -> Float[Array, ""]:
    """Mean of ``-log q(theta | data)`` (neural posterior estimation, Papamakarios+16).

    Its minimum over all densities is reached by the exact posterior; all factors of the posterior,
    such as redshift bin and flow, are trained by it at once, the flow at the true bin.

    Args:
        model: Has ``log_prob(theta, *data)``, the logarithms of its factors [batch] each.
        theta: True parameters.
        data: What was simulated for them: of spectra flux and inverse variance.
    """
    return -sum(model.log_prob(theta, *data)).mean()


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
    simulator,
    validation: tuple[Array, ...],
    config: Training,
    key: PRNGKeyArray,
    *,
    checkpoint: str | Path | None = None,
    progress: bool = True,
    loss: Callable = negative_log_likelihood,
    last: bool = False,
) -> tuple[eqx.Module, Float[np.ndarray, "evaluations 3"]]:
    """Train a model; the result is the one with the best loss on the validation set.

    Every random number of step ``i`` comes from ``fold_in(key, i)``, so a run that was killed and
    resumed from its checkpoint ends in the same bits as one that was not.

    Args:
        model: Where to start; has `settings`, and ``log_prob`` as the loss asks.
        simulator: Has ``draw(key, n) -> theta, *data`` (of a spectrum flux and ivar), pure and
            jittable, or, where the order matters as in epochs over a fixed set,
            ``batch(key, step, n)``.
        validation: theta and data of simulations that are not trained on.
        config: How to train.
        key: Random key.
        checkpoint: File to resume from, if it exists, and to write at every evaluation.
        progress: Whether to show a progress bar with the loss and the time left.
        loss: Of ``model, theta, *data``; on the validation set it is always the negative log
            likelihood.
        last: Return the last model instead of the best on the validation set.

    Returns:
        The model, and per evaluation the step, the training and the validation loss.

    Raises:
        ValueError: If the batch does not divide among the devices, the loss is not finite, or the
            checkpoint belongs to another configuration or other data.
    """
    mesh = device_mesh(config.batch)
    replicated = NamedSharding(mesh, PartitionSpec())
    params, static = eqx.partition(model, eqx.is_inexact_array)
    optimiser = make_optimiser(config)
    rows = -(-config.steps // config.evaluate)
    state = first_state(params, optimiser, rows)
    digest = fingerprint((config, *model.settings), (simulator, validation, jr.key_data(key)))
    if checkpoint is not None and Path(checkpoint).exists():
        state = load_checkpoint(checkpoint, state, digest)
    state, validation = jax.device_put((state, validation), replicated)
    step = make_step(simulator, static, optimiser, config, mesh, key, loss)
    evaluate = make_evaluate(static, config, mesh)
    bar = tqdm(total=config.steps, disable=not progress, unit="step", initial=int(state.step))
    with bar:
        while int(state.step) < config.steps and int(state.waited) < config.patience:
            count = min(config.evaluate, config.steps - int(state.step))
            state, mean = _run(step, state, count, bar)
            state = evaluate(state, mean, validation)
            if not np.isfinite(float(mean)):
                raise ValueError(f"expected a finite loss; got {float(mean)} by step {state.step}")
            bar.set_postfix(loss=f"{mean:.3f}", validation=f"{_last(state):.3f}")
            if checkpoint is not None:
                save_checkpoint(checkpoint, state, digest)
    history = np.asarray(state.history)
    params = state.params if last else state.best
    return eqx.combine(params, static), history[np.isfinite(history[:, 0])]


def first_state(params: eqx.Module, optimiser: optax.GradientTransformation, rows: int) -> State:
    """State before the first step, with room for `rows` evaluations.

    Copies: a step donates its state, and with it would take the arrays of the model given.
    """
    return State(
        jax.tree.map(jnp.copy, params), optimiser.init(params), jax.tree.map(jnp.copy, params),
        jnp.float32(jnp.inf), jnp.int32(0), jnp.int32(0),
        jnp.full((rows, 3), jnp.nan),
    )  # fmt: skip


def device_mesh(batch: int) -> jax.sharding.Mesh:
    """All devices along one data axis.

    Raises:
        ValueError: If the batch is not a multiple of their number.
    """
    devices = jax.device_count()
    if batch % devices:
        raise ValueError(f"expected a batch divisible by {devices} devices; got {batch}")
    # Auto axes: flowjax's scans raise under explicit sharding.
    return jax.make_mesh((devices,), ("data",), axis_types=(AxisType.Auto,))


def make_step(
    simulator, static, optimiser, config: Training, mesh, key, loss=negative_log_likelihood
) -> Callable:
    """Jitted ``state -> state, loss``: simulate, differentiate, update, wherever the data lie.

    The batch is sharded over the mesh and the state replicated; the compiler inserts the
    reductions. Arrays of the simulator and the key are arguments, not constants of the compiled
    program, which serves any seed.
    """
    arrays, rest = eqx.partition((simulator, key), eqx.is_array)
    sharded = NamedSharding(mesh, PartitionSpec("data"))

    def loss_of(params, batch):
        return loss(eqx.combine(params, static), *batch)

    def step(state, arrays):
        simulator, key = eqx.combine(arrays, rest)
        batch = draw_batch(simulator, key, state.step, config.batch)
        batch = jax.lax.with_sharding_constraint(batch, sharded)
        value, gradient = jax.value_and_grad(loss_of)(state.params, batch)
        updates, opt_state = optimiser.update(gradient, state.optimiser, state.params)
        params = optax.apply_updates(state.params, updates)
        return _replace(state, params=params, optimiser=opt_state, step=state.step + 1), value

    replicated = NamedSharding(mesh, PartitionSpec())
    compiled = jax.jit(step, donate_argnums=0, out_shardings=replicated)
    return lambda state: compiled(state, arrays)


def draw_batch(simulator, key: PRNGKeyArray, step: Array, n: int):
    """The batch of one step: fresh simulations, never seen before or again, or a part of a set."""
    if hasattr(simulator, "batch"):
        return simulator.batch(key, step, n)
    return simulator.draw(jr.fold_in(key, step), n)


def draw_many(sim, key, n: int) -> tuple[np.ndarray, ...]:
    """``sim.draw`` to the host, in jitted parts: theta [n, params] and, of spectra, flux and ivar
    [n, pixels]."""
    parts = [_draw(sim, jr.fold_in(key, i)) for i in range(-(-n // _DRAWN))]
    columns = zip(*parts, strict=True)
    return tuple(np.concatenate([np.asarray(part) for part in c])[:n] for c in columns)


@eqx.filter_jit
def _draw(sim, key):
    return sim.draw(key, _DRAWN)


def make_evaluate(static, config: Training, mesh) -> Callable:
    """``state, training loss, validation -> state`` with the best model and history updated."""

    @jax.jit
    def loss_of(params, batch):
        return negative_log_likelihood(eqx.combine(params, static), *batch)

    # One sharding throughout, or the step would be compiled a second time for what comes out here.
    @partial(jax.jit, out_shardings=NamedSharding(mesh, PartitionSpec()))
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
        size = min(256, len(validation[0]))
        starts = range(0, len(validation[0]) - size + 1, size)
        parts = [loss_of(state.params, [v[i : i + size] for v in validation]) for i in starts]
        return update(state, training, jnp.stack(parts).mean())

    return evaluate


def _run(step, state, count, bar):
    """`count` steps without waiting for the device; returns the state and their mean loss."""
    losses = []
    for _ in range(count):
        state, loss = step(state)
        losses.append(loss)
        bar.update()
        if len(losses) % 25 == 0:
            # One loss of 25 steps ago: shows life, and bounds how far the host runs ahead.
            bar.set_postfix(loss=f"{float(losses[-25]):.3f}")
    return state, jnp.stack(losses).mean()


def make_optimiser(config: Training) -> optax.GradientTransformation:
    """Clipped AdamW or Muon with its schedule, slower on the templates.

    Raises:
        ValueError: On another name.
    """
    if config.optimiser not in OPTIMISERS:
        raise ValueError(f"expected an optimiser among {sorted(OPTIMISERS)}; "
                         f"got {config.optimiser!r}")
    rates = {"trial": config.trial_rate, "rest": config.rest_rate}

    def slow_templates(updates, state, params=None):
        """Templates start as principal components and are many: full steps on them overfit."""
        del params

        def scaled(path, update):
            return update * rates.get(getattr(path[-1], "key", None), 1.0)

        return jax.tree_util.tree_map_with_path(scaled, updates), state

    schedule = optax.warmup_cosine_decay_schedule(
        0.0,
        config.learning_rate,
        max(1, min(200, config.steps // 10)),
        max(2, config.steps),
        config.learning_rate / 100,
    )
    return optax.chain(
        optax.clip_by_global_norm(config.clip),
        OPTIMISERS[config.optimiser](schedule, weight_decay=config.weight_decay),
        optax.GradientTransformation(lambda params: (), slow_templates),
    )


def _muon(schedule, weight_decay: float) -> optax.GradientTransformation:
    def matrices(params):
        """Also those of a flow, which are stacked by layer."""
        return jax.tree.map(
            lambda p: MuonDimensionNumbers(p.ndim - 1, p.ndim - 2) if p.ndim in (2, 3) else None,
            params,
        )

    return muon(
        schedule,
        weight_decay=weight_decay,
        adam_weight_decay=weight_decay,
        consistent_rms=0.2,  # steps as large as those of Adam (Liu et al. 2025, arXiv:2502.16982)
        muon_weight_dimension_numbers=matrices,
    )


OPTIMISERS = {"adamw": optax.adamw, "muon": _muon}


def _replace(state: State, **changes) -> State:
    names = list(changes)
    return eqx.tree_at(
        lambda s: [getattr(s, n) for n in names],
        state,
        list(changes.values()),
        is_leaf=lambda x: x is None,
    )


def _last(state: State) -> float:
    history = np.asarray(state.history)[:, 2]
    return float(history[np.isfinite(history)][-1])
