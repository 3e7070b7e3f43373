"""`flowspec demo`: the main job from end to end on mock galaxies whose true values are known."""

import time
from argparse import Namespace
from pathlib import Path

import jax
import jax.random as jr
import numpy as np

from flowspec import plots
from flowspec.check import calibration
from flowspec.cli.diagnose import (
    draw_calibration,
    draw_recovered,
    print_report,
    prior_box,
    simulated,
    simulator_of,
)
from flowspec.cli.outputs import make_folder, save
from flowspec.data.spectra import Spectra
from flowspec.fitting import fit
from flowspec.posterior.load import load
from flowspec.posterior.posterior import Posterior
from flowspec.sim.galaxy.simulator import GalaxySimulator
from flowspec.train.settings import Training

MOCKS, FRESH, SEED = 24, 500, 20
SAMPLES = 500


def run(args: Namespace) -> None:
    """Mock observations, two posteriors of each, a table of what is recovered, figures.

    Raises:
        ValueError: If there is no such model, or the output is no folder.
        OSError: If a figure cannot be written.
    """
    folder, start = make_folder(args.output), time.perf_counter()

    def say(text: str) -> None:
        print(f"[{time.perf_counter() - start:4.0f} s] {text}", flush=True)

    say(f"{MOCKS} mock galaxies, as SDSS would see them")
    posterior = load(args.model)
    sim = simulator_of(posterior, args.model)
    theta, drawn = simulated(sim, MOCKS + FRESH, SEED)
    truth, obs = theta[:MOCKS], drawn[:MOCKS]
    say(f"posteriors from the model '{args.model}'")
    samples = posterior.sample(obs, SAMPLES)
    print_recovered(samples, truth, posterior.names)
    say(f"a short fit: {args.steps} steps of training on fresh simulations")
    short = fit(sim, training=Training(steps=args.steps, batch=64, validation=256, evaluate=40))
    say("posteriors from the short fit")
    print_recovered(short.sample(obs, SAMPLES), truth, short.names)
    say(f"is '{args.model}' calibrated? {FRESH} fresh simulations")
    check(folder, posterior, theta[MOCKS:], drawn[MOCKS:])
    draw_mocks(folder, posterior, sim, obs, samples, truth)
    say(f"done. In {folder}: " + ", ".join(sorted(p.name for p in folder.glob("*.png"))))


def check(folder: Path, posterior: Posterior, theta: np.ndarray, obs: Spectra) -> None:
    """Print and draw the calibration on simulations with true values `theta` [batch, params]."""
    samples, box = posterior.sample(obs, 300), prior_box(posterior, theta)
    print_report(calibration.report(samples, theta, posterior.names, *box))
    draw_recovered(folder / "recovered.png", samples, theta, posterior.names)
    draw_calibration(folder / "calibration.png", samples, theta, posterior.names, box)


def print_recovered(samples: np.ndarray, truth: np.ndarray, names: tuple[str, ...]) -> None:
    """Recovered against true values of a few galaxies, then how well each parameter does.

    Args:
        samples: [num_samples, batch, params].
        truth: [batch, params].
        names: Of the parameters.
    """
    shown = [name for name in ("z", "log_mstar", "log_sfr", "av") if name in names]
    columns = [names.index(name) for name in shown]
    low, median, high = np.percentile(samples, [16, 50, 84], axis=0)
    print("galaxy " + "".join(f"{name + ' true':>15}  {'recovered':<16}" for name in shown))
    for row in range(min(8, len(truth))):
        cells = (
            f"{truth[row, i]:15.{digits}f}  {median[row, i]:.{digits}f} "
            f"± {(high - low)[row, i] / 2:<7.{digits}f}"
            for i, digits in zip(columns, (4, 2, 2, 2), strict=False)
        )
        print(f"{row:6d} " + "".join(cells).rstrip())
    offset = median - truth
    typical = np.median(offset, axis=0)
    nmad = 1.4826 * np.median(np.abs(offset - typical), axis=0)
    inside = ((truth > low) & (truth < high)).mean(axis=0)
    print(f"all {len(truth)}:{'':5}" + "".join(f"{name:>11}" for name in names))
    for title, values in (("offset", typical), ("NMAD", nmad), ("in 68 %", inside)):
        print(f"  {title:<11}" + "".join(f"{value:11.4f}" for value in values))


def draw_mocks(
    folder: Path, posterior: Posterior, sim, obs: Spectra, samples: np.ndarray, truth: np.ndarray
) -> None:
    """Spectra with their posterior-predictive bands, redshift posteriors and a corner plot.

    Args:
        folder: Where to.
        posterior: Of the spectra.
        sim: The simulator that they come from.
        obs: The mock observations.
        samples: [num_samples, batch, params].
        truth: [batch, params].
    """
    order = np.argsort(-obs.snr)
    rows = order[[1, len(order) // 4, len(order) // 2]]  # from good to middling
    names, z = posterior.names, posterior.names.index("z")
    figure, axes = plots.canvas(len(rows), 1, size=(11.0, 3.2))
    for ax, row in zip(axes[:, 0], rows, strict=True):
        band = predicted(sim, samples[:50, row])
        redshift = float(np.median(samples[:, row, z]))
        plots.spectrum(ax, obs.wave, obs.flux[row], obs.ivar[row], predicted=band, z=redshift)
    save(figure, folder / "spectra.png")
    figure, axes = plots.canvas(size=(8.0, 7.0))
    shown = order[:: max(1, len(order) // 12)]
    edges, density = posterior.redshift_pdf(obs[shown], np.linspace(0, 0.5, 501))
    labels = [f"galaxy {row}, S/N {obs.snr[row]:.1f}" for row in shown]
    plots.redshift_pdf(axes[0, 0], edges, density, truth=truth[shown, z], names=labels)
    save(figure, folder / "redshifts.png")
    drawn = posterior.sample(obs[rows[:1]], 4000, seed=1)[:, 0]
    save(plots.corner(drawn, names, truth=truth[rows[0]]), folder / "corner.png")


def predicted(sim, theta: np.ndarray) -> np.ndarray:
    """Noiseless spectra [draws, pixels] of parameters [draws, params], nuisances neutral."""
    neutral = GalaxySimulator("sdss", prior=sim.prior, nuisances=())
    keys = jr.split(jr.key(0), len(theta))
    return np.asarray(jax.jit(jax.vmap(neutral.flux))(keys, theta))
