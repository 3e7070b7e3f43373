"""Figures: one function each, arrays and an Axes in, the same Axes out.

Colours are those of Okabe & Ito, which colour-blind readers can tell apart. Nothing here touches
pyplot's state, needs a display, or knows a model: `canvas` makes a figure to save.
"""

from collections.abc import Mapping, Sequence

import corner as corner_package
import numpy as np
from jaxtyping import Float, Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flowspec.check.calibration import Tarp, ks_critical, share_below
from flowspec.check.redshift import PurityCompleteness, Reliability, wilson

COLOURS = BLUE, ORANGE, GREEN, PINK, SKY, RED, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "0.55",
)
DASHES = ("-", "--", ":", "-.")
LABELS = {
    "z": "redshift $z$",
    "log_mstar": r"$\log\,M_\star\;[\mathrm{M}_\odot]$",
    "log_sfr": r"$\log\,\mathrm{SFR}\;[\mathrm{M}_\odot\,\mathrm{yr}^{-1}]$",
    "log_age": r"$\log\,t_\star\;[\mathrm{Gyr}]$",
    "log_zstar": r"$\log\,Z_\star/Z_\odot$",
    "av": r"$A_V\;[\mathrm{mag}]$",
    "log_u": r"$\log\,U$",
    "oh": r"$12+\log\,\mathrm{O/H}$",
    "no": r"$\log\,\mathrm{N/O}$",
    "log_pk": r"$\log\,P/k\;[\mathrm{K\,cm}^{-3}]$",
    "dispersion": r"$\sigma_\star\;[\mathrm{km\,s}^{-1}]$",
}
FLUX = r"$F_\lambda\;[10^{-17}\,\mathrm{erg\,s^{-1}\,cm^{-2}\,Å^{-1}}]$"
# Rest-frame vacuum wavelengths in angstrom of what an eye looks for first.
LINES = {
    r"Ly$\alpha$": 1215.67, "C IV": 1549.48, "C III]": 1908.73, "Mg II": 2799.12,
    "[O II]": 3728.48, "K": 3934.78, "H": 3969.59, r"H$\beta$": 4862.68, "[O III]": 5008.24,
    "Mg": 5176.63, "Na": 5895.6, r"H$\alpha$": 6564.61, "[S II]": 6725.48,
}


def label(name: str) -> str:
    """Axis label with unit of a parameter; a name not in `LABELS` is its own label."""
    return LABELS.get(name, name)


def canvas(
    rows: int = 1, columns: int = 1, *, size: tuple[float, float] = (5.0, 4.0)
) -> tuple[Figure, np.ndarray]:
    """A figure and its Axes [rows, columns], each of `size` inches, spaced so nothing overlaps."""
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def spread(x: Float[np.ndarray, " marks"], gap: float) -> Float[np.ndarray, " marks"]:
    """The positions closest to increasing `x` with neighbours at least `gap` apart."""
    slots = gap * np.arange(len(x))
    blocks: list[tuple[float, int]] = []  # isotonic regression of x - slots: (mean, length)
    for value in x - slots:
        blocks.append((value, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (b, m), (a, n) = blocks.pop(), blocks.pop()
            blocks.append(((n * a + m * b) / (n + m), n + m))
    return slots + np.concatenate([np.full(n, a) for a, n in blocks] or [slots])


def mark_lines(ax: Axes, z: float, lines: Mapping[str, float] | None = None) -> Axes:
    """Names `lines` (to rest wavelength, Å) above a spectrum whose x limits are final."""
    low, high = ax.get_xlim()
    marks = {n: w * (1 + z) for n, w in (LINES if lines is None else lines).items()}
    marks = {n: w for n, w in sorted(marks.items(), key=lambda m: m[1]) if low < w < high}
    places = spread(np.array(list(marks.values())), 0.022 * (high - low))
    for (name, wave), place in zip(marks.items(), places, strict=True):
        ax.axvline(wave, color=GREY, lw=0.8, ls=":", zorder=0)
        ax.annotate(name, (wave, 1), (place, 1.03), xycoords=ax.get_xaxis_transform(),
                    textcoords=ax.get_xaxis_transform(), rotation=90, fontsize=8, color="0.3",
                    ha="center", va="bottom",
                    arrowprops={"arrowstyle": "-", "color": GREY, "lw": 0.5, "shrinkB": 0})
    return ax


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
