"""`flowspec diagnose`: is a model calibrated? Judged on simulations that it has not seen."""

from argparse import Namespace
from functools import partial

import jax.random as jr
import numpy as np

from flowspec import plots
from flowspec.check import calibration
from flowspec.cli import gap, survey
from flowspec.cli.fit import simulations
from flowspec.cli.grids import grids
from flowspec.cli.inputs import reading
from flowspec.cli.outputs import make_folder, save, write_table
from flowspec.data.observation import Observation
from flowspec.data.seeds import key_of
from flowspec.data.spectra import Spectra
from flowspec.io import read
from flowspec.posterior.load import load
from flowspec.posterior.posterior import Posterior
from flowspec.posterior.simulators import nebulae_of, simulator_of
from flowspec.sim.simulator import Simulator, simulate_many


def run(args: Namespace) -> None:
    """Print the report and write it with its figures to a folder.

    Raises:
        ValueError: If there is no simulator for the model.
        OSError: If the folder cannot be written.
    """
    if args.survey:
        survey.run(args)
        return
    if args.gap:
        gap.run(args, partial(_like, args))
        return
    posterior = load(args.model)
    theta, obs = _truths(args, posterior)
    folder = make_folder(args.output)
    options = {"seed": args.seed, "progress": not args.quiet}
    samples = posterior.sample(obs, args.num_samples, **options)
    low, high = (np.asarray(b) for b in prior_box(posterior, theta))
    names = posterior.names
    table = calibration.report(samples, theta, names, low, high, seed=args.seed)
    print(f"{args.model}: {len(theta)} simulations, {args.num_samples} samples each")
    print_report(table)
    write_table(table, folder / "calibration.ecsv")
    draw_calibration(folder / "calibration.png", samples, theta, names, (low, high))
    draw_recovered(folder / "recovered.png", samples, theta, names)
    print(f"written to {folder}: calibration.ecsv, calibration.png, recovered.png")


def _truths(args: Namespace, posterior: Posterior) -> tuple[np.ndarray, Observation]:
    if args.simulations:
        sim = simulations(args.simulations, reading(args))
        if sim.prior.names != posterior.names:
            raise ValueError(
                f"{args.simulations}: expected parameters {', '.join(posterior.names)}; "
                f"got {', '.join(sim.prior.names)}"
            )
        theta, flux, ivar = (np.asarray(a)[: args.n] for a in (sim.theta, sim.spectra, sim.ivar))
        return theta, Spectra(sim.wave, flux, ivar)
    if posterior.model.frame.kind == "lines":
        return simulated(nebulae_of(posterior, args.model, grids(args.grid)), args.n, args.seed)
    sim = simulator_of(posterior, args.model)
    if args.noise_from:
        sim = sim.with_noise(read(args.noise_from, **reading(args)))
    return simulated(sim, args.n, args.seed)


def _like(args: Namespace, posterior: Posterior, obs: Spectra) -> tuple[np.ndarray, Spectra]:
    """Simulations with the noise of observations."""
    sim = simulator_of(posterior, args.model).with_noise(obs)
    return simulated(sim, args.n, args.seed)


def simulated(sim: Simulator, n: int, seed: int) -> tuple[np.ndarray, Observation]:
    """`n` fresh simulations: their parameters [n, params] and what is observed of them.

    The key is none that `flowspec.fit` makes of the same seed.
    """
    theta, _, data = simulate_many(sim, jr.fold_in(key_of(seed), 0x5EED), n)
    return theta, sim.frame.observed(*data)


def prior_box(posterior: Posterior, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends [params] of the box that holds the prior."""
    ends = [prior.bounds(theta) for prior in posterior.model.space.priors]
    low, high = (np.stack([np.asarray(end[i]) for end in ends]) for i in (0, 1))
    return low.min((0, 1)), high.max((0, 1))


def print_report(table) -> None:
    """The table of `flowspec.check.calibration.report` in plain words."""
    for name in ("ks", "pit_mean", "coverage_68", "coverage_95"):
        table[name].info.format = ".3f"
    print(*table.pformat(max_lines=-1, max_width=-1), sep="\n")
    print(f"KS distance that a calibrated posterior exceeds in 5 % of tests: "
          f"{table.meta['ks_critical_95']:.3f}")
    print(f"TARP, all parameters at once, largest departure from the diagonal: "
          f"{table.meta['tarp_deviation']:.3f}")


def draw_calibration(path, samples, theta, names, box) -> None:
    """How far PIT and coverage of each parameter are from calibrated, and TARP, in one figure.

    Args:
        path: PNG file.
        samples: [num_samples, batch, params].
        theta: The truths [batch, params].
        names: Of the parameters.
        box: Lower and upper ends of the prior, both [params].
    """
    columns = min(5, len(names) + 1)
    rows = -(-(len(names) + 1) // columns)
    figure, axes = plots.canvas(rows, columns, size=(2.5, 2.3))
    panels = axes.ravel()
    plots.departures(panels[: len(names)], calibration.pit(samples, theta), names)
    for ax in axes[:, 0]:
        ax.set_ylabel("share of truths − expected", fontsize=8)
    for ax in axes[-1]:
        ax.set_xlabel("quantile, or content of the interval", fontsize=8)
    plots.joint_departure(panels[len(names)], calibration.tarp(samples, theta, *box))
    for ax in panels[len(names) + 1 :]:
        ax.set_axis_off()
    # the number above a panel is the largest departure in it
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, fontsize=8, frameon=False)
    save(figure, path)


def draw_recovered(path, samples, theta, names) -> None:
    """Recovered against true values, a panel per parameter; arguments as `draw_calibration`."""
    columns = min(3, len(names))
    figure, axes = plots.canvas(-(-len(names) // columns), columns, size=(4.0, 4.0))
    quantiles = np.percentile(samples, [16, 50, 84], axis=0)
    for ax, i in zip(axes.flat, range(len(names)), strict=False):
        plots.recovered(ax, theta[:, i], quantiles[..., i], names[i])
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    save(figure, path)
