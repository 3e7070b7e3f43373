"""Quality flags: named bits that say why a row should be looked at twice."""

from enum import IntFlag

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

_ARRAYS = ("mean", "whiten", "distances")


class Flag(IntFlag):
    """Bits of the column ``flags``; 0 is a row without reservations."""

    NO_DATA = 1
    """No good pixel on the model's grid: the posterior is the prior."""
    LITTLE_COVERAGE = 2
    """Good pixels span less than three quarters of the model's wavelengths."""
    FEW_PIXELS = 4
    """Less than half of the model's pixels are good."""
    AT_PRIOR_EDGE = 8
    """Over 30 % of the posterior of some parameter lies within 1 % of one of its prior limits."""
    MULTIMODAL_REDSHIFT = 16
    """Over 10 % of the posterior is in a second peak: another redshift, not just a broad range."""
    OUT_OF_DISTRIBUTION = 32
    """The spectrum's summary is further from the simulations' than 99.9 % of simulations are."""
    UNSURE_REDSHIFT = 64
    """The best redshift is right to within 0.01 with a probability below 0.9."""

    @classmethod
    def describe(cls, value: int) -> str:
        """Names of the bits set, comma separated, as in ``at_prior_edge,multimodal_redshift``."""
        return ",".join(flag.name.lower() for flag in cls if flag & value)

    @classmethod
    def describe_all(cls, values: Int[np.ndarray, " batch"]) -> list[str]:
        """`describe` of many, which are mostly alike."""
        names = {value: cls.describe(value) for value in np.unique(values).tolist()}
        return [names[value] for value in values.tolist()]


class Screen(eqx.Module):
    """Mahalanobis distance of summaries from those of simulations, calibrated on simulations.

    Attributes:
        mean: Mean summary [features].
        whiten: Maps departures from the mean to unit covariance [features, features].
        distances: Sorted distances of simulations not used for the two above [simulations].
    """

    mean: Float[np.ndarray, " features"]
    whiten: Float[np.ndarray, "features features"]
    distances: Float[np.ndarray, " simulations"]

    @classmethod
    def from_summaries(cls, summaries: Float[np.ndarray, "simulations features"]) -> "Screen":
        """One half of the simulations gives mean and covariance, the other the distances."""
        half = len(summaries) // 2
        mean = summaries[:half].mean(0)
        covariance = np.cov(summaries[:half].T) + 1e-4 * np.eye(summaries.shape[1])
        values, vectors = np.linalg.eigh(covariance)
        whiten = vectors / np.sqrt(values)
        distances = np.sort(np.linalg.norm((summaries[half:] - mean) @ whiten, axis=1))
        return cls(*(a.astype(np.float32) for a in (mean, whiten, distances)))

    def arrays(self) -> dict[str, np.ndarray]:
        """Of a model file."""
        return {f"screen.{name}": getattr(self, name) for name in _ARRAYS}

    @classmethod
    def restored(cls, arrays: dict[str, np.ndarray]) -> "Screen":
        """From those of a model file."""
        return cls(*(arrays[f"screen.{name}"] for name in _ARRAYS))

    @classmethod
    def blank(cls, features: int) -> "Screen":
        """One that knows no simulations yet."""
        kind = np.float32
        return cls(np.zeros(features, kind), np.eye(features, dtype=kind), np.ones(1, kind))

    def p_value(
        self, summaries: Float[np.ndarray, "batch features"]
    ) -> Float[np.ndarray, " batch"]:
        """Share of simulations at least as far out; small values are out of distribution."""
        distance = np.linalg.norm((summaries - self.mean) @ self.whiten, axis=1)
        further = len(self.distances) - np.searchsorted(self.distances, distance)
        return (1 + further) / (1 + len(self.distances))
