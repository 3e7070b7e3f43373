"""`z_prob` of spectra in part: either third of the range missing, and a gap.

Of simulations of a model's own simulator, taught as it was. Where `z_prob` is masked nothing is
promised, and the row does not count; the share of rows that are judged is told.
"""

import jax.random as jr
import numpy as np

import flowspec as fs
from flowspec.posterior.redshift import LIMIT
from flowspec.posterior.simulators import simulator_of
from flowspec.sim.simulator import simulate_many


def run(*, model: str = "sdss", n: int = 1500, draws: int = 100, seed: int = 11) -> dict:
    """Compare shares with promises.

    Args:
        model: Name of a shipped model or a model file.
        n: Simulations.
        draws: Posterior draws per simulation.
        seed: Of simulations and draws.
    """
    posterior = fs.load(model)
    theta, _, (flux, ivar) = simulate_many(simulator_of(posterior, model), jr.key(seed), n)
    z, wave = theta[:, posterior.names.index("z")], posterior.wave
    x = np.linspace(0, 1, len(wave))
    parts = {
        "whole": x >= 0,
        "blue third missing": x > 1 / 3,
        "red third missing": x < 2 / 3,
        "middle fifth missing": np.abs(x - 0.5) > 0.1,
    }
    return {name: promised(posterior, wave, flux, ivar * keep, z, draws, seed)
            for name, keep in parts.items()}


def promised(posterior, wave, flux, ivar, z, draws: int, seed: int) -> dict[str, float]:
    """Share of right redshifts and mean `z_prob` of spectra with some inverse variances 0."""
    obs = fs.Spectra(wave, np.where(ivar > 0, flux, 0), ivar)
    table = posterior.summarize(obs, n=draws, seed=seed)
    promise = np.ma.filled(np.ma.asarray(table["z_prob"]).astype(float), np.nan)
    judged = np.isfinite(promise)
    right = np.abs(np.ma.filled(table["z_best"], np.nan) - z)[judged] < LIMIT
    return {
        "right": right.mean(),
        "mean z_prob": promise[judged].mean(),
        "error": (right.mean() * (1 - right.mean()) / judged.sum()) ** 0.5,
        "judged": judged.mean(),
    }
