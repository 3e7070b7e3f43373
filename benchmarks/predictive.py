"""Which lines of real nebulae the models give: what `flowspec.check.predictive` needs and finds."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

import flowspec as fs
from flowspec import plots
from flowspec.check.predictive import Predictive, left_out, predict, report
from flowspec.cli.outputs import save
from flowspec.plots import lines as plots_lines


def check(draw, sim, obs: fs.Lines, *, dereddened: bool) -> dict[str, Predictive]:
    """Lines predicted from all of them, and from all others."""
    obs = obs.select(sim.lines)
    return {
        "used": predict(sim, *draw(obs), obs, dereddened=dereddened),
        "left out": left_out(draw, sim, obs, dereddened=dereddened),
    }


def scores(found: Mapping[str, Predictive], sim, obs: fs.Lines, assumed=()) -> dict:
    """By line, what `report` says; but of lines whose ratio was assumed, not measured."""
    results = {}
    for name, predicted in found.items():
        for row in report(predicted, obs, sim.lines):
            if row["line"] not in assumed:
                values = {n: row[n].item() for n in row.colnames[1:] if np.isfinite(row[n])}
                results.setdefault(str(row["line"]), {})[name] = values
    return results


def draw_residuals(folder, panels: Mapping[str, tuple]) -> None:
    """predictive.png: a panel for each title, of what `check` found and the lines in it."""
    figure, axes = plots.canvas(-(-len(panels) // 2), 2, size=(6.0, 4.4))
    for ax, (title, (found, lines, shown)) in zip(axes.flat, panels.items(), strict=True):
        kept = [i for i, line in enumerate(lines) if line in shown]
        sets = {name: p.residual[:, kept] for name, p in found.items()}
        names = {"used": "predicted from all lines", "left out": "predicted from the others"}
        plots_lines.residuals(
            ax, [lines[i] for i in kept], {names[n]: values for n, values in sets.items()}
        )
        ax.set_title(title, fontsize=10, loc="right")
    save(figure, Path(folder) / "predictive.png")
