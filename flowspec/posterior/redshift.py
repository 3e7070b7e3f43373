"""The best redshift of a density in bins, and the probability that it is right.

Right is ``|z_best - z| < LIMIT``, the success of a redshift survey. No answer is more probably
right than the middle of the window of ±`LIMIT` that holds most of the posterior. Many windows hold
a narrow peak alike: the mean redshift in one of them is the same for all, and as good.
"""

from typing import NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float
from scipy.special import expit, logit

LIMIT = 0.01
_IDENTITY = np.array([0.0, 1.0, 0.0, 0.0])
_ROWS = 256  # posteriors searched at once


class Peaks(NamedTuple):
    """The best redshift of each posterior, and the next best.

    Attributes:
        z: Mean redshift of the window of ±`LIMIT` that holds most of the posterior.
        share: What that window holds.
        second: Prominence of the next peak: what the fullest window there holds, less what the
            emptiest between it and the best one holds; 0 where there is one peak, however broad.
    """

    z: Float[np.ndarray, " rows"]
    share: Float[np.ndarray, " rows"]
    second: Float[np.ndarray, " rows"]


def peaks(edges: Float[np.ndarray, " edges"], pdf: Float[np.ndarray, "rows bins"]) -> Peaks:
    """Search the windows of each posterior.

    The share of a window is piecewise linear in its place, with a knot wherever one of its ends
    meets an edge, so that the fullest begins or ends at an edge. A bin that a window cuts is
    shared out evenly, however wide.

    Args:
        edges: Of the redshift bins, increasing.
        pdf: Density in them, which integrates to one, or to the probability of a kind of object.
    """
    parts = [_peaks(edges, pdf[i : i + _ROWS]) for i in range(0, max(len(pdf), 1), _ROWS)]
    return Peaks(*map(np.concatenate, zip(*parts, strict=True)))


def best_redshift(
    z: Float[np.ndarray, "n batch"], window: Float[np.ndarray, " batch"]
) -> Float[np.ndarray, " batch"]:
    """Median of the draws that are within `LIMIT` of the best window's redshift, which itself
    knows no detail below the width of a bin, and stands where there is no such draw."""
    inside = np.where(np.abs(z - window) < LIMIT, z, np.nan)
    some = np.isfinite(inside).any(0)
    best = window.astype(z.dtype)
    best[some] = np.nanmedian(inside[:, some], axis=0)
    return best


def rebinned(
    share: Float[np.ndarray, "rows bins"],
    own: Float[np.ndarray, " edges"],
    edges: Float[np.ndarray, " wanted"],
) -> Float[np.ndarray, "rows others"]:
    """Density in other bins than those of the probabilities; what they cut is shared out evenly.

    Args:
        share: Probability of each bin.
        own: Edges of the bins.
        edges: Those wanted.
    """
    at_edges = np.stack([np.interp(edges, own, row) for row in cumulative(share)])
    return np.diff(at_edges) / np.diff(edges)


class Recalibration(eqx.Module):
    """From a posterior's own probability of a right redshift to the one found in simulations.

    ``logit p -> offset + slope logit p`` (Platt 1999), which leaves it to the posterior which
    redshifts are the surest, and both linear in the share of the wavelengths without data, which
    networks allow too little for. Entropy, width and second peak of the posterior add nothing.

    Attributes:
        coefficients: Offset and slope of whole spectra, and what is added where all is missing.
    """

    coefficients: Float[np.ndarray, " 4"]

    @classmethod
    def identity(cls) -> "Recalibration":
        """The map that leaves every probability as it is."""
        return cls(_IDENTITY)

    @classmethod
    def fit(
        cls, probability: Float[np.ndarray, " rows"], right: Bool[np.ndarray, " rows"],
        missing: Float[np.ndarray, " rows"],
    ) -> "Recalibration":  # fmt: skip
        """The most probable map, with unit normal priors about the identity.

        Args:
            probability: That each redshift is right, by the posterior.
            right: Whether it is.
            missing: Share of the wavelengths without data.
        """
        from scipy.optimize import minimize  # slow to load, and only training asks for it

        features = _features(probability, missing)

        def loss(coefficients):
            x, away = features @ coefficients, coefficients - _IDENTITY
            value = np.logaddexp(0, x).sum() - x[right].sum() + 0.5 * away @ away
            return value, features.T @ (expit(x) - right) + away

        return cls(minimize(loss, _IDENTITY, jac=True, method="BFGS").x)

    @classmethod
    def restored(cls, coefficients: np.ndarray) -> "Recalibration":
        """From those of a model file, of early ones for whole spectra only."""
        return cls(np.pad(coefficients, (0, 4 - len(coefficients))))

    def __call__(
        self, probability: Float[np.ndarray, " rows"], missing: Float[np.ndarray, " rows"]
    ) -> Float[np.ndarray, " rows"]:
        """The calibrated probabilities."""
        return expit(_features(probability, missing) @ self.coefficients)


def _features(probability, missing) -> Float[np.ndarray, "rows 4"]:
    x = logit(np.clip(np.asarray(probability, float), 1e-6, 1 - 1e-6))
    whole = np.stack([np.ones_like(x), x], axis=1)
    return np.concatenate([whole, whole * np.clip(missing, 0, 1)[:, None]], axis=1)


def _peaks(edges, pdf) -> Peaks:
    mass = cumulative(pdf * np.diff(edges))
    # the mean of 1 + z: its integral in a bin is linear in (1 + z)^2
    square = (1 + edges) ** 2
    moment = cumulative(pdf * np.diff(square) / 2)
    middles, held = windows(mass, edges)
    best = held.argmax(1)[:, None]
    share = np.take_along_axis(held, best, 1)
    low, high = ((1 + middles[best] + d) ** 2 for d in (-LIMIT, LIMIT))
    z = (interpolated(moment, square, high) - interpolated(moment, square, low)) / share - 1
    second = np.maximum(_prominence(held, best), _prominence(held[:, ::-1], -1 - best))
    return Peaks(z[:, 0], share[:, 0], second)


def windows(
    mass: Float[np.ndarray, "rows edges"], edges: Float[np.ndarray, " edges"]
) -> tuple[Float[np.ndarray, " places"], Float[np.ndarray, "rows places"]]:
    """Middles of the windows of ±`LIMIT` among which the fullest is, and what each holds.

    Args:
        mass: What lies below every edge.
        edges: Of the redshift bins, increasing.
    """
    middles = np.sort(np.concatenate([edges[:-1] + LIMIT, edges[1:] - LIMIT]))
    low, high = (interpolated(mass, edges, middles + d) for d in (-LIMIT, LIMIT))
    return middles, high - low


def _prominence(held, best) -> Float[np.ndarray, " rows"]:
    """Of the most prominent peak to the right of the best place [rows, 1]."""
    right = np.arange(held.shape[1]) >= best % held.shape[1]
    valley = np.minimum.accumulate(np.where(right, held, np.inf), axis=1)
    return np.where(right, held - valley, 0).max(1)


def cumulative(mass: Float[np.ndarray, "rows bins"]) -> Float[np.ndarray, "rows edges"]:
    """What lies below every edge."""
    return np.cumsum(np.pad(mass, ((0, 0), (1, 0))), axis=1, dtype=float)


def interpolated(
    total: Float[np.ndarray, "rows edges"], edges: Float[np.ndarray, " edges"], x: np.ndarray
) -> Float[np.ndarray, "rows places"]:
    """Linear interpolation of every row at places [places], or at each row's own [rows, places]."""
    place = np.interp(x, edges, np.arange(len(edges)))
    left = np.minimum(place.astype(int), len(edges) - 2)
    rows = np.arange(len(total))[:, None]
    part = place - left
    return total[rows, left] * (1 - part) + total[rows, left + 1] * part
