"""Calibration of a model of kinds of objects on fresh simulations: classes, and each kind's own.

Of each kind, on the spectra that are of it, the posterior given that kind: Kolmogorov-Smirnov
distances of its own parameters' PIT and the deviation of the TARP curve. Of the probabilities of
kinds, what they are off by: in ten bins of equal numbers, the mean probability less the share that
is of the kind, its size averaged over the bins; a calibrated one has `by chance`.
"""

import jax.random as jr
import numpy as np

import flowspec as fs
from benchmarks.calibration import score
from benchmarks.objects import simulator
from flowspec.sim.simulator import simulate_many

_BINS = 10


def run(
    *, model: str = "optical", instrument: str = "optical", n: int = 8000, draws: int = 500,
    seed: int = 1000,
) -> dict:  # fmt: skip
    """Check a model.

    Args:
        model: Name of a shipped model or a model file.
        instrument: That it was trained for.
        n: Simulations.
        draws: Posterior draws per simulation.
        seed: Of simulations and draws.
    """
    posterior = fs.load(model)
    made = simulate_many(simulator(instrument, ()), jr.key(seed), n)
    obs = posterior.model.frame.observed(*made.data)
    shares = posterior.source_probabilities(obs)
    kinds = posterior.sources
    results = {
        "probabilities of kinds are off by": {
            kind: reliability(shares[:, k], made.source == k, seed) for k, kind in enumerate(kinds)
        },
        "kind found, rows of each kind": confusion(shares, made.source, kinds),
    }
    for k, kind in enumerate(kinds):
        own = np.flatnonzero(posterior.model.space.own[k])
        if not len(own):
            continue
        rows = np.flatnonzero(made.source == k)
        samples = posterior.sample(obs[rows], draws, seed=seed, source=kind)[..., own]
        theta = made.theta[rows]
        low, high = _box(posterior.model.space.priors[k], theta)
        names = [posterior.names[i] for i in own]
        results[kind] = {"n": len(rows)} | score(
            np.asarray(samples), theta[:, own], names, (low[own], high[own]), seed
        )
    return results


def _box(prior, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of a prior [params], of an unlimited parameter those of its draws."""
    low, high = (np.asarray(end, float) for end in prior.bounds(theta))
    low, high = low.min(0), high.max(0)
    return (np.where(np.isfinite(low), low, theta.min(0)),
            np.where(np.isfinite(high), high, theta.max(0)))  # fmt: skip


def reliability(share: np.ndarray, truth: np.ndarray, seed: int) -> dict:
    """Mean size of probability less frequency in bins, and its median if it were calibrated."""
    order = np.array_split(np.argsort(share, kind="stable"), _BINS)

    def off(is_so: np.ndarray) -> float:
        return float(np.mean([abs(share[part].mean() - is_so[part].mean()) for part in order]))

    rng = np.random.default_rng(seed)
    chance = [off(rng.uniform(size=len(share)) < share) for _ in range(100)]
    return {"mean": off(truth), "by chance": float(np.median(chance))}


def confusion(shares: np.ndarray, source: np.ndarray, kinds: tuple[str, ...]) -> dict:
    """Shares of the rows of each kind that are taken for each."""
    best = shares.argmax(1)
    return {
        kind: {other: float((best[source == k] == j).mean()) for j, other in enumerate(kinds)}
        for k, kind in enumerate(kinds)
    }
