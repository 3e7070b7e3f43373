"""Posterior draws moved and stretched about the middle of each row, as labels want them.

A parameter has a coordinate y in which its prior has no limits. With m and w the middle and the
width of the row's own draws in y, each draw goes

    y -> m + w (a' + s' (y - m) / w),    s' = s / sqrt(1 + v (s^2 - 1)),    a' = a sqrt(1 - v).

The shift a and the stretch s are the same for all rows, or s goes with a power of the
signal-to-noise ratio; v is the variance of the posterior over that of the prior. They are those of
what the *data* say: where all is normal, s' is that of a likelihood stretched by s, and a' that of
one moved by a of its own widths. So a posterior as wide as the prior stays as it is, and a narrow
one takes all. The map is one to one, so that densities follow it, and no draw leaves the prior.
"""

import re
from typing import NamedTuple

import equinox as eqx
import numpy as np
from astropy.table import Table
from jaxtyping import Float, Int

from flowspec.model.space import Space
from flowspec.posterior.landmarks import Landmarks, limits_of


class Fitted(NamedTuple):
    """What labels say of one parameter; zeros where there are none.

    Attributes:
        labels: Number of labels.
        shift: Of the middle, in widths, where the prior says little.
        shift_error: Its standard error.
        log_stretch: Natural logarithm of the stretch, at the labels' mean log10 S/N.
        log_stretch_error: Its standard error.
        slope: Of `log_stretch` with log10 S/N.
        slope_error: Its standard error.
        snr_low: Least log10 S/N of the labels, below which the slope does not reach.
        snr_mean: Their mean.
        snr_high: The greatest.
    """

    labels: float = 0.0
    shift: float = 0.0
    shift_error: float = 0.0
    log_stretch: float = 0.0
    log_stretch_error: float = 0.0
    slope: float = 0.0
    slope_error: float = 0.0
    snr_low: float = 0.0
    snr_mean: float = 0.0
    snr_high: float = 0.0

    def of_rows(self, marks: Landmarks) -> tuple[np.ndarray, np.ndarray]:
        """Shift and stretch of each row [rows], in widths of its draws."""
        away = np.clip(marks.log_snr, self.snr_low, self.snr_high) - self.snr_mean
        stretch = np.exp(self.log_stretch + self.slope * away)
        return (self.shift * np.sqrt(1 - marks.share),
                stretch / np.sqrt(1 + marks.share * (stretch**2 - 1)))

    def __str__(self) -> str:
        stretch, error = np.exp(self.log_stretch), np.exp(self.log_stretch) * self.log_stretch_error
        with_snr = f", S/N to the power {self.slope / np.log(10):.2f}" if self.slope else ""
        return (f"widths recalibrated with {self.labels:.0f} labels: stretch {stretch:.2f} +- "
                f"{error:.2f}{with_snr}, shift {self.shift:.2f} +- {self.shift_error:.2f} sigma")


class Stretch(eqx.Module):
    """Shift and stretch of each parameter, learned from labels.

    Attributes:
        table: A row per parameter, with the columns of `Fitted`.
    """

    table: Float[np.ndarray, "params columns"]

    @classmethod
    def of(cls, fits: dict[str, Fitted], names: tuple[str, ...]) -> "Stretch":
        """From what labels say of some parameters by name."""
        return cls(np.array([fits.get(name, Fitted()) for name in names], float))

    @classmethod
    def restored(cls, arrays: dict[str, np.ndarray], params: int) -> "Stretch | None":
        """From the arrays of a model file; None if it has never seen labels.

        Raises:
            ValueError: If it is one of other parameters.
        """
        if "stretch" not in arrays:
            return None
        shape = params, len(Fitted._fields)
        if arrays["stretch"].shape != shape:
            raise ValueError(f"expected a stretch of shape {shape}; got {arrays['stretch'].shape}")
        return cls(np.asarray(arrays["stretch"], float))

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays of a model file."""
        return {"stretch": self.table}

    def fits(self, names: tuple[str, ...]) -> dict[str, Fitted]:
        """What labels say of each parameter that has any, by its name."""
        return {name: Fitted(*map(float, row))
                for name, row in zip(names, self.table, strict=True) if row[0] > 0}

    def note(self, table: Table, names: tuple[str, ...]) -> None:
        """Say in a table of results which widths are recalibrated: columns, and the key WIDTHS."""
        fits = self.fits(names)
        for name, fit in fits.items():
            for column in table.colnames:
                if re.fullmatch(rf"{re.escape(name)}(_total)?_(p\d+|best|peak_sigmas)", column):
                    table[column].description += f"; {fit}"
        table.meta["WIDTHS"] = self.told(names)

    def told(self, names: tuple[str, ...]) -> str:
        """What labels say of each parameter that has any, in words."""
        return "; ".join(f"{name}: {fit}" for name, fit in self.fits(names).items())

    def moved(
        self, theta: Float[np.ndarray, "n rows params"], source: Int[np.ndarray, "n rows"],
        marks: dict[str, Landmarks], space: Space,
    ) -> Float[np.ndarray, "n rows params"]:  # fmt: skip
        """Draws after the map.

        Args:
            theta: Draws.
            source: Number of the source of each.
            marks: Of each parameter that has labels.
            space: Of the model.
        """
        new = np.array(theta)
        for name, fit in self.fits(space.names).items():
            i = space.names.index(name)
            new[..., i] = forward(theta[..., i].astype(float), fit, marks[name])
        # a limit that moves with another parameter, or another source's, may be nearer
        return np.clip(new, *(x.astype(new.dtype) for x in limits_of(space, new, source)))

    def unmoved(
        self, theta: Float[np.ndarray, "n rows params"], marks: dict[str, Landmarks], space: Space
    ) -> tuple[Float[np.ndarray, "n rows params"], Float[np.ndarray, "n rows"]]:
        """Where draws were before the map, and the log determinant of its inverse.

        Args:
            theta: Draws after it.
            marks: Of each parameter that has labels.
            space: Of the model.
        """
        old, log_det = np.array(theta), np.zeros(theta.shape[:-1])
        for name, fit in self.fits(space.names).items():
            i = space.names.index(name)
            old[..., i], own = backward(theta[..., i].astype(float), fit, marks[name])
            log_det += own
        return old, log_det


def forward(
    x: Float[np.ndarray, "n rows"], fit: Fitted, marks: Landmarks
) -> Float[np.ndarray, "n rows"]:
    """A parameter after the map."""
    place = (marks.limits.free(x) - marks.middle) / marks.width
    return marks.limits.bound(marks.middle + marks.width * bent(place, fit, marks)[0])


def backward(
    x: Float[np.ndarray, "n rows"], fit: Fitted, marks: Landmarks
) -> tuple[Float[np.ndarray, "n rows"], Float[np.ndarray, "n rows"]]:
    """A parameter before the map, and the log derivative of that by what it is after."""
    y = marks.limits.free(x)
    place, log_slope = bent((y - marks.middle) / marks.width, fit, marks, back=True)
    old = marks.middle + marks.width * place
    return (marks.limits.bound(old),
            log_slope + marks.limits.log_slope(old) - marks.limits.log_slope(y))


def bent(
    place: Float[np.ndarray, "n rows"], fit: Fitted, marks: Landmarks, back: bool = False
) -> tuple[Float[np.ndarray, "n rows"], Float[np.ndarray, "n rows"]]:
    """Places in widths from the middle after the map, and the log of its slope there.

    Where there is a `Landmarks.reach`, nothing moves beyond it, such as other peaks of a redshift;
    up to there are straight lines, from where the map comes to half of the reach.

    Args:
        place: Before it.
        fit: What labels say.
        marks: Of the rows.
        back: Whether to give the inverse, of places after it.
    """
    shift, stretch = fit.of_rows(marks)
    if np.isinf(marks.reach).all():
        moved = (place - shift) / stretch if back else shift + stretch * place
        return moved, np.broadcast_to(-np.log(stretch) if back else np.log(stretch), moved.shape)
    inner, reach = marks.reach / 2 / np.maximum(stretch, 1), marks.reach
    shift = np.clip(shift, -reach / 4, reach / 4)
    old = np.stack([-reach, -inner, inner, reach])
    new = np.stack([-reach, shift - stretch * inner, shift + stretch * inner, reach])
    start, end = (new, old) if back else (old, new)
    piece = (place > start[1]).astype(int) + (place > start[2])
    slope = np.take_along_axis(np.diff(end, axis=0) / np.diff(start, axis=0), piece, axis=0)
    # each from its own fixed place: for the inner piece the middle, where all digits are kept
    near, to = (np.take_along_axis(np.stack([x[0], (x[1] + x[2]) / 2, x[3]]), piece, axis=0)
                for x in (start, end))
    moves = np.abs(place) < reach
    return (np.where(moves, to + slope * (place - near), place),
            np.where(moves, np.log(slope), 0.0))
