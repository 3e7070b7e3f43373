"""Hours of exposure that a survey needs for a completeness."""

from typing import NamedTuple

import numpy as np
from astropy.table import QTable, Table
from jaxtyping import Float, Int, Num

from flowspec.check.survey import MAGNITUDES, TYPES, is_right

WANTED = (0.8, 0.9)  # completeness
THRESHOLDS = (0.0, 0.9)  # of z_prob: every redshift counts, or only those that a survey would keep


class Hours(NamedTuple):
    """Exposure that reaches a share, with its 68 % range.

    Attributes:
        hours: NaN where it is not between the shortest and the longest exposure.
        hours_low: 16th percentile; 0 below the shortest exposure, infinite above the longest.
        hours_high: 84th percentile, likewise.
        limit: "", or as in "<= 2" and "> 8" where `hours` is NaN, or "no data".
    """

    hours: float
    hours_low: float
    hours_high: float
    limit: str


def hours_table(truth: Table, answer: Table) -> QTable:
    """Hours of exposure needed by type and H magnitude for a completeness.

    Args:
        truth: As `flowspec.check.survey` has it.
        answer: Likewise.

    Returns:
        One row per `type`, magnitude bin (`low`, `high`), `threshold` and `wanted`: `n` galaxies;
        `shares`, those of all galaxies that are right and have a `z_prob` above `threshold`, at
        each exposure time of ``meta["t_exp"]`` [rows, times]; and the columns of `Hours`.
    """
    right, passive = is_right(truth, answer), np.asarray(truth["quiescent"] > 0)
    times, at = np.unique(np.asarray(truth["t_exp"]), return_inverse=True)
    magnitude, rows = np.asarray(truth["m_h"]), []
    for number, name in enumerate(TYPES):
        for low, high in zip(MAGNITUDES[:-1], MAGNITUDES[1:], strict=True):
            chosen = (passive == number) & (magnitude >= low) & (magnitude < high)
            n = np.bincount(at[chosen], minlength=len(times))
            for threshold in THRESHOLDS:
                good = chosen & right & (np.asarray(answer["z_prob"]) > threshold)
                found = np.bincount(at[good], minlength=len(times))
                own = {"type": name, "low": low, "high": high, "n": int(n.sum())}
                own |= {"threshold": threshold, "shares": found / np.where(n > 0, n, np.nan)}
                for wanted in WANTED:
                    needed = hours_needed(times, found, n, wanted)
                    rows.append(own | {"wanted": wanted} | needed._asdict())
    return QTable(rows, meta={"t_exp": times.tolist()})


def hours_needed(
    times: Num[np.ndarray, " times"],
    right: Int[np.ndarray, " times"],
    n: Int[np.ndarray, " times"],
    wanted: float,
    *,
    draws: int = 1000,
) -> Hours:
    """Exposure at which a share of galaxies is right, and how well that is known.

    Shares are taken to rise with exposure (`rising`) and interpolated linearly in its logarithm.
    The range is that of shares drawn from their posteriors under Jeffreys' prior.

    Args:
        times: Exposure times in hours, increasing.
        right: Galaxies that are right at each.
        n: Galaxies at each; times without any do not count.
        wanted: The share.
        draws: Behind the range.
    """
    times, right, n = (a[n > 0] for a in (times, right, n))
    if len(times) == 0:
        return Hours(np.nan, np.nan, np.nan, "no data")
    hours = float(crossing(times, rising(right / n, n), wanted))
    drawn = np.random.default_rng(0).beta(right + 0.5, n - right + 0.5, (draws, len(times)))
    found = crossing(times, rising(drawn, n), wanted)
    # no interpolation between percentiles: some are infinite
    ends = np.percentile(found, [16, 84], method="inverted_cdf")
    limit = {0.0: f"<= {times[0]:g}", np.inf: f"> {times[-1]:g}"}.get(hours, "")
    return Hours(np.nan if limit else hours, *ends.tolist(), limit)


def rising(
    share: Float[np.ndarray, "*draws times"], weight: Num[np.ndarray, " times"]
) -> Float[np.ndarray, "*draws times"]:
    """The closest shares that do not fall with time: weighted isotonic regression.

    By the max-min formula, the largest over starts of the least over ends of the means between
    them (Barlow et al. 1972, Statistical Inference under Order Restrictions, chapter 1).
    """
    last = len(weight)

    def mean(start, end):
        own = weight[start:end]
        return (share[..., start:end] * own).sum(-1) / own.sum()

    def least(start, i):
        return np.min([mean(start, end) for end in range(i + 1, last + 1)], axis=0)

    each = [np.max([least(start, i) for start in range(i + 1)], axis=0) for i in range(last)]
    return np.stack(each, axis=-1)


def crossing(
    times: Num[np.ndarray, " times"], share: Float[np.ndarray, "*draws times"], wanted: float
) -> Float[np.ndarray, "*draws"]:
    """Where rising shares reach the wanted one, linear in the logarithm of the time.

    Returns:
        Hours; 0 where the first share is as high already, infinity where none is.
    """
    reached, x = share >= wanted, np.log(times)
    after = reached.argmax(-1)
    before = np.maximum(after - 1, 0)
    high, low = (np.take_along_axis(share, i[..., None], -1)[..., 0] for i in (after, before))
    part = (wanted - low) / np.where(high > low, high - low, 1.0)
    hours = np.exp(x[before] + part * (x[after] - x[before]))
    return np.where(reached[..., 0], 0.0, np.where(reached.any(-1), hours, np.inf))
