"""`fit_lines`: a simulator of line catalogues in, a posterior out. Wiring only."""

import time
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import jax.random as jr
import numpy as np

from flowspec.adaptation.align import Adaptation
from flowspec.adaptation.choose import DRAWS, MOST, Task, adapted, check_request, features
from flowspec.adaptation.line_injection import InjectedLines
from flowspec.data.lines import Lines
from flowspec.fitting import account
from flowspec.model.compiled import keep_programs
from flowspec.model.line_model import LineArchitecture, LineModel, inputs
from flowspec.posterior.line_posterior import LinePosterior, data_of
from flowspec.posterior.screening import Screen
from flowspec.sim.nebula.catalogues import NebulaSimulator
from flowspec.train.loop import Training, draw_many, train

TRAINING = Training(
    steps=20000, batch=512, learning_rate=1e-3, validation=8192, evaluate=500, patience=100
)
_SCREEN_ROWS = 8192


def fit_lines(
    sim: NebulaSimulator,
    obs: Lines | None = None,
    *,
    seed: int = 0,
    training: Training = TRAINING,
    architecture: LineArchitecture = LineArchitecture(),  # noqa: B008 - frozen
    start: LinePosterior | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
    adapt: str = "none",
    adaptation: Adaptation = Adaptation(),  # noqa: B008 - frozen
    dereddened: bool = False,
) -> LinePosterior:
    """Train a posterior of nebular parameters on simulated line catalogues.

    Args:
        sim: Of catalogues; every training step sees fresh rows.
        obs: Unlabelled rows of a catalogue: simulated ones get their errors, gaps and limits.
        seed: Random seed of everything.
        training: Number of steps and the like.
        architecture: Sizes of the network and the flow.
        start: A posterior of the same lines, sources and priors to start from.
        checkpoint: File to resume from if it exists, and to write while training.
        progress: Whether to show a progress bar.
        adapt: How to adapt to `obs`, as of `flowspec.fit`.
        adaptation: Likewise.
        dereddened: Whether the fluxes of `obs` are corrected for dust.

    Raises:
        ValueError: If there is nothing to adapt to or fewer than
            `flowspec.adaptation.choose.FEWEST` rows, if `start` is of other lines, sources or
            priors, the loss is not finite, or the checkpoint belongs to another run.
    """
    began = time.process_time()
    keep_programs()
    check_request(adapt, None if obs is None else len(obs))
    if obs is not None and hasattr(sim, "with_noise"):
        sim = sim.with_noise(obs, dereddened=dereddened)
    keys = jr.split(jr.key(seed), 4)
    validation = tuple(map(jnp.asarray, draw_many(sim, keys[0], training.validation)))
    model = LineModel(keys[1], sim.priors, sim.sources, sim.lines, architecture)
    if start is not None:
        if not isinstance(start, LinePosterior) or start.model.settings != model.settings:
            raise ValueError("expected a model to start from of the simulator's lines, sources and "
                             f"parameters; got one of {start.names}")
        model, architecture = start.model, start.architecture
    model, history = train(
        model, sim, validation, training, keys[2], checkpoint=checkpoint, progress=progress
    )
    posterior = LinePosterior(model, Screen.blank(architecture.condition), architecture, {})
    record = {}
    if adapt != "none":
        known = obs.select(sim.lines)
        known = known[np.random.default_rng(0).permutation(np.flatnonzero(known.usable))]
        task = Task(
            sim, validation, tuple(map(jnp.asarray, data_of(known, dereddened))),
            jr.fold_in(keys[2], 1),
            lambda model: _draws(replace(posterior, model=model), known[:MOST], dereddened),
            _described, InjectedLines.measured, training, adaptation, progress,
        )  # fmt: skip
        model, sim, record = adapted(model, task, adapt)
    provenance = account(sim, seed, training, began, start, history) | {"adaptation": record}
    _, _, *drawn = draw_many(sim, keys[3], _SCREEN_ROWS)
    screen = Screen.from_summaries(features(model, tuple(drawn)))
    return LinePosterior(model, screen, architecture, provenance)


def _described(flux, err, state, dereddened) -> np.ndarray:
    return np.asarray(inputs(*map(jnp.asarray, (flux, err, state))))


def _draws(posterior: LinePosterior, obs: Lines, dereddened: bool):
    """Parameters and source of posterior draws of every row [n, batch, params + 1]."""
    theta, source = posterior.sample_sources(obs, DRAWS, dereddened=dereddened)
    return np.concatenate([theta, source[..., None]], axis=-1)
