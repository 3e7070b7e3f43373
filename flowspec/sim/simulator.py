"""What a simulator is: from random keys to parameters and the data that they give."""

from abc import abstractmethod
from collections.abc import Callable

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
from equinox import AbstractVar
from jaxtyping import Array, ArrayLike, Float, Int, PRNGKeyArray

from flowspec.data.frame import Frame
from flowspec.data.observation import Observation
from flowspec.prior.prior import Prior
from flowspec.sim.lesson import Lesson
from flowspec.sim.simulated import Simulated, share_failed, sound

ONE = ("galaxy",)  # sources of a simulator of one kind of object
_AT_ONCE = 256


class Simulator(eqx.Module):
    """Parameters drawn from a prior, and data for them: pure functions of a key.

    A simulator of one's own needs `priors`, `sources`, `frame` and `simulate`; everything else has
    a default. Its arrays are leaves of the PyTree, so that a compiled step takes them as arguments.

    Attributes:
        priors: Of the parameters, for each source; all of the same names.
        sources: Names of what may have made the data, such as what ionises a nebula.
        frame: Of the data.
    """

    priors: AbstractVar[tuple[Prior, ...]]
    sources: AbstractVar[tuple[str, ...]]
    frame: AbstractVar[Frame]

    @property
    def source_shares(self) -> tuple[float, ...]:
        """How likely each source is before the data; empty where all are alike."""
        return ()

    @property
    def redshift(self) -> str | None:
        """Name of the parameter that shifts spectra in ln(wavelength): `z`, if there is one.

        Simulators that users make of functions or arrays say it (``redshift="z"``).
        """
        return "z" if "z" in self.priors[0].names else None

    @abstractmethod
    def simulate(self, key: PRNGKeyArray, n: int) -> Simulated:
        """Draw `n` rows; traceable by JAX."""

    def batch(self, key: PRNGKeyArray, step: Int[Array, ""], n: int) -> Simulated:
        """The rows of one training step: fresh ones, never seen before or again.

        Others of the step stand in for rows that the simulator failed to make (`sound`).
        """
        return sound(self.simulate(jr.fold_in(key, step), n), self.frame)

    def draw(self, key: PRNGKeyArray, n: int) -> tuple[Array, ...]:
        """Parameters and data of `n` rows, one after the other: ``theta, flux, ivar``."""
        return self.flat(self.simulate(key, n))

    def flat(self, simulated: Simulated) -> tuple:
        """Simulations as `draw` has them."""
        return simulated.theta, *simulated.data

    @property
    def takes_noise(self) -> bool:
        """Whether `with_noise` gives the noise of observations to simulations."""
        return False

    def with_noise(self, obs: Observation, *, exact: bool = False) -> "Simulator":
        """The same simulator with its noise drawn from observations.

        Args:
            obs: Observations.
            exact: With their noise alone, instead of a wider range.

        Raises:
            ValueError: If the simulator has no noise of its own to exchange.
        """
        raise ValueError(f"expected a simulator that can take the noise of observations; got "
                         f"{self.description}")

    @property
    def teachable(self) -> bool:
        """Whether it can be fitted to observations, and its nuisances be learned from that."""
        return False

    @property
    def lesson(self) -> Lesson | None:
        """What observations taught it, if anything."""
        return None

    def taught(self, lesson: Callable) -> "tuple[Simulator, dict]":
        """What a lesson makes of the simulator that is fitted, this one or one within, and its
        record.

        Args:
            lesson: Of a simulator: the taught one and a record of how.
        """
        return lesson(self)

    def held_out(self, n: int) -> "tuple[Simulator, Simulator | None]":
        """What to train on, and a set of `n` rows to validate on, or None: draw fresh ones."""
        del n
        return self, None

    def rows(self) -> Simulated:
        """All rows of a set of simulations.

        Raises:
            ValueError: If there is no such set, but fresh simulations without end.
        """
        raise ValueError(f"expected a set of simulations; got {self.description}")

    def log_likelihood(
        self, theta: Float[Array, " params"], source: Int[Array, ""], *data: Array
    ) -> Float[Array, ""]:
        """``ln p(data | theta, source)`` of one row, traceable by JAX.

        Raises:
            ValueError: If it is not known.
        """
        raise ValueError(f"expected a simulator with an explicit likelihood; got "
                         f"{self.description}")

    def fit(self, obs: Observation, start: ArrayLike):
        """Parameters and nuisances of maximum a posteriori of each observation.

        Raises:
            ValueError: If the simulator cannot.
        """
        raise ValueError(f"expected a simulator of spectra that can be fitted; got "
                         f"{self.description}")

    @property
    def description(self) -> str:
        """For the record of a model."""
        return type(self).__name__


class Perturbed(Simulator):
    """A simulator whose rows are changed after they were made.

    Attributes:
        simulator: What makes them.
    """

    simulator: AbstractVar[Simulator]

    @abstractmethod
    def perturbed(self, key: PRNGKeyArray, simulated: Simulated) -> Simulated:
        """Rows already made, changed."""

    @property
    def priors(self) -> tuple[Prior, ...]:
        """Those of the simulator."""
        return self.simulator.priors

    @property
    def prior(self) -> Prior:
        """The prior of the first source."""
        return self.priors[0]

    @property
    def sources(self) -> tuple[str, ...]:
        """Those of the simulator."""
        return self.simulator.sources

    @property
    def source_shares(self) -> tuple[float, ...]:
        """Those of the simulator."""
        return self.simulator.source_shares

    @property
    def redshift(self) -> str | None:
        """That of the simulator."""
        return self.simulator.redshift

    @property
    def frame(self) -> Frame:
        """That of the simulator."""
        return self.simulator.frame

    @property
    def description(self) -> str:
        """For the record of a model."""
        return f"{type(self).__name__} {self.simulator.description}"

    def simulate(self, key: PRNGKeyArray, n: int) -> Simulated:
        """The simulator's rows, changed."""
        own, others = jr.split(key)
        return self.perturbed(others, self.simulator.simulate(own, n))

    def batch(self, key: PRNGKeyArray, step: Int[Array, ""], n: int) -> Simulated:
        """The simulator's rows of one training step, changed."""
        others = jr.fold_in(jr.fold_in(key, 1), step)
        return self.perturbed(others, self.simulator.batch(key, step, n))

    @property
    def takes_noise(self) -> bool:
        """Whether the simulator does."""
        return self.simulator.takes_noise

    def with_noise(self, obs: Observation, *, exact: bool = False) -> "Perturbed":
        """The same changes to the simulator with the noise of observations."""
        return self._around(self.simulator.with_noise(obs, exact=exact))

    @property
    def teachable(self) -> bool:
        """Whether the simulator is."""
        return self.simulator.teachable

    @property
    def lesson(self) -> Lesson | None:
        """That of the simulator."""
        return self.simulator.lesson

    def taught(self, lesson: Callable) -> "tuple[Perturbed, dict]":
        """The same changes to the simulator taught."""
        simulator, record = self.simulator.taught(lesson)
        return self._around(simulator), record

    def held_out(self, n: int) -> "tuple[Simulator, Simulator | None]":
        """The same changes to both parts of a set."""
        rest, held = self.simulator.held_out(n)
        return (self, None) if held is None else (self._around(rest), self._around(held))

    def rows(self) -> Simulated:
        """All rows of the simulator's set, changed, always in the same way."""
        return self.perturbed(jr.key(0), self.simulator.rows())

    def _around(self, simulator: Simulator) -> "Perturbed":
        return eqx.tree_at(lambda s: s.simulator, self, simulator)


def simulate_many(sim: Simulator, key: PRNGKeyArray, n: int) -> Simulated:
    """`n` simulations on the host, others standing in for those that failed (`sound`)."""
    return jax.tree.map(np.asarray, sound(_as_made(sim, key, n), sim.frame))


def simulate_checked(sim: Simulator, key: PRNGKeyArray, n: int) -> tuple[Simulated, float]:
    """`simulate_many`, and the share of rows that failed, which is told in the log.

    Raises:
        ValueError: If too many failed (`flowspec.sim.simulated.share_failed`).
    """
    made = _as_made(sim, key, n)
    share = share_failed(made, sim.frame, sim.priors[0].names, sim.description)
    return jax.tree.map(np.asarray, sound(made, sim.frame)), share


def _as_made(sim: Simulator, key: PRNGKeyArray, n: int) -> Simulated:
    """`n` simulations on the host, drawn in jitted parts."""
    parts = [_simulate(sim, jr.fold_in(key, i)) for i in range(-(-n // _AT_ONCE))]

    def joined(arrays) -> np.ndarray:
        return np.concatenate([np.asarray(a) for a in arrays])[:n]

    theta, source, data = zip(*parts, strict=True)
    return Simulated(joined(theta), joined(source), tuple(map(joined, zip(*data, strict=True))))


def draw_many(sim: Simulator, key: PRNGKeyArray, n: int) -> tuple[np.ndarray, ...]:
    """`Simulator.draw` of any number of rows, to the host: ``theta, flux, ivar`` of spectra."""
    return sim.flat(simulate_many(sim, key, n))


@eqx.filter_jit
def _simulate(sim, key):
    return sim.simulate(key, _AT_ONCE)
