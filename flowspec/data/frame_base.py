"""`Frame`: what it takes to hand observations of a kind to a network, and to judge them."""

from abc import ABC, abstractmethod
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from flowspec.data.observation import Observation


class Frame(ABC):
    """Observations of one kind as arrays of one shape; equal frames are one static argument.

    Attributes:
        kind: Name in model files.
        data: Class of the observations.
    """

    kind: ClassVar[str]
    data: ClassVar[type]

    @property
    @abstractmethod
    def key(self) -> tuple:
        """All that tells two frames of a kind apart."""

    @property
    def size(self) -> int:
        """Numbers per row in each array."""
        return len(self.key)

    @abstractmethod
    def arrays(self, obs) -> tuple[np.ndarray, ...]:
        """What the network takes, ``[batch, ...]`` each."""

    @abstractmethod
    def observed(self, *data) -> Observation:
        """Arrays, such as a simulator's, as observations: the inverse of `arrays`."""

    @abstractmethod
    def judged(self, obs) -> tuple[Int[np.ndarray, " batch"], dict[str, np.ndarray]]:
        """Flags and columns of the table that the data alone decide."""

    @abstractmethod
    def described(self, *data) -> Float[np.ndarray, "batch features"]:
        """What data look like, whatever a network makes of them, to measure a gap."""

    @abstractmethod
    def linear(self, *data) -> tuple[np.ndarray, np.ndarray]:
        """Values whose scatter a linear model describes, and their weights (`data.linear`)."""

    def label(self, column: int) -> str:
        """What a reader calls one number of a row: by default its name."""
        return str(self.key[column])

    @abstractmethod
    def blank(self) -> tuple[np.ndarray, ...]:
        """Arrays of one row, for the shapes of a network."""

    def finite(self, *data) -> Bool[Array, " n"]:
        """Whether each row of a simulator's arrays is without NaN and infinity; traceable."""
        each = [jnp.isfinite(a).reshape(len(a), -1).all(1) for a in data]
        return jnp.stack(each).all(0)

    def silent(self, obs) -> dict[str, Bool[np.ndarray, " batch"]]:
        """Rows of which the data say nothing of a parameter, by its name."""
        del obs
        return {}

    def seen(self, obs: Observation, dereddened: bool = False) -> Observation:
        """The observations, of the right kind and not empty.

        Args:
            obs: Observations.
            dereddened: Of line fluxes, that all are corrected for dust.

        Raises:
            ValueError: On observations of another kind, or none.
        """
        if not isinstance(obs, self.data):
            raise ValueError(f"expected {self.data.__name__}, as the model was trained on; got "
                             f"{type(obs).__name__}")
        if len(obs) == 0:
            raise ValueError(f"expected at least one row of {self.data.__name__}; got none")
        if dereddened:
            raise ValueError("expected dereddened= only with line fluxes")
        return obs

    def same(self, other: "Frame") -> bool:
        """Whether data of one are data of the other, rounding of wavelengths apart."""
        return self == other

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.key == other.key

    def __hash__(self) -> int:
        return hash((self.kind, self.key))

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self.key}"
