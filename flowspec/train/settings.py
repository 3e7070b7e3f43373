"""What can be chosen of a training. Light: the command line shows it without loading JAX."""

from dataclasses import dataclass

OPTIMISER_NAMES = ("adamw", "muon")  # of `flowspec.train.loop.OPTIMISERS`


@dataclass(frozen=True)
class Training:
    """How to train.

    Attributes:
        steps: Optimiser steps at most.
        batch: Spectra per step, a multiple of the number of devices.
        learning_rate: Peak of the learning rate, after a linear warm-up and before a cosine decay
            to a hundredth.
        optimiser: "adamw", or "muon" (Jordan et al. 2024): matrices move by the nearest orthogonal
            matrix to their mean gradient, everything else by AdamW.
        trial_rate: Factor on the learning rate of the templates correlated at every redshift.
        rest_rate: Factor on that of the templates projected at one redshift; 0 keeps them the
            principal components that they start as, best for few simulations.
        weight_decay: Decoupled weight decay.
        clip: Gradients are scaled down to this global norm.
        validation: Simulated spectra held out for early stopping.
        evaluate: Steps between evaluations (and checkpoints).
        patience: Evaluations without improvement before training stops.
    """

    steps: int = 2000
    batch: int = 128
    learning_rate: float = 2e-3
    optimiser: str = "adamw"
    trial_rate: float = 0.1
    rest_rate: float = 0.1
    weight_decay: float = 1e-4
    clip: float = 5.0
    validation: int = 1024
    evaluate: int = 250
    patience: int = 8
