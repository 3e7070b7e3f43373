"""How wrong the models are, line by line, learned from catalogues without labels."""
from typing import NamedTuple
import equinox as eqx, jax, jax.numpy as jnp, jax.random as jr, numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp
from flowspec.check.predictive import without
from flowspec.data.lines import State
from flowspec.check.importance import PriorDraws
from flowspec.sim.nebula.likelihood import scales

MEAN = 0.3
HYDROGEN = 0.03

def line_errors(sim, obs, *, dereddened, rounds=4, n=150, seed=0, skip=("Hbeta",), verbose=True, draws=30000, tried=600):
    obs = obs.select(sim.lines)
    sim = eqx.tree_at(lambda s: s.error, sim, jnp.array([HYDROGEN if l[0]=='H' and not l.startswith('He') else float(e) for l, e in zip(sim.lines, sim.error)], jnp.float32))
    unit = np.nanmedian(np.where(obs.state > 0, obs.err, np.nan), 1)[:, None]
    draw = PriorDraws(sim, draws, dereddened=dereddened, seed=seed, tried=tried)
    for r in range(rounds):
        mean, spread = np.array(sim.offset, float), np.array(sim.error, float)
        for j, line in enumerate(sim.lines):
            if line in skip: continue
            rest = without(obs, line)
            ok = ((rest.state == State.MEASURED).sum(1) > 1) & (obs.state[:, j] == State.MEASURED)
            rows = np.flatnonzero(ok)
            if len(rows) < 10: continue
            theta, source = draw(rest[rows], n, seed)
            u = unit[rows]
            flux = np.asarray(_fluxes(sim, j, jr.key(seed), theta, source, (rest.flux[rows] / u).astype(np.float32), np.where(rest.state[rows] > 0, rest.err[rows] / u, 1.).astype(np.float32), rest.state[rows], np.float32(obs.dereddened[rows])), float)
            base = flux / np.exp(float(sim.offset[j]))
            mean[j], spread[j] = best(base, (obs.flux[rows, j] / u[:, 0]), obs.err[rows, j] / u[:, 0], float(sim.interpolation[:, j].max()), mean[j], spread[j])
            sim = eqx.tree_at(lambda s: (s.offset, s.error), sim, (jnp.asarray(mean, jnp.float32), jnp.asarray(spread, jnp.float32)))
            draw.with_sim(sim)
        if verbose: print("   round", r, {l: (round(float(m), 3), round(float(s), 3)) for l, m, s in zip(sim.lines, mean, spread)}, flush=True)
    return sim


def best(flux, seen, err, least, mean, spread):
    def loss(x):
        f = flux * np.exp(x[0])
        var = err**2 + f**2 * (np.exp(2 * x[1]) + least**2)
        ln = -0.5 * ((seen - f) ** 2 / var + np.log(var))
        # outliers: a mixture with a wide one
        return -(logsumexp(ln, axis=0)).sum() + 0.5 * (x[0] / MEAN) ** 2
    found = minimize(loss, [mean, np.log(max(spread, 0.03))], method="Nelder-Mead", options=dict(xatol=2e-3, fatol=0.05, maxiter=120))
    return found.x[0], float(np.clip(np.exp(found.x[1]), 0.01, 1.0))


@eqx.filter_jit
def _fluxes(sim, j, key, theta, source, flux, err, state, dereddened):
    def of_draw(key, theta, source, flux, err, state, d):
        ratio, model_err = sim.ratios(theta, source, d)
        scale, lw = scales(flux, err, state, ratio, model_err)
        return scale[jr.categorical(key, lw)] * ratio[j]
    keys = jr.split(key, theta.shape[:2])
    f = jax.vmap(jax.vmap(of_draw, (0, 0, 0, 0, 0, 0, 0)), (0, 0, 0, None, None, None, None))
    return f(keys, theta, source, flux, err, state, dereddened)
