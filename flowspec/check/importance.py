"""Exact posteriors of line catalogues without a network: draws of the prior, shared by all rows."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from scipy.linalg import solve_triangular

from flowspec.data.lines import Lines, State
from flowspec.data.observation import blocks
from flowspec.posterior.weights import normalised, resample
from flowspec.prior.relations import nitrogen
from flowspec.sim.nebula.catalogues import _LN_MAG, NebulaSimulator
from flowspec.sim.nebula.mixture import lines_of

_ROWS = 32
_LN10 = float(np.log(10))
WIDER = 1.2


class PriorDraws:
    def __init__(self, sim, n=50_000, *, dereddened, seed=0, tried=1000):
        theta, source, _ = eqx.filter_jit(type(sim).nebulae)(sim, jr.key(seed), n)
        columns, basis, spread = [], [jnp.ones(len(sim.lines))], []
        for name in ("av", "no", "so"):
            if name not in sim.names or (name == "av" and dereddened):
                continue
            if name == "no" and "so" not in sim.names:
                continue
            i = sim.names.index(name)
            low, high = sim.priors[0].limits(name)
            centre = (low + high) / 2
            if name == "no":
                centre = jnp.clip(nitrogen(theta[:, sim.names.index("oh")]), low + 0.2, high - 0.2)
            columns.append(i)
            theta = theta.at[:, i].set(centre)
            slope = -_LN_MAG * sim.curve if name == "av" else _LN10 * lines_of(name[0].upper(), sim.lines)
            basis.append(slope)
            spread.append(0.5 if name == "no" else (high - low) / 3)
        flux, _ = jax.jit(jax.vmap(sim.ratios, (0, 0, None)))(theta, source, jnp.float32(dereddened))
        self.sim, self.tried, self.columns = sim, tried, tuple(columns)
        self.theta, self.source = np.asarray(theta), np.asarray(source)
        self.bare = np.log(np.asarray(flux)).T - np.asarray(sim.offset)[:, None]  # [lines, draws]
        self.log_flux = np.log(np.asarray(flux)).T.copy()  # [lines, draws]
        self.basis, self.spread = np.asarray(jnp.stack(basis)), np.array([10.0, *spread])

    def with_sim(self, sim):
        self.sim = sim
        self.log_flux = self.bare + np.asarray(sim.offset)[:, None]
        return self

    def __call__(self, obs: Lines, n: int = 300, seed=0):
        return self.weighted(obs, n, seed)[:2]

    def weighted(self, obs, n=300, seed=0):
        obs = obs.select(self.sim.lines)
        unit = np.nanmedian(np.where(obs.state > 0, obs.err, np.nan), 1)[:, None]
        flux, err = obs.flux / unit, np.where(obs.state > 0, obs.err / unit, 1.0)
        rng = np.random.default_rng(seed)
        found, ess0 = [], []
        for rows in blocks(len(obs), _ROWS):
            parts = [self._tried(rng, flux[i], err[i], obs.state[i] == State.MEASURED) for i in rows]
            theta, source, log_q, e0 = (np.stack(p) for p in zip(*parts))
            ln = _weights(self.sim, self.columns, theta, source, log_q, *(jnp.asarray(a[rows], jnp.float32) for a in (flux, err)), obs.state[rows], jnp.asarray(obs.dereddened[rows], jnp.float32))
            w, ess = normalised(np.asarray(ln, float).T)
            both = np.concatenate([theta, source[..., None]], -1).swapaxes(0, 1)
            d = resample(both, w, n, seed)
            found.append((d[..., :-1], d[..., -1].astype(int))); ess0.append((e0, ess))
        t, s = (np.concatenate(p, 1)[:, :len(obs)] for p in zip(*found))
        return t, s, *(np.concatenate(p)[:len(obs)] for p in zip(*ess0))

    def _tried(self, rng, flux, err, measured):
        share = np.asarray(self.sim.model_err).max(0)
        seen = np.maximum(flux, err)[measured]
        weight = (1 / ((err[measured] / seen) ** 2 + share[measured] ** 2 + 1e-3)).astype(np.float32)
        basis = self.basis[:, measured]
        chol = np.linalg.cholesky((basis * weight) @ basis.T + np.diag(self.spread**-2.0))
        away = np.log(seen)[:, None].astype(np.float32) - self.log_flux[measured]
        pull = solve_triangular(chol, basis * weight, lower=True).astype(np.float32) @ away
        approx = -0.4 * (weight @ away**2 - (pull**2).sum(0))
        p = np.exp(approx - approx.max())
        total = np.cumsum(p, dtype=float)
        levels = (rng.uniform() + np.arange(self.tried)) / self.tried * total[-1]
        i = np.minimum(np.searchsorted(total, levels), len(p) - 1)
        z = rng.normal(size=(len(chol), self.tried)) * WIDER
        step = solve_triangular(chol.T, pull[:, i] + z, lower=False)
        theta = self.theta[i]
        theta[:, list(self.columns)] += step[1:].T
        log_q = approx[i] - 0.5 * (z[1:] ** 2).sum(0) / WIDER**2
        return theta, self.source[i], log_q.astype(np.float32), total[-1] ** 2 / (p.astype(float) ** 2).sum()


@eqx.filter_jit
def _weights(sim, columns, theta, source, log_q, *data):
    prior = sim.priors[0]

    def of_row(row):
        theta, source, log_q, *data = row
        free = jnp.array(columns, int)
        full = prior.log_prob(theta) - prior.log_probs(theta).at[:, free].set(0.0).sum(-1)
        ok = jnp.isfinite(full)
        used = jnp.where(ok[:, None], theta, prior.to_constrained(jnp.zeros(theta.shape[-1])))
        ln = jax.vmap(lambda t, s: sim.log_likelihood(t, s, *data))(used, source)
        return jnp.where(ok, ln - log_q + full, -jnp.inf)

    return jax.lax.map(of_row, (theta, source, log_q, *data))
