"""Shipped models with what later versions learn from simulations of theirs, their numbers the same.

Adds to a model file the misfit and what probabilities of redshifts lose where wavelengths are
missing (`flowspec.posterior.calibrated`). The density, the screen and the probabilities of whole
rows stay as they are. Models of spectra need the observed spectra that lent their noise
(`FLOWSPEC_TEST_DATA`), `cloudy` its grids.
"""

from dataclasses import replace

import jax.random as jr
import numpy as np

import flowspec as fs
from benchmarks import cloudy_grids, harness
from flowspec.cli.simulate import galaxies
from flowspec.posterior.calibrated import learned_misfit, recalibrated
from flowspec.posterior.redshift import Recalibration
from flowspec.sim.instrument.varied import Varied
from flowspec.sim.simulator import Simulator, simulate_many

_NOISE = {
    "sdss": ("spectra/sdss/sdss.h5", {}),
    "vandels": ("spectra/vandels/vandels.h5", {"flux_unit": "1e-18 erg/s/cm2/A"}),
}


def run(*, model: str = "sdss", simulations: int = 8192, save: str = "", seed: int = 77) -> dict:
    """Judge a model.

    Args:
        model: Name of a shipped model.
        simulations: Fresh ones, half of them for the reconstruction.
        save: Model file to write, if any.
        seed: Of the simulations.
    """
    posterior = fs.load(model)
    sim = simulator(posterior, model)
    theta, source, data = simulate_many(sim, jr.key(seed), simulations)
    obs, z = posterior.model.frame.observed(*data), None
    if posterior.model.space.redshift is not None:
        z = theta[:, posterior.names.index("z")]
        own = posterior.recalibration.coefficients[:2]
        new = recalibrated(posterior, obs, z, source).coefficients
        # of rows without anything as it is now, of whole ones as it was
        coefficients = np.concatenate([own, new[:2] + new[2:] - own])
        posterior = replace(posterior, recalibration=Recalibration(coefficients))
    posterior = replace(posterior, misfit=learned_misfit(posterior, obs, z))
    if save:
        posterior.save(save, half=True)
    fresh = posterior.model.frame.observed(*simulate_many(sim, jr.key(seed + 1), 2000)[2])
    misfit = np.ma.filled(posterior.summarize(fresh, n=100)["misfit"], 1.0)
    return {
        "recalibration": posterior.recalibration.coefficients.tolist(),
        "false alarms at 1 %": float((misfit < 0.01).mean()),
        "false alarms at 10 %": float((misfit < 0.1).mean()),
    }


def simulator(posterior: fs.Posterior, model: str) -> Simulator:
    """What a shipped model was trained on, by the commands of its card."""
    if posterior.model.frame.kind == "lines":
        return cloudy_grids.simulator(posterior)
    if model in _NOISE:
        path, options = _NOISE[model]
        return galaxies(model, [str(harness.data_folder() / path)], options)
    return Varied(galaxies("moons-coarse", [], {}, 0.5))
