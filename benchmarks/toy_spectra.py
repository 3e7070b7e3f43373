"""The toy spectra of `benchmarks.toy`: density of the truth, speed, memory, leakage.

By default trains on the fixed 9,000 spectra for `epochs` epochs; with ``--fresh``, on fresh
simulations at each of ``--fresh-steps`` steps. The mean log q of the true parameters is taken over
the 1,000 test spectra, which nothing else sees (exact: 13.78). Runs on one core unless ``--cores``
is given. Memory is the largest resident set of the process, "extra" what that is above what
it held before.
"""

import time

import jax
import jax.random as jr
import numpy as np

import flowspec as fs
from benchmarks import harness, peers, steps, toy
from flowspec.model.model import model_for

OBSERVATIONS, DRAWS = 100, 1000


def run(
    *,
    epochs: int = 10,
    fresh: bool = False,
    fresh_steps: int = 20000,
    batch: int = 64,
    learning_rate: float = 2e-3,
    trial_rate: float = 0.3,
    rest_rate: float = 0.0,
    bin_pixels: int = 1,
    templates: int = 8,
    aligned: int = 16,
    learned: int = 0,
    layers: int = 3,
    peer: str = "",
    save: str = "",
    load: str = "",
    seed: int = 0,
) -> dict:
    """Train, then score.

    Args:
        epochs: Passes over the fixed spectra.
        fresh: Train on fresh simulations instead.
        fresh_steps: Steps of training on them.
        batch: Spectra per step.
        learning_rate: As in `flowspec.Training`.
        trial_rate: As in `flowspec.Training`.
        rest_rate: As in `flowspec.Training`.
        bin_pixels: As in `flowspec.Architecture`.
        templates: As in `flowspec.Architecture`.
        aligned: As in `flowspec.Architecture`.
        learned: As in `flowspec.Architecture`.
        layers: As in `flowspec.Architecture`.
        peer: Another package to run on the same job: "sbi".
        save: Model file to write.
        load: Model file to score without training, in a process that holds nothing else.
        seed: Of everything but the data set.
    """
    theta, flux = toy.generate()
    test = theta[-toy.TEST :].copy(), flux[-toy.TEST :].copy()
    if load:
        del theta, flux
        return score(fs.load(load), *test, seed)
    held_out = toy.TRAIN // 10
    epoch = (toy.TRAIN - held_out) // batch
    training = fs.Training(
        steps=fresh_steps if fresh else epochs * epoch, batch=batch, learning_rate=learning_rate,
        trial_rate=trial_rate, rest_rate=rest_rate, validation=held_out,
        evaluate=10 * epoch if fresh else epoch, patience=10**6,
    )  # fmt: skip
    sizes = fs.Architecture(
        bin_pixels=bin_pixels, templates=templates, aligned=aligned, learned=learned,
        layers=layers,
    )
    simulator = toy.fresh() if fresh else toy.fixed(theta[: toy.TRAIN], flux[: toy.TRAIN])
    results = {"step": step_cost(simulator, training, sizes, epoch)}
    start = time.process_time()
    posterior = fs.fit(simulator, seed=seed, training=training, architecture=sizes)
    results["fit"] = {
        "steps": training.steps,
        "cpu_s": time.process_time() - start,
        "parameters": count(posterior.model),
        "history": posterior.provenance["history"],
    }
    if save:
        posterior.save(save)
    results |= score(posterior, *test, seed)
    if peer:
        results[peer] = peers.PEERS[peer](theta, flux, epochs, seed)
    return results


def score(posterior: fs.Posterior, theta: np.ndarray, flux: np.ndarray, seed: int) -> dict:
    """Density of the truth, speed of sampling and of densities, memory, leakage."""
    obs = toy.observed(flux)
    few, clocks = obs[:OBSERVATIONS], {}
    for when in ("first", "again"):  # the first time compiles
        samples, _, cpu = harness.clocked(lambda: posterior.sample(few, DRAWS, seed=seed))
        clocks[f"sample_cpu_s, {when}"] = cpu
    prior = np.asarray(toy.prior().sample(jr.key(seed), (DRAWS, OBSERVATIONS)))
    clocks |= density_cost(posterior, samples, few, "posterior draws")
    clocks |= density_cost(posterior, prior, few, "prior draws")
    density = posterior.log_prob(theta, obs)  # last: its programs are not in the memory above
    outside = ~((samples >= toy.LOW) & (samples <= toy.HIGH)).all(-1)
    return {
        "held-out mean log q": float(density.mean()),
        "standard error": float(density.std() / np.sqrt(len(density))),
        "exact": toy.EXACT,
        "leakage": float(outside.mean(0).max()),
        **clocks,
    }


def density_cost(posterior: fs.Posterior, theta: np.ndarray, obs: fs.Spectra, what: str) -> dict:
    """CPU seconds and memory of the densities of many theta per spectrum."""
    _, _, first = harness.clocked(posterior.log_prob, theta, obs)
    (_, _, again), peak, extra = harness.peak_memory(
        harness.clocked, posterior.log_prob, theta, obs
    )
    return {
        f"log_prob_cpu_s of {what}, first": first,
        f"log_prob_cpu_s of {what}, again": again,
        f"log_prob_memory_gb of {what}": peak,
        f"log_prob_memory_gb of {what}, extra": extra,
    }


def step_cost(simulator, training: fs.Training, sizes: fs.Architecture, epoch: int) -> dict:
    """CPU seconds to compile the training step, and of one epoch of it once it is compiled."""
    model = model_for(jr.key(0), simulator.priors, simulator.sources, simulator.frame, sizes)
    step, state = steps.stepper(simulator, model, training)
    (state, _), _, compilation = harness.clocked(step, state)
    _, _, cpu = harness.clocked(steps.repeat, step, state, epoch)
    return {"compile_cpu_s": compilation, "epoch_cpu_s": cpu, "steps_per_epoch": epoch}


def count(tree) -> int:
    """Number of floating-point parameters."""
    leaves = jax.tree.leaves(tree)
    return int(sum(a.size for a in leaves if hasattr(a, "dtype") and a.dtype.kind == "f"))
