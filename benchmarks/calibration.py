"""Calibration of a shipped model on fresh simulations.

Per parameter the Kolmogorov-Smirnov distance of its PIT from uniform and the coverage of central
intervals; over all of them the deviation of the TARP curve, with one reference point per spectrum
as in the paper and with the default number. Simulations are those of the model's instrument and
prior and, where ``--noise`` names a file of spectra, with noise taken from them (as when the model
was trained).
"""

from pathlib import Path

import jax.random as jr
import numpy as np

import flowspec as fs
from benchmarks import harness, scores
from flowspec.check import calibration
from flowspec.cli.diagnose import draw_calibration, prior_box
from flowspec.posterior.simulators import simulator_of
from flowspec.sim.simulator import draw_many


def run(
    *,
    model: str = "sdss",
    like: str = "",
    noise: str = "",
    n: int = 2000,
    draws: int = 500,
    figure: str = "",
    seed: int = 1000,
) -> dict:
    """Check a model.

    Args:
        model: Name of a shipped model or a model file.
        like: Model whose simulator makes the spectra, by default its own: how well one model
            recovers what another was trained for.
        noise: File of spectra to take the noise from.
        n: Simulations.
        draws: Posterior draws per simulation.
        figure: PNG file for PIT and TARP curves.
        seed: Of simulations and draws.
    """
    posterior = fs.load(model)
    simulator = simulator_of(fs.load(like or model), like or model)
    if noise:
        simulator = simulator.with_noise(real_spectra(noise))
    (theta, flux, ivar), _, simulation = harness.clocked(draw_many, simulator, jr.key(seed), n)
    obs = fs.Spectra(simulator.wave, flux, ivar)
    samples, _, prediction = harness.clocked(lambda: posterior.sample(obs, draws, seed=seed))
    box = prior_box(posterior, theta)
    if figure:
        draw_calibration(figure, samples, theta, posterior.names, box)
    return {
        "model": model,
        "simulation_cpu_s": simulation,
        "prediction_cpu_s": prediction,
        "recovery": {name: scores.nmad(np.median(samples[..., i], 0) - theta[:, i])
                     for i, name in enumerate(posterior.names)},
        "mean log q": float(np.mean(posterior.log_prob(theta, obs))),
        **score(samples, theta, posterior.names, box, seed),
    }


def score(samples: np.ndarray, theta: np.ndarray, names, box, seed: int) -> dict:
    """All checks of samples [draws, rows, params] against truths [rows, params].

    Args:
        samples: Posterior draws.
        theta: The truths.
        names: Of the parameters.
        box: Lower and upper ends of the prior, both [params].
        seed: Of every random part.
    """
    rows = calibration.report(samples, theta, names, *box, seed=seed)
    one = calibration.tarp(samples, theta, *box, seed=seed, num_references=1)
    per_parameter = {
        row["parameter"]: {k: float(row[k]) for k in rows.colnames if k != "parameter"}
        for row in rows
    }
    return {
        "largest ks": float(np.max(rows["ks"])),
        "ks_critical_95": rows.meta["ks_critical_95"],
        "tarp_deviation": rows.meta["tarp_deviation"],
        "tarp_deviation, one reference": one.deviation,
        "parameters": per_parameter,
    }


def real_spectra(path: str) -> fs.Spectra:
    """Spectra of a file; those of VANDELS are in units of 1e-18."""
    if Path(path).stem == "vandels":
        return fs.read(path, flux_unit="1e-18 erg/s/cm2/AA", columns={"err": "flux_err"})
    return fs.read(path)
