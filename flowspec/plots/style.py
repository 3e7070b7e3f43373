"""Colours, labels and canvases that all figures share.

Colours are those of Okabe & Ito, which colour-blind readers can tell apart. Nothing here touches
pyplot's state, needs a display, or knows a model: `canvas` makes a figure to save.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flowspec.data.line_marks import FIRST, MARKS

COLOURS = BLUE, ORANGE, GREEN, PINK, SKY, RED, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "0.55",
)
DASHES = ("-", "--", ":", "-.")
# What an eye looks for first: label to rest-frame vacuum wavelength in angstrom.
LINES = {mark.label: mark.wave for mark in MARKS if mark.rank == FIRST}
FLUX = r"$F_\lambda\;[10^{-17}\,\mathrm{erg\,s^{-1}\,cm^{-2}\,Å^{-1}}]$"


def canvas(
    rows: int = 1, columns: int = 1, *, size: tuple[float, float] = (5.0, 4.0),
    heights: Sequence[float | int] = (),
) -> tuple[Figure, np.ndarray]:
    """A figure and its Axes [rows, columns], each of `size` inches, spaced so nothing overlaps.

    With `heights`, those of the rows relative to each other, the rows of a column share their x.
    """
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    share = {"sharex": "col", "height_ratios": tuple(heights)} if len(heights) else {}
    return figure, figure.subplots(rows, columns, squeeze=False, **share)


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


def mark_lines(
    ax: Axes, z: float, lines: Mapping[str, float] | None = None, *,
    colours: Mapping[str, str] | None = None,
) -> Axes:  # fmt: skip
    """Names `lines` (to rest wavelength, Å) above a spectrum whose x limits are final.

    `colours` are those of names that are not grey.
    """
    low, high = ax.get_xlim()
    marks = {n: w * (1 + z) for n, w in (LINES if lines is None else lines).items()}
    marks = {n: w for n, w in sorted(marks.items(), key=lambda m: m[1]) if low < w < high}
    places = spread(np.array(list(marks.values())), 0.022 * (high - low))
    for (name, wave), place in zip(marks.items(), places, strict=True):
        ax.axvline(wave, color=GREY, lw=0.8, ls=":", zorder=0)
        ax.annotate(name, (wave, 1), (place, 1.03), xycoords=ax.get_xaxis_transform(),
                    textcoords=ax.get_xaxis_transform(), rotation=90, fontsize=8,
                    color=(colours or {}).get(name, "0.3"), ha="center", va="bottom",
                    arrowprops={"arrowstyle": "-", "color": GREY, "lw": 0.5, "shrinkB": 0})
    return ax
