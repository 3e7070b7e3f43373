"""The toy problem under controlled shifts: no adaptation, each method, and the choice by `auto`.

Shifts are those of `benchmarks.shifted`. For every seed a model is trained on simulations; then
each shift gives 1,000 unlabelled spectra to adapt to and 1,000 others whose labels enter the scores
only.
All methods start from that model; columns of methods are what `fit(adapt=...)` gives by their name,
from one exploration, as `auto` picks from it.
"""

import time
from dataclasses import replace

import jax.random as jr
import numpy as np

import flowspec as fs
from benchmarks import shifted, toy
from benchmarks.shift_scores import explored, scores, summary
from flowspec.adaptation.choose import pick
from flowspec.adaptation.settings import METHODS
from flowspec.check import calibration
from flowspec.sim.simulator import draw_many, simulate_many

ARCHITECTURE = fs.Architecture(bin_pixels=4, learned=0)  # a quarter of the time of the default
SCALE = (toy.HIGH - toy.LOW) / np.sqrt(12)
SAMPLES, HELD_OUT = 300, 1000


def run(
    *,
    seeds: int = 5,
    first: int = 0,
    shifts: str = ",".join(shifted.SHIFTS),
    steps: int = 3000,
    batch: int = 64,
    injected: int = 2500,
    aligned: int = 300,
    rows: int = 1000,
) -> dict:
    """Scores per shift and method, mean and spread over seeds.

    Args:
        seeds: Of training, simulations and observations.
        first: The first of them.
        shifts: Names, comma separated.
        steps: Of the model without observations.
        batch: Simulations per step.
        injected: Steps with injection.
        aligned: Steps of each alignment.
        rows: Spectra to adapt to.
    """
    adaptation = fs.Adaptation(steps=aligned, injected=injected, stages=1, weights=(1.0,))
    training = fs.Training(steps=steps, batch=batch, evaluate=max(1, steps // 6))
    found = {shift: {} for shift in shifts.split(",")}
    for seed in range(first, first + seeds):
        example = toy.observed(toy.generate(50)[1])
        post = fs.fit(toy.fresh(), example, seed=seed, architecture=ARCHITECTURE,
                      training=training, progress=False)  # fmt: skip
        for shift, columns in found.items():
            for name, row in adapted_to(post, shift, seed, rows, training, adaptation).items():
                columns.setdefault(name, []).append(row)
                print(shift, seed, name, row, flush=True)
    return {
        shift: {name: summary(runs) | {"picked": [r["picked"] for r in runs]}
                for name, runs in columns.items()}
        for shift, columns in found.items()
    }  # fmt: skip


def adapted_to(post, shift: str, seed: int, rows: int, training, adaptation) -> dict:
    """Scores of every method on one shift, for one seed."""
    obs = shifted.observe(shift, rows, 2 * seed)[1]
    simulator = toy.fresh().with_noise(obs)
    validation = simulate_many(simulator, jr.key(seed), 1024)
    began, key = time.process_time(), jr.key(1000 + seed)
    candidates, data = explored(post, simulator, validation, obs, key, training, adaptation)
    seconds = time.process_time() - began
    truth, test = shifted.observe(shift, rows, 2 * seed + 1)
    out = {"unadapted": scored(post, candidates[0], truth, test)}
    for method in METHODS:
        best, reason = pick(candidates, data, method)
        row = scored(post, best, truth, test)
        out["injection" if method == "none" else method] = row | {"picked": f"{best.name} {reason}"}
    out["unadapted"] |= simulated_calibration(post, candidates[0], simulator, key)
    out["auto"] |= simulated_calibration(post, best, simulator, key) | {"seconds": seconds}
    return out


def scored(post, candidate, truth, test) -> dict:
    """Of observations, with their labels; and the gap that the choice saw."""
    post, judgement = replace(post, model=candidate.model), candidate.judgement
    samples = post.sample(test, SAMPLES, seed=1)
    row = scores(samples, post.log_prob(truth, test), truth, SCALE)
    return row | {"auc": judgement.gap.auc, "picked": "", "score": judgement.score}


def simulated_calibration(post, candidate, simulator, key) -> dict:
    """Largest Kolmogorov-Smirnov distance of SBC and TARP deviation, on the simulations that the
    candidate was trained on."""
    own = candidate.simulator
    theta, flux, ivar = draw_many(own, jr.fold_in(key, 99), HELD_OUT)
    post = replace(post, model=candidate.model)
    samples = post.sample(fs.Spectra(toy.WAVE, flux, ivar), SAMPLES, seed=2)
    table = calibration.report(samples, theta, toy.NAMES, toy.LOW, toy.HIGH, seed=0)
    return {"ks": float(max(table["ks"])), "tarp": float(table.meta["tarp_deviation"])}
