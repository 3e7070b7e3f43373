"""Frames: how observations become the arrays that a network takes, and what the data alone say.

A frame is what simulations and observations have in common: the pixels of a spectrum, the lines of
a catalogue, the columns of a table. A model holds one, and a model file describes it.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from flowspec.data.continuum import broad_features
from flowspec.data.flags import Flag
from flowspec.data.frame_base import Frame
from flowspec.data.line_features import line_features
from flowspec.data.line_names import HYDROGEN
from flowspec.data.linear import log_fluxes, numbers, scaled_fluxes
from flowspec.data.lines import Lines, State, of_states
from flowspec.data.lsf import mean_ln_lsf
from flowspec.data.observation import Observation
from flowspec.data.scaling import in_safe_unit
from flowspec.data.spectra import Spectra, on_grid
from flowspec.data.units import checked_wave
from flowspec.data.vectors import Vectors

LEAST = 0.75  # of `Pixels`, where nothing else is said
_ENOUGH = 2 / 3  # of the span that is asked for
_WIDER = 1.1  # than the widest line-spread function: no more than those are known to


class Pixels(Frame):
    """Spectra on one grid of wavelengths.

    Args:
        wave: Pixel centres in vacuum angstrom, increasing [pixels]; or a quantity.
        least: Share of the grid, in ln(wavelength), that good pixels must span or be flagged.
            Spectra that cover less than two thirds of it are refused, and those flagged that have
            so few good pixels.
        lsf: Where the width of the line-spread function is an input: the least and the largest
            that the network has met, Gaussian sigma in km/s. Narrower ones are as good as the
            least, for pixels are wider; spectra of wider ones are flagged.
    """

    kind, data = "pixels", Spectra

    def __init__(self, wave, least: float = LEAST, lsf: tuple[float, float] | None = None):
        self.wave, self.least = checked_wave(wave), float(least)
        self.lsf = None if lsf is None else (float(lsf[0]), float(lsf[1]))

    @property
    def key(self) -> tuple:
        return self.wave.tobytes(), self.least, self.lsf

    def __repr__(self) -> str:
        return f"Pixels({len(self.wave)}, {self.wave[0]:.1f}-{self.wave[-1]:.1f} A)"

    @property
    def size(self) -> int:
        return len(self.wave)

    def same(self, other: Frame) -> bool:
        """Whether the grids agree to a millionth."""
        return (isinstance(other, Pixels) and self.wave.shape == other.wave.shape
                and np.allclose(self.wave, other.wave, rtol=1e-6))

    def arrays(self, obs: Spectra) -> tuple[np.ndarray, ...]:
        """Flux and inverse variance on the grid (`gridded`), and `width` where that is an input."""
        obs = self.gridded(obs)
        return obs.flux, obs.ivar, *([] if self.lsf is None else [self.width(obs)])

    def width(self, obs: Spectra) -> Float[np.ndarray, "batch 2"]:
        """Natural log of the width of each line-spread function over the least, and 1.

        Of a curve it is the mean over good pixels; both are 0 where nothing is known.
        """
        width = np.zeros((len(obs), 2), np.float32)
        if obs.lsf is not None:
            mean = mean_ln_lsf(obs.lsf, obs.ivar > 0)
            known = np.isfinite(mean)
            ends = np.log(self.lsf)
            width[known, 0] = np.clip(mean[known], *ends) - ends[0]
            width[known, 1] = 1
        return width

    def gridded(self, obs: Spectra) -> Spectra:
        """Spectra on the grid, without pixels of impossible precision (`on_grid`).

        Raises:
            ValueError: If they cover too little of the grid.
        """
        return on_grid(obs, self.wave, self.least * _ENOUGH)

    def too_wide(self, obs: Spectra) -> Bool[np.ndarray, " batch"]:
        """Which line-spread functions are wider than any that the network has met, by over 10 %."""
        if self.lsf is None or obs.lsf is None:
            return np.zeros(len(obs), bool)
        return mean_ln_lsf(obs.lsf, obs.ivar > 0) > np.log(self.lsf[1] * _WIDER)  # not if NaN

    def observed(self, flux, ivar, width=None) -> Spectra:
        """Spectra on the grid."""
        lsf = None
        if width is not None:
            width = np.asarray(width)
            lsf = np.where(width[:, 1:] > 0, self.lsf[0] * np.exp(width[:, :1]), np.nan)
        return Spectra(self.wave, np.asarray(flux), np.asarray(ivar), lsf=lsf)

    def judged(self, obs: Spectra) -> tuple[Int[np.ndarray, " batch"], dict[str, np.ndarray]]:
        """No data, little coverage, few pixels, a line-spread function too wide; ``coverage`` by
        good pixels and ``snr``."""
        inside = (obs.wave >= self.wave[0]) & (obs.wave <= self.wave[-1])
        good = (obs.ivar > 0) & inside
        x, whole = np.log(obs.wave), np.log(self.wave[-1] / self.wave[0])
        first, last = np.where(good, x, np.inf).min(1), np.where(good, x, -np.inf).max(1)
        covered = np.maximum(last - first, 0) / whole
        share = (good * np.gradient(x)).sum(1) / whole
        flags = (
            np.where(~good.any(1), Flag.NO_DATA, 0)
            | np.where(covered < self.least, Flag.LITTLE_COVERAGE, 0)
            | np.where(share < self.least * _ENOUGH, Flag.FEW_PIXELS, 0)
        )
        flags |= np.where(self.too_wide(obs), Flag.LOW_RESOLUTION, 0)
        return flags, {"coverage": share, "snr": obs.snr}

    def finite(self, flux, ivar, *width) -> Bool[Array, " n"]:
        """Whether each row is finite where it has data."""
        return super().finite(jnp.where(ivar == 0, 0, flux), ivar, *width)

    def described(self, flux, ivar, *width) -> Float[np.ndarray, "batch features"]:
        """`flowspec.data.continuum.broad_features`."""
        del width
        return broad_features(np.asarray(flux), np.asarray(ivar))

    def linear(self, flux, ivar, *width) -> tuple[np.ndarray, np.ndarray]:
        """Fluxes over their mean."""
        del width
        return scaled_fluxes(flux, ivar)

    def label(self, column: int) -> str:
        """A wavelength."""
        return f"{self.wave[column]:.0f} A"

    def blank(self) -> tuple[np.ndarray, ...]:
        zero = np.zeros((1, self.size), np.float32)
        return zero, zero + 1, *([] if self.lsf is None else [zero[:, :2]])


class LineSet(Frame):
    """Rows of a catalogue of emission lines.

    Args:
        lines: Canonical names (`flowspec.data.line_names`), in the order of the arrays.
    """

    kind, data = "lines", Lines

    def __init__(self, lines: Sequence[str]):
        self.lines = tuple(lines)

    @property
    def key(self) -> tuple:
        return self.lines

    def seen(self, obs: Observation, dereddened: bool = False) -> Lines:
        """The lines of the model, corrected for dust where `dereddened` or the rows say so."""
        obs = super().seen(obs)
        return obs.select(self.lines).corrected(obs.dereddened | dereddened)

    def arrays(self, obs: Lines) -> tuple[np.ndarray, ...]:
        """Flux and err, of an extreme unit in another; state; whether corrected for dust."""
        obs = obs.select(self.lines)
        return *in_safe_unit(obs.flux, obs.err), obs.state, obs.dereddened.astype(float)

    def observed(self, flux, err, state, dereddened) -> Lines:
        """Rows of a catalogue."""
        arrays = (np.asarray(a) for a in (flux, err, state))
        return of_states(self.lines, *arrays, dereddened=np.asarray(dereddened) > 0.5)

    def judged(self, obs: Lines) -> tuple[Int[np.ndarray, " batch"], dict[str, np.ndarray]]:
        """No data, few lines, no pair of hydrogen; ``lines``, ``limits`` among them, ``snr``."""
        obs = obs.select(self.lines)
        used = (obs.state != State.ABSENT).sum(1)
        limits = (obs.state == State.LIMIT).sum(1)
        columns = {"lines": used, "limits": limits, "snr": obs.snr}
        measured = obs.state == State.MEASURED
        hydrogen = measured[:, [line in HYDROGEN for line in self.lines]].sum(1)
        flags = np.where(used == 0, Flag.NO_DATA, 0)
        flags |= np.where(measured.sum(1) < 3, Flag.FEW_LINES, 0)
        flags |= np.where((hydrogen < 2) & ~obs.dereddened, Flag.NO_BALMER_PAIR, 0)
        return flags, columns

    def silent(self, obs: Lines) -> dict[str, Bool[np.ndarray, " batch"]]:
        """Fluxes that are corrected for dust say nothing of it."""
        return {"av": obs.dereddened}

    def described(self, flux, err, state, dereddened) -> Float[np.ndarray, "batch features"]:
        """`flowspec.data.line_features.line_features`."""
        del dereddened
        return np.asarray(line_features(*map(jnp.asarray, (flux, err, state))))

    def linear(self, flux, err, state, dereddened) -> tuple[np.ndarray, np.ndarray]:
        """Logarithms of measured fluxes."""
        return log_fluxes(flux, err, state)

    def blank(self) -> tuple[np.ndarray, ...]:
        zero = np.zeros((1, self.size), np.float32)
        return zero, zero, zero.astype(np.int8), np.zeros(1, np.float32)


class Columns(Frame):
    """Numbers of any kind: rows of a table with named columns.

    Args:
        names: Of the columns, in the order of the arrays.
    """

    kind, data = "columns", Vectors

    def __init__(self, names: Sequence[str]):
        self.names = tuple(names)
        if len(set(self.names)) != len(self.names) or not self.names:
            raise ValueError(f"expected columns of different names; got {self.names}")

    @property
    def key(self) -> tuple:
        return self.names

    def seen(self, obs: Observation, dereddened: bool = False) -> Vectors:
        """The columns of the model, in its order."""
        return super().seen(obs, dereddened).select(self.names)

    def arrays(self, obs: Vectors) -> tuple[np.ndarray, ...]:
        """Values, standard errors (0 where there is none), and whether each is there."""
        obs = obs.select(self.names)
        return obs.values, obs.err, obs.present

    def observed(self, values, err, present) -> Vectors:
        """Rows of a table."""
        given = np.where(np.asarray(present), np.asarray(values), np.nan)
        return Vectors(given, np.asarray(err), self.names)

    def judged(self, obs: Vectors) -> tuple[Int[np.ndarray, " batch"], dict[str, np.ndarray]]:
        """No data, few columns; ``columns`` that there are."""
        count = obs.select(self.names).present.sum(1)
        flags = np.where(count == 0, Flag.NO_DATA, 0)
        return flags | np.where(2 * count < self.size, Flag.FEW_PIXELS, 0), {"columns": count}

    def described(self, values, err, present) -> Float[np.ndarray, "batch features"]:
        """Values, logarithms of their errors, and which are there."""
        values, err, present = (np.asarray(a) for a in (values, err, present))
        log_err = np.where(err > 0, np.log(np.maximum(err, 1e-30)), 0)
        return np.concatenate([np.where(present, a, 0) for a in (values, log_err, present)], axis=1)

    def linear(self, values, err, present) -> tuple[np.ndarray, np.ndarray]:
        """The values."""
        return numbers(values, err, present)

    def blank(self) -> tuple[np.ndarray, ...]:
        zero = np.zeros((1, self.size), np.float32)
        return zero, zero, zero > -1


FRAMES = {frame.kind: frame for frame in (Pixels, LineSet, Columns)}
