"""Simulate, train, predict: spectra per second and memory, against the roofline of the machine.

The roofline is the least time that the machine could take: the larger of floating-point operations
over the measured rate of a float32 matrix product, and bytes over the measured rate of a large
copy. Operations and bytes are XLA's own count for the compiled program; it takes every operation's
inputs and outputs to move through memory, so the second bound is generous and "of roofline" can
exceed 1 where fast caches hold them.

With ``--stored`` instead: what `flowspec predict` does with a file of spectra, and where the time
goes. Shares are of CPU time, which other work on the machine does not change much.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from astropy.table import vstack

import flowspec as fs
from benchmarks import harness, steps
from flowspec.cli.outputs import write_table
from flowspec.io.blocks import blocks
from flowspec.sim.simulator import Simulated

DRAWS = 200
ROWS = 256  # of a file at once, as `flowspec predict` reads them


def run(
    *,
    model: str = "sdss",
    instrument: str = "sdss",
    stored: str = "",
    batch: int = 128,
    repeats: int = 5,
    size: int = 2048,
    seed: int = 0,
) -> dict:
    """Measure.

    Args:
        model: Name of a shipped model or a model file, of that instrument.
        instrument: Of the simulator.
        stored: HDF5 file of spectra: measure nothing but predicting from it.
        batch: Spectra per call.
        repeats: Timed calls; their median counts.
        size: Of the matrices in the measurement of the machine.
        seed: Of simulations and draws.
    """
    if stored:
        return from_file(stored, fs.load(model), seed)
    peak = {"gflops": matmul_rate(size, repeats), "gb_per_s": copy_rate(repeats)}
    posterior = fs.load(model)
    simulator = fs.GalaxySimulator(instrument, prior=posterior.model.space.priors[0])
    arrays, rest = eqx.partition(simulator, eqx.is_array)

    def simulate(arrays, key):
        return eqx.combine(arrays, rest).simulate(key, batch)

    simulate = compiled(simulate, arrays, jr.key(seed))
    simulated = simulate(arrays, jr.key(seed))
    params, static = eqx.partition(posterior.model, eqx.is_inexact_array)

    def loss(params, key, simulated: Simulated):
        return eqx.combine(params, static).loss(key, simulated)

    learn = compiled(jax.grad(loss), params, jr.key(seed), simulated)
    obs = fs.Spectra(posterior.wave, *map(np.asarray, simulated.data))
    training = fs.Training(batch=batch)
    step, state = steps.stepper(simulator, posterior.model, training)
    calls = {
        "simulate": (lambda: simulate(arrays, jr.key(seed)), cost(simulate)),
        "gradient": (lambda: learn(params, jr.key(seed), simulated), cost(learn)),
        "train step": (Stepping(step, state), total(cost(simulate), cost(learn))),
        "predict": (
            lambda: posterior.sample(obs, DRAWS, seed=seed),
            prediction_cost(posterior, params, static, *simulated.data),
        ),
    }
    measured = {name: timed(f, batch, repeats, peak, cost) for name, (f, cost) in calls.items()}
    return {f"machine {k}": v for k, v in peak.items()} | {"draws": DRAWS} | measured


def from_file(path: str, posterior: fs.Posterior, seed: int) -> dict:
    """Rates of predicting from a file, and the CPU time of each stage."""
    posterior.summarize(next(blocks([path], posterior.model.frame, {})), n=DRAWS)  # compiles
    rows, *reading = harness.clocked(lambda: sum(map(len, fs.stream(path, ROWS))))
    stages, memory, extra = harness.peak_memory(predicted, path, posterior, seed)
    wall, cpu = sum(stages.values())
    stages["reading"] = np.array(reading)
    stages["resampling"] = stages.pop("input") - reading
    return {
        "spectra": rows,
        "draws": DRAWS,
        "spectra_per_s": rows / wall,
        "spectra_per_cpu_s": rows / cpu,
        "memory_gb": memory,
        "extra_memory_gb": extra,
        "cpu ms per spectrum": {name: 1e3 * stage[1] / rows for name, stage in stages.items()},
        "share of cpu": {name: stage[1] / cpu for name, stage in stages.items()},
        "share of wall": {name: stage[0] / wall for name, stage in stages.items()},
    }


def predicted(path: str, posterior: fs.Posterior, seed: int) -> dict:
    """Wall and CPU seconds of the stages of `flowspec predict`; input is read and resampled."""
    stages = {name: np.zeros(2) for name in ("input", "posterior", "writing")}

    def spent(stage: str, f: Callable, *args, **options):
        result, *clocks = harness.clocked(lambda: f(*args, **options))
        stages[stage] += clocks
        return result

    tables, first, source = [], 0, blocks([path], posterior.model.frame, {})
    while (obs := spent("input", next, source, None)) is not None:
        options = {"n": DRAWS, "seed": seed, "first": first}
        tables.append(spent("posterior", posterior.summarize, obs, **options))
        first += len(obs)
    with tempfile.TemporaryDirectory() as folder:
        table = vstack(tables, metadata_conflicts="silent")
        spent("writing", write_table, table, Path(folder) / "out.ecsv")
    return stages


class Stepping:
    """Calls of a training step, each from the state that the last one left."""

    def __init__(self, step: Callable, state):
        self.step, self.state = step, state

    def __call__(self):
        self.state, loss = self.step(self.state)
        return loss


def timed(f: Callable, spectra: int, repeats: int, peak: dict, cost: dict) -> dict:
    """Rates of a call on `spectra` spectra, and its share of the roofline."""
    jax.block_until_ready(f())  # compiles
    times, memory, extra = harness.peak_memory(
        lambda: [harness.clocked(f)[1:] for _ in range(repeats)]
    )
    wall, cpu = np.median(times, axis=0)
    least = max(cost["flops"] / peak["gflops"], cost["bytes"] / peak["gb_per_s"]) / 1e9
    return {
        "spectra_per_s": spectra / wall,
        "wall_ms": 1e3 * wall,
        "cpu_ms": 1e3 * cpu,
        "gflop": cost["flops"] / 1e9,
        "gbyte": cost["bytes"] / 1e9,
        "gflops_per_s": cost["flops"] / 1e9 / wall,
        "share of matmul rate": cost["flops"] / 1e9 / wall / peak["gflops"],
        "roofline_ms": 1e3 * least,
        "of roofline": least / wall,
        "memory_gb": memory,
        "extra_memory_gb": extra,
    }


def prediction_cost(posterior: fs.Posterior, params, static, flux, ivar) -> dict:
    """Operations of embedding each spectrum, aligning it at one bin, and pushing all its draws."""
    dim = len(posterior.names)

    def embed(params, flux, ivar):
        model = eqx.combine(params, static)
        embedding = model.embed(flux, ivar)
        best = embedding.logits.argmax(-1)
        return model.condition(embedding, jnp.arange(len(best)), best)

    def push(params, base, condition):
        return eqx.combine(params, static).density.push(base, condition)

    condition = jnp.zeros((DRAWS * len(flux), posterior.architecture.condition))
    return total(
        cost(compiled(embed, params, flux, ivar)),
        cost(compiled(push, params, jnp.zeros((DRAWS * len(flux), dim)), condition)),
    )


def compiled(f: Callable, *args):
    """`f` compiled for the shapes of `args`."""
    return jax.jit(f).lower(*args).compile()


def cost(program) -> dict[str, float]:
    """XLA's count of floating-point operations and bytes of a compiled program."""
    analysis = program.cost_analysis()
    return {"flops": analysis.get("flops", 0.0), "bytes": analysis.get("bytes accessed", 0.0)}


def total(*costs: dict[str, float]) -> dict[str, float]:
    """Sum of costs."""
    return {key: sum(cost[key] for cost in costs) for key in costs[0]}


def matmul_rate(size: int, repeats: int) -> float:
    """GFLOP/s of a float32 product of two square matrices, the best of several."""
    a = jr.normal(jr.key(0), (size, size))
    product = jax.jit(jnp.matmul)
    jax.block_until_ready(product(a, a))
    best = min(harness.clocked(product, a, a)[1] for _ in range(repeats))
    return 2 * size**3 / best / 1e9


def copy_rate(repeats: int, megabytes: int = 256) -> float:
    """GB/s read and written by a copy far larger than the caches, the best of several."""
    x = jnp.ones(megabytes * 2**18)
    copy = jax.jit(lambda x: x + 1)
    jax.block_until_ready(copy(x))
    best = min(harness.clocked(copy, x)[1] for _ in range(repeats))
    return 2 * x.nbytes / best / 1e9
