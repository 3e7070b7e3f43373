"""Figures of a survey: the tables of `flowspec.check.survey` and an Axes in, the same Axes out."""

from collections.abc import Sequence

import numpy as np
from astropy.table import Table

from flowspec.check.redshift import wilson
from flowspec.check.survey import PUBLISHED, TYPES
from flowspec.plots.style import BLUE, GREEN, ORANGE, RED, SKY, Axes
from flowspec.prior.parameters import label

QUANTITIES = {
    "m_h": r"$m_H$ [AB mag]",
    "z": label("z"),
    "line_snr": "expected S/N of the strongest line",
}
EXPOSURES = (SKY, BLUE, GREEN, ORANGE)
COLOURS = {TYPES[0]: BLUE, TYPES[1]: RED, "moonrise": "black"}
MARKERS = ("o", "s", "^", "D")
UNITS = {"log_mstar": r"\log\,M_\star", "log_sfr": r"\log\,\mathrm{SFR}"}


def rows_of(table: Table, group: str, quantity: str) -> Table:
    """Rows of a report, in the order of their bins."""
    chosen = (table["group"] == group) & (table["quantity"] == quantity)
    return table[chosen]


def success(ax: Axes, table: Table, groups: Sequence[str], quantity: str) -> Axes:
    """Share of right redshifts against a quantity, a curve with 68 % error bars per group."""
    hours = [g for g in groups if g.endswith(" h")]
    for number, group in enumerate(groups):
        rows = rows_of(table, group, quantity)
        x = np.maximum(rows["middle"], 0.5) if quantity == "line_snr" else rows["middle"]
        share = np.asarray(rows["success"])
        errors = [share - rows["success_low"], rows["success_high"] - share]
        colour = COLOURS.get(group) or EXPOSURES[hours.index(group) % len(EXPOSURES)]
        ax.errorbar(x, share, np.abs(errors), color=colour, lw=1.2, elinewidth=0.9,
                    marker=MARKERS[number % 4], ms=4.5, label=_name(group))
    ax.set(xlabel=QUANTITIES[quantity], ylabel=r"share with $|\Delta z| < 0.01$")
    if quantity == "line_snr":  # in logarithm, where many have none
        ax.set_xscale("log")
        ax.set_xticks([0.5, 1, 10, 100], ["<1", "1", "10", "100"])
    return _shares(ax)


def published(ax: Axes) -> Axes:
    """The success expected by the group of M-TOPnet, over the magnitudes in view."""
    limits = ax.get_xlim()
    ax.plot(*PUBLISHED.T, color="black", ls="--", lw=1.2, zorder=0,
            label="M-TOPnet, development version")
    ax.set_xlim(limits)
    return _shares(ax)


def _shares(ax: Axes) -> Axes:
    """From a tenth below the least share shown to one, and the legend."""
    ax.set_ylim(max(np.floor(10 * ax.dataLim.y0 - 0.5) / 10, -0.02), 1.02)
    ax.legend(fontsize=8, frameon=False)
    return ax


def label_error(ax: Axes, table: Table, name: str, score: str) -> Axes:
    """Median offset or scatter of a label against H magnitude, a curve per type.

    Error bars are those of a median, and of a median deviation, of normal errors.
    """
    known_to = {"offset": 1.2533, "nmad": 1.1664}[score]
    for group, marker in zip(TYPES, MARKERS, strict=False):
        rows = rows_of(table, group, "m_h")
        error = known_to * rows[f"{name}_nmad"] / np.sqrt(rows["n"])
        ax.errorbar(rows["middle"], rows[f"{name}_{score}"], np.asarray(error),
                    color=COLOURS[group], lw=1.2, elinewidth=0.9, marker=marker, ms=4.5,
                    label=group)
    if score == "offset":
        ax.axhline(0, color="black", lw=0.8, ls="--")
    else:
        ax.set_ylim(0, None)
    title = {"offset": "median offset", "nmad": "NMAD"}[score]
    ax.set(xlabel=QUANTITIES["m_h"], ylabel=f"{title} of ${UNITS[name]}$ [dex]")
    ax.legend(fontsize=8, frameon=False, loc="upper left")
    return ax


def label_coverage(ax: Axes, table: Table, name: str) -> Axes:
    """Share of true labels inside the 68 and 95 % intervals against H magnitude, per type.

    A calibrated posterior covers as stated among all galaxies together, not among those chosen by
    a truth that the spectra do not show, such as the type of the faintest.
    """
    for group, marker in zip(TYPES, MARKERS, strict=False):
        rows = rows_of(table, group, "m_h")
        for level, face in ((68, COLOURS[group]), (95, "white")):
            share = np.asarray(rows[f"{name}_inside_{level}"])
            ends = np.stack(wilson(share, np.asarray(rows["n"])))
            ax.errorbar(rows["middle"], share, np.abs(ends - share), color=COLOURS[group],
                        lw=1.2, elinewidth=0.9, marker=marker, ms=4.5, mfc=face,
                        label=f"{group}, {level} %")
    for level in (0.68, 0.95):
        ax.axhline(level, color="black", lw=0.8, ls="--", zorder=0)
    ax.set(xlabel=QUANTITIES["m_h"], ylabel=f"share of ${UNITS[name]}$ inside")
    ax.set_ylim(min(0.4, ax.get_ylim()[0]), 1.02)
    ax.legend(fontsize=8, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 0.99), ncols=2)
    return ax


def hours(ax: Axes, table: Table, kind: str) -> Axes:
    """Hours needed against H magnitude for galaxies of one type; arrows are limits.

    Colours are the completeness wanted; open symbols count only redshifts of a high `z_prob`.
    """
    times = table.meta["t_exp"]
    ends = 0.8 * times[0], 1.25 * times[-1]
    series = [(w, t) for w in np.unique(table["wanted"]) for t in np.unique(table["threshold"])]
    for number, (wanted, threshold) in enumerate(series):
        own = (table["wanted"] == wanted) & (table["threshold"] == threshold)
        rows = table[own & (table["type"] == kind) & (table["n"] > 0)]
        x = 0.5 * (rows["low"] + rows["high"]) + 0.1 * (number - 0.5 * (len(series) - 1))
        y, limit = np.asarray(rows["hours"]), np.asarray(rows["limit"], str)
        colour = COLOURS[TYPES[0]] if number < len(series) / 2 else ORANGE
        style = {"color": colour, "mfc": "white" if threshold > 0 else colour, "ls": "none"}
        low, high = (np.clip(rows[c], *ends) for c in ("hours_low", "hours_high"))
        errors = np.abs([y - low, high - y])
        text = f"{100 * wanted:g} %" + (f", z_prob > {threshold:g}" if threshold > 0 else "")
        ax.errorbar(x, y, errors, marker="o", ms=4.5, elinewidth=0.9, label=text, **style)
        for sign, marker, place in (("<", "v", times[0]), (">", "^", times[-1])):
            beyond = np.char.startswith(limit, sign)
            ax.plot(x[beyond], np.full(beyond.sum(), place), marker=marker, ms=5.5, **style)
    for time in (times[0], times[-1]):
        ax.axhline(time, color="0.8", lw=0.8, zorder=0)
    ax.set_yscale("log")
    ax.set_yticks(times, [f"{t:g}" for t in times])
    ax.set_yticks([], minor=True)
    arrows = f"▲ more than {times[-1]:g}, ▼ at most {times[0]:g}"
    ax.set(xlabel=QUANTITIES["m_h"], ylabel=f"hours needed ({arrows})", ylim=ends, title=kind)
    ax.legend(fontsize=8, frameon=False, title="right among all", title_fontsize=8)
    return ax


def _name(group: str) -> str:
    return {"moonrise": "MOONRISE-like"}.get(group, group)
