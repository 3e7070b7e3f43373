"""Figures of redshift posteriors: one object on a scale that shows every peak, or many stacked."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from flowspec.plots.style import BLUE, RED, SKY
from flowspec.prior.parameters import label
from flowspec.sim.instrument.lattice import C_KMS

BINS = 100  # at most, of which each joins some of the model's
LEAST = 1e-4  # probability per bin at the bottom of the axis
NEAR = 0.01  # redshifts closer to the best one count as right, and are in the inset


def redshift_peaks(
    ax: Axes, edges: Float[np.ndarray, " edges"], density: Float[np.ndarray, " bins"],
    draws: Float[np.ndarray, " draws"], best: float, *, truth: float | None = None,
) -> Axes:  # fmt: skip
    """The posterior of one redshift: probability per bin of the prior's range, the best peak inset.

    The axis of probability is logarithmic, so that a second redshift of a thousandth is seen. The
    inset has the draws within 0.01 of `best`, as a velocity from it.

    Args:
        ax: Where to.
        edges: Of the model's redshift bins.
        density: Per unit redshift in them.
        draws: Redshifts drawn from the posterior.
        best: The best redshift.
        truth: The true one, if it is known.
    """
    first = np.arange(0, len(density), -(-len(density) // BINS))  # no bin is cut
    wide = edges[np.append(first, len(density))]
    share = np.maximum(np.add.reduceat(density * np.diff(edges), first), 0.1 * LEAST)
    ax.stairs(share, wide, baseline=0.1 * LEAST, fill=True, fc=SKY, ec=BLUE, lw=0.8)
    ax.set_yscale("log")
    if truth is not None:
        ax.axvline(truth, color=RED, lw=1.2, ls="--", label="true redshift", zorder=0)
        ax.legend(fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
    ax.set(xlim=(edges[0], edges[-1]), ylim=(LEAST, 2), xlabel=label("z"),
           ylabel=f"probability in bins of about {np.diff(wide).mean():.1g}")
    near = draws[np.abs(draws - best) < NEAR]
    if len(near) >= 50:
        left = best > 0.5 * (edges[0] + edges[-1])
        _best_peak(ax.inset_axes([0.11 if left else 0.5, 0.42, 0.46, 0.5]), near, best, truth)
    return ax


def _best_peak(ax, near, best, truth):
    """Draws about the best redshift, in km/s, with their middle 68 %."""
    speed = C_KMS * (near - best) / (1 + best)
    low, middle, high = np.percentile(speed, [16, 50, 84])
    reach = 4 * max(high - middle, middle - low, 1e-3)
    ax.hist(speed, np.linspace(middle - reach, middle + reach, 25), color=SKY, ec=BLUE, lw=0.5)
    ax.axvspan(low, high, color="0.9", lw=0, zorder=0)
    if truth is not None:
        ax.axvline(C_KMS * (truth - best) / (1 + best), color=RED, lw=1.2, ls="--")
    ax.set(xlim=(middle - reach, middle + reach), yticks=[])
    ax.set_xlabel(f"km/s from z = {best:.5f}", fontsize=8)
    ax.set_title("draws; grey: 68 %", fontsize=8)
    ax.tick_params(labelsize=7)
    ax.locator_params(axis="x", nbins=5)


def redshift_pdf(
    ax: Axes, edges: Float[np.ndarray, " edges"], density: Float[np.ndarray, "batch bins"], *,
    truth: Float[np.ndarray, " batch"] | None = None, names: Sequence[str] | None = None,
) -> Axes:
    """Redshift posteriors, one above the other, each on a scale of its own.

    The first row is on top, `names` stand beside the rows, known redshifts `truth` are marked.
    """
    rows = len(density)
    mass = np.sum(density * np.diff(edges), axis=0).cumsum()
    held = np.interp([0.001, 0.999], mass / mass[-1], edges[1:])
    shown = held if truth is None else np.concatenate([held, truth])
    margin = 0.05 * np.ptp(shown) + 2 * np.max(np.diff(edges))
    for row, values in enumerate(density):
        base = rows - 1 - row
        height = base + 0.85 * values / np.max(values)
        ax.stairs(height, edges, baseline=base, fill=True, fc=SKY + "99", ec=BLUE, lw=0.8)
        if truth is not None:
            ax.plot([truth[row]] * 2, [base, base + 0.92], color=RED, lw=1.2, ls="--",
                    label=None if row else "true redshift")
    ax.set_yticks(np.arange(rows)[::-1] + 0.3, names or [""] * rows, fontsize=8)
    ax.tick_params(axis="y", length=0)
    limits = np.clip([shown.min() - margin, shown.max() + margin], edges[0], edges[-1])
    ax.set(xlim=limits, ylim=(-0.05, rows), xlabel=label("z"),
           ylabel="probability density, scaled to each row's maximum")
    if truth is not None:
        ax.legend(fontsize=8, frameon=False, loc="lower right", bbox_to_anchor=(1, 1))
    return ax
