"""Which lines of real nebulae the models give: what `flowspec.check.predictive` needs and finds."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks import harness
from flowspec import plots, plots_lines
from flowspec.check.predictive import Predictive, left_out, predict, report
from flowspec.cli.outputs import save
from flowspec.io import read_grid
from flowspec.lines import Lines
from flowspec.sim.grid import mappings
from flowspec.sim.nebula_lines import NebulaSimulator

GRIDS = "grids/hcm_cloudy17/optical/C17_{}.dat.gz"
FILES = {  # of the sources of the `cloudy` model
    "POPSTAR": "POPSTAR_1myr", "BPASS": "BPASS_IMF135_mup300_1myr",
    "AGN08": "AGN_alpha08_efrac02_CNfix", "AGN12": "AGN_alpha12_efrac02_CNfix",
    "AGN16": "AGN_alpha16_efrac02_CNfix", "AGN20": "AGN_alpha20_efrac02_CNfix",
    "ADAF": "ADAF_efrac02_CNfix", "PAGB50": "PAGB_T50kk_efrac02_CNfix",
    "PAGB100": "PAGB_T100kk_efrac02_CNfix", "PAGB150": "PAGB_T150kk_efrac02_CNfix",
}  # fmt: skip


def simulator(posterior) -> NebulaSimulator:
    """What the shipped model was trained on.

    Raises:
        ValueError: On a model of other sources or parameters.
    """
    grids = {"nebula": mappings()}
    if posterior.sources != ("nebula",):
        unknown = set(posterior.sources) - set(FILES)
        if unknown:
            raise ValueError(f"expected sources among {sorted(FILES)}; got {sorted(unknown)}")
        folder = harness.data_folder()
        grids = {s: read_grid(folder / GRIDS.format(FILES[s])) for s in posterior.sources}
    sim = NebulaSimulator(grids, posterior.lines)
    if sim.names != posterior.names:
        raise ValueError(f"expected parameters {sim.names}; got {posterior.names}")
    return sim


def check(draw, sim, obs: Lines, *, dereddened: bool) -> dict[str, Predictive]:
    """Lines predicted from all of them, and from all others."""
    obs = obs.select(sim.lines)
    return {
        "used": predict(sim, *draw(obs), obs, dereddened=dereddened),
        "left out": left_out(draw, sim, obs, dereddened=dereddened),
    }


def scores(found: Mapping[str, Predictive], sim, obs: Lines, assumed=()) -> dict:
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
