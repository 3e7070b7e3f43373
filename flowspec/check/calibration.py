"""Calibration of posteriors whose truth is known: functions of arrays, NumPy in and out.

Everything here rests on one number per truth, its probability integral transform (PIT): the share
of posterior samples below the truth. Under a calibrated posterior it is uniform on (0, 1), for
any number of samples and whatever their ties, because `pit` spreads it at random over the gap
between the two samples next to the truth. NaN samples are left out; a row without a finite
comparison gives NaN, which every summary below leaves out of its count.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from jaxtyping import ArrayLike, Float

Levels = Sequence[float] | np.ndarray
EPS = float(np.finfo(np.float64).eps)


def pit(
    samples: Float[ArrayLike, "samples batch params"],
    theta: Float[ArrayLike, "batch params"],
    *,
    seed: int = 0,
) -> Float[np.ndarray, "batch params"]:
    """Probability integral transform of each truth, strictly inside (0, 1).

    With `below` samples under the truth, `ties` equal to it and `n` that are not NaN, this is
    `(below + u * (ties + 1)) / (n + 1)` with `u` uniform: exactly uniform if the posterior is
    calibrated (Säilynoja+22, section 2; randomised as in Czado+09 for discrete values).

    Args:
        samples: Posterior samples, in the unit of `theta`.
        theta: The truths.
        seed: Of the random part `u`.

    Returns:
        PIT per truth; NaN where the truth, or every one of its samples, is NaN.

    Raises:
        ValueError: If the shapes disagree or there is no sample.
    """
    samples, theta = np.asarray(samples), np.asarray(theta)
    if samples.shape[1:] != theta.shape or len(samples) == 0:
        raise ValueError(
            f"expected samples [num_samples, *{theta.shape}] to go with theta {theta.shape}; "
            f"got {samples.shape}"
        )
    below = np.sum(samples < theta, axis=0)
    ties = np.sum(samples == theta, axis=0)
    valid = np.sum(~np.isnan(samples), axis=0)
    u = np.random.default_rng(seed).random(theta.shape)
    out = np.clip((below + u * (ties + 1)) / (valid + 1), EPS, 1 - EPS)
    return np.where(np.isnan(theta) | (valid == 0), np.nan, out)


def sbc_ranks(
    samples: Float[ArrayLike, "samples batch params"],
    theta: Float[ArrayLike, "batch params"],
    *,
    seed: int = 0,
) -> Float[np.ndarray, "batch params"]:
    """Rank of each truth among its samples, 0 … num_samples (Talts+18, algorithm 1).

    Ties are broken at random. Where samples are NaN, the rank among the others is mapped to
    0 … num_samples at random too, so that ranks of all rows stay comparable.

    Args:
        samples: Posterior samples.
        theta: The truths.
        seed: Of the random part.

    Returns:
        Whole numbers as floats; NaN where `pit` is.
    """
    return np.floor(pit(samples, theta, seed=seed) * (len(np.asarray(samples)) + 1))


def share_below(
    u: Float[np.ndarray, " batch *columns"], levels: Levels
) -> Float[np.ndarray, " levels *columns"]:
    """Share of `u` at or below each level, over the rows that are not NaN (NaN if none are)."""
    valid = np.sum(~np.isnan(u), axis=0)
    counts = np.stack([np.sum(u <= level, axis=0) for level in np.asarray(levels)])
    return counts / np.where(valid == 0, np.nan, valid)


def coverage(
    samples: Float[ArrayLike, "samples batch params"],
    theta: Float[ArrayLike, "batch params"],
    levels: Levels = (0.68, 0.95),
    *,
    seed: int = 0,
) -> Float[np.ndarray, "levels params"]:
    """Share of truths inside the central credible interval of each level, per parameter.

    Args:
        samples: Posterior samples.
        theta: The truths.
        levels: Credibilities in [0, 1].
        seed: Of the random part of `pit`, with which few samples do not bias the coverage.

    Returns:
        Coverage; equal to `levels` for a calibrated posterior, lower for one too narrow.
    """
    return share_below(2 * np.abs(pit(samples, theta, seed=seed) - 0.5), levels)


def expected_coverage(
    log_prob_samples: Float[ArrayLike, "samples batch"],
    log_prob_true: Float[ArrayLike, " batch"],
    levels: Levels = (0.68, 0.95),
    *,
    seed: int = 0,
) -> Float[np.ndarray, " levels"]:
    """Share of truths inside the highest-density region of each level (Hermans+22, eq. 4).

    A truth lies inside the region of level `c` if less than a share `c` of the posterior's own
    samples have a higher density than the truth.

    Args:
        log_prob_samples: Log density of each posterior sample under its own posterior.
        log_prob_true: Log density of the truth; -inf (outside the prior) is never covered.
        levels: Credibilities in [0, 1].
        seed: Of the random part of `pit`.

    Returns:
        Coverage; equal to `levels` for a calibrated posterior.
    """
    denser, true = -np.asarray(log_prob_samples), -np.asarray(log_prob_true)
    return share_below(pit(denser[..., None], true[:, None], seed=seed)[:, 0], levels)


class Tarp(NamedTuple):
    """Coverage of distance-to-reference regions, with the range it has under resampled rows."""

    levels: Float[np.ndarray, " levels"]
    coverage: Float[np.ndarray, " levels"]
    low: Float[np.ndarray, " levels"]
    high: Float[np.ndarray, " levels"]

    @property
    def deviation(self) -> float:
        """Largest distance of the curve from the diagonal."""
        return float(np.max(np.abs(self.coverage - self.levels)))


def tarp(
    samples: Float[ArrayLike, "samples batch params"],
    theta: Float[ArrayLike, "batch params"],
    lower: Float[ArrayLike, " params"],
    upper: Float[ArrayLike, " params"],
    *,
    seed: int = 0,
    num_references: int = 20,
    num_bootstrap: int = 100,
) -> Tarp:
    """Tests of accuracy with random points: joint coverage of all parameters (Lemos+23, alg. 2).

    Parameters are scaled to the unit box of the prior, references are drawn uniformly from that
    box, and a region of credibility `c` holds the share `c` of samples closest to the reference.

    Args:
        samples: Posterior samples.
        theta: The truths.
        lower: Lower ends of the prior; where not finite, the least truth stands in.
        upper: Upper ends of the prior; where not finite, the greatest truth stands in.
        seed: Of references and bootstrap.
        num_references: References per row. The curves they give are averaged, which takes
            most of the references' own scatter out (the paper has one).
        num_bootstrap: Resamplings of rows behind `low` and `high`, their 2.5 and 97.5 percentiles.

    Returns:
        The curve on 101 levels; on the diagonal for a calibrated posterior.

    Raises:
        ValueError: If the prior has no width in some parameter.
    """
    theta = np.asarray(theta, np.float64)
    lower = np.where(np.isfinite(lower), lower, np.nanmin(theta, axis=0))
    upper = np.where(np.isfinite(upper), upper, np.nanmax(theta, axis=0))
    if not np.all(upper > lower):
        raise ValueError(f"expected lower < upper; got {lower.tolist()}, {upper.tolist()}")
    rng = np.random.default_rng(seed)
    levels = np.linspace(0, 1, 101)
    inside = np.zeros((len(theta), len(levels)))
    samples, theta = ((np.asarray(x) - lower) / (upper - lower) for x in (samples, theta))
    for _ in range(num_references):
        reference = rng.random(theta.shape)
        near = squared_distance(samples, reference), squared_distance(theta, reference)
        u = pit(near[0][..., None], near[1][:, None], seed=int(rng.integers(2**32)))
        inside += np.where(np.isnan(u), np.nan, u <= levels)
    inside = inside[~np.isnan(inside[:, 0])] / num_references
    if len(inside) == 0:
        return Tarp(levels, *np.full((3, len(levels)), np.nan))
    rows = rng.integers(len(inside), size=(num_bootstrap, len(inside)))
    low, high = np.percentile([inside[r].mean(0) for r in rows], [2.5, 97.5], axis=0)
    return Tarp(levels, inside.mean(0), low, high)


def squared_distance(
    points: Float[np.ndarray, "*samples batch params"], to: Float[np.ndarray, "batch params"]
) -> Float[np.ndarray, "*samples batch"]:
    """Sum over parameters of the squared difference, one parameter in memory at a time."""
    return sum((points[..., p] - to[:, p]) ** 2 for p in range(to.shape[1]))


def ks_distance(u: Float[ArrayLike, " batch *columns"]) -> Float[np.ndarray, "*columns"]:
    """Kolmogorov–Smirnov distance of each column from the uniform distribution on (0, 1).

    Args:
        u: PIT values; NaN rows are left out, column by column.

    Returns:
        Largest distance between the two cumulative distributions; NaN for an empty column.
    """
    u = np.sort(np.asarray(u, np.float64), axis=0)  # NaN goes last
    valid = np.sum(~np.isnan(u), axis=0)
    step = np.arange(1, len(u) + 1).reshape(-1, *[1] * (u.ndim - 1)) / np.maximum(valid, 1)
    distance = np.maximum(step - u, u - (step - 1 / np.maximum(valid, 1)))
    largest = np.max(np.where(np.isnan(u), -np.inf, distance), axis=0, initial=-np.inf)
    return np.where(valid == 0, np.nan, largest)


def ks_critical(n: int, level: float = 0.95) -> float:
    """Distance from uniform that `n` truly uniform values exceed with probability `1 - level`.

    The Dvoretzky–Kiefer–Wolfowitz bound with Massart's constant, half-width of the simultaneous
    band around an empirical distribution function.
    """
    return float(np.sqrt(np.log(2 / (1 - level)) / (2 * n)))


def report(
    samples: Float[ArrayLike, "samples batch params"],
    theta: Float[ArrayLike, "batch params"],
    names: Sequence[str],
    lower: Float[ArrayLike, " params"],
    upper: Float[ArrayLike, " params"],
    *,
    log_prob_samples: Float[ArrayLike, "density_samples batch"] | None = None,
    log_prob_true: Float[ArrayLike, " batch"] | None = None,
    seed: int = 0,
) -> Table:
    """All checks in one table: a row per parameter, the joint checks in `meta`.

    Args:
        samples: Posterior samples.
        theta: The truths.
        names: Of the parameters.
        lower: Lower ends of the prior, for `tarp`.
        upper: Upper ends of the prior, for `tarp`.
        log_prob_samples: With `log_prob_true`, adds the highest-density coverage.
        log_prob_true: Log density of each truth.
        seed: Of every random part.

    Returns:
        Columns `parameter`, `n` (rows compared), `ks` (distance of PIT from uniform),
        `pit_mean` (0.5; above it the posterior lies too low), `coverage_68`, `coverage_95`. In
        `meta`: `num_samples`, `nan_share` (of the samples), `ks_critical_95`, `tarp_deviation`,
        and where given `hpd_coverage_68`, `hpd_coverage_95`; plain numbers, ready for JSON.
    """
    u = pit(samples, theta, seed=seed)
    inside = share_below(2 * np.abs(u - 0.5), (0.68, 0.95))
    n = np.sum(~np.isnan(u), axis=0)
    mean = np.nansum(u, axis=0) / np.where(n == 0, np.nan, n)
    meta = {
        "num_samples": len(np.asarray(samples)),
        "nan_share": float(np.mean(np.isnan(samples))),
        "ks_critical_95": ks_critical(max(int(n.min()), 1)),
        "tarp_deviation": tarp(samples, theta, lower, upper, seed=seed).deviation,
    }
    if log_prob_samples is not None and log_prob_true is not None:
        hpd = expected_coverage(log_prob_samples, log_prob_true, seed=seed)
        meta |= {"hpd_coverage_68": float(hpd[0]), "hpd_coverage_95": float(hpd[1])}
    columns = [list(names), n, ks_distance(u), mean, *inside]
    titles = ["parameter", "n", "ks", "pit_mean", "coverage_68", "coverage_95"]
    return Table(columns, names=titles, meta=meta)
