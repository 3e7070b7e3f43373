"""Objects of several kinds: each has a simulator and parameters of its own, all the same pixels."""

from collections.abc import Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from flowspec.data.frame import Frame
from flowspec.data.observation import Observation
from flowspec.prior.prior import Prior
from flowspec.sim.simulated import Simulated
from flowspec.sim.simulator import Simulator


class Classes(Simulator):
    """A simulator whose sources are kinds of objects, such as galaxies, quasars and stars.

    Its parameters are those of all kinds, in the order in which they are met. Those of other kinds
    are unused: uniform from 0 to 1 and of no meaning, so that densities, evidence and class
    probabilities are those of each kind's own parameters.

    Args:
        kinds: Simulators of one source each, by the name of the kind.
        shares: How likely each kind is before the data, in the same order; by default all alike.

    Raises:
        ValueError: If there are fewer than two, one has several sources, their data differ, or the
            shares are not positive or not one for each.
    """

    simulators: tuple[Simulator, ...]
    sources: tuple[str, ...] = eqx.field(static=True)
    priors: tuple[Prior, ...] = eqx.field(static=True)
    given: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, kinds: Mapping[str, Simulator], shares: Sequence[float] = ()):
        self.simulators, self.sources = tuple(kinds.values()), tuple(kinds)
        if len(kinds) < 2:
            raise ValueError(f"expected two kinds of objects or more; got {self.sources}")
        given = np.array(shares or [1.0] * len(kinds), float)
        if given.shape != (len(kinds),) or not (given > 0).all():
            raise ValueError(f"expected {len(kinds)} shares above 0; got {tuple(shares)}")
        self.given = tuple((given / given.sum()).tolist())
        first = self.simulators[0].frame
        for name, sim in kinds.items():
            if len(sim.sources) > 1:
                raise ValueError(f"expected one source of {name}; got {sim.sources}")
            if not sim.frame.same(first):
                raise ValueError(f"expected data of {name} like those of {self.sources[0]}, {first}"
                                 f"; got {sim.frame}")
            if sim.redshift != self.simulators[0].redshift:
                raise ValueError(f"expected a redshift of {name} as of {self.sources[0]}, "
                                 f"{self.simulators[0].redshift}; got {sim.redshift}")
        own = [sim.priors[0] for sim in self.simulators]
        names = tuple(dict.fromkeys(name for prior in own for name in prior.names))
        self.priors = tuple(prior.among(names) for prior in own)

    @property
    def source_shares(self) -> tuple[float, ...]:
        """How likely each kind is before the data."""
        return self.given

    @property
    def redshift(self) -> str | None:
        """That of every kind."""
        return self.simulators[0].redshift

    @property
    def frame(self) -> Frame:
        """That of every kind."""
        return self.simulators[0].frame

    @property
    def takes_noise(self) -> bool:
        """Whether every kind does."""
        return all(sim.takes_noise for sim in self.simulators)

    def with_noise(self, obs: Observation, *, exact: bool = False) -> "Classes":
        """The same kinds with their noise drawn from observations."""
        new = tuple(sim.with_noise(obs, exact=exact) for sim in self.simulators)
        return eqx.tree_at(lambda s: s.simulators, self, new)

    @property
    def description(self) -> str:
        """For the record of a model."""
        kinds = zip(self.sources, self.simulators, strict=True)
        return f"Classes of {', '.join(f'{name} {sim.description}' for name, sim in kinds)}"

    def simulate(self, key: PRNGKeyArray, n: int) -> Simulated:
        """Draw `n` rows of mixed order: of every kind its share, but for a rest of random kinds.

        The rest, fewer rows than there are kinds, is drawn by what each kind lacks of its share.
        """
        order, rest, *keys = jr.split(key, len(self.simulators) + 2)
        wanted = n * np.array(self.source_shares)
        whole = np.floor(wanted + 1e-6).astype(int)
        left = n - int(whole.sum())
        lacking = np.maximum(wanted - whole, 1e-12)
        parts = [self._of(k, own, int(whole[k]) + left) for k, own in enumerate(keys)]
        first = np.concatenate([[0], np.cumsum(whole + left)[:-1]])
        fixed = np.concatenate([a + np.arange(w) for a, w in zip(first, whole, strict=True)])
        kinds = jr.choice(rest, len(parts), (left,), p=jnp.array(lacking / lacking.sum()))
        random = jnp.array(first + whole)[kinds] + jnp.arange(left)
        chosen = jr.permutation(order, jnp.concatenate([jnp.array(fixed), random]).astype(int))
        return jax.tree.map(lambda *a: jnp.concatenate(a)[chosen], *parts)

    def _of(self, k: int, key: PRNGKeyArray, n: int) -> Simulated:
        own, unused = jr.split(key)
        made = self.simulators[k].simulate(own, n)
        theta = self.priors[k].sample(unused, (n,)).at[:, self._columns(k)].set(made.theta)
        return Simulated(theta, jnp.full(n, k), made.data)

    def _columns(self, k: int) -> Int[Array, " own"]:
        """Which of the parameters are those of a kind, in its order."""
        names = self.priors[k].names
        return jnp.array([names.index(name) for name in self.simulators[k].priors[0].names])

    def log_likelihood(
        self, theta: Float[Array, " params"], source: Int[Array, ""], *data: Array
    ) -> Float[Array, ""]:
        """That of the kind; what is unused of `theta` does not count.

        Raises:
            ValueError: If one of the kinds has none.
        """
        zero = jnp.zeros((), int)
        of_kinds = [
            lambda theta, *data, k=k, sim=sim: sim.log_likelihood(
                theta[self._columns(k)], zero, *data
            )
            for k, sim in enumerate(self.simulators)
        ]
        return jax.lax.switch(source, of_kinds, theta, *data)
