"""Are the data like simulations? A check in the data themselves, as a p-value per row.

A network's summaries are blind to what it ignores, such as a line that no simulation has. Here
each row is compared with the best reconstruction of it (`Reconstruction`) at the posterior's own
redshift. What is left is looked at in several ways: all of it, the strangeness of the
reconstruction, the worst pixel, and in about thirty windows its size, its longest run of one sign
and its mean. Each statistic is ranked among simulations of the same signal-to-noise ratio, the
least of their p-values is ranked again, and that rank is the misfit (a min-p test: Westfall &
Young 1993, "Resampling-Based Multiple Testing"). Whatever simulations themselves have, such as
cosmic rays, is allowed for.
"""

from typing import NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Float

from flowspec.data.frame import Frame, LineSet
from flowspec.model.redshift_bins import RedshiftBins
from flowspec.posterior.oddness import Null, Ranks, kinds_of, snr_of, statistics_of, windows
from flowspec.posterior.reconstruction import COMPONENTS, Reconstruction

LEVEL = 0.01  # misfit below which data are called unlike simulations
_SHORT = 4 * COMPONENTS  # numbers per row up to which each is judged by all others

_CONDITIONS, _NULLS = ("snr", "middle", "width"), ("single", "family", "least")  # of `Ranks`


class Compared(NamedTuple):
    """How much rows are like simulations.

    Attributes:
        p_value: Share of simulations at least as odd, NaN where there is no data [rows].
        where: Where each row is oddest.
    """

    p_value: Float[np.ndarray, " rows"]
    where: list[str]


class Misfit(eqx.Module):
    """The reconstruction and what it leaves of simulations.

    Attributes:
        scale: Of each number of short rows; 1 in long ones [size].
        reconstruction: Of rows in units of the scale.
        ranks: Of the statistics of what it leaves.
    """

    scale: Float[np.ndarray, " size"]
    reconstruction: Reconstruction
    ranks: Ranks

    @classmethod
    def learned(
        cls, frame: Frame, redshift: RedshiftBins | None, data: tuple, z, best_z
    ) -> "Misfit":
        """One half of some simulations gives the reconstruction, the other what it leaves.

        Args:
            frame: Of the data.
            redshift: Bins of the model, whose limits are those of the shifts, or None.
            data: Arrays of simulations.
            z: Their redshifts, or None.
            best_z: Redshifts of the second half as the posterior has them, or None.
        """
        half = len(data[0]) // 2
        values, weight = frame.linear(*data)
        scale = _scale(values, weight)
        values, weight = _scaled(values, weight, scale)
        stride, rest = (1, values.shape[1]) if z is None else _rest(frame, redshift)
        at = first_pixels(frame, redshift, z, len(values))
        model = Reconstruction.learned(values[:half], weight[:half], at[:half], rest, stride)
        if frame.kind == LineSet.kind:  # fluxes relative to one another
            model = model.with_free(1 / scale)
        values, weight = values[half:], weight[half:]
        at = first_pixels(frame, redshift, best_z, len(values))
        raw = statistics_of(values, weight, *model.fitted(values, weight, at))
        ranks = Ranks.learned(raw, snr_of(values, weight), kinds_of(values.shape[1]))
        return cls(scale, model, ranks)

    def arrays(self) -> dict[str, np.ndarray]:
        """Of a model file."""
        arrays = {"misfit.scale": self.scale}
        arrays |= {f"misfit.{name}": getattr(self.ranks, name) for name in _CONDITIONS}
        for name in _NULLS:
            arrays[f"misfit.{name}"] = getattr(self.ranks, name).value.astype(np.float32)
        model, half = self.reconstruction, np.float16
        arrays["misfit.templates"] = model.templates.astype(half)
        return arrays | {"misfit.mean": model.mean, "misfit.precision": model.precision,
                         "misfit.ranks": self.ranks.single.log_p,
                         "misfit.stride": np.array(model.stride)}

    @classmethod
    def restored(cls, arrays: dict[str, np.ndarray]) -> "Misfit | None":
        """From those of a model file; early ones have none."""
        own = {n.removeprefix("misfit."): a for n, a in arrays.items() if n.startswith("misfit.")}
        if not own:
            return None
        model = Reconstruction(own["templates"].astype(np.float32), own["mean"], own["precision"],
                               own["stride"].item())
        nulls = [Null(own["ranks"], own[name]) for name in _NULLS]
        return cls(own["scale"], model, Ranks(*(own[name] for name in _CONDITIONS), *nulls))

    def compared(
        self, frame: Frame, redshift: RedshiftBins | None, data: tuple, best_z
    ) -> Compared:
        """Rows as arrays of the frame, at the posterior's redshifts (None without redshift)."""
        values, weight, residual, distance = self._left(frame, redshift, data, best_z)
        raw = statistics_of(values, weight, residual, distance)
        found = self.ranks.ranked(raw, snr_of(values, weight), kinds_of(values.shape[1]))
        where = [self._place(frame, int(kind), found.tails[row], residual[row])
                 for row, kind in enumerate(found.kind)]
        return Compared(np.where((weight > 0).any(1), found.p_value, np.nan), where)

    def residuals(
        self, frame: Frame, redshift: RedshiftBins | None, data: tuple, z
    ) -> Float[np.ndarray, "rows size"]:
        """What the reconstruction of each row leaves, in standard deviations; 0 without data.

        Args:
            frame: Of the data.
            redshift: Bins of the model, or None.
            data: Arrays of the frame.
            z: Redshift of each row to reconstruct it at, or None.
        """
        return self._left(frame, redshift, data, z)[2]

    def _left(self, frame, redshift, data, z) -> tuple[np.ndarray, ...]:
        """Scaled values and weights, residuals, and the distance of the coefficients."""
        values, weight = _scaled(*frame.linear(*data), self.scale)
        at = first_pixels(frame, redshift, z, len(values))
        return values, weight, *self.reconstruction.fitted(values, weight, at)

    def _place(self, frame: Frame, kind: int, tails, residual) -> str:
        """Where a row is oddest, in words."""
        if kind < 2:
            return ("the size of the noise", "the shape of the whole")[kind]
        if kind == 2:
            return frame.label(int(np.abs(residual).argmax()))
        part = windows(len(residual))[tails[kinds_of(len(residual))[kind]].argmin()]
        return f"{frame.label(int(part[0]))} to {frame.label(int(part[-1]))}"


def _scale(values, weight) -> Float[np.ndarray, " size"]:
    """Scatter of each number of short rows, which may be of any units."""
    if values.shape[1] > _SHORT:
        return np.ones(values.shape[1])
    good = weight > 0
    count = np.maximum(good.sum(0), 1)
    mean = np.where(good, values, 0).sum(0) / count
    scatter = np.sqrt(np.where(good, (values - mean) ** 2, 0).sum(0) / count)
    return np.where(scatter > 0, scatter, 1)


def _scaled(values, weight, scale):
    """Short rows in units of the scatter, to no better than a hundredth of it."""
    if len(scale) > _SHORT:
        return values, weight
    weight = np.minimum(weight * scale**2, 1e4)
    return (values / scale).astype(np.float32), weight.astype(np.float32)


def _step(frame: Frame) -> float:
    """Half a pixel of ln(wavelength)."""
    return np.log(frame.wave[-1] / frame.wave[0]) / (frame.size - 1) / 2


def _rest(frame: Frame, redshift: RedshiftBins) -> tuple[int, int]:
    """Stride and length of the rest frame."""
    low, high = redshift.low, redshift.high
    return 2, 2 * frame.size + int(np.ceil(np.log((1 + high) / (1 + low)) / _step(frame))) + 2


def first_pixels(frame: Frame, redshift: RedshiftBins | None, z, rows: int) -> np.ndarray:
    """Number of the rest-frame pixel where each row begins."""
    if z is None:
        return np.zeros(rows, int)
    z = np.clip(np.where(np.isfinite(z), z, redshift.low), redshift.low, redshift.high)
    return np.rint(np.log((1 + redshift.high) / (1 + z)) / _step(frame)).astype(int)
