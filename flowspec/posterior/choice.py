"""Which model of several a spectrum is for: by wavelengths and pixels, then by evidence."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from jaxtyping import Bool, Float, Int

from flowspec.data.frame import Frame, Pixels
from flowspec.data.spectra import Spectra
from flowspec.posterior.misfit import LEVEL
from flowspec.sim.instrument.varied import COARSEST

ALIKE = 0.8  # of what the best model keeps of a spectrum: another that keeps so much is as good


class Fit(NamedTuple):
    """How a model's grid and a spectrum's lie to each other.

    Attributes:
        covered: Share of the grid, in ln(wavelength), that its good pixels span [batch].
        used: Share of that span of the spectrum that lies on the grid [batch].
        width: Median width of its pixels there, in pixels of the grid; infinite where they are
            apart.
        blurred: Whether its line-spread function is wider than any that the model knows [batch].
    """

    covered: Float[np.ndarray, " batch"]
    used: Float[np.ndarray, " batch"]
    width: float
    blurred: Bool[np.ndarray, " batch"]

    @property
    def kept(self) -> Float[np.ndarray, " batch"]:
        """Share of the spectrum's pixels that are left on the grid: finer ones are merged."""
        return self.used * min(self.width, 1.0)


def fit_of(frame: Pixels, obs: Spectra) -> Fit:
    """How much of the grid of a model spectra cover, and how much of them it takes."""
    x, good = np.log(obs.wave), obs.ivar > 0
    first, last = np.where(good, x, np.inf).min(1), np.where(good, x, -np.inf).max(1)
    low, high = np.log(frame.wave[[0, -1]])
    common = np.maximum(np.minimum(last, high) - np.maximum(first, low), 0)
    own = np.maximum(last - first, 1e-9)  # of rows without data it is of no matter
    inside = (x >= low) & (x <= high)
    width = np.inf
    if inside.any():
        step = np.gradient(np.log(frame.wave))
        width = float(np.median((np.gradient(x) / np.interp(x, np.log(frame.wave), step))[inside]))
    return Fit(common / (high - low), np.minimum(common / own, 1), width, frame.too_wide(obs))


def choices(frames: Mapping[str, Frame], obs: Spectra) -> list[tuple[str, ...]]:
    """Models for each spectrum, the best first, with those that are about as good.

    A model is possible if the spectrum would have neither the flag `LITTLE_COVERAGE` of it nor
    `LOW_RESOLUTION`, and pixels at most `COARSEST` times as wide as its own, as in training. The
    best keeps most of the pixels of the spectrum (to 1 %); of several the one with pixels most like
    its, then the one whose grid it fills best. Others are as good that keep `ALIKE` of those
    pixels.

    Args:
        frames: Of models by name; those of other data than spectra are passed over.
        obs: Spectra, on their own grid.

    Returns:
        Names of models for each row; none where no model is possible.
    """
    fits = _fits(frames, obs)
    found: list[tuple[str, ...]] = []
    for row in range(len(obs)):
        kept = {name: fit.kept[row] for name, fit in fits.items()
                if fit.covered[row] >= frames[name].least and fit.width <= COARSEST
                and not fit.blurred[row]}  # fmt: skip
        order = sorted(kept, key=lambda name: _rank(kept[name], fits[name], row))
        found.append(tuple(name for name in order if kept[name] >= ALIKE * kept[order[0]]))
    return found


def closest(frames: Mapping[str, Frame], obs: Spectra) -> list[str]:
    """Of spectra that no model is possible for: which comes closest, and what is missing.

    Args:
        frames: Of models by name.
        obs: Spectra with data, on their own grid.
    """
    fits, texts = _fits(frames, obs), []
    for row in range(len(obs)):
        seen = obs.wave[obs.ivar[row] > 0]
        enough = {name: min(fit.covered[row] / frames[name].least, 1) for name, fit in fits.items()}
        name = max(fits, key=lambda name: (enough[name], -fits[name].width))
        texts.append(
            f"expected a spectrum that a shipped model covers; got {seen[0]:.0f}-"
            f"{seen[-1]:.0f} A, which {name} comes closest to: "
            + _missing(frames[name], fits[name], row)
        )
    return texts


def likeliest(tables: Sequence[Table]) -> Int[np.ndarray, " batch"]:
    """Which of several models each row is like the simulations of: the number of its table.

    The evidence is the less of the p-values of the row's summary and of its data (columns
    ``p_value`` and ``misfit``). Those over `LEVEL` are alike: a spectrum that a model was made for
    has any, and the first table is preferred.

    Args:
        tables: Of the same rows by each model, the preferred first.
    """
    least = [np.minimum.reduce([_plain(table[name]) for name in ("p_value", "misfit")
                                if name in table.colnames]) for table in tables]  # fmt: skip
    return np.minimum(least, LEVEL).argmax(0)


def _fits(frames: Mapping[str, Frame], obs: Spectra) -> dict[str, Fit]:
    return {name: fit_of(frame, obs) for name, frame in frames.items()
            if isinstance(frame, Pixels)}  # fmt: skip


def _rank(kept: float, fit: Fit, row: int) -> tuple[float, ...]:
    """The less, the better."""
    return -round(kept, 2), round(abs(np.log(fit.width)), 1), -fit.covered[row]


def _missing(frame: Pixels, fit: Fit, row: int) -> str:
    covered = fit.covered[row]
    text = f"{100 * covered:.0f} % of its {frame.wave[0]:.0f}-{frame.wave[-1]:.0f} A are covered"
    if covered < frame.least:
        text += f", of which it needs {100 * frame.least:.0f} %"
    if COARSEST < fit.width < np.inf:
        text += f", by pixels {fit.width:.0f} times as wide as its own (at most {COARSEST})"
    if fit.blurred[row]:
        text += ", at a lower resolution than any that it knows"
    return text


def _plain(column) -> Float[np.ndarray, " batch"]:
    """Numbers, 0 where there is none."""
    return np.nan_to_num(np.ma.filled(np.ma.masked_invalid(np.ma.asarray(column)), 0.0))
