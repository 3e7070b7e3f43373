"""One figure per object: all that one judges a posterior by."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from flowspec.data.lines import Lines
from flowspec.data.spectra import Spectra
from flowspec.plots.diagrams import DIAGRAMS, excitation, fluxes
from flowspec.plots.fitted import fit
from flowspec.plots.redshift import redshift_peaks
from flowspec.plots.spectra import corner, spectrum
from flowspec.plots.windows import windows, windows_in_view
from flowspec.sim.explicit import Fitted

WIDTH, MARGIN = 12.0, 0.75  # inches
SPECTRUM, RESIDUALS, CLOSE, LOWER = 2.9, 1.0, 1.5, 5.0  # heights of the rows
TITLE, NAMES, TICKS, GAP = 0.55, 0.55, 0.45, 0.15  # and of what stands between them


class Answer(NamedTuple):
    """What a posterior says of one object.

    Attributes:
        title: Two lines of text: which object, and the answer in short.
        names: Of the parameters.
        draws: From the posterior [draws, params].
        best: The best redshift, or None where the model has no redshift.
        edges: Of the redshift bins, or None.
        density: Per unit redshift in them, or None.
        truth: Of the parameters, if it is known [params].
    """

    title: str
    names: tuple[str, ...]
    draws: Float[np.ndarray, "draws params"]
    best: float | None = None
    edges: Float[np.ndarray, " edges"] | None = None
    density: Float[np.ndarray, " bins"] | None = None
    truth: Float[np.ndarray, " params"] | None = None


class Model(NamedTuple):
    """The forward model fitted to one spectrum.

    Attributes:
        fitted: Fits of one or more spectra.
        row: Which of them.
        band: Standard deviation of the model given the data [pixels], or None.
        parts: What it is made of, by name [pixels], or None.
    """

    fitted: Fitted
    row: int
    band: Float[np.ndarray, " pixels"] | None = None
    parts: Mapping[str, Float[np.ndarray, " pixels"]] | None = None


def spectrum_page(
    obs: Spectra, answer: Answer, shown: Sequence[str], model: Model | None = None
) -> Figure:
    """Spectrum, residuals, close looks at lines, redshift and a corner of a few parameters.

    Args:
        obs: One spectrum, on the pixels of the model.
        answer: What the posterior says of it.
        shown: Names of the parameters of the corner.
        model: The forward model, given the data; without it the data stand alone.
    """
    close = windows_in_view(obs.wave, obs.ivar[0], answer.best) if answer.best is not None else []
    rows = [SPECTRUM, *([RESIDUALS] if model else []), *([CLOSE] if close else []), LOWER]
    page = _Page(TITLE + NAMES + sum(rows) + (1 + bool(close)) * TICKS + GAP)
    page.title(answer.title)
    left, wide = MARGIN, WIDTH - MARGIN - 0.15
    top = page.axes(TITLE + NAMES, left, SPECTRUM, wide)
    down = TITLE + NAMES + SPECTRUM + TICKS
    curves = {}
    if model is None:
        spectrum(top, obs.wave, obs.flux[0], obs.ivar[0], z=answer.best)
    else:
        bottom = page.axes(down - TICKS + 0.08, left, RESIDUALS, wide)
        fit((top, bottom), obs.wave, model.fitted, model.row, band=model.band, parts=model.parts,
            z=answer.best)
        bottom.set_xlim(top.get_xlim())
        top.tick_params(labelbottom=False)
        down += RESIDUALS + 0.08
        curves = {"best model": model.fitted.model[model.row]}
    if close:
        each = (wide - 0.4 * (len(close) - 1)) / len(close)
        axes = [page.axes(down + GAP, left + i * (each + 0.4), CLOSE, each)
                for i in range(len(close))]
        windows(axes, close, obs.wave, obs.flux[0], obs.ivar[0], answer.best, curves=curves,
                band=model.band if model else None)
        axes[0].set_ylabel(r"$F_\lambda$, as above", fontsize=8)
        down += CLOSE + TICKS
    if answer.density is not None:
        ax = page.axes(down + 0.5, left, LOWER - 1.15, WIDTH - LOWER - MARGIN - 0.7)
        redshift_peaks(ax, answer.edges, answer.density, _of(answer, "z"), answer.best,
                       truth=None if answer.truth is None else _of(answer, "z", "truth"))
    _corner(page, answer, shown, down + GAP)
    return page.figure


def lines_page(
    obs: Lines, row: int, answer: Answer, shown: Sequence[str],
    predicted: tuple[np.ndarray, np.ndarray] | None = None,
) -> Figure:  # fmt: skip
    """Diagrams of excitation, lines measured and predicted, and a corner of a few parameters.

    Args:
        obs: Rows of a catalogue, with the lines of the model.
        row: Which of them.
        answer: What the posterior says of it.
        shown: Names of the parameters of the corner.
        predicted: Flux of each line and its standard deviation, of the posterior.
    """
    side = 3.0
    page = _Page(TITLE + side + 2 * TICKS + LOWER + 0.6)
    page.title(answer.title)
    for number, diagram in enumerate(DIAGRAMS):
        excitation(page.axes(TITLE + 0.1, MARGIN + number * (side + 1.6), side, side + 0.8), obs,
                   row, diagram)
    wide = WIDTH - LOWER - MARGIN - 0.9
    ax = page.axes(TITLE + side + 2 * TICKS + 0.5, MARGIN, LOWER - 1.2, wide)
    fluxes(ax, obs, row, *(predicted or ()))
    _corner(page, answer, shown, TITLE + side + TICKS + 0.3)
    return page.figure


class _Page:
    """A figure whose Axes are placed in inches from its top left corner."""

    def __init__(self, height: float):
        self.height = height
        self.figure = Figure(figsize=(WIDTH, height))

    def title(self, text: str) -> None:
        first, _, second = text.partition("\n")
        self.figure.text(MARGIN / WIDTH, 1 - 0.26 / self.height, first, fontsize=12, weight="bold")
        self.figure.text(MARGIN / WIDTH, 1 - 0.48 / self.height, second, fontsize=10, color="0.3")

    def box(self, down: float, left: float, height: float, width: float):
        bottom = 1 - (down + height) / self.height
        return left / WIDTH, bottom, width / WIDTH, height / self.height

    def axes(self, down: float, left: float, height: float, width: float):
        return self.figure.add_axes(self.box(down, left, height, width))


def _of(answer: Answer, name: str, what: str = "draws"):
    return getattr(answer, what)[..., answer.names.index(name)]


def _corner(page: _Page, answer: Answer, shown: Sequence[str], down: float) -> None:
    """A square corner plot at the right."""
    chosen = [answer.names.index(name) for name in shown]
    rows = answer.draws[:, chosen]
    truth = None if answer.truth is None else answer.truth[chosen]
    left = WIDTH - LOWER - 0.1
    # ratios place it: a subfigure ignores the other limits of its grid
    grid = page.figure.add_gridspec(
        3, 2, width_ratios=(left, LOWER + 0.1), hspace=0, wspace=0,
        height_ratios=(down, LOWER, page.height - down - LOWER),
    )  # fmt: skip
    corner(rows, shown, truth=truth, figure=page.figure.add_subfigure(grid[1, 1]), size=LOWER)
