"""What a forward model of spectra offers to those that fit it."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float

from flowspec.data.frame import Pixels
from flowspec.prior.prior import Prior
from flowspec.sim.latent import Layout, Learned


@runtime_checkable
class Forward(Protocol):
    """Parameters and latents of the nuisances to a noiseless spectrum.

    Attributes:
        prior: Of the parameters.
        frame: Of the pixels.
        layout: Of the latents.
        learned: Their distribution.
    """

    prior: Prior
    frame: Pixels
    layout: Layout
    learned: Learned

    @property
    def smooth(self) -> Bool[np.ndarray, " latents"]:
        """Which latents are a smooth factor on the flux and nothing else."""

    def spectrum_of(
        self, theta: Float[Array, " params"], latent: Float[Array, " latents"]
    ) -> Float[Array, " pixels"]:
        """Noiseless spectrum."""

    def curves(self, theta: Float[Array, " params"]) -> Float[Array, "latents pixels"]:
        """Change of ln(flux) with each latent, 0 with those that are not `smooth`."""


def redshifts(sim: Forward, theta: Float[ArrayLike, "*batch params"]) -> Float[ArrayLike, "*batch"]:
    """The redshifts among parameters."""
    return theta[..., sim.prior.names.index("z")]
