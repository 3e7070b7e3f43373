"""From one cosmological simulation to another: SIMBA to TNG and back, 20 bands, with posteriors.

A network learns the mass, star-formation rate and metallicity of the galaxies of one simulation
(`benchmarks.simba_tng`) and is adapted to those of the other, without their labels, which only
score it: NRMSE (of the posterior median, over the standard deviation of the labels), beta
(median of (median - truth) / sigma), coverage of central intervals, mean log density of the truth,
and the domain gap. "reweighted" columns: draws weighted by the population that was estimated from
the observations (`flowspec.adaptation.population`), without which a network has that of its source.
"""

import time
from dataclasses import replace

import jax.random as jr
import numpy as np

import flowspec as fs
from benchmarks.harness import data_folder
from benchmarks.shift_scores import explored, summary
from benchmarks.simba_tng import NAMES, galaxies, observe, simulations
from flowspec.adaptation.choose import pick
from flowspec.adaptation.gap import domain_gap
from flowspec.adaptation.population import estimate_population
from flowspec.adaptation.settings import METHODS
from flowspec.posterior.weights import normalised, resample

# Few galaxies: a small network, and a fifth to a third of them held out.
SIZES = fs.Architecture(aligned=16, summary=16, condition=32, learned=0, layers=3, width=32)
TRAINING = fs.Training(learning_rate=1e-3, weight_decay=0.1, evaluate=100, patience=4)
HELD_OUT = {"simba": 512, "tng": 1024}
_LEVELS = {"68": (0.16, 0.84), "95": (0.025, 0.975)}


def run(
    seeds: int = 5, steps: int = 900, adapt_steps: int = 300, targets: str = "tng simba",
    rows: int = 800, draws: int = 100,
) -> dict:  # fmt: skip
    """Scores by target, method and quantity: mean over seeds, and their standard deviation.

    Args:
        seeds: Runs of everything.
        steps: Of training on the source.
        adapt_steps: Of each adaptation.
        targets: "tng", "simba" or both.
        rows: Observations at most.
        draws: Of the posterior of each.
    """
    options = (steps, adapt_steps, rows, draws)
    every = {
        target: [one(target, seed, *options) for seed in range(seeds)] for target in targets.split()
    }
    return {target: summary(runs) for target, runs in every.items()} | {"runs": every}


def one(
    target: str, seed: int, steps: int, adapt_steps: int, most: int, draws: int
) -> dict:
    """Scores of all methods on one target with one seed; arguments as of `run`."""
    source = "simba" if target == "tng" else "tng"
    folder = data_folder() / "uda/simba_tng"
    sim = simulations(*galaxies(folder, source), seed)
    truth, log_flux = galaxies(folder, target)
    rows = np.random.default_rng(seed).permutation(len(truth))[:most]
    truth, obs = truth[rows], observe(log_flux[rows], seed + 1000)
    training = replace(TRAINING, steps=steps, validation=HELD_OUT[source])
    options = {"seed": seed, "progress": False, "architecture": SIZES}
    none = fs.fit(sim, training=training, **options)
    train, own = sim.split(HELD_OUT[source])
    theta, unseen = np.asarray(own.theta), fs.Spectra(sim.wave, own.spectra, own.ivar)
    results = {"source": scores(none, unseen, theta, unseen, theta, draws)}
    # 20 bands are no spectrum
    adaptation = fs.Adaptation(steps=adapt_steps, stages=1, inject=False)
    began = time.process_time()
    candidates, data = explored(
        none, train, own.rows(), obs, jr.key(seed), training, adaptation, fixed=True
    )
    for method in METHODS:
        best, reason = pick(candidates, data, method)
        post = replace(none, model=best.model)
        results[method] = scores(post, obs, truth, unseen, theta, draws)
        results[method] |= {"chosen": f"{best.name['method']}: {reason}",
                            "overlap": best.judgement.gap.overlap}  # fmt: skip
    results["auto"]["cpu_s"] = time.process_time() - began
    print(target, seed, {name: round(float(row["nrmse"]), 3) for name, row in results.items()},
          results["auto"]["chosen"], flush=True)  # fmt: skip
    return results


def scores(
    post: fs.Posterior, obs: fs.Spectra, truth: np.ndarray, unseen: fs.Spectra, labels: np.ndarray,
    count: int,
) -> dict:  # fmt: skip
    """Of a posterior on observations, with and without the estimated population.

    Args:
        post: The posterior.
        obs: Observations.
        truth: Their parameters [rows, 3].
        unseen: Held-out galaxies of the source.
        labels: Their parameters.
        count: Draws of each posterior.
    """
    draws = post.sample(obs, count)
    density = post.log_prob(truth, obs)
    gap = domain_gap(post.summaries(unseen), post.summaries(obs))
    population = estimate_population(labels, draws)
    log_ratio, at_truth = (np.asarray(population.log_ratio(x), float) for x in (draws, truth))
    evidence = np.log(np.exp(log_ratio).mean(0))
    weighted = resample(draws, normalised(log_ratio)[0], count)
    return {
        **against(draws, truth), "log_q": density.mean(), "auc": gap.auc,
        "reweighted": against(weighted, truth) | {"log_q": (density + at_truth - evidence).mean()},
    }  # fmt: skip


def against(draws: np.ndarray, truth: np.ndarray) -> dict:
    """Error, bias and coverage of draws [draws, rows, params]."""
    median = np.median(draws, axis=0)
    error = np.sqrt(((median - truth) ** 2).mean(0)) / truth.std(0)
    sigma = np.maximum(draws.std(0), 1e-3)  # dex: reweighting may leave a single draw
    beta = np.median((median - truth) / sigma, axis=0)
    result = {"nrmse": error.mean()}
    for k, name in enumerate(NAMES):
        result |= {f"nrmse {name}": error[k], f"beta {name}": beta[k]}
    for name, ends in _LEVELS.items():
        low, high = np.quantile(draws, ends, axis=0)
        inside = ((truth > low) & (truth < high)).mean(0)
        result[f"covered_{name}"] = inside.mean()
        result |= {f"covered_{name} {n}": inside[k] for k, n in enumerate(NAMES)}
    return result
