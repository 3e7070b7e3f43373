"""Figures: one function each, arrays and an Axes in, the same Axes out.

Colours are those of Okabe & Ito, which colour-blind readers can tell apart. Nothing here touches
pyplot's state, needs a display, or knows a model: `canvas` makes a figure to save.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Num
from matplotlib.axes import Axes

from flowspec.check.calibration import Tarp, ks_critical, share_below
from flowspec.check.redshift import PurityCompleteness, Reliability, wilson
from flowspec.plots.style import BLUE, COLOURS, DASHES, GREY, ORANGE, RED, SKY
from flowspec.prior.parameters import label


def curves(
    ax: Axes, x: Float[np.ndarray, " points"], y: Float[np.ndarray, "points params"],
    names: Sequence[str],
) -> Axes:
    """One curve per parameter, named in a legend beside the frame, where it hides nothing."""
    for p, name in enumerate(names):
        ax.plot(x, y[:, p], label=label(name), color=COLOURS[p % 7], ls=DASHES[p // 7 % 4])
    ax.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1.02))
    return ax


def pit_ecdf(ax: Axes, u: Float[np.ndarray, "batch params"], names: Sequence[str]) -> Axes:
    """Cumulative PIT of each parameter minus the uniform one, with its simultaneous 95 % band."""
    grid = np.linspace(0, 1, 201)
    band = ks_critical(max(int(np.min(np.sum(~np.isnan(u), axis=0))), 1))
    ax.axhspan(-band, band, color="0.9", lw=0, label="95 % if calibrated")
    ax.axhline(0, color="black", lw=0.8)
    ax.set(xlim=(0, 1), xlabel="PIT", ylabel="cumulative share − PIT")
    return curves(ax, grid, share_below(u, grid) - grid[:, None], names)


def departures(
    axes: Sequence[Axes] | np.ndarray, u: Float[np.ndarray, "batch params"], names: Sequence[str]
) -> Sequence[Axes] | np.ndarray:
    """A panel per parameter: by how much shares of truths differ from those of a calibrated model.

    One curve is of the truths below a quantile of the posterior: above zero throughout where the
    posterior lies too high. The other is of those inside its central interval: below zero where the
    posterior is too narrow. Both stay in the same band in 95 % of tests of a calibrated model.

    Args:
        axes: One per parameter, on one scale.
        u: PIT of every truth, NaN where there is none.
        names: Of the parameters.
    """
    grid = np.linspace(0, 1, 201)
    band = ks_critical(max(int(np.min(np.sum(~np.isnan(u), axis=0))), 1))
    below, inside = (share_below(x, grid) - grid[:, None] for x in (u, 2 * np.abs(u - 0.5)))
    reach = 1.15 * max(band, np.nanmax(np.abs(below)), np.nanmax(np.abs(inside)))
    for ax, p in zip(axes, range(len(names)), strict=True):
        ax.axhspan(-band, band, color="0.9", lw=0, label="95 % if calibrated")
        ax.axhline(0, color="black", lw=0.8)
        ax.plot(grid, below[:, p], color=BLUE, label="below a quantile: offset")
        ax.plot(grid, inside[:, p], color=ORANGE, ls="--", label="in an interval: width")
        worst = max(np.abs(below[:, p]).max(), np.abs(inside[:, p]).max())
        ax.set_title(f"{label(names[p])}:  {worst:.3f}", fontsize=9)
        ax.set(xlim=(0, 1), ylim=(-reach, reach))
        ax.tick_params(labelsize=7)
    return axes


def joint_departure(ax: Axes, curve: Tarp) -> Axes:
    """Joint coverage of all parameters (TARP) minus the credible level, as in `departures`.

    The band is the 95 % bootstrap range of the curve: calibrated where it holds zero.
    """
    low, middle, high = (x - curve.levels for x in (curve.low, curve.coverage, curve.high))
    ax.fill_between(curve.levels, low, high, color=SKY, alpha=0.6, lw=0)
    ax.plot(curve.levels, middle, color=BLUE)
    ax.axhline(0, color="black", lw=0.8)
    reach = 1.15 * max(np.abs([low, high]).max(), 1e-3)
    ax.set_title(f"all at once (TARP):  {curve.deviation:.3f}", fontsize=9)
    ax.set(xlim=(0, 1), ylim=(-reach, reach))
    ax.tick_params(labelsize=7)
    return ax


def diagonal(ax: Axes) -> Axes:
    """The unit square and the diagonal on which a calibrated posterior lies."""
    ax.plot([0, 1], [0, 1], color="black", lw=0.8, ls="--")
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="credible level",
           ylabel="share of truths inside")
    return ax


def coverage(
    ax: Axes, levels: Float[np.ndarray, " levels"], share: Float[np.ndarray, "levels params"],
    names: Sequence[str],
) -> Axes:
    """Share of truths inside the central intervals of each level, per parameter."""
    return curves(diagonal(ax), levels, share, names)


def tarp(ax: Axes, curve: Tarp) -> Axes:
    """Joint coverage of all parameters (TARP) with its 95 % bootstrap range."""
    diagonal(ax)
    ax.fill_between(curve.levels, curve.low, curve.high, color=SKY, alpha=0.6, lw=0,
                    label="95 % of bootstraps")
    ax.plot(curve.levels, curve.coverage, color=BLUE, label=f"TARP, off by {curve.deviation:.3f}")
    ax.legend(fontsize=8, frameon=False, loc="upper left")
    return ax


def reliability(ax: Axes, points: Reliability) -> Axes:
    """Share of right redshifts against the probability stated, with 68 % binomial intervals."""
    diagonal(ax)
    arms = np.abs(points.share - np.stack([points.low, points.high]))
    ax.errorbar(points.probability, points.share, arms, fmt="o-", ms=4, lw=1, color=BLUE,
                ecolor=SKY, label=f"calibration error {points.error:.3f}")
    ax.set(xlabel="probability that the redshift is right", ylabel="share of right redshifts")
    ax.legend(fontsize=8, frameon=False, loc="upper left")
    return ax


def purity_completeness(
    ax: Axes, curve: PurityCompleteness, n: int, *,
    expected: PurityCompleteness | None = None, marks: Sequence[float] = (0.5, 0.9, 0.99),
) -> Axes:
    """Purity against completeness of `n` redshifts kept above a threshold, with 68 % intervals.

    `expected` is the curve if the probabilities are exact; thresholds `marks` are pointed out.
    """
    low, high = wilson(curve.purity, curve.kept * n)
    ax.fill_between(curve.completeness, low, high, color=SKY, alpha=0.6, lw=0)
    ax.plot(curve.completeness, curve.purity, color=BLUE, label="measured")
    if expected is not None:
        ax.plot(expected.completeness, expected.purity, color=RED, ls="--", lw=1,
                label="expected of the probabilities")
    count = [np.sum(curve.threshold >= mark) for mark in marks]
    shown = [(mark, n - 1) for mark, n in zip(marks, count, strict=True) if n]
    places = [(curve.completeness[i], curve.purity[i]) for _, i in shown]
    ax.plot(*np.reshape(places, (-1, 2)).T, "o", ms=4, color=BLUE, label="least probability kept")
    for (mark, _), place in zip(shown, places, strict=True):
        ax.annotate(f"{mark:g}", place, (-3, -3), textcoords="offset points", fontsize=8,
                    rotation=45, rotation_mode="anchor", ha="right", va="center")
    span = 1 - curve.purity[-1]  # few rows, at the left, must not set the scale
    ax.set(xlabel="completeness: share of right redshifts kept", xlim=(0, 1.02),
           ylabel="purity: share of kept redshifts right",
           ylim=(curve.purity[-1] - 0.2 * span, 1 + 0.04 * span))
    ax.legend(fontsize=8, frameon=False, loc="lower left")
    return ax


def recovered(
    ax: Axes, truth: Float[np.ndarray, " batch"], quantiles: Float[np.ndarray, "3 batch"], name: str
) -> Axes:
    """Recovered against true values: medians, 68 % intervals; median offset, NMAD about it."""
    low, median, high = quantiles
    ax.errorbar(truth, median, [median - low, high - median], fmt=".", ms=4, lw=0.6, color=BLUE,
                ecolor=SKY, alpha=min(1.0, 8 / np.sqrt(len(truth))))
    both = np.concatenate([truth, median])
    ends = np.array([np.nanmin(both), np.nanmax(both)])
    ends += 0.05 * (np.ptp(ends) or 1.0) * np.array([-1, 1])
    ax.plot(ends, ends, color="black", lw=0.8, ls="--")
    offset = np.nanmedian(median - truth)
    nmad = 1.4826 * np.nanmedian(np.abs(median - truth - offset))
    ax.text(0.04, 0.96, f"median offset {offset:+.2g}\nNMAD {nmad:.2g}", transform=ax.transAxes,
            va="top", fontsize=8)
    ax.set(xlim=ends, ylim=ends, aspect="equal", xlabel=f"true {label(name)}",
           ylabel=f"recovered {label(name)}")
    return ax


def training(
    ax: Axes, steps: Num[np.ndarray, " records"], loss: Float[np.ndarray, " records"],
    validation: Float[np.ndarray, " records"],
) -> Axes:
    """Training and validation loss against the step; NaN where one was not measured."""
    ax.plot(steps, loss, color=SKY, lw=1, label="training")
    measured = ~np.isnan(validation)
    ax.plot(steps[measured], validation[measured], color=RED, marker="o", ms=3, label="validation")
    if measured.any():
        best = np.nanargmin(validation)
        ax.axvline(steps[best], color=GREY, lw=0.8, ls=":", label=f"best: {validation[best]:.3f}")
    top = np.nanpercentile(np.concatenate([loss, validation]), 97)  # the first steps are far off
    ax.set(xlabel="step", ylabel=r"loss: mean $-\ln q$", ylim=(None, top))
    ax.legend(fontsize=8, frameon=False, loc="upper right")
    return ax
