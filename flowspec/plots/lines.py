"""Figures of emission lines: arrays and an Axes in, the same Axes out."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from flowspec.data.line_names import wave_of
from flowspec.plots.style import BLUE, GREY, ORANGE, SKY, Axes

GREEK = {"alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε"}
LEVELS = (2.5, 16, 50, 84, 97.5)  # percentiles: one and two sigma of a normal distribution
FACES = (SKY, ORANGE, BLUE, GREY)


def line_label(name: str) -> str:
    """A canonical name of `flowspec.data.line_names` as it is printed: Hα, [O II] 3726+3729."""
    for word, letter in GREEK.items():
        name = name.replace(word, letter)
    name = name.replace(",", "+")
    return re.sub(r"^(\[?[A-Z][a-z]?)([IVX]+\]?)(?=\d)", r"\1 \2 ", name)


def residuals(
    ax: Axes, lines: Sequence[str], sets: Mapping[str, Float[np.ndarray, "batch lines"]]
) -> Axes:
    """Standardised residuals of lines: boxes of the central 68 %, whiskers of 95 %, medians.

    Boxes of a right model end at the grey band of ±1, whiskers at ±2. The scale is linear between
    these and logarithmic beyond.

    Args:
        ax: Where to.
        lines: Canonical names, drawn in order of wavelength.
        sets: What the residuals are, to their values; NaN where there are none. Lines without any
            are left out; the number of the first of the sets that has some is written below.
    """
    order = sorted(range(len(lines)), key=lambda i: wave_of(lines[i]))
    columns = [[v[np.isfinite(v[:, i]), i] for v in sets.values()] for i in order]
    kept = [
        (lines[i], column)
        for i, column in zip(order, columns, strict=True)
        if any(map(len, column))
    ]
    width = 0.7 / len(sets)
    ax.axhspan(-1, 1, color="0.9", lw=0, zorder=0)
    for y in (-2, 0, 2):
        ax.axhline(y, color="black", lw=0.8, ls="-" if y == 0 else ":", zorder=1)
    for number, (name, face) in enumerate(zip(sets, FACES, strict=False)):
        offset = (number - (len(sets) - 1) / 2) * width
        places = [x + offset for x, (_, column) in enumerate(kept) if len(column[number])]
        stats = [_box(column[number]) for _, column in kept if len(column[number])]
        ax.bxp(
            stats,
            places,
            widths=0.85 * width,
            showfliers=False,
            patch_artist=True,
            boxprops={"facecolor": face, "lw": 0.8},
            manage_ticks=False,
            medianprops={"color": "black", "lw": 1.5},
            label=name,
        )
    ax.set_yscale("symlog", linthresh=2, linscale=1.2)
    reach = max(np.abs(ax.dataLim.intervaly).max() * 1.15, 3)
    ticks = np.array([1, 2, 5, 10, 20, 50, 100, 200, 500, 1000])
    ticks = ticks[ticks < reach]
    ticks = np.concatenate([-ticks[::-1], [0], ticks])
    ax.set_yticks(ticks, [f"{t:g}" for t in ticks])
    ax.set_yticks([], minor=True)
    counts = [next(len(c) for c in column if len(c)) for _, column in kept]
    labels = [f"{line_label(line)}\nn = {n}" for (line, _), n in zip(kept, counts, strict=True)]
    ax.set_xticks(range(len(kept)), labels, rotation=45, ha="right", rotation_mode="anchor")
    ax.set(xlim=(-0.6, len(kept) - 0.4), ylim=(-reach, reach), ylabel="(measured − predicted) / σ")
    ax.legend(
        fontsize=8,
        frameon=False,
        loc="lower left",
        bbox_to_anchor=(-0.01, 0.99),
        ncols=len(sets),
        borderaxespad=0.2,
    )
    return ax


def _box(values: Float[np.ndarray, " values"]) -> dict:
    names = ("whislo", "q1", "med", "q3", "whishi")
    return dict(zip(names, np.percentile(values, LEVELS), strict=True))
