"""Calibration of a shipped model on fresh simulations.

Per parameter the Kolmogorov-Smirnov distance of its PIT from uniform and the coverage of central
intervals; over all of them the deviation of the TARP curve, with one reference point per spectrum
as in the paper and with the default number. Simulations are those of the instrument, with the
model's own prior and, where ``--noise`` names a file of spectra, with noise taken from them (as
when the model was trained).
"""

from pathlib import Path

import jax.random as jr
import numpy as np

import flowspec as fs
from benchmarks import harness
from flowspec.check import calibration
from flowspec.fit import draw_many


def run(
    *,
    model: str = "sdss",
    instrument: str = "",
    noise: str = "",
    n: int = 2000,
    draws: int = 500,
    figure: str = "",
    seed: int = 1000,
) -> dict:
    """Check a model.

    Args:
        model: Name of a shipped model or a model file.
        instrument: Of the simulator; by default that of the model's name.
        noise: File of spectra to take the noise from.
        n: Simulations.
        draws: Posterior draws per simulation.
        figure: PNG file for PIT and TARP curves.
        seed: Of simulations and draws.
    """
    posterior = fs.load(model)
    simulator = fs.GalaxySimulator(instrument or Path(model).stem, prior=posterior.model.prior)
    if noise:
        simulator = simulator.with_noise(real_spectra(noise))
    (theta, flux, ivar), _, simulation = harness.clocked(draw_many, simulator, jr.key(seed), n)
    obs = fs.Spectra(simulator.wave, flux, ivar)
    samples, _, prediction = harness.clocked(lambda: posterior.sample(obs, draws, seed=seed))
    if figure:
        draw(figure, samples, theta, posterior.names)
    return {
        "model": model,
        "simulation_cpu_s": simulation,
        "prediction_cpu_s": prediction,
        "mean log q": float(np.mean(posterior.log_prob(theta, obs))),
        **score(samples, theta, posterior.names, seed),
    }


def score(samples: np.ndarray, theta: np.ndarray, names, seed: int) -> dict:
    """All checks of samples [draws, rows, params] against truths [rows, params]."""
    low, high = theta.min(0), theta.max(0)
    rows = calibration.report(samples, theta, names, low, high, seed=seed)
    one = calibration.tarp(samples, theta, low, high, seed=seed, num_references=1)
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
        return fs.read(path, flux_unit="1e-18 erg/s/cm2/AA")
    return fs.read(path)


def draw(path: str, samples: np.ndarray, theta: np.ndarray, names) -> None:
    """PIT and TARP curves to a PNG file."""
    from flowspec import plots

    figure, axes = plots.canvas(1, 2)
    plots.pit_ecdf(axes[0, 0], calibration.pit(samples, theta), names)
    plots.tarp(axes[0, 1], calibration.tarp(samples, theta, theta.min(0), theta.max(0)))
    figure.savefig(path, dpi=120)
