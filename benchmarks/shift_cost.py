"""What a training step costs with and without alignment: CPU seconds, medians of alternate runs."""

import time

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

import flowspec as fs
from benchmarks import shifted, toy
from benchmarks.steps import repeat, stepper
from flowspec.adaptation.align import Adapted, Paired
from flowspec.adaptation.choose import ALIGNMENTS
from flowspec.model.model import model_for
from flowspec.sim.simulator import draw_many


def run(
    *, problem: str = "toy", methods: str = ",".join(ALIGNMENTS), batch: int = 64, steps: int = 10,
    repeats: int = 7, seed: int = 0,
) -> dict:  # fmt: skip
    """Milliseconds per step of each method, and over that without alignment.

    Args:
        problem: "toy", or the name of an instrument of `GalaxySimulator`.
        methods: Of alignment, comma separated.
        batch: Simulations per step.
        steps: Per timing.
        repeats: Timings.
        seed: Of models and data.
    """
    sim = toy.fresh() if problem == "toy" else fs.GalaxySimulator(problem)
    model = model_for(jr.key(seed), sim.priors, sim.sources, sim.frame, fs.Architecture())
    if problem == "toy":
        obs = shifted.observe("noise", 500, 0)[1]
        observed = obs.flux, obs.ivar
    else:
        observed = draw_many(sim, jr.key(1), 500)[1:]
    observed = tuple(jnp.asarray(a, jnp.float32) for a in observed)
    training, one, first = fs.Training(batch=batch), jnp.float32(1), jnp.int32(0)
    pairs = Paired(sim, observed, None, one, first, fs.Adaptation.share, 100)
    runs = {"none": [*stepper(sim, model, training, seed + 3)]}
    for method in methods.split(","):
        state = Adapted.of(jr.key(2), model, method, observed)
        runs[method] = [*stepper(pairs, state, training, seed + 3)]
    seconds = {method: [] for method in runs}
    for number in range(repeats + 1):
        for method, (step, state) in runs.items():
            began = time.process_time()
            state = repeat(step, state, steps if number else 2)  # the first compile
            jax.block_until_ready(state)
            if number:
                seconds[method].append((time.process_time() - began) / steps)
            runs[method][1] = state
    middle = {method: float(np.median(values)) for method, values in seconds.items()}
    return {
        method: {"ms per step": 1e3 * value, "over none": value / middle["none"],
                 "spread": float(np.std(seconds[method]) / value)}
        for method, value in middle.items()
    }  # fmt: skip
