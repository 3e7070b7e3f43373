"""How to adapt: names of the methods and a frozen dataclass, and nothing that computes."""

from dataclasses import dataclass

METHODS = ("none", "nuisances", "dann", "mmd", "coral", "auto")


@dataclass(frozen=True)
class Adaptation:
    """How to adapt.

    Attributes:
        steps: Training steps of each method of alignment.
        injected: Training steps on simulations with injection, or with learned nuisances, before
            these.
        fits: Observations that the forward model is fitted to, to learn its nuisances.
        rounds: Of such fits.
        weights: Of the alignment against the likelihood, of which one is chosen.
        stages: Models of each run to choose from: after every such part of the steps.
        learning_rate: Peak of the learning rate.
        share: Observations per simulation in a batch.
        weighted: Whether alignment gives simulations the estimated population of the observations.
        inject: Whether simulations get the excess noise of the observations and calibration
            errors first (`flowspec.adaptation.injection`).
    """

    steps: int = 600
    injected: int = 2000
    fits: int = 512
    rounds: int = 2
    weights: tuple[float, ...] = (0.1, 1.0)
    stages: int = 2
    learning_rate: float = 1e-3
    share: float = 0.35
    weighted: bool = True
    inject: bool = True
