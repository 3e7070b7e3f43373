"""`flowspec diagnose --survey`: what a model makes of a simulated survey, in bins and figures."""

from argparse import Namespace

import numpy as np
from astropy.table import QTable, Table, vstack
from tqdm import tqdm

from flowspec import plots
from flowspec.check.hours import hours_table
from flowspec.check.redshift import purity_completeness, reliability
from flowspec.check.survey import LABELS, NEEDED, TYPES, answers, is_right, report
from flowspec.cli.inputs import reading
from flowspec.cli.outputs import make_folder, save, write_table
from flowspec.data.spectra import Spectra
from flowspec.io.hdf5 import parameter_names, stream
from flowspec.io.source import blaming
from flowspec.plots import survey as plots_survey
from flowspec.posterior.load import load
from flowspec.prior.galaxies import moons_prior
from flowspec.sim.galaxy.simulator import GalaxySimulator
from flowspec.sim.instrument.moons import load_channels, moons
from flowspec.sim.survey.line_snr import strongest_line_snr

_ROWS = 512  # in memory at once
_SHOWN = ("all", "t_exp", "quiescent", "m_h")


def run(args: Namespace) -> None:
    """Print the report and write it with its figures to a folder.

    Raises:
        ValueError: On a model without the labels of a survey, or a file that is none.
        OSError: If the folder cannot be written.
    """
    if args.noise_from:
        raise ValueError("expected no --noise-from: a survey has its noise in it")
    posterior = load(args.model)
    lacking = [n for n in ("z", *LABELS) if n not in posterior.names]
    if lacking:
        raise ValueError(f"{args.model}: expected a model of {', '.join(lacking)} too")
    _check(args.survey)
    folder = make_folder(args.output)
    truth, answer = _answered(args, posterior)
    table, hours = report(truth, answer), hours_table(truth, answer)
    print(f"{args.model}: {len(truth)} spectra, {args.num_samples} samples each")
    print_survey(table)
    write_table(table, folder / "survey.ecsv")
    write_table(hours, folder / "hours.ecsv")
    figures = draw_survey(table, hours)
    figures["survey_confidence"] = draw_confidence(
        np.asarray(answer["z_prob"]), is_right(truth, answer)
    )
    for name, figure in figures.items():
        save(figure, folder / f"{name}.png")
    written = ["survey.ecsv", "hours.ecsv", *(f"{name}.png" for name in figures)]
    print(f"written to {folder}: {', '.join(written)}")


def _check(path: str) -> None:
    """Whether the file has the columns of a survey."""
    names = parameter_names(path)
    lacking = [n for n in (*moons_prior().names, *NEEDED) if n not in names]
    if lacking:
        raise ValueError(
            f"{path}: expected a survey, as of 'flowspec simulate moons'; theta has no column "
            f"{', '.join(dict.fromkeys(lacking))}"
        )


def _answered(args: Namespace, posterior) -> tuple[Table, Table]:
    """Truths and answers of the first `args.n` rows, as `flowspec.check.survey` has them."""
    sim = GalaxySimulator(moons(40))  # of the galaxies: its pixels are of no matter
    names, parts, done = parameter_names(args.survey), [], 0
    options = {"n": args.num_samples, "seed": args.seed, "with_samples": True}
    with tqdm(total=args.n, unit="spectra", disable=args.quiet or None) as bar:
        for obs, theta in stream(args.survey, _ROWS, theta=True, **reading(args)):
            obs, theta = obs[: args.n - done], theta[: args.n - done]
            with blaming(args.survey):
                table, draws = posterior.summarize(obs, **options, first=done)
            answer = answers(draws, posterior.names, table["z_best"], table["z_prob"])
            parts.append((truths(sim, theta, names, obs), answer))
            done += len(obs)
            bar.update(len(obs))
            if done == args.n:
                break
    if not parts:
        raise ValueError(f"{args.survey}: expected spectra; got no rows")
    truth, answer = (vstack(list(tables)) for tables in zip(*parts, strict=True))
    return truth, answer


def truths(
    sim: GalaxySimulator, theta: np.ndarray, names: tuple[str, ...], obs: Spectra
) -> Table:
    """What is known of simulated spectra, as `flowspec.check.survey` has it.

    Args:
        sim: For the light of the lines.
        theta: Parameters and what a survey adds to them [rows, columns].
        names: Of these columns.
        obs: The spectra, for their inverse variance.
    """
    channels = load_channels()
    lsf = np.interp(obs.wave, channels.wave, channels.lsf)
    own = theta[:, [names.index(n) for n in sim.prior.names]]
    table = Table({name: theta[:, names.index(name)] for name in NEEDED})
    table["line_snr"] = strongest_line_snr(sim, own, obs.wave, lsf, obs.ivar)
    return table


def print_survey(table: QTable) -> None:
    """The table of `flowspec.check.survey.report`, in short."""
    rows = table[np.isin(table["group"], ["all", "moonrise"]) & np.isin(table["quantity"], _SHOWN)]
    names = ["group", "quantity", "low", "high", "n", "success", "purity_90", "completeness_90"]
    names += [f"{n}_{s}" for n in LABELS for s in ("offset", "nmad", "inside_68")]
    short = Table(rows[names])
    for name in names[5:]:
        short[name].info.format = ".3f"
    print(*short.pformat(max_lines=-1, max_width=-1), sep="\n")


def draw_survey(table: QTable, hours: QTable) -> dict[str, plots.Figure]:
    """All figures by name.

    Args:
        table: Of `flowspec.check.survey.report`.
        hours: Of `flowspec.check.hours.hours_table`.
    """
    times = [f"{t:g} h" for t in hours.meta["t_exp"]]
    figures = {}
    figures["survey_success"], ((exposure, kind), (redshift, lines)) = plots.canvas(2, 2)
    plots_survey.success(exposure, table, times, "m_h")
    plots_survey.published(exposure)
    plots_survey.success(kind, table, (*TYPES, "moonrise"), "m_h")
    plots_survey.published(kind)
    plots_survey.success(redshift, table, TYPES, "z")
    plots_survey.success(lines, table, times, "line_snr")
    figures["survey_labels"], axes = plots.canvas(len(LABELS), 3)
    for (offset, nmad, inside), name in zip(axes, LABELS, strict=True):
        plots_survey.label_error(offset, table, name, "offset")
        plots_survey.label_error(nmad, table, name, "nmad")
        plots_survey.label_coverage(inside, table, name)
    figures["survey_hours"], axes = plots.canvas(1, len(TYPES))
    for ax, kind in zip(axes[0], TYPES, strict=True):
        plots_survey.hours(ax, hours, kind)
    return figures


def draw_confidence(probability: np.ndarray, right: np.ndarray) -> plots.Figure:
    """Whether probabilities hold, and what keeping the best redshifts costs.

    Args:
        probability: That each redshift is right [rows].
        right: Whether it is [rows].
    """
    figure, axes = plots.canvas(1, 2)
    plots.reliability(axes[0, 0], reliability(probability, right, np.linspace(0, 1, 21)))
    curve, expected = (purity_completeness(probability, r) for r in (right, probability))
    plots.purity_completeness(axes[0, 1], curve, len(right), expected=expected)
    return figure
