"""`fit_lines`: a simulator of line catalogues in, a posterior out. Wiring only."""

import time
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from flowspec.fit import account, draw_many
from flowspec.line_model import LineArchitecture, LineModel
from flowspec.line_posterior import LinePosterior
from flowspec.screening import Screen
from flowspec.sim.nebula_lines import NebulaSimulator
from flowspec.train import Training, train

TRAINING = Training(
    steps=20000, batch=512, learning_rate=1e-3, validation=8192, evaluate=500, patience=100
)
_SCREEN_ROWS = 8192


def fit_lines(
    sim: NebulaSimulator,
    *,
    seed: int = 0,
    training: Training = TRAINING,
    architecture: LineArchitecture = LineArchitecture(),  # noqa: B008 - frozen
    start: LinePosterior | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> LinePosterior:
    """Train a posterior of nebular parameters on simulated line catalogues.

    Args:
        sim: Of catalogues; every training step sees fresh rows.
        seed: Random seed of everything.
        training: Number of steps and the like.
        architecture: Sizes of the network and the flow.
        start: A posterior of the same lines, sources and priors to start from.
        checkpoint: File to resume from if it exists, and to write while training.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If `start` is of other lines, sources or priors, the loss is not finite, or the
            checkpoint belongs to another run.
    """
    began = time.process_time()
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
    provenance = account(sim, seed, training, began, start, history)
    blank = Screen.blank(architecture.condition)
    posterior = LinePosterior(model, blank, architecture, provenance)
    _, _, *drawn, dereddened = draw_many(sim, keys[3], _SCREEN_ROWS)
    summaries = np.asarray(eqx.filter_jit(LineModel.summary)(model, *drawn, dereddened))
    return eqx.tree_at(lambda p: p.screen, posterior, Screen.from_summaries(summaries))
