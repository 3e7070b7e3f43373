"""`fit` and `adapt`: simulations and observations in, a posterior out. Wiring only."""

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from flowspec.adaptation.choose import check_request, chosen
from flowspec.adaptation.judge import Task
from flowspec.adaptation.settings import Adaptation
from flowspec.adaptation.taught import lessons
from flowspec.data.frame import Pixels
from flowspec.data.lines import Lines
from flowspec.data.observation import Observation
from flowspec.data.seeds import key_of
from flowspec.model.compiled import keep_programs
from flowspec.model.memory import keep_memory
from flowspec.model.model import Model, model_for
from flowspec.model.space import space_of
from flowspec.networks.lines import LineArchitecture
from flowspec.networks.registry import DEFAULTS
from flowspec.posterior.calibrated import calibrated
from flowspec.posterior.posterior import Posterior
from flowspec.posterior.redshift import Recalibration
from flowspec.posterior.screen import Screen
from flowspec.sim.nebula.catalogues import NebulaSimulator
from flowspec.sim.simulator import (
    Perturbed,
    Simulated,
    Simulator,
    simulate_checked,
    simulate_many,
)
from flowspec.train.loop import train
from flowspec.train.settings import Training

log = logging.getLogger("flowspec")
LINE_TRAINING = Training(
    steps=20000, batch=512, learning_rate=1e-3, validation=8192, evaluate=500, patience=100
)
_STARTING = 1024  # simulations that a network may begin with
_SCREEN = 4096


def fit(
    sim: Simulator,
    obs: Observation | None = None,
    *,
    seed: int = 0,
    training: Training = Training(),  # noqa: B008 - frozen
    architecture=None,
    start: Posterior | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
    loss: Callable | None = None,
    adapt: str = "none",
    adaptation: Adaptation = Adaptation(),  # noqa: B008 - frozen
    dereddened: bool = False,
) -> Posterior:
    """Train a posterior on simulations, with the noise of the observations, adapted to them.

    Args:
        sim: A simulator, such as `GalaxySimulator`, or a set of `Simulations`.
        obs: Unlabelled observations, of the simulator's kind, whose noise it takes if it can.
        seed: Random seed of everything.
        training: Number of steps and the like.
        architecture: Sizes, and names of network and density: `Architecture`, `LineArchitecture`
            or `VectorArchitecture`, by default that of the simulator's data.
        start: A posterior to start from, of the same data, parameters and redshift limits.
        checkpoint: File to resume from if it exists, and to write while training.
        progress: Whether to show a progress bar.
        loss: Of ``model, key, simulated``, to train with instead of `Model.loss`.
        adapt: How to adapt to `obs` after the training (`adapt`), or "none". With "nuisances" and
            a `start` whose draws the fits begin at, the simulator is taught before the training.
        adaptation: Steps and the like of that.
        dereddened: Whether all line fluxes of `obs` are corrected for dust.

    Raises:
        ValueError: If observations are too few to adapt to, of another kind, or cover too little;
            if `start` is of other data or parameters, the grid is not logarithmic though there is a
            redshift, a fifth of the simulations or the loss is not finite, or the checkpoint is of
            another run.
    """
    began, _, _ = time.process_time(), keep_programs(), keep_memory()
    sim = _with_noise(sim, obs, dereddened, adapt)
    lesson = {}
    if adapt == "nuisances" and start is not None and sim.teachable:
        sim, lesson = _lesson(start, sim, sim.frame.seen(obs, dereddened), adaptation)
    keys, (training_set, held) = jr.split(key_of(seed), 5), sim.held_out(training.validation)
    fresh, failed = _validation(sim, held, keys[0], training)
    model = continued(start, sim) if start else _new(sim, training_set, keys, architecture)
    model, history = train(model, training_set, fresh, training, keys[3], checkpoint=checkpoint,
                           progress=progress, loss=loss)
    account = _account(sim, seed, training, began, start, history, failed)
    posterior = _unjudged(model, sim, account | {"adaptation": lesson})
    if adapt == "none" or lesson:
        drawn = fresh if held else simulate_many(sim, keys[4], _SCREEN)
        return calibrated(posterior, drawn)
    posterior = _adapt(
        posterior, sim, obs, adapt, seed=seed, training=training, adaptation=adaptation,
        progress=progress, dereddened=dereddened,
    )  # fmt: skip
    seconds = {"cpu_seconds": round(time.process_time() - began)}
    return replace(posterior, provenance=posterior.provenance | seconds)


def fit_lines(
    sim: NebulaSimulator,
    obs: Lines | None = None,
    *,
    training: Training = LINE_TRAINING,
    architecture: LineArchitecture = LineArchitecture(),  # noqa: B008 - frozen
    **options,
) -> Posterior:
    """Train a posterior of nebular parameters on simulated line catalogues.

    `fit` with a training long enough for shipped models of lines.

    Args:
        sim: Of catalogues; every training step sees fresh rows.
        obs: Unlabelled rows of a catalogue: simulated ones get their errors, gaps and limits.
        training: Number of steps and the like.
        architecture: Sizes of the network and the flow.
        **options: Of `fit`.
    """
    return fit(sim, obs, training=training, architecture=architecture, **options)


def adapt(
    posterior: Posterior,
    sim: Simulator,
    obs: Observation,
    method: str = "auto",
    *,
    seed: int = 0,
    training: Training = Training(),  # noqa: B008 - frozen
    adaptation: Adaptation = Adaptation(),  # noqa: B008 - frozen
    progress: bool = True,
    dereddened: bool = False,
) -> Posterior:
    """Adapt a trained posterior to observations without labels.

    What was measured and chosen is in ``provenance["adaptation"]`` of the result.

    Args:
        posterior: Trained on the simulator.
        sim: The simulator, or set of `Simulations`.
        obs: Unlabelled observations.
        method: "nuisances": teach the simulator what observations say of its nuisances and noise
            (`flowspec.adaptation.taught`), and train on; or how to make summaries of simulations
            and of `obs` alike: "dann", "mmd", "coral"; or "auto", which chooses among all of these
            (`flowspec.adaptation.choose`) and leaves the model as it is where there is nothing to
            gain; or "none": injection alone.
        seed: Random seed of everything.
        training: Batch size, optimiser and number of held-out simulations.
        adaptation: Steps and the like.
        progress: Whether to show progress bars.
        dereddened: Of line fluxes, whether all of `obs` are corrected for dust.

    Raises:
        ValueError: If there are fewer than `flowspec.adaptation.choose.FEWEST` rows for a method
            asked for by name, they are not what the model was trained on, or the simulator is of
            other data or parameters.
    """
    check_request(method, len(obs))
    continued(posterior, sim)  # whether it is of this simulator
    obs = sim.frame.seen(obs, dereddened)
    sim = sim.with_noise(obs, exact=True) if sim.takes_noise else sim
    keys = jr.split(key_of(seed), 5)
    training_set, held = sim.held_out(training.validation)
    validation, _ = _validation(sim, held, keys[0], training)
    obs = _shuffled(obs, posterior.model.frame)
    observed = tuple(map(jnp.asarray, posterior.model.frame.arrays(obs)))
    task = Task(
        posterior, training_set, validation, held is not None, obs, observed,
        jr.fold_in(keys[3], 1), training, adaptation, progress,
    )  # fmt: skip
    model, sim, record = chosen(task, method)
    adapted = _unjudged(model, sim, posterior.provenance | {"adaptation": record})
    # of a fixed set every row once; a simulator's fresh draws are more than its validation
    drawn = simulate_many(sim, keys[4], _SCREEN) if held is None else validation
    if held is not None and isinstance(sim, Perturbed):
        drawn = sim.perturbed(keys[4], jax.tree.map(jnp.asarray, drawn))
    return calibrated(adapted, drawn)


_adapt = adapt  # `fit` has an argument of that name


def _check_simulator(sim) -> None:
    if not isinstance(sim, Simulator):
        raise ValueError(
            f"expected a simulator or Simulations; got {type(sim).__name__}. A function of JAX: "
            "fs.CallableSimulator(function, prior, ...); of NumPy: fs.simulate(function, prior, n)"
        )


def _shuffled(obs: Observation, frame) -> Observation:
    """Usable rows in random order, spectra on the model's pixels: once, not for every candidate."""
    obs = obs[np.random.default_rng(0).permutation(np.flatnonzero(obs.usable))]
    return frame.gridded(obs) if frame.kind == Pixels.kind else obs


def _lesson(start: Posterior, sim: Simulator, obs, adaptation: Adaptation):
    """The simulator taught by observations, and an account of it."""
    continued(start, sim)  # whether it is of this simulator
    sim, record = lessons(start, sim, _shuffled(obs, start.model.frame), adaptation)
    return sim, {"asked": "nuisances", "method": "none", "reason": "taught before the training",
                 "nuisances": record}  # fmt: skip


def _validation(sim: Simulator, held, key, training: Training) -> tuple[Simulated, float]:
    """Simulations that are not trained on, and the share that the simulator failed to make."""
    if held is None:
        return simulate_checked(sim, key, training.validation)
    return held.rows(), 0.0


def _with_noise(sim: Simulator, obs, dereddened: bool, adapt: str) -> Simulator:
    """The simulator with the noise of observations, where there are any and it can."""
    _check_simulator(sim)
    check_request(adapt, None if obs is None else len(obs))
    if obs is None:
        return sim
    obs = sim.frame.seen(obs, dereddened)
    if sim.takes_noise:
        return sim.with_noise(obs)
    if adapt == "none":
        log.warning("observations are not used: %s has its noise in it, and adapt= is 'none'",
                    sim.description)
    return sim


def _new(sim: Simulator, training_set: Simulator, keys, architecture) -> Model:
    """A model for a simulator, with what its network begins with, given some simulations."""
    sizes = architecture or DEFAULTS[sim.frame.kind]
    model = model_for(keys[1], sim.priors, sim.sources, sim.frame, sizes, sim.source_shares,
                      sim.redshift)  # fmt: skip
    theta, source, data = simulate_many(training_set, keys[2], _STARTING)
    k = model.space.encode(jnp.asarray(theta), jnp.asarray(source)).k
    data = tuple(map(jnp.asarray, data))
    variables = model.network.started(model.variables, data, k)
    return eqx.tree_at(lambda m: m.variables, model, variables)


def continued(start: Posterior, sim: Simulator) -> Model:
    """The model of a posterior under the priors of a simulator.

    Raises:
        ValueError: If the two differ in more than the shape of the priors.
    """
    model, old = start.model, start.model.space
    names = sim.priors[0].names
    same = model.frame.same(sim.frame) and (old.names, old.sources) == (names, sim.sources)
    new = old
    if same:
        new = space_of(sim.priors, sim.sources, sim.frame, model.architecture, sim.source_shares,
                       sim.redshift)  # fmt: skip
    limits = [s.redshift and np.array([s.redshift.low, s.redshift.high]) for s in (old, new)]
    if sum(own is None for own in limits) == 1:
        same = False
    if not same or (limits[0] is not None and not np.allclose(*limits)):
        raise ValueError(
            f"expected a model to start from with the data, the redshift prior, the sources and "
            f"the parameters {names} of the simulator; got {old.names} of {model.frame}"
        )
    return replace(model, space=replace(new, redshift=old.redshift))


def _account(sim, seed: int, training: Training, began, start, history, failed: float) -> dict:
    """How a model came to be, JSON-ready."""
    return {
        "flowspec": version("flowspec"),
        "jax": jax.__version__,
        "seed": seed,
        "simulator": sim.description,
        "failed": round(failed, 5),  # share of its rows
        "training": asdict(training),
        "cpu_seconds": round(time.process_time() - began),
        "start": None if start is None else start.provenance,
        "history": history.round(4).tolist(),
    }


def _unjudged(model: Model, sim: Simulator, provenance: dict) -> Posterior:
    """A posterior that knows no simulations to compare with yet."""
    shape = jax.eval_shape(lambda *data: model.described(model.embed(*data)), *model.frame.blank())
    screen = Screen.blank(shape.shape[-1])
    return Posterior(model, screen, Recalibration.identity(), provenance, lesson=sim.lesson)
