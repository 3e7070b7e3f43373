"""How far summaries of a row are from those of simulations, as a p-value."""

import equinox as eqx
import numpy as np
from jaxtyping import Float

_ARRAYS = ("mean", "whiten", "distances")


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
