"""Frames: how observations become the arrays that a network takes, and what the data alone say.

A frame is what simulations and observations have in common: the pixels of a spectrum, the lines of
a catalogue, the columns of a table. A model holds one, and a model file describes it.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from flowspec.data.continuum import broad_features
from flowspec.data.flags import Flag
from flowspec.data.line_features import line_features
from flowspec.data.lines import Lines, State, of_states
from flowspec.data.observation import Observation
from flowspec.data.spectra import Spectra, on_grid
from flowspec.data.units import checked_wave
from flowspec.data.vectors import Vectors


class Frame(ABC):
    """Observations of one kind as arrays of one shape; equal frames are one static argument.

    Attributes:
        kind: Name in model files.
        data: Class of the observations.
    """

    kind: ClassVar[str]
    data: ClassVar[type]

    @property
    @abstractmethod
    def key(self) -> tuple:
        """All that tells two frames of a kind apart."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Numbers per row in each array."""

    @abstractmethod
    def arrays(self, obs) -> tuple[np.ndarray, ...]:
        """What the network takes, ``[batch, ...]`` each."""

    @abstractmethod
    def observed(self, *data) -> Observation:
        """Arrays, such as a simulator's, as observations: the inverse of `arrays`."""

    @abstractmethod
    def judged(self, obs) -> tuple[Int[np.ndarray, " batch"], dict[str, np.ndarray]]:
        """Flags and columns of the table that the data alone decide."""

    @abstractmethod
    def described(self, *data) -> Float[np.ndarray, "batch features"]:
        """What data look like, whatever a network makes of them, to measure a gap."""

    @abstractmethod
    def blank(self) -> tuple[np.ndarray, ...]:
        """Arrays of one row, for the shapes of a network."""

    def silent(self, obs) -> dict[str, Bool[np.ndarray, " batch"]]:
        """Rows of which the data say nothing of a parameter, by its name."""
        del obs
        return {}

    def seen(self, obs: Observation, dereddened: bool = False) -> Observation:
        """The observations, of the right kind and not empty.

        Args:
            obs: Observations.
            dereddened: Of line fluxes, that all are corrected for dust.

        Raises:
            ValueError: On observations of another kind, or none.
        """
        if not isinstance(obs, self.data):
            raise ValueError(f"expected {self.data.__name__}, as the model was trained on; got "
                             f"{type(obs).__name__}")
        if len(obs) == 0:
            raise ValueError(f"expected at least one row of {self.data.__name__}; got none")
        if dereddened:
            raise ValueError("expected dereddened= only with line fluxes")
        return obs

    def same(self, other: "Frame") -> bool:
        """Whether data of one are data of the other, rounding of wavelengths apart."""
        return self == other

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.key == other.key

    def __hash__(self) -> int:
        return hash((self.kind, self.key))

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self.key}"


class Pixels(Frame):
    """Spectra on one grid of wavelengths.

    Args:
        wave: Pixel centres in vacuum angstrom, increasing [pixels]; or a quantity.
    """

    kind, data = "pixels", Spectra

    def __init__(self, wave):
        self.wave = checked_wave(wave)

    @property
    def key(self) -> tuple:
        return (self.wave.tobytes(),)

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
        """Flux and inverse variance on the grid (`on_grid`)."""
        obs = on_grid(obs, self.wave)
        return obs.flux, obs.ivar

    def observed(self, flux, ivar) -> Spectra:
        """Spectra on the grid."""
        return Spectra(self.wave, np.asarray(flux), np.asarray(ivar))

    def judged(self, obs: Spectra) -> tuple[Int[np.ndarray, " batch"], dict[str, np.ndarray]]:
        """No data, little coverage, few pixels; ``snr``."""
        inside = (obs.wave >= self.wave[0]) & (obs.wave <= self.wave[-1])
        good = (obs.ivar > 0) & inside
        x, whole = np.log(obs.wave), np.log(self.wave[-1] / self.wave[0])
        first, last = np.where(good, x, np.inf).min(1), np.where(good, x, -np.inf).max(1)
        covered = np.maximum(last - first, 0) / whole
        share = (good * np.gradient(x)).sum(1) / whole
        flags = (
            np.where(~good.any(1), Flag.NO_DATA, 0)
            | np.where(covered < 0.75, Flag.LITTLE_COVERAGE, 0)
            | np.where(share < 0.5, Flag.FEW_PIXELS, 0)
        )
        return flags, {"snr": obs.snr}

    def described(self, flux, ivar) -> Float[np.ndarray, "batch features"]:
        """`flowspec.data.continuum.broad_features`."""
        return broad_features(np.asarray(flux), np.asarray(ivar))

    def blank(self) -> tuple[np.ndarray, ...]:
        zero = np.zeros((1, self.size), np.float32)
        return zero, zero + 1


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

    @property
    def size(self) -> int:
        return len(self.lines)

    def seen(self, obs: Observation, dereddened: bool = False) -> Lines:
        """The lines of the model, corrected for dust where `dereddened` or the rows say so."""
        obs = super().seen(obs)
        return obs.select(self.lines).corrected(obs.dereddened | dereddened)

    def arrays(self, obs: Lines) -> tuple[np.ndarray, ...]:
        """Flux, err, state, and whether corrected for dust."""
        obs = obs.select(self.lines)
        return obs.flux, obs.err, obs.state, obs.dereddened.astype(float)

    def observed(self, flux, err, state, dereddened) -> Lines:
        """Rows of a catalogue."""
        arrays = (np.asarray(a) for a in (flux, err, state))
        return of_states(self.lines, *arrays, dereddened=np.asarray(dereddened) > 0.5)

    def judged(self, obs: Lines) -> tuple[Int[np.ndarray, " batch"], dict[str, np.ndarray]]:
        """No data; ``lines`` of the model that there are, ``limits`` among them, ``snr``."""
        obs = obs.select(self.lines)
        used = (obs.state != State.ABSENT).sum(1)
        limits = (obs.state == State.LIMIT).sum(1)
        columns = {"lines": used, "limits": limits, "snr": obs.snr}
        return np.where(used == 0, Flag.NO_DATA, 0), columns

    def silent(self, obs: Lines) -> dict[str, Bool[np.ndarray, " batch"]]:
        """Fluxes that are corrected for dust say nothing of it."""
        return {"av": obs.dereddened}

    def described(self, flux, err, state, dereddened) -> Float[np.ndarray, "batch features"]:
        """`flowspec.data.line_features.line_features`."""
        del dereddened
        return np.asarray(line_features(*map(jnp.asarray, (flux, err, state))))

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

    @property
    def size(self) -> int:
        return len(self.names)

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

    def blank(self) -> tuple[np.ndarray, ...]:
        zero = np.zeros((1, self.size), np.float32)
        return zero, zero, zero > -1


FRAMES = {frame.kind: frame for frame in (Pixels, LineSet, Columns)}
