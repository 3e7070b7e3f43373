"""`flowspec diagnose --gap`: how simulations and observations differ."""

from argparse import Namespace

import numpy as np
from astropy.table import QTable

from flowspec import plots
from flowspec.adaptation.gap import domain_gap, mmd_test, pixel_shifts, shifts
from flowspec.adaptation.judge import DRAWS
from flowspec.adaptation.population import estimate_population, marginals
from flowspec.cli.inputs import expanded, reading
from flowspec.cli.outputs import make_folder, save, write_table
from flowspec.data.continuum import broad_features, noise_of
from flowspec.data.frame import Pixels
from flowspec.data.spectra import Spectra
from flowspec.io import read
from flowspec.plots import gap as plots_domain
from flowspec.posterior.load import load
from flowspec.posterior.posterior import Posterior


def run(args: Namespace, simulate) -> None:
    """Print the gap and write it with its figure to a folder.

    Args:
        args: Of the command.
        simulate: ``(posterior, observed) -> theta, Spectra``, with the noise of the observed.

    Raises:
        ValueError: On spectra that are of no use, or a model without a simulator.
        OSError: If the folder cannot be written.
    """
    posterior = load(args.model)
    if posterior.model.frame.kind != Pixels.kind:
        raise ValueError(f"{args.model}: expected a model of spectra; got one of "
                         f"{posterior.model.frame.kind}")
    obs = posterior.model.frame.gridded(read(expanded(args.gap), **reading(args)))
    theta, sims = simulate(posterior, obs)
    folder = make_folder(args.output)
    table, ratio, gap = measured(posterior, theta, sims, obs)
    print(f"{args.model}: {len(sims)} simulations, {len(obs)} observations")
    print(*table.pformat(max_lines=-1, max_width=-1), sep="\n")
    write_table(table, folder / "gap.ecsv")
    figure = drawn(posterior, theta, sims, obs, ratio, gap)
    save(figure, folder / "gap.png")
    print(f"written to {folder}: gap.ecsv, gap.png")


def measured(posterior: Posterior, theta: np.ndarray, sims: Spectra, obs: Spectra):
    """Table of the gap in the data and in the summaries, as they are and at the population that
    the posterior finds; the ratio of the populations; and the last gap."""
    ratio = estimate_population(theta, posterior.sample(obs, DRAWS))
    weight = np.exp(np.asarray(ratio.log_ratio(theta), float))
    pairs = {
        "data": [broad_features(s.flux, s.ivar) for s in (sims, obs)],
        "summaries": [posterior.summaries(s) for s in (sims, obs)],
    }
    rows = []
    for name, (own, theirs) in pairs.items():
        for population, w in (("as simulated", None), ("as estimated", weight)):
            gap = domain_gap(own, theirs, w)
            worst = np.abs(shifts(own, theirs, w)[:, 0]).max()
            mmd = mmd_test(own, theirs) if w is None else (np.nan, np.nan)
            rows.append((name, population, gap.auc, gap.error, gap.overlap, worst, *mmd))
    names = ("of", "population", "auc", "auc_error", "overlap", "largest_shift", "mmd", "p_mmd")
    table = QTable(rows=rows, names=names)
    for name in names[2:]:
        table[name].info.format = ".3f"
    return table, ratio, gap


def drawn(posterior: Posterior, theta, sims: Spectra, obs: Spectra, ratio, gap):
    """Scores of the classifier, wavelengths that carry the gap, and the populations."""
    columns = max(2, min(5, len(posterior.names)))
    rows = 1 + -(-len(posterior.names) // columns)
    figure, axes = plots.canvas(rows, columns, size=(3.6, 3.2))
    n = len(theta)
    plots_domain.domain_scores(axes[0, 0], gap.logit[:n], gap.logit[n:], gap.auc, gap.error)
    for ax in axes[0, 1:]:
        ax.remove()
    wide = figure.add_subplot(axes[0, 0].get_gridspec()[0, 1:])
    noise = [noise_of(s.flux, s.ivar) for s in (sims, obs)]
    plots_domain.pixel_gap(wide, posterior.wave, pixel_shifts(*noise))
    shares = marginals(ratio, theta)
    for k, (ax, name) in enumerate(zip(axes[1:].flat, posterior.names, strict=False)):
        ends = float(theta[:, k].min()), float(theta[:, k].max())
        plots_domain.population(ax, np.asarray(ratio.edges[k]), shares[k], name, ends)
    for ax in axes[1:].flat[len(posterior.names) :]:
        ax.set_axis_off()
    return figure
