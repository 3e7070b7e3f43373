"""Figures of spectra and of their posteriors: one function each, arrays and an Axes in."""

from collections.abc import Mapping, Sequence

import corner as corner_package
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flowspec.plots.style import BLUE, FLUX, RED, SKY, mark_lines
from flowspec.prior.parameters import label


def spectrum(
    ax: Axes, wave: Float[np.ndarray, " pixels"], flux: Float[np.ndarray, " pixels"],
    ivar: Float[np.ndarray, " pixels"], *,
    predicted: Float[np.ndarray, "samples pixels"] | None = None,
    z: float | None = None, lines: Mapping[str, float] | None = None,
) -> Axes:
    """A spectrum with gaps where `ivar == 0`; the posterior-predictive band over it.

    `wave` is observed, in Å; fluxes are in 1e-17 erg/s/cm²/Å. `predicted` are noiseless spectra of
    posterior samples. Spectral `lines` (name to rest wavelength, else `LINES`) are marked at `z`.
    """
    good = ivar > 0
    data = np.where(good, flux, np.nan)
    ax.plot(wave, data, color="0.6", lw=0.6, drawstyle="steps-mid", label="observed")
    seen = [np.percentile(flux[good], [0.2, 99.8])] if good.any() else []
    if not good.any():
        ax.text(0.5, 0.5, "no data", transform=ax.transAxes, ha="center", color="0.3")
    if predicted is not None:
        q = np.nanpercentile(predicted, [2.5, 16, 50, 84, 97.5], axis=0)
        ax.fill_between(wave, q[0], q[4], color=SKY, alpha=0.35, lw=0, label="95 %")
        ax.fill_between(wave, q[1], q[3], color=SKY, alpha=0.8, lw=0, label="68 %")
        ax.plot(wave, q[2], color=BLUE, lw=0.9, label="model median")
        seen.append([np.nanmin(q[2]), np.nanmax(q[2])])
    if seen:  # single bad pixels must not set the scale, emission lines may
        low, high = np.min(seen), np.max(seen)
        ax.set_ylim(low - 0.08 * (high - low), high + 0.2 * (high - low))
    ax.set(xlim=(wave[0], wave[-1]), xlabel="observed wavelength [Å]", ylabel=FLUX)
    ax.legend(fontsize=8, ncols=4, facecolor="white", edgecolor="none", loc="upper right")
    return ax if z is None else mark_lines(ax, z, lines)


def redshift_pdf(
    ax: Axes, edges: Float[np.ndarray, " edges"], density: Float[np.ndarray, "batch bins"], *,
    truth: Float[np.ndarray, " batch"] | None = None, names: Sequence[str] | None = None,
) -> Axes:
    """Redshift posteriors, one above the other, each scaled to its peak.

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
                    label=None if row else "truth")
    ax.set_yticks(np.arange(rows)[::-1] + 0.3, names or [""] * rows, fontsize=8)
    ax.tick_params(axis="y", length=0)
    limits = np.clip([shown.min() - margin, shown.max() + margin], edges[0], edges[-1])
    ax.set(xlim=limits, ylim=(-0.05, rows), xlabel=label("z"), ylabel="density / its peak")
    if truth is not None:
        ax.legend(fontsize=8, frameon=False, loc="lower right", bbox_to_anchor=(1, 1))
    return ax


def corner(
    samples: Float[np.ndarray, "samples params"], names: Sequence[str], *,
    truth: Float[np.ndarray, " params"] | None = None,
    others: Float[np.ndarray, "others params"] | None = None,
) -> Figure:
    """Corner plot of one object's posterior: 39 and 86 % contours (1 and 2σ of a plane), truth.

    `others` are draws to compare it with, such as those of the exact posterior, as black lines.
    """
    size = 1.8 * len(names) + 1.2
    figure = corner_package.corner(
        samples, labels=[label(n) for n in names], truths=truth, truth_color=RED,
        color=BLUE, levels=(0.393, 0.865), quantiles=(0.16, 0.5, 0.84), smooth=1.0, bins=30,
        max_n_ticks=3, plot_datapoints=False, fill_contours=True, labelpad=0.1,
        fig=Figure(figsize=(size, size)),
    )
    if others is not None:
        corner_package.corner(
            others, color="black", levels=(0.393, 0.865), smooth=1.0, bins=30, fig=figure,
            no_fill_contours=True, plot_density=False, plot_datapoints=False, max_n_ticks=3,
            weights=np.full(len(others), len(samples) / len(others)),
        )
    figure.subplots_adjust(1 / size, 1 / size, 1 - 0.15 / size, 1 - 0.3 / size)
    for ax, column in zip(figure.axes[:: len(names) + 1], np.transpose(samples), strict=True):
        ax.set_title(interval(*np.percentile(column, [16, 50, 84])), fontsize=9)
    return figure


def interval(low: float, median: float, high: float) -> str:
    """Median and 68 % interval as text, to two digits of its shorter arm."""
    arm = max(min(high - median, median - low), 1e-12)
    digits = max(0, 1 - int(np.floor(np.log10(arm))))
    return rf"${median:.{digits}f}^{{+{high - median:.{digits}f}}}_{{-{median - low:.{digits}f}}}$"
