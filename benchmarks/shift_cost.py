"""What a training step costs with and without alignment: CPU seconds, medians of alternate runs."""

import time

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

import flowspec as fs
from benchmarks import shifted, toy
from flowspec.adaptation.align import Adaptation, Adapted, Paired, adapted_loss
from flowspec.adaptation.choose import ALIGNMENTS
from flowspec.model.model import build
from flowspec.sim.simulator import draw_many
from flowspec.train.loop import first_state, make_step, negative_log_likelihood
from flowspec.train.optimiser import make_optimiser


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
    model = build(jr.key(seed), sim.prior, np.asarray(sim.wave), fs.Architecture())
    if problem == "toy":
        obs = shifted.observe("noise", 500, 0)[1]
        observed = obs.flux, obs.ivar
    else:
        observed = draw_many(sim, jr.key(1), 500)[1:]
    observed = tuple(jnp.asarray(a, jnp.float32) for a in observed)
    training, mesh = fs.Training(batch=batch), device_mesh(batch)
    runs = {}
    for method in ("none", *methods.split(",")):
        state, source, loss = model, sim, negative_log_likelihood
        if method != "none":
            state = Adapted.of(jr.key(2), model, method, observed)
            one, first = jnp.float32(1), jnp.int32(0)
            source = Paired(sim, observed, None, one, first, Adaptation.share, 100)
            loss = adapted_loss
        params, static = eqx.partition(state, eqx.is_inexact_array)
        optimiser = make_optimiser(training)
        step = make_step(source, static, optimiser, training, mesh, jr.key(seed + 3), loss)
        runs[method] = [step, first_state(params, optimiser, 1)]
    seconds = {method: [] for method in runs}
    for repeat in range(repeats + 1):
        for method, (step, state) in runs.items():
            began = time.process_time()
            for _ in range(steps if repeat else 2):  # the first compile
                state, value = step(state)
            jax.block_until_ready(value)
            if repeat:
                seconds[method].append((time.process_time() - began) / steps)
            runs[method][1] = state
    middle = {method: float(np.median(values)) for method, values in seconds.items()}
    return {
        method: {"ms per step": 1e3 * value, "over none": value / middle["none"],
                 "spread": float(np.std(seconds[method]) / value)}
        for method, value in middle.items()
    }  # fmt: skip
