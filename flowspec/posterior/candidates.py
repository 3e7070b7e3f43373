"""Up to five redshifts of each object: where the posterior has peaks, how wide and how probable."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from flowspec.posterior.redshift import LIMIT, cumulative, interpolated, windows

MOST = 5
LEAST = 0.01  # five of 500 draws: a lower rise says little
_ROWS = 256  # posteriors searched at once


class Candidates(NamedTuple):
    """Redshifts of each posterior, the most probable first, NaN beyond those that there are.

    Attributes:
        z: Mean redshift of each window of ±`LIMIT`.
        sigma: Standard deviation in it.
        share: What it holds.
    """

    z: Float[np.ndarray, "rows most"]
    sigma: Float[np.ndarray, "rows most"]
    share: Float[np.ndarray, "rows most"]


def candidates(
    edges: Float[np.ndarray, " edges"], pdf: Float[np.ndarray, "rows bins"]
) -> Candidates:
    """Peaks of each posterior: windows of ±`LIMIT` that do not overlap, found one by one.

    The first is that of `flowspec.posterior.redshift.peaks`. Each further one is the most
    prominent: what it holds, less the most that the emptiest window on the way to a peak already
    found holds, is greatest. So the wings of a broad peak are no peaks. Those that rise by less
    than `LEAST` are left out.

    Args:
        edges: Of the redshift bins, increasing.
        pdf: Density in them, which integrates to one.
    """
    parts = [_candidates(edges, pdf[i : i + _ROWS]) for i in range(0, max(len(pdf), 1), _ROWS)]
    return Candidates(*map(np.concatenate, zip(*parts, strict=True)))


def _candidates(edges, pdf) -> Candidates:
    middles, held = windows(cumulative(pdf * np.diff(edges)), edges)
    rise, valley, free = held, np.full(held.shape, -np.inf), np.ones(held.shape, bool)
    places, there = [], []
    for i in range(MOST):
        best = rise.argmax(1)[:, None]
        there.append((i == 0) | (np.take_along_axis(rise, best, 1) >= LEAST))
        places.append(middles[best])
        valley = np.maximum(valley, _lowest_between(held, best))
        free &= np.abs(middles - middles[best]) >= 2 * LIMIT - 1e-12
        rise = np.where(free, held - valley, 0)
    found = _moments(edges, pdf, np.concatenate(places, 1), np.concatenate(there, 1))
    order = np.argsort(-np.nan_to_num(found.share), axis=1, kind="stable")
    return Candidates(*(np.take_along_axis(x, order, 1) for x in found))


def _lowest_between(held, best) -> Float[np.ndarray, "rows places"]:
    """The least that windows hold between each place and the one at `best` [rows, 1]."""
    place = np.arange(held.shape[1])
    right = np.minimum.accumulate(np.where(place >= best, held, np.inf), axis=1)
    left = np.minimum.accumulate(np.where(place <= best, held, np.inf)[:, ::-1], axis=1)[:, ::-1]
    return np.where(place >= best, right, left)


def _moments(edges, pdf, middles, there) -> Candidates:
    """Share, mean and standard deviation of windows about `middles` [rows, windows]."""

    def integral(power):  # of (1 + z)^(power - 1): linear in (1 + z)^power inside a bin
        grid = (1 + edges) ** power
        total = cumulative(pdf * np.diff(grid) / power)
        low, high = ((1 + np.clip(middles + d, edges[0], edges[-1])) ** power
                     for d in (-LIMIT, LIMIT))
        return interpolated(total, grid, high) - interpolated(total, grid, low)

    share = np.where(there, integral(1), np.nan)
    mean = integral(2) / share
    variance = np.maximum(integral(3) / share - mean**2, 0)
    return Candidates(mean - 1, np.sqrt(variance), share)


def refined(
    found: Candidates, draws: Float[np.ndarray, "n rows"], z_best: Float[np.ndarray, " rows"]
) -> Candidates:
    """With median and standard deviation of the draws in each window where there are enough.

    Bins know no detail below their width.

    Args:
        found: Peaks of the binned posterior.
        draws: Redshifts drawn.
        z_best: The best redshift: the first.
    """
    z, sigma = np.array(found.z), np.array(found.sigma)
    for i in range(MOST):
        rows = np.flatnonzero(np.isfinite(z[:, i]))
        near = np.abs(draws[:, rows] - z[rows, i]) < LIMIT
        enough = near.sum(0) >= 10  # for a standard deviation to a quarter
        rows, inside = rows[enough], np.where(near, draws[:, rows], np.nan)[:, enough]
        if len(rows):
            z[rows, i], sigma[rows, i] = np.nanmedian(inside, axis=0), np.nanstd(inside, axis=0)
    z[:, 0] = z_best
    return Candidates(*(x.astype(draws.dtype) for x in (z, sigma, found.share)))


def candidate_columns(
    found: Candidates, z_best: Float[np.ndarray, " rows"], z_prob: Float[np.ndarray, " rows"]
) -> dict[str, Float[np.ndarray, "rows most"]]:
    """Columns ``z_peaks``, ``z_peak_sigmas`` and ``z_peak_probs`` of the table.

    The first is `z_best` with `z_prob`. Where that is more than its window holds, the others are
    lowered in proportion, so that together they are no more than one.

    Args:
        found: The peaks.
        z_best: Best redshift; NaN where none is told, nor any other peak then.
        z_prob: Probability that it is right; NaN where none is told, nor of any other then.
    """
    left = np.maximum(1 - found.share[:, :1], 1e-9)
    share = found.share * np.minimum((1 - z_prob[:, None]) / left, 1)
    share[:, 0] = z_prob
    known = np.isfinite(z_best)[:, None]
    columns = {"z_peaks": found.z, "z_peak_sigmas": found.sigma, "z_peak_probs": share}
    return {n: np.where(known, x, np.nan).astype(found.z.dtype) for n, x in columns.items()}
