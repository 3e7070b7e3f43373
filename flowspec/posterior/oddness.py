"""How odd residuals are: statistics, and their ranks among those of simulations.

Each statistic is ranked among simulations of the same signal-to-noise ratio, the least p-value
among those that look at the same thing is ranked again, and so is the least of these: a min-p test
(Westfall & Young 1993, "Resampling-Based Multiple Testing").
"""

from functools import cache
from typing import NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import minimum_filter1d, uniform_filter1d

_CLIP = 3.0
_WINDOWS = 30
_SMOOTH, _RUN = 3, 9  # pixels: of a running mean, and of the shortest run of one sign
_SNR_NODES = 7
_RANKS = 64


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


class Ranked(NamedTuple):
    """How odd rows are among simulations.

    Attributes:
        p_value: Share of simulations at least as odd [rows].
        tails: Logarithm of the p-value of each statistic [rows, statistics].
        kind: Number of the kind of statistics that is oddest [rows].
    """

    p_value: Float[np.ndarray, " rows"]
    tails: Float[np.ndarray, "rows statistics"]
    kind: Int[np.ndarray, " rows"]


class Ranks(eqx.Module):
    """What statistics are among simulations.

    Attributes:
        snr: Logarithms of signal-to-noise ratios [nodes].
        middle: Median of each statistic there.
        width: Its distance from the 84th percentile.
        single: Tails of the statistics.
        family: Tails of the least p-value among the statistics of a kind.
        least: Tails of the least of those.
    """

    snr: Float[np.ndarray, " nodes"]
    middle: Float[np.ndarray, "nodes statistics"]
    width: Float[np.ndarray, "nodes statistics"]
    single: Null
    family: Null
    least: Null

    @classmethod
    def learned(
        cls, raw: Float[np.ndarray, "rows statistics"], snr: Float[np.ndarray, " rows"],
        kinds: list[slice],
    ) -> "Ranks":  # fmt: skip
        """From the statistics of simulations and the logarithms of their signal-to-noise ratios."""
        nodes = np.unique(np.quantile(snr, np.linspace(0.02, 0.98, _SNR_NODES)))
        near = [np.argsort(np.abs(snr - x))[: max(len(snr) // _SNR_NODES, 20)] for x in nodes]
        middle, high = np.stack([np.quantile(raw[k], [0.5, 0.84], axis=0) for k in near], axis=1)
        width = high - middle + 1e-3
        standard = _standard(raw, snr, nodes, middle, width)
        odd = -_least(_tails_of_others(standard), kinds)
        least = Null.of(-_tails_of_others(odd).min(1)[:, None])
        return cls(nodes, middle, width, Null.of(standard), Null.of(odd), least)

    def ranked(
        self, raw: Float[np.ndarray, "rows statistics"], snr: Float[np.ndarray, " rows"],
        kinds: list[slice],
    ) -> Ranked:  # fmt: skip
        """Rows with these statistics."""
        tails = self.single.tail(_standard(raw, snr, self.snr, self.middle, self.width))
        families = self.family.tail(-_least(tails, kinds))
        p_value = np.exp(self.least.tail(-families.min(1)[:, None]))[:, 0]
        return Ranked(p_value, tails, families.argmin(1))


def statistics_of(values, weight, residual, distance) -> Float[np.ndarray, "rows statistics"]:
    """All ways of looking at residuals, each larger the odder [rows, 3 or 3 + 3 windows]."""
    good = weight > 0
    size = np.minimum(residual**2, _CLIP**2) - good
    columns = [size.sum(1) / np.sqrt(good.sum(1) + 1), distance, np.abs(residual).max(1)]
    parts = windows(values.shape[1])
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


@cache
def windows(size: int) -> tuple[slice, ...]:
    """Windows of long rows; short ones have none."""
    if size < _RUN * _WINDOWS // 2:
        return ()
    parts = np.array_split(np.arange(size), _WINDOWS)
    return tuple(slice(int(part[0]), int(part[-1]) + 1) for part in parts)


def _tails_of_others(statistics) -> Float[np.ndarray, "rows statistics"]:
    """Tails of each row among the rows of the other half, lest a row be compared with itself."""
    halves = statistics[::2], statistics[1::2]
    found = np.empty(statistics.shape)
    for start, (own, other) in enumerate([halves, halves[::-1]]):
        found[start::2] = Null.of(other).tail(own)
    return found


def kinds_of(size: int) -> list[slice]:
    """Which statistics look at the same thing."""
    count = len(windows(size))
    ends = [3 + k * count for k in range(4)] if count else [3]
    return [slice(k, k + 1) for k in range(3)] + [
        slice(a, b) for a, b in zip(ends, ends[1:], strict=False)
    ]


def _least(tails, kinds) -> Float[np.ndarray, "rows kinds"]:
    return np.stack([tails[:, k].min(1) for k in kinds], axis=1)


def snr_of(values, weight) -> Float[np.ndarray, " rows"]:
    """Logarithm of the mean signal-to-noise ratio."""
    count = np.maximum((weight > 0).sum(1), 1)
    return np.log((np.abs(values) * np.sqrt(weight)).sum(1) / count + 1e-3)


def _standard(raw, snr, nodes, middle, width) -> Float[np.ndarray, "rows statistics"]:
    """Statistics relative to those of simulations of the same signal-to-noise ratio."""
    at = [np.stack([np.interp(snr, nodes, c) for c in a.T], axis=1) for a in (middle, width)]
    return (raw - at[0]) / at[1]
