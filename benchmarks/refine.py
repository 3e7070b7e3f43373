"""Refinement of SDSS spectra by the explicit forward model: effective draws, cost, faults.

"simulated": spectra of signal-to-noise ratio 10 to 30. "nuts": the same, without residuals of the
sky, against a long run of numpyro's sampler over the parameters and all nuisances. "real": galaxies
of the half of `FLOWSPEC_TEST_DATA` that is reported. "faults": p-values of spectra with something
wrong; "visible": how far a fault is from what the nuisances can make, in closed form.
"""

import time

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from numpyro.diagnostics import effective_sample_size
from numpyro.infer import MCMC, NUTS

import flowspec as fs
from benchmarks import faults
from benchmarks.real_sdss import good_galaxies
from benchmarks.scores import report_half
from flowspec.check.c2st import c2st
from flowspec.posterior.goodness import Goodness
from flowspec.posterior.simulators import simulator_of
from flowspec.sim.explicit import huber, split
from flowspec.sim.galaxy.nuisance import NUISANCES
from flowspec.sim.marginal import Marginal
from flowspec.sim.simulator import simulate_many

_PART = 25  # steps of the sampler between two looks at the clock


def run(
    *, part: str = "simulated", model: str = "sdss", rows: int = 10, draws: int = 1000,
    simulations: int = 128, warmup: int = 300, minutes: float = 10.0, depth: int = 7,
    only: int = -1, seed: int = 5,
) -> dict:  # fmt: skip
    """Refine spectra, or judge spoilt ones.

    Args:
        part: "simulated", "nuts", "real", "faults" or "visible".
        model: Name of a shipped model or a model file of SDSS spectra.
        rows: Spectra (of each kind).
        draws: That are weighted.
        simulations: That calibrate the p-value.
        warmup: Steps of the sampler before its draws, which learn its mass matrix.
        minutes: That it draws for, for each spectrum.
        depth: Of its trees of gradients at most.
        only: Of `rows` spectra this one alone, for one process each; -1 is all.
        seed: Of all that is random.
    """
    posterior = fs.load(model)
    if part == "nuts":
        quiet = tuple(n for n in NUISANCES if n not in ("sky", "blemishes"))
        quiet = fs.GalaxySimulator("sdss", nuisances=quiet)
        obs = simulated(posterior, quiet, rows, (10, 30), seed)[0]
        obs = obs if only < 0 else obs[only : only + 1]
        return _against_nuts(posterior, quiet, obs, draws, (warmup, minutes, depth), seed)
    sim = simulator_of(posterior, model)  # taught as it was
    if part == "real":
        obs = good_galaxies()[0]
        obs = obs[np.flatnonzero(report_half(obs.names))[:rows]]
        return _refined(posterior, obs, sim, draws)[0]
    if part == "simulated":
        obs, theta = simulated(posterior, sim, rows, (10, 30), seed)
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


def _against_nuts(posterior, sim, obs, draws: int, length: tuple, seed: int) -> dict:
    found = posterior.refine(obs, sim.log_likelihood, draws, draws=draws)
    flow = posterior.sample(obs, draws)
    fit = sim.fit(obs, posterior.sample(obs, 16))
    results = {}
    for i in range(len(obs)):
        clock = time.process_time()
        data = (jnp.asarray(a[0]) for a in posterior.model.frame.arrays(obs[i : i + 1]))
        exact, report = _nuts(sim, *data, fit.unknowns[i], fit.covariance[i], *length, seed)
        keep = max(200, min(1000, int(report["least n_eff"])))  # neighbours in a chain are alike
        thin = (np.linspace(0, len(d) - 1, keep).astype(int)
                for d in (exact, found.samples, flow))
        free = [np.asarray(sim.prior.to_unconstrained(d[rows])[0]) for d, rows in
                zip((exact, found.samples[:, i], flow[:, i]), thin, strict=True)]
        shift = (free[1].mean(0) - free[0].mean(0)) / free[0].std(0)
        results[f"{i}"] = {
            "C2ST": c2st(free[0], free[1]), "C2ST of the flow": c2st(free[0], free[2]),
            "C2ST of halves": c2st(free[0][: keep // 2], free[0][-(keep // 2) :]),
            "largest shift, sigma": float(np.abs(shift).max()),
            "width": (free[1].std(0) / free[0].std(0)).round(2).tolist(),
            "effective": float(found.ess[i] / draws), **report,
            "CPU s": time.process_time() - clock,
        }  # fmt: skip
    return results


def _nuts(sim, flux, ivar, unknowns, covariance, warmup: int, minutes: float, depth: int, seed):
    """Draws of the parameters, from a run over them, all latents and the noise's factor.

    The coordinates are those in which the posterior would be a standard normal if the model were
    linear, which changes nothing but the speed; warming up learns what is left.
    """
    count = len(sim.prior.names)
    factor = jnp.asarray(np.linalg.cholesky(covariance))
    root, pixels = jnp.sqrt(ivar), (ivar > 0).sum()
    spread = 1 / jnp.sqrt(2.0 * pixels)

    def potential(x):
        u, log_scale = unknowns + factor @ x[:-1], x[-1] * spread
        away = (flux - sim.spectrum_of(*split(sim, u))) * root * jnp.exp(-log_scale)
        noise = pixels * log_scale + 0.5 * (log_scale / Marginal(sim).scatter) ** 2
        return 0.5 * (huber(away).sum() + (u**2).sum()) + noise

    kernel = NUTS(potential_fn=potential, dense_mass=True, max_tree_depth=depth)
    x, extra = _chain(kernel, jnp.zeros(len(unknowns) + 1), warmup, minutes, seed)
    free = unknowns[:count] + x[:, :-1] @ np.asarray(factor)[:count].T
    least = min(float(effective_sample_size(f[None])) for f in free.T)
    report = {"draws": len(x), "least n_eff": least, "divergences": int(extra["diverging"].sum()),
              "gradients a step": float(extra["num_steps"].mean())}  # fmt: skip
    return np.asarray(sim.prior.to_constrained(jnp.asarray(free, jnp.float32))), report


def _chain(kernel, start, warmup: int, minutes: float, seed: int):
    """States of one chain and what was seen on the way, in parts until the time is over."""
    sampler = MCMC(kernel, num_warmup=warmup, num_samples=_PART, progress_bar=False)
    sampler.warmup(jr.key(seed), init_params=start)
    parts, seen, end = [], [], time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        sampler.post_warmup_state = sampler.last_state
        sampler.run(sampler.post_warmup_state.rng_key, extra_fields=("num_steps", "diverging"))
        parts.append(np.asarray(sampler.get_samples()))
        seen.append(sampler.get_extra_fields())
    return np.concatenate(parts), {k: np.concatenate([s[k] for s in seen]) for k in seen[0]}


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


