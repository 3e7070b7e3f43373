"""Scores of posterior summaries against labels: pure functions of arrays."""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from flowspec import Flag
from flowspec.check.redshift import purity_completeness


def redshift(
    z: np.ndarray, truth: np.ndarray, relative: Sequence[float], absolute: Sequence[float] = ()
) -> dict[str, float]:
    """Shares of redshifts close to the truth, and the median error.

    Args:
        z: Redshifts [rows].
        truth: True redshifts [rows].
        relative: Limits on ``|dz| / (1 + z)``.
        absolute: Limits on ``|dz|``.
    """
    error = np.abs(z - truth)
    scaled = error / (1 + truth)
    shares = {f"share dz/(1+z)<{limit:g}": share(scaled < limit) for limit in relative}
    shares |= {f"share dz<{limit:g}": share(error < limit) for limit in absolute}
    return {"n": len(z), **shares, "median dz/(1+z)": middle(scaled)}


def against_labels(
    low: np.ndarray, median: np.ndarray, high: np.ndarray, label: np.ndarray
) -> dict[str, float]:
    """Median offset, scatter about it and coverage of labels; rows without a label do not count.

    The scatter is that of median less label (`nmad`).

    Args:
        low: 16th percentiles [rows].
        median: 50th percentiles [rows].
        high: 84th percentiles [rows].
        label: Labels [rows], NaN where there is none.
    """
    known = np.isfinite(label)
    low, median, high, label = (a[known] for a in (low, median, high, label))
    difference = median - label
    offset = middle(difference)
    return {
        "n": int(known.sum()),
        "offset": offset,
        "nmad": nmad(difference),
        "inside_68": share((label >= low) & (label <= high)),
        "inside_68 less offset": share((label + offset >= low) & (label + offset <= high)),
    }


def purity(
    probability: np.ndarray, right: np.ndarray, wanted: Sequence[float] = (0.9, 0.95, 0.97, 0.99)
) -> dict[str, float]:
    """Largest share of rows that can be kept, by decreasing probability, at each purity.

    Args:
        probability: What rows are ranked by [rows].
        right: Whether each row is right [rows].
        wanted: Purities, shares of right rows among those kept.
    """
    if len(probability) == 0:
        return {f"kept at purity {p:g}": 0.0 for p in wanted}
    curve = purity_completeness(probability, right)
    return {f"kept at purity {p:g}": curve.kept_at(p) for p in wanted}


def binned_nll(edges: np.ndarray, density: np.ndarray, truth: np.ndarray) -> float:
    """Mean of ``-log p(truth)`` of densities that are constant in bins; infinite outside them.

    Args:
        edges: Of the bins [bins + 1].
        density: Per unit [rows, bins].
        truth: True values [rows].
    """
    at = np.searchsorted(edges, truth, side="right") - 1
    inside = (at >= 0) & (at < density.shape[1])
    p = np.where(inside, density[np.arange(len(at)), np.clip(at, 0, density.shape[1] - 1)], 0)
    with np.errstate(divide="ignore"):
        return float(-np.log(p).mean())


def flag_shares(flags: np.ndarray) -> dict[str, float]:
    """Share of rows with each flag, and with none."""
    flags = np.asarray(flags, int)
    shares = {flag.name.lower(): share((flags & flag) > 0) for flag in Flag}
    return shares | {"none": share(flags == 0)}


def report_half(names: Sequence[str]) -> np.ndarray:
    """Whether each row belongs to the half that is reported and was not looked at meanwhile.

    Decided by a hash of the name alone, so it never depends on order or company.
    """
    return np.array([hashlib.sha256(n.encode()).digest()[0] % 2 == 1 for n in names], bool)


def in_halves(names: Sequence[str], score: Callable[[np.ndarray], dict]) -> dict[str, dict]:
    """``score(rows)`` of all rows, of the half looked at in development, and of the other.

    Args:
        names: One per row.
        score: From a mask of rows to results.
    """
    report = report_half(names)
    masks = {"all": np.ones(len(report), bool), "look": ~report, "report": report}
    return {name: score(mask) for name, mask in masks.items()}


def share(mask: np.ndarray) -> float:
    """Mean of a mask; NaN for an empty one."""
    return float(np.mean(mask)) if len(mask) else float("nan")


def middle(x: np.ndarray) -> float:
    """Median; NaN of nothing."""
    return float(np.median(x)) if len(x) else float("nan")


def nmad(x: np.ndarray) -> float:
    """``1.4826 median |x - median(x)|``, the standard deviation were it normal."""
    return 1.4826 * middle(np.abs(x - middle(x)))
