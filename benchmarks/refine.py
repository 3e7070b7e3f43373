"""Refinement of SDSS spectra by the explicit forward model: effective draws, cost, faults.

"simulated": spectra of signal-to-noise ratio 10 to 30. "chain": the same against a long run of
emcee (Foreman-Mackey et al. 2013, PASP 125, 306; ``pip install emcee``) under that likelihood.
"real": galaxies of the half of `FLOWSPEC_TEST_DATA` that is reported. "faults": p-values of
spectra with something wrong; "visible": how far a fault is from what the nuisances can make, in
closed form.
"""

import time

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

import flowspec as fs
from benchmarks import faults
from benchmarks.real_sdss import good_galaxies
from benchmarks.scores import report_half
from flowspec.check.c2st import c2st
from flowspec.posterior.goodness import Goodness
from flowspec.posterior.simulators import simulator_of
from flowspec.sim.simulator import simulate_many

_WALKERS = 64
_OF = 8  # weighted draws for each that is compared with a chain: few of them are the same


def run(
    *, part: str = "simulated", model: str = "sdss", rows: int = 10, draws: int = 1000,
    simulations: int = 128, steps: int = 2000, seed: int = 5,
) -> dict:  # fmt: skip
    """Refine spectra, or judge spoilt ones.

    Args:
        part: "simulated", "chain", "real", "faults" or "visible".
        model: Name of a shipped model or a model file of SDSS spectra.
        rows: Spectra (of each kind).
        draws: That are weighted.
        simulations: That calibrate the p-value.
        steps: Of the ensemble of the chain, a quarter of which is left out.
        seed: Of all that is random.
    """
    posterior = fs.load(model)
    sim = simulator_of(posterior, model)  # taught as it was
    if part == "real":
        obs = good_galaxies()[0]
        obs = obs[np.flatnonzero(report_half(obs.names))[:rows]]
        return _refined(posterior, obs, sim, draws)[0]
    if part in ("simulated", "chain"):
        obs, theta = simulated(posterior, sim, rows, (10, 30), seed)
        if part == "chain":
            return _against_chain(posterior, sim, obs, draws, steps, seed)
        found, refined = _refined(posterior, obs, sim, draws)
        return found | _covered(refined, theta, sim)
    obs, _ = simulated(posterior, sim, rows, (8, 12), seed)
    if part == "visible":
        start = posterior.sample(obs, 16)
        near = sim.log_likelihood.prepared(obs, start)
        return faults.visibility(obs, near, sim)
    return _judged(posterior, obs, sim, simulations, seed)


def simulated(posterior, sim, rows: int, snr: tuple[float, float], seed: int):
    """Spectra with median signal-to-noise ratios between two limits, and their parameters."""
    parts, truths = [], []
    while sum(map(len, parts)) < rows:
        made = simulate_many(sim, jr.fold_in(jr.key(seed), len(parts)), 256)
        obs = posterior.model.frame.observed(*made.data)
        good = (obs.snr > snr[0]) & (obs.snr < snr[1])
        parts.append(obs[np.flatnonzero(good)])
        truths.append(made.theta[good])
    return fs.Spectra.concatenate(parts)[:rows], np.concatenate(truths)[:rows]


def _refined(posterior, obs, sim, draws: int):
    likelihood = sim.log_likelihood
    posterior.refine(obs[:1], likelihood, draws, draws=draws)  # compiled
    clock = time.process_time()
    found = posterior.refine(obs, likelihood, draws, draws=draws)
    cpu = (time.process_time() - clock) / len(obs)
    share = found.ess / draws
    return {"rows": len(obs), "effective, median": float(np.median(share)),
            "effective, each": np.round(share, 3).tolist(),
            "at least 5 %": float((share >= 0.05).mean()),
            "at least 20 %": float((share >= 0.2).mean()),
            "CPU ms per object": 1e3 * cpu, **_of_network(posterior, obs, found, share)}, found


def _of_network(posterior, obs, found, share) -> dict:
    """How the network's own draws are to the refined ones: medians over spectra of which at least
    5 % of the draws are effective."""
    rows = np.flatnonzero(share >= 0.05)
    own, exact = posterior.sample(obs[rows], len(found.samples)), found.samples[:, rows]
    width = np.median(own.std(0) / exact.std(0), axis=0)
    shift = np.median((np.median(own, 0) - np.median(exact, 0)) / exact.std(0), axis=0)
    return {"network's width over the refined": dict(zip(posterior.names, width, strict=True)),
            "its shift, refined sigma": dict(zip(posterior.names, shift, strict=True))}


def _covered(found, theta, sim) -> dict:
    """Ranks of the truth among refined draws: of each parameter the share inside the 68 %."""
    rank = (found.samples < theta).mean(0)
    inside = (np.abs(rank - 0.5) < 0.34).mean(0)
    return {"inside 68 %": dict(zip(sim.prior.names, inside.tolist(), strict=True))}


def _against_chain(posterior, sim, obs, draws: int, steps: int, seed: int) -> dict:
    """C2ST of refined draws to an equal number of a chain's, and of the chain's own halves."""
    likelihood = sim.log_likelihood
    found = posterior.refine(obs, likelihood, draws, draws=_OF * draws)
    flow = posterior.sample(obs, draws)
    near = likelihood.prepared(obs, posterior.sample(obs, 16))
    rows = [jax.tree.unflatten(jax.tree.structure(near), row)
            for row in zip(*jax.tree.leaves(near), strict=True)]
    results = {}
    for i, row in enumerate(rows):
        clock = time.process_time()
        exact, report = _chain(likelihood, row, steps, seed)
        free = [np.asarray(sim.prior.to_unconstrained(jnp.asarray(d, jnp.float32))[0])
                for d in (found.samples[:, i], flow[:, i])]
        keep = min(draws, len(exact) // 2)
        first, second = (h[:: max(1, len(h) // keep)][:keep] for h in np.array_split(exact, 2))
        shift = (free[0].mean(0) - exact.mean(0)) / exact.std(0)
        results[f"{i}"] = {
            "C2ST": c2st(second, free[0][:keep]), "C2ST of the flow": c2st(second, free[1][:keep]),
            "C2ST of halves": c2st(first, second),
            "largest shift, sigma": float(np.abs(shift).max()),
            "width": (free[0].std(0) / exact.std(0)).round(2).tolist(),
            "effective": float(found.ess[i] / draws / _OF), **report,
            "CPU s": time.process_time() - clock,
        }  # fmt: skip
    return results


def _chain(likelihood, near, steps: int, seed: int):
    """Gaussianised parameters from a long run of emcee's ensemble under the marginal likelihood.

    The coordinates are those in which the posterior would be a standard normal if the model were
    linear, which changes nothing: the ensemble's moves are affine-invariant, but for its start.
    """
    from emcee import EnsembleSampler
    from emcee.moves import DEMove, StretchMove

    factor = np.linalg.cholesky(np.asarray(near.covariance, float))

    def log_prob(x):
        free = jnp.asarray(near.centre + x @ factor.T, jnp.float32)
        value = np.asarray(_log_posterior(likelihood, near, free), float)
        return np.where(np.isfinite(value), value, -np.inf)

    rng = np.random.default_rng(seed)
    moves = [(DEMove(), 0.7), (StretchMove(), 0.3)]
    walk = EnsembleSampler(_WALKERS, len(factor), log_prob, vectorize=True, moves=moves)
    walk.random_state = np.random.RandomState(seed).get_state()
    walk.run_mcmc(rng.normal(size=(_WALKERS, len(factor))), steps)
    kept = walk.get_chain(discard=steps // 4)
    time_of = float(walk.get_autocorr_time(discard=steps // 4, tol=0).max())
    report = {"steps": steps, "autocorrelation, steps": time_of,
              "n_eff": kept.shape[0] * _WALKERS / time_of,
              "accepted": float(walk.acceptance_fraction.mean())}  # fmt: skip
    x = walk.get_chain(discard=steps // 4, thin=max(1, int(time_of / 4)), flat=True)
    return np.asarray(near.centre) + x @ factor.T, report


@eqx.filter_jit
def _log_posterior(likelihood, near, free):
    """Natural log of likelihood times prior at Gaussianised parameters [walkers, params]."""
    theta = likelihood.sim.prior.to_constrained(free)
    value = jax.vmap(lambda t: likelihood.at(t, 0, near))(theta)
    return value - 0.5 * (free**2).sum(-1)


def _judged(posterior, obs, sim, simulations: int, seed: int) -> dict:
    """Areas under the receiver curve of three p-values, and their false alarms."""
    test = Goodness.learned(posterior, sim.log_likelihood, simulations, seed=seed + 1)
    found = {}
    for name, spoilt in faults.spoilt(obs, seed).items():
        table = posterior.summarize(spoilt, n=100)
        found[name] = {"fit": test.compared(posterior, spoilt).p_value,
                       "misfit": np.ma.filled(table["misfit"], 1.0),
                       "p_value": np.ma.filled(table["p_value"], 1.0)}  # fmt: skip
    usual = found["as simulated"]
    return {name: {key: {"area": faults.area(p[key], usual[key]),
                         "below 0.01": float((p[key] < 0.01).mean())} for key in p}
            for name, p in found.items()}  # fmt: skip


