"""Quality flags: named bits that say why a row should be looked at twice."""

from enum import IntFlag

import numpy as np
from jaxtyping import Int


class Flag(IntFlag):
    """Bits of the column ``flags``; 0 is a row without reservations."""

    NO_DATA = 1
    """Nothing that the model could use: all numbers of the row are masked."""
    LITTLE_COVERAGE = 2
    """Good pixels span less than three quarters of the model's wavelengths."""
    FEW_PIXELS = 4
    """Less than half of the model's pixels are good."""
    AT_PRIOR_EDGE = 8
    """Over 30 % of the posterior of some parameter lies within 1 % of one of its prior limits."""
    MULTIMODAL_REDSHIFT = 16
    """Over 10 % of the posterior is in a second peak: another redshift, not just a broad range."""
    OUT_OF_DISTRIBUTION = 32
    """The row's summary is further from the simulations' than 99.9 % of simulations are: a redshift
    has no ``z_prob`` then."""
    UNSURE_REDSHIFT = 64
    """The best redshift is right to within 0.01 with a probability below 0.9, or none is known."""
    UNLIKE_DATA = 128
    """The data are less like the best reconstruction of them than those of 99 % of simulations
    (`flowspec.posterior.misfit`); the column ``unlike_at`` tells where."""
    FEW_LINES = 256
    """Fewer than three lines are measured."""
    NO_BALMER_PAIR = 512
    """Fewer than two hydrogen lines are measured: dust is the prior's, and all that hangs on it."""
    UNSURE_SOURCE = 1024
    """No source has a probability of 0.9."""
    NO_TOTAL = 2048
    """No total of the galaxy, though one was asked for: there is no magnitude of it, or good pixels
    cover less than 95 % of the band; ``notes`` tells which."""
    BRIGHTER_THAN_TOTAL = 4096
    """The spectrum is brighter than the whole galaxy is said to be, by over 0.25 mag: totals are
    scaled down to it."""
    LOW_RESOLUTION = 8192
    """The line-spread function is wider than any that the model was trained on, by over 10 %."""
    BLEND = 16384
    """There is a second object in the spectrum, at the redshift ``z_blend``
    (`flowspec.posterior.blend`)."""

    @classmethod
    def describe(cls, value: int) -> str:
        """Names of the bits set, comma separated, as in ``at_prior_edge,multimodal_redshift``."""
        return ",".join(flag.name.lower() for flag in cls if flag & value)

    @classmethod
    def describe_all(cls, values: Int[np.ndarray, " batch"]) -> list[str]:
        """`describe` of many, which are mostly alike."""
        names = {value: cls.describe(value) for value in np.unique(values).tolist()}
        return [names[value] for value in values.tolist()]
