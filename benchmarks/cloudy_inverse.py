"""Nebular parameters from lines: against exact posteriors, NebulaBayes and real nebulae.

``--part exact``: the flow and the exact posterior of mock objects with random subsets of lines
(classifier two-sample test), and importance sampling. ``calibration``: PIT, SBC and TARP by number
of lines and with limits. ``sources``: the probabilities of `cloudy` that a source ionises, against
the truth and against the evidence. ``peer``: NebulaBayes on the same grid, lines and errors.
``speed``: objects per second, and spaxels from HDF5 to HDF5.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np

import flowspec as fs
from benchmarks import calibration, harness, nebulabayes
from benchmarks.cloudy_grids import simulator
from flowspec.check.c2st import c2st
from flowspec.check.redshift import reliability
from flowspec.check.reference import exact_posterior, nuts
from flowspec.data.lines import State, of_states
from flowspec.io import write_lines
from flowspec.posterior.table import class_of

SNR = (3.0, 50.0)  # of the median measured line of a mock object
DRAWS = 2000


def run(
    *,
    part: str = "exact",
    model: str = "nebula",
    objects: int = 200,
    chains: int = 0,
    seed: int = 1000,
) -> dict:
    """One part.

    Args:
        part: "exact", "calibration", "sources", "peer" or "speed".
        model: Name of a shipped model or a model file: for "sources" of the Cloudy grids, else of
            MAPPINGS.
        objects: Mock objects.
        chains: Objects that NUTS is run on too, in "exact".
        seed: Of the mock objects.
    """
    parts = {
        "exact": exact, "calibration": calibrated, "sources": sources,
        "peer": nebulabayes.compare, "speed": speed,
    }  # fmt: skip
    if part not in parts:
        raise ValueError(f"expected a part among {sorted(parts)}; got {part!r}")
    posterior = fs.load(model)
    sim = simulator(posterior)
    extra = {"chains": chains} if part == "exact" else {}
    return parts[part](posterior, sim, objects, seed, **extra)


def mocks(sim: fs.NebulaSimulator, count: int, seed: int, wanted=None):
    """Objects that were never trained on: theta [n, params] and `Lines`.

    Args:
        sim: The simulator.
        count: How many.
        seed: Random seed.
        wanted: Of a catalogue: which rows to take [n]; by default those in the range `SNR`.
    """
    drawn = eqx.filter_jit(fs.NebulaSimulator.draw)(sim, jr.key(seed), 20 * count)
    theta, _, flux, err, state, dereddened = (np.asarray(a) for a in drawn)
    obs = of_states(sim.lines, flux, err, state, dereddened=dereddened > 0)
    keep = (obs.snr >= SNR[0]) & (obs.snr <= SNR[1]) if wanted is None else wanted(state)
    rows = np.flatnonzero(keep)[:count]
    return theta[rows], obs[rows]


def exact(posterior, sim, objects, seed, chains) -> dict:
    """Classifier two-sample tests, importance sampling, leakage; NUTS on a few objects."""
    theta, obs = mocks(sim, objects, seed)
    prior = posterior.model.space.priors[0]
    tests, ess, own, seconds, evidence, steps = [], [], [], [], [], []
    outside = 0
    low, high = prior.bounds(theta[0])
    for i in range(objects):
        one, bit = obs[i], bool(obs.dereddened[i])
        free = [n != "av" or not bit for n in posterior.names]  # of dereddened ones av is the prior
        data = (0, one.flux[0], one.err[0], one.state[0], float(bit))
        began = time.perf_counter()
        truth = exact_posterior(sim.log_likelihood, prior, DRAWS, data=data, seed=i)
        seconds.append(time.perf_counter() - began)
        flow = posterior.sample(one, DRAWS, seed=seed, first=i)[:, 0]
        outside += int(((flow < np.asarray(low)) | (flow > np.asarray(high))).sum())
        refined = posterior.refine(one, sim.log_likelihood, DRAWS, draws=DRAWS, seed=i)
        tests.append(c2st(truth.samples[:, free], flow[:, free], seed=i))
        ess.append(float(refined.ess[0]) / DRAWS)
        own.append(truth.ess)
        evidence.append(float(refined.log_evidence[0]) - truth.log_evidence)
        if i < chains:
            drawn, report = nuts(
                lambda t, data=data: sim.log_likelihood(t, *map(jnp.asarray, data)),
                prior, flow[:4], jr.key(i),
            )
            steps.append({
                "r_hat": max(r["r_hat"] for r in report.values()),
                "n_eff": min(r["n_eff"] for r in report.values()),
                "c2st with exact": c2st(truth.samples[:, free], drawn[::2][:DRAWS, free], seed=i),
            })
    return {
        "objects": objects,
        "c2st median": float(np.median(tests)),
        "c2st 95th percentile": float(np.percentile(tests, 95)),
        "importance ESS over samples, median": float(np.median(ess)),
        "importance ESS over samples, 5th percentile": float(np.percentile(ess, 5)),
        "draws outside the prior": outside,
        "ln evidence, refined less exact, median and NMAD": [
            float(np.median(evidence)), float(1.4826 * np.median(np.abs(evidence)))],
        "ESS behind an exact posterior, least": float(min(own)),
        "seconds per exact posterior": float(np.median(seconds)),
        "lines per object, median": float(np.median((obs.state > 0).sum(1))),
        "nuts": steps,
    }  # fmt: skip


def calibrated(posterior, sim, objects, seed) -> dict:
    """PIT, SBC and TARP on fresh objects: few lines, many, and with limits."""
    groups = {
        "few lines (<= 4)": lambda s: (s > 0).sum(1) <= 4,
        "many lines (>= 8)": lambda s: (s > 0).sum(1) >= 8,
        "with upper limits": lambda s: (s == State.LIMIT).any(1),
    }
    results = {}
    for name, wanted in groups.items():
        theta, obs = mocks(sim, objects, seed, wanted)
        samples = posterior.sample(obs, 300, seed=seed)
        box = [np.asarray(b) for b in posterior.model.space.priors[0].bounds(theta[0])]
        found = calibration.score(samples, theta, posterior.names, box, seed)
        results[name] = {"objects": len(theta), **found}
    return results


def sources(posterior, sim, objects, seed) -> dict:
    """Probabilities of the classes: right as often as promised, and as the evidence has them."""
    drawn = eqx.filter_jit(fs.NebulaSimulator.draw)(sim, jr.key(seed), objects)
    _, source, flux, err, state, dereddened = (np.asarray(a) for a in drawn)
    rows = np.flatnonzero(dereddened == 0)
    obs, truth = of_states(sim.lines, flux, err, state)[rows], source[rows]
    kinds = np.array([posterior.classes.index(class_of(s)) for s in posterior.sources])
    member = np.eye(len(posterior.classes))[kinds]
    share = posterior.source_probabilities(obs)
    by_class = share @ member
    best, right = by_class.max(1), by_class.argmax(1) == kinds[truth]
    few = np.arange(min(200, len(obs)))
    refined = posterior.refine(obs[few], sim.log_likelihood, 2000, draws=4000, seed=seed)
    weighed = np.stack([(kinds[refined.source] == k).mean(0) for k in range(len(member.T))], axis=1)
    return {
        "objects": len(obs),
        "class right, promised": [float(right.mean()), float(best.mean())],
        "expected calibration error": reliability(best, right, np.linspace(0, 1, 11)).error,
        "mean ln probability of the true source":
            float(np.log(share[np.arange(len(obs)), truth]).mean()),
        "against refined: mean abs difference of class probabilities":
            float(np.abs(weighed - by_class[few]).mean()),
        "importance ESS over samples, median": float(np.median(refined.ess) / 4000),
    }  # fmt: skip


def speed(posterior, sim, objects, seed) -> dict:
    """Objects per second with 1,000 draws each, once compiled, and tables of 100 draws; and as many
    spaxels as `objects` from HDF5 to HDF5 by ``flowspec predict``, with its largest memory."""
    _, obs = mocks(sim, 4096, seed, lambda s: (s > 0).any(1))
    posterior.sample(obs, 1000)
    _, wall, cpu = harness.clocked(posterior.sample, obs, 1000)
    results = {"per second": len(obs) / wall, "per CPU second": len(obs) / cpu}
    results["objects per second, 100 draws"] = nebulabayes.our_rate(posterior, obs, 100)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "spaxels.h5", Path(folder) / "out.h5"
        model = Path(folder) / "model"
        posterior.save(model)
        write_lines(source, (obs[np.arange(4096)[: objects - first]]
                             for first in range(0, objects, 4096)))
        words = ["predict", source, "--model", model, "-o", target, "--num-samples", "100"]
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "flowspec", *map(str, words)], check=True)
        wall = time.perf_counter() - began
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        results |= {"spaxels": objects, "spaxels per second, 100 draws": objects / wall,
                    "largest memory, GB": memory, "status": done.returncode}
    return results
