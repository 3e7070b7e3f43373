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
from scipy.ndimage import minimum_filter1d, uniform_filter1d

from flowspec.data.frame import Frame, LineSet
from flowspec.model.space import RedshiftBins
from flowspec.posterior.reconstruction import COMPONENTS, Reconstruction

LEVEL = 0.01  # misfit below which data are called unlike simulations
_CLIP = 3.0
_WINDOWS = 30
_SMOOTH, _RUN = 3, 9  # pixels: of a running mean, and of the shortest run of one sign
_SNR_NODES = 7
_RANKS = 64
_SHORT = 4 * COMPONENTS  # numbers per row up to which each is judged by all others

_ARRAYS, _NULLS = ("scale", "snr", "middle", "width"), ("single", "family", "least")


class Null(eqx.Module):
    """Tails of statistics among simulations.

    Attributes:
        log_p: Logarithms of tail probabilities, from 0 down [ranks].
        value: Of each statistic that simulations exceed with such a probability.
    """

    log_p: Float[np.ndarray, " ranks"]
    value: Float[np.ndarray, "ranks statistics"]

    @classmethod
    def of(cls, statistics: Float[np.ndarray, "rows statistics"]) -> "Null":
        """From those of simulations."""
        log_p = np.linspace(0, -np.log(len(statistics) + 1), _RANKS)
        value = np.quantile(statistics, np.clip(1 - np.exp(log_p), 0, 1), axis=0)
        return cls(log_p, value)

    def tail(self, statistics: Float[np.ndarray, "rows statistics"]) -> np.ndarray:
        """Logarithm of the probability of larger ones, exponential beyond the last simulation."""
        found = np.empty(statistics.shape)
        half = len(self.log_p) // 2  # of a table of 10,000 the last 100
        ties = 1e-6 * np.arange(len(self.log_p))  # the usual value is not a rare one
        for column, value in enumerate(self.value.T):
            x, value = statistics[:, column], value + ties
            slope = (self.log_p[-1] - self.log_p[half]) / (value[-1] - value[half] + 1e-9)
            beyond = self.log_p[-1] + slope * np.maximum(x - value[-1], 0)
            inside = np.interp(x, value, self.log_p)
            found[:, column] = np.where(x > value[-1], beyond, inside)
        return np.maximum(found, -50)


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
        snr: Logarithms of signal-to-noise ratios [nodes].
        middle: Median of each statistic there.
        width: Its distance from the 84th percentile.
        single: Tails of the statistics.
        family: Tails of the least p-value among the statistics of a kind.
        least: Tails of the least of those.
    """

    scale: Float[np.ndarray, " size"]
    reconstruction: Reconstruction
    snr: Float[np.ndarray, " nodes"]
    middle: Float[np.ndarray, "nodes statistics"]
    width: Float[np.ndarray, "nodes statistics"]
    single: Null
    family: Null
    least: Null

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
        at = _first(frame, redshift, z, len(values))
        model = Reconstruction.learned(values[:half], weight[:half], at[:half], rest, stride)
        if frame.kind == LineSet.kind:  # fluxes relative to one another
            model = model.with_free(1 / scale)
        values, weight = values[half:], weight[half:]
        at = _first(frame, redshift, best_z, len(values))
        raw = _statistics(values, weight, *model.fitted(values, weight, at))
        snr = _snr(values, weight)
        nodes = np.unique(np.quantile(snr, np.linspace(0.02, 0.98, _SNR_NODES)))
        near = [np.argsort(np.abs(snr - x))[: max(len(snr) // _SNR_NODES, 20)] for x in nodes]
        middle, high = np.stack([np.quantile(raw[k], [0.5, 0.84], axis=0) for k in near], axis=1)
        width = high - middle + 1e-3
        standard = _standard(raw, snr, nodes, middle, width)
        odd = -_least(_tails_of_others(standard), _kinds(values.shape[1]))
        least = Null.of(-_tails_of_others(odd).min(1)[:, None])
        return cls(scale, model, nodes, middle, width, Null.of(standard), Null.of(odd), least)

    def arrays(self) -> dict[str, np.ndarray]:
        """Of a model file."""
        arrays = {f"misfit.{name}": getattr(self, name) for name in _ARRAYS}
        for name in _NULLS:
            arrays[f"misfit.{name}"] = getattr(self, name).value.astype(np.float32)
        model, half = self.reconstruction, np.float16
        arrays["misfit.templates"] = model.templates.astype(half)
        return arrays | {"misfit.mean": model.mean, "misfit.precision": model.precision,
                         "misfit.ranks": self.single.log_p, "misfit.stride": np.array(model.stride)}

    @classmethod
    def restored(cls, arrays: dict[str, np.ndarray]) -> "Misfit | None":
        """From those of a model file; early ones have none."""
        own = {n.removeprefix("misfit."): a for n, a in arrays.items() if n.startswith("misfit.")}
        if not own:
            return None
        model = Reconstruction(own["templates"].astype(np.float32), own["mean"], own["precision"],
                               own["stride"].item())
        nulls = [Null(own["ranks"], own[name]) for name in _NULLS]
        scale, *conditions = (own[name] for name in _ARRAYS)
        return cls(scale, model, *conditions, *nulls)

    def compared(
        self, frame: Frame, redshift: RedshiftBins | None, data: tuple, best_z
    ) -> Compared:
        """Rows as arrays of the frame, at the posterior's redshifts (None without redshift)."""
        values, weight = _scaled(*frame.linear(*data), self.scale)
        at = _first(frame, redshift, best_z, len(values))
        residual, distance = self.reconstruction.fitted(values, weight, at)
        raw = _statistics(values, weight, residual, distance)
        standard = _standard(raw, _snr(values, weight), self.snr, self.middle, self.width)
        tails = self.single.tail(standard)
        families = self.family.tail(-_least(tails, _kinds(values.shape[1])))
        p_value = np.exp(self.least.tail(-families.min(1)[:, None]))[:, 0]
        where = [self._place(frame, int(kind), tails[row], residual[row])
                 for row, kind in enumerate(families.argmin(1))]
        return Compared(np.where((weight > 0).any(1), p_value, np.nan), where)

    def _place(self, frame: Frame, kind: int, tails, residual) -> str:
        """Where a row is oddest, in words."""
        if kind < 2:
            return ("the size of the noise", "the shape of the whole")[kind]
        if kind == 2:
            return frame.label(int(np.abs(residual).argmax()))
        part = _parts(len(residual))[tails[_kinds(len(residual))[kind]].argmin()]
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


def _statistics(values, weight, residual, distance) -> Float[np.ndarray, "rows statistics"]:
    """All ways of looking at residuals, each larger the odder [rows, 3 or 3 + 3 windows]."""
    good = weight > 0
    size = np.minimum(residual**2, _CLIP**2) - good
    columns = [size.sum(1) / np.sqrt(good.sum(1) + 1), distance, np.abs(residual).max(1)]
    parts = _parts(values.shape[1])
    if parts:
        clipped, runs = np.clip(residual, -_CLIP, _CLIP), _runs(residual)
        number = [np.sqrt(good[:, p].sum(1) + 1) for p in parts]
        columns += [size[:, p].sum(1) / n for p, n in zip(parts, number, strict=True)]
        columns += [runs[:, p].max(1) for p in parts]
        columns += [np.abs(clipped[:, p].sum(1)) / n for p, n in zip(parts, number, strict=True)]
    return np.arcsinh(np.stack(columns, axis=1))


def _runs(residual: Float[np.ndarray, "rows pixels"]) -> Float[np.ndarray, "rows pixels"]:
    """Least size among neighbours of one sign: lines are wide, cosmic rays are not."""
    smooth = uniform_filter1d(residual, _SMOOTH, axis=1)
    return np.maximum(*(minimum_filter1d(s * smooth, _RUN, axis=1) for s in (1, -1)))


def _parts(size: int) -> list[np.ndarray]:
    """Windows of long rows; short ones have none."""
    return np.array_split(np.arange(size), _WINDOWS) if size >= _RUN * _WINDOWS // 2 else []


def _tails_of_others(statistics) -> Float[np.ndarray, "rows statistics"]:
    """Tails of each row among the rows of the other half, lest a row be compared with itself."""
    halves = statistics[::2], statistics[1::2]
    found = np.empty(statistics.shape)
    for start, (own, other) in enumerate([halves, halves[::-1]]):
        found[start::2] = Null.of(other).tail(own)
    return found


def _kinds(size: int) -> list[slice]:
    """Which statistics look at the same thing."""
    windows = len(_parts(size))
    ends = [3 + k * windows for k in range(4)] if windows else [3]
    return [slice(k, k + 1) for k in range(3)] + [
        slice(a, b) for a, b in zip(ends, ends[1:], strict=False)
    ]


def _least(tails, kinds) -> Float[np.ndarray, "rows kinds"]:
    return np.stack([tails[:, k].min(1) for k in kinds], axis=1)


def _snr(values, weight) -> Float[np.ndarray, " rows"]:
    """Logarithm of the mean signal-to-noise ratio."""
    count = np.maximum((weight > 0).sum(1), 1)
    return np.log((np.abs(values) * np.sqrt(weight)).sum(1) / count + 1e-3)


def _standard(raw, snr, nodes, middle, width) -> Float[np.ndarray, "rows statistics"]:
    """Statistics relative to those of simulations of the same signal-to-noise ratio."""
    at = [np.stack([np.interp(snr, nodes, c) for c in a.T], axis=1) for a in (middle, width)]
    return (raw - at[0]) / at[1]


def _step(frame: Frame) -> float:
    """Half a pixel of ln(wavelength)."""
    return np.log(frame.wave[-1] / frame.wave[0]) / (frame.size - 1) / 2


def _rest(frame: Frame, redshift: RedshiftBins) -> tuple[int, int]:
    """Stride and length of the rest frame."""
    low, high = redshift.low, redshift.high
    return 2, 2 * frame.size + int(np.ceil(np.log((1 + high) / (1 + low)) / _step(frame))) + 2


def _first(frame: Frame, redshift: RedshiftBins | None, z, rows: int) -> np.ndarray:
    """Number of the rest-frame pixel where each row begins."""
    if z is None:
        return np.zeros(rows, int)
    z = np.clip(np.where(np.isfinite(z), z, redshift.low), redshift.low, redshift.high)
    return np.rint(np.log((1 + redshift.high) / (1 + z)) / _step(frame)).astype(int)
