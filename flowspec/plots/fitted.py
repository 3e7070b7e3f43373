"""The figure of a fitted spectrum: data, best model, what it is made of, and what is left."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import ArrayLike, Float
from matplotlib.axes import Axes

from flowspec.data.line_marks import MAIN, MARKS
from flowspec.plots.limits import flux_limits, tell_beyond
from flowspec.plots.style import BLUE, FLUX, GREEN, ORANGE, PINK, RED, SKY, mark_lines
from flowspec.sim.explicit import Fitted

REACH = 5.0  # standard deviations shown of the residuals; those beyond are marked at the edge
EMISSION, ABSORBED = ({mark.label: mark.wave for mark in reversed(MARKS)
                       if mark.emitted == emitted and mark.rank <= MAIN}
                      for emitted in (True, False))  # fmt: skip
_COLOURS = {"stars": ORANGE, "gas": GREEN, "smooth factor": PINK}
_OTHERS = (ORANGE, GREEN, PINK, RED)


def fit(
    axes: Sequence[Axes] | np.ndarray, wave: Float[ArrayLike, " pixels"], fitted: Fitted,
    row: int, *, band: Float[ArrayLike, " pixels"] | None = None,
    parts: Mapping[str, Float[ArrayLike, " pixels"]] | None = None,
    sky: Float[ArrayLike, " pixels"] | None = None, z: float | None = None,
) -> Sequence[Axes] | np.ndarray:  # fmt: skip
    """A spectrum and its best model above, residuals in standard deviations below.

    Args:
        axes: Two, which share their x (``canvas(2, heights=(3, 1))[1][:, 0]``).
        wave: Observed, in Å.
        fitted: What `SpectrumSimulator.fit` returned; fluxes in 1e-17 erg/s/cm²/Å.
        row: Which of its spectra.
        band: Standard deviation of the model given the data (`SpectrumSimulator.band`). It is drawn
            about the model, and about 0 in units of the data's errors below.
        parts: What the model is made of (`SpectrumSimulator.parts`), drawn as thin lines.
        sky: Where lines of the night sky are, 0 to 1, shaded below: residuals there are the sky's.
        z: Redshift at which lines are named: emission in black, absorption in blue.

    Raises:
        ValueError: If there are not two axes.
    """
    if len(axes) != 2:
        raise ValueError(f"expected two axes, of the spectrum and its residuals; got {len(axes)}")
    top, bottom = axes
    wave, model, ivar = (np.asarray(a) for a in (wave, fitted.model[row], fitted.ivar[row]))
    good = ivar > 0
    error = np.where(good, np.maximum(ivar, 1e-30) ** -0.5, np.nan)
    data = model + fitted.residual[row] * error
    width = None if band is None else np.asarray(band)
    _spectrum(top, wave, data, error, model, width)
    _contributions(top, wave, parts or {})
    _limits(top, wave, data, ivar, model, parts or {})
    _residuals(bottom, wave, np.where(good, fitted.residual[row], np.nan))
    if width is not None:
        bottom.fill_between(wave, -width / error, width / error, color=SKY, lw=0, zorder=3)
    if sky is not None:
        bottom.fill_between(wave, 0, 1, where=np.asarray(sky) > 0.1, color="0.8", lw=0, zorder=0.6,
                            transform=bottom.get_xaxis_transform())
    bottom.text(0.995, 0.05, rf"$\chi^2/N = {fitted.chi2[row]:.2f}$", fontsize=8, ha="right",
                transform=bottom.transAxes, bbox={"fc": "white", "ec": "none", "pad": 1})
    seen = wave[good] if good.any() else wave
    top.set(xlim=(seen[0], seen[-1]), ylabel=FLUX)
    bottom.set(xlabel="observed wavelength [Å]")
    if z is not None:
        colours = dict.fromkeys(ABSORBED, BLUE)
        mark_lines(top, z, EMISSION | ABSORBED, colours=colours)
    return axes


def _spectrum(ax, wave, data, error, model, width):
    """Data with their errors, the model with its band."""
    ax.fill_between(wave, data - error, data + error, color="0.82", lw=0, step="mid")
    ax.plot(wave, data, color="0.35", lw=0.5, drawstyle="steps-mid", label="data ± σ")
    if width is not None:
        ax.fill_between(wave, model - width, model + width, color=SKY, lw=0,
                        label="68 % given the data")
    ax.plot(wave, model, color=BLUE, lw=0.8, zorder=2.5, label="best model")


def _contributions(ax, wave, parts):
    """Parts of the model, named in the legend."""
    for name, other in zip(parts, _OTHERS * len(parts), strict=False):
        ax.plot(wave, np.asarray(parts[name]), color=_COLOURS.get(name, other), lw=0.8, label=name)
    if parts:
        ax.axhline(0, color="black", lw=0.5)
    # a column of what was seen and one of what it is made of, left of H-beta at low redshift
    ax.legend(fontsize=8, ncols=2, facecolor="white", edgecolor="none", loc="upper left",
              borderpad=0.2, columnspacing=1.2)


def _limits(ax, wave, data, ivar, model, parts):
    """Limits that noise does not set; a triangle where a line of the model is cut."""
    good = ivar > 0
    if not good.any():
        ax.text(0.5, 0.5, "no data", transform=ax.transAxes, ha="center", color="0.3")
        return
    low, high = flux_limits(np.where(good, data, 0.0), ivar, model)
    # 2 %: what lines take from a smooth factor may leave the axis
    low = min([low, *(np.percentile(np.asarray(p)[good], 2) for p in parts.values())])
    ax.set_ylim(low - 0.03 * (high - low), high + 0.22 * (high - low))
    tell_beyond(ax, data, ivar)
    model = np.where(good, model, np.nan)
    cut = np.nan_to_num(model) > ax.get_ylim()[1]
    starts = np.flatnonzero(np.diff(cut.astype(int), prepend=0) == 1)
    ends = np.flatnonzero(np.diff(cut.astype(int), append=0) == -1)
    peaks = [i + model[i : j + 1].argmax() for i, j in zip(starts, ends, strict=True)]
    ax.plot(wave[peaks], np.full(len(peaks), 0.985), "^", color=BLUE, ms=4,
            transform=ax.get_xaxis_transform())


def _residuals(ax, wave, residual):
    """Residuals in standard deviations; triangles where they are beyond the edge."""
    ax.axhspan(-1, 1, color="0.93", lw=0, zorder=0.5)
    ax.plot(wave, residual, color="0.35", lw=0.5, drawstyle="steps-mid", zorder=2)
    ax.axhline(0, color=BLUE, lw=0.8, zorder=4)
    far = np.abs(residual) > REACH
    for sign, marker in ((1, "^"), (-1, "v")):
        beyond = far & (np.sign(residual) == sign)
        ax.plot(wave[beyond], np.full(beyond.sum(), sign * 0.93 * REACH), marker, color=RED, ms=3,
                zorder=5)
    ax.set(ylim=(-REACH, REACH), yticks=(-4, -2, 0, 2, 4), ylabel="residual / σ")
