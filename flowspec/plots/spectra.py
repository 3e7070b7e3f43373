"""Figures of spectra and of their posteriors: one function each, arrays and an Axes in."""

from collections.abc import Mapping, Sequence

import corner as corner_package
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from flowspec.plots.limits import flux_limits, tell_beyond
from flowspec.plots.style import BLUE, FLUX, RED, SKY, mark_lines
from flowspec.prior.parameters import label

SMALL = 1.6  # inches per parameter of a corner plot, below which text shrinks


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
    drawn = []
    if not good.any():
        ax.text(0.5, 0.5, "no data", transform=ax.transAxes, ha="center", color="0.3")
    if predicted is not None:
        q = np.nanpercentile(predicted, [2.5, 16, 50, 84, 97.5], axis=0)
        ax.fill_between(wave, q[0], q[4], color=SKY, alpha=0.35, lw=0, label="95 %")
        ax.fill_between(wave, q[1], q[3], color=SKY, alpha=0.8, lw=0, label="68 %")
        ax.plot(wave, q[2], color=BLUE, lw=0.9, label="model median")
        drawn.append(q[2])
    low, high = flux_limits(flux, ivar, *drawn)
    ax.set_ylim(low - 0.08 * (high - low), high + 0.2 * (high - low))
    tell_beyond(ax, flux, ivar)
    ax.set(xlim=(wave[0], wave[-1]), xlabel="observed wavelength [Å]", ylabel=FLUX)
    ax.legend(fontsize=8, ncols=4, facecolor="white", edgecolor="none", loc="upper right")
    return ax if z is None else mark_lines(ax, z, lines)


def corner(
    samples: Float[np.ndarray, "samples params"], names: Sequence[str], *,
    truth: Float[np.ndarray, " params"] | None = None,
    others: Float[np.ndarray, "others params"] | None = None,
    figure: FigureBase | None = None, size: float | None = None,
) -> FigureBase:
    """Corner plot of one object's posterior: 39 and 86 % contours (1 and 2σ of a plane), truth.

    Args:
        samples: Draws.
        names: Of the parameters.
        truth: Their true values, if they are known.
        others: Draws to compare with, such as those of the exact posterior, as black lines.
        figure: Square and empty, to draw into, such as a part of a larger one; made if None.
        size: Of the figure, in inches: over four parameters want 1.8 each.
    """
    size = size or 1.8 * len(names) + 1.2
    figure = figure or Figure(figsize=(size, size))
    corner_package.corner(
        samples, labels=[label(n) for n in names], truths=truth, truth_color=RED,
        color=BLUE, levels=(0.393, 0.865), quantiles=(0.16, 0.5, 0.84), smooth=1.0, bins=30,
        max_n_ticks=3, plot_datapoints=False, fill_contours=True, labelpad=0.1, fig=figure,
        range=_ranges(samples, truth),
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
    if size / len(names) < SMALL:
        for ax in figure.axes:
            ax.tick_params(labelsize=7, pad=1)
            for axis, place in ((ax.xaxis, (0.5, -0.52)), (ax.yaxis, (-0.52, 0.5))):
                axis.label.set_fontsize(8)
                axis.set_label_coords(*place)
    return figure


def _ranges(samples, truth) -> list[tuple[float, float]]:
    """Middle 99.6 % of the draws and a margin, and the truth; wider where all draws are one."""
    low, high = np.percentile(samples, [0.2, 99.8], axis=0)
    if truth is not None:
        low, high = np.fmin(low, truth), np.fmax(high, truth)
    margin = np.maximum(0.05 * (high - low), 1e-6 * np.maximum(np.abs(low), 1e-6))
    return list(zip(low - margin, high + margin, strict=True))


def interval(low: float, median: float, high: float) -> str:
    """Median and 68 % interval as text, to two digits of its shorter arm."""
    arm = max(min(high - median, median - low), 1e-12)
    digits = max(0, 1 - int(np.floor(np.log10(arm))))
    return rf"${median:.{digits}f}^{{+{high - median:.{digits}f}}}_{{-{median - low:.{digits}f}}}$"
