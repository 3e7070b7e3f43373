"""What any posterior says of its model: names, sources, grid, sizes."""

import equinox as eqx
import numpy as np
from jaxtyping import Float

from flowspec.model.model import Model


class OfModel(eqx.Module):
    """Something that answers from a model.

    Attributes:
        model: The density.
    """

    model: eqx.AbstractVar[Model]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, the last axis of every sample."""
        return self.model.space.names

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of what may have made the data, such as what ionises a nebula."""
        return self.model.space.sources

    @property
    def classes(self) -> tuple[str, ...]:
        """Kinds of sources: what their names begin with, up to a hyphen."""
        return self.model.space.kinds

    @property
    def wave(self) -> Float[np.ndarray, " pixels"]:
        """The model's wavelength grid in angstrom, of spectra."""
        return self.model.frame.wave

    @property
    def lines(self) -> tuple[str, ...]:
        """Names of the lines that the model knows, of line catalogues."""
        return self.model.frame.lines

    @property
    def architecture(self):
        """Sizes that the model was built with."""
        return self.model.architecture

    def _edges(self) -> Float[np.ndarray, " edges"]:
        if self.model.space.redshift is None:
            raise ValueError(f"expected a model with a redshift; got parameters {self.names}")
        return self.model.space.redshift.all_edges()
