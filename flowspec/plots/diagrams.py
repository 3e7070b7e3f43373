"""Diagnostic diagrams of emission lines: what ionises the gas (Baldwin, Phillips & Terlevich 1981;
Veilleux & Osterbrock 1987)."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from flowspec.data.excitation import BOUNDARIES, ORDINATE
from flowspec.data.line_ratios import found, ratios
from flowspec.data.lines import Lines, State
from flowspec.plots.lines import line_label
from flowspec.plots.style import BLUE, GREY, ORANGE, RED


class Diagram(NamedTuple):
    """One diagram.

    Attributes:
        over: Lines whose ratio is on the abscissa.
        limits: Of the abscissa.
        regions: Name to its place.
    """

    over: tuple[str, str]
    limits: tuple[float, float]
    regions: dict[str, tuple[float, float]]


DIAGRAMS = {
    "NII": Diagram(
        ("[NII]6584", "Halpha"), (-2.0, 0.9),
        {"star formation": (-1.4, -0.5), "composite": (0.0, -0.85), "AGN": (0.25, 1.05)},
    ),
    "SII": Diagram(
        ("[SII]6717,6731", "Halpha"), (-1.6, 0.7),
        {"star formation": (-1.1, -0.5), "Seyfert": (-0.5, 1.2), "LINER": (0.3, 0.3)},
    ),
}  # fmt: skip
DIVISION = 1.89, 0.76  # of Seyferts from LINERs, slope and zero (Kewley et al. 2006, equation 7)


def excitation(ax: Axes, obs: Lines, row: int, diagram: str = "NII") -> Axes:
    """An object in a diagram, with what divides its regions; arrows are limits.

    Lines of each pair are neighbours: dust hardly moves a point. A line below `FAINT` standard
    deviations is an upper limit too, of its flux (or 0) and as many more.

    Args:
        ax: Where to.
        obs: The catalogue.
        row: Which of its objects.
        diagram: A name of `DIAGRAMS`.
    """
    over, limits, regions = DIAGRAMS[diagram]
    for (name, (a, b, c)), style in zip(BOUNDARIES[over[0]].items(), ("-", "--"), strict=False):
        x = np.linspace(limits[0], b - 0.05, 200)
        ax.plot(x, a / (x - b) + c, color=GREY, lw=1, ls=style, label=name)
    if "LINER" in regions:
        x = np.array([-0.3, limits[1]])
        ax.plot(x, DIVISION[0] * x + DIVISION[1], color=GREY, lw=1, ls=":", label="Kewley+06")
    for name, place in regions.items():
        turn = 90 if name == "composite" else 0  # it is narrow
        ax.text(*place, name, fontsize=8, color="0.5", ha="center", va="center", rotation=turn)
    one = obs[[row]]
    (x, x_err, x_kind), (y, y_err, y_kind) = (
        (r.value[0], r.error[0], r.limit[0]) for r in (ratios(one, *over), ratios(one, *ORDINATE)))
    if np.isfinite([x, y]).all():
        inside = np.clip([x, y], [limits[0] + 0.05, -1.25], [limits[1] - 0.05, 1.45])
        colour = BLUE if np.array_equal(inside, [x, y]) else ORANGE
        ax.errorbar(*inside, 0.15 if y_kind else y_err, 0.15 if x_kind else x_err, fmt="o", ms=6,
                    color=colour, lw=1.5, zorder=3, xuplims=x_kind < 0, xlolims=x_kind > 0,
                    uplims=y_kind < 0, lolims=y_kind > 0)
        if colour == ORANGE:
            ax.text(0.5, 0.02, f"beyond the axes, at {x:.2f}, {y:.2f}", fontsize=8, color=RED,
                    ha="center", transform=ax.transAxes)
    else:
        lacking = [line_label(n) for n in (*over, *ORDINATE) if not found(one, n).known[0]]
        why = "not measured: " + ", ".join(lacking) if lacking else "limits above and below"
        ax.text(0.5, 0.02, why, fontsize=8, color=RED, ha="center", transform=ax.transAxes)
    ax.set(xlim=limits, ylim=(-1.3, 1.5), xlabel=_of_ratio(over), ylabel=_of_ratio(ORDINATE))
    ax.legend(fontsize=7, frameon=False, loc="lower left")
    return ax


def fluxes(
    ax: Axes, obs: Lines, row: int, predicted: np.ndarray | None = None,
    sigma: np.ndarray | None = None,
) -> Axes:  # fmt: skip
    """Lines as measured, over their sum, and as the posterior predicts them; arrows are limits.

    Args:
        ax: Where to.
        obs: The catalogue, with the lines of the model.
        row: Which of its objects.
        predicted: Flux of each line in the unit of the catalogue [lines], NaN where there is none.
        sigma: Its standard deviation.
    """
    flux, err, state = (np.asarray(a[row], float) for a in (obs.flux, obs.err, obs.state))
    kept = np.flatnonzero(state != State.ABSENT)
    unit = np.nansum(np.where(state == State.MEASURED, np.maximum(flux, 0), 0)) or 1.0
    x, measured = np.arange(len(kept)), state[kept] == State.MEASURED
    y, low = flux[kept] / unit, err[kept] / unit
    ax.errorbar(x[measured], y[measured], low[measured], fmt="o", ms=4, color="0.25",
                label="measured")
    if not measured.all():
        ax.errorbar(x[~measured], y[~measured], 0.3 * y[~measured], fmt="_", color="0.25",
                    uplims=True, label="upper limit, 3σ")
    if predicted is not None:
        ax.errorbar(x + 0.25, predicted[kept] / unit, sigma[kept] / unit, fmt="s", ms=4,
                    color=BLUE, label="predicted for a second measurement")
    shown = np.concatenate([y, [] if predicted is None else predicted[kept] / unit])
    shown = shown[np.isfinite(shown) & (shown > 0)]
    if len(shown):
        ax.set_yscale("log")
        ax.set_ylim(0.3 * shown.min(), 3 * shown.max())
    ax.set_xticks(x, [line_label(obs.lines[i]) for i in kept], rotation=45, ha="right",
                  rotation_mode="anchor", fontsize=8)
    ax.set(ylabel="flux / sum of measured lines", xlim=(-0.6, len(kept) - 0.4))
    ax.legend(fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    return ax


def _of_ratio(pair: tuple[str, str]) -> str:
    return f"log {line_label(pair[0])} / {line_label(pair[1])}"
