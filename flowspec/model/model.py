"""The one PyTree: a network and a density that together are a normalised posterior density."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from flowspec.data.frame import Frame
from flowspec.model.density import Density
from flowspec.model.registry import density_of
from flowspec.model.space import Space, space_of
from flowspec.networks.network import Embedding, Network
from flowspec.networks.registry import network_of
from flowspec.prior.prior import Prior
from flowspec.sim.simulator import Simulated

_NEVER = -1e4  # a logit whose probability is zero in single precision, and whose gradient is too


class Model(eqx.Module):
    """Posterior density ``p(k, theta | x)`` in two exact factors, ``P(k | x) p(theta | k, x)``.

    The class k is a source, a redshift bin, or both: a softmax over classes, and a density over
    all that is inside one, conditioned on features that the network gives for it. With one class
    the density is all.

    Attributes:
        variables: Parameters of the network.
        density: Over the unconstrained parameters, given the network's condition.
        network: Flax module (static).
        frame: How observations become arrays (static).
        space: Classes, parameters and priors (static).
        architecture: Sizes that it was built with (static).
    """

    variables: dict
    density: Density
    network: Network = eqx.field(static=True)
    frame: Frame = eqx.field(static=True)
    space: Space = eqx.field(static=True)
    architecture: object = eqx.field(static=True)

    @property
    def settings(self) -> tuple:
        """What two models must share for one to resume the training of the other."""
        return self.network, self.architecture, self.frame.key, self.space.config()

    def embed(self, *data: Array) -> Embedding:
        """What is computed once per row of data in the model's frame."""
        embedding = self.network.apply(self.variables, *data, method="embed")
        if (possible := self.space.possible) is None:
            return embedding
        return embedding._replace(logits=jnp.where(possible, embedding.logits, _NEVER))

    def with_shares(self, shares: Sequence[float]) -> "Model":
        """The same model where sources are otherwise likely before the data, by Bayes' theorem.

        Args:
            shares: Probability of each source, in the order of the space.

        Raises:
            ValueError: If there is not one above 0 for each, or the network cannot.
        """
        new = np.array(shares, float)
        if new.shape != (len(self.space.sources),) or not (new > 0).all():
            raise ValueError(f"expected shares above 0 of {self.space.sources}; got {shares}")
        new = new / new.sum()
        log_odds = np.log(new) - np.asarray(self.space.log_share(np.arange(len(new))))
        variables = self.network.with_odds(self.variables, jnp.asarray(log_odds, jnp.float32))
        space = replace(self.space, shares=tuple(new.tolist()))
        return replace(self, variables=variables, space=space)

    def condition(
        self, embedding: Embedding, rows: Int[Array, " pairs"], k: Int[Array, " pairs"]
    ) -> Float[Array, "pairs condition"]:
        """Condition of the density for pairs of a row of an embedding and a class."""
        return self.network.apply(self.variables, embedding, rows, k, method="condition")

    def conditions(self, embedding: Embedding) -> Float[Array, "batch classes condition"]:
        """Conditions at all classes of every row: for few classes."""
        rows, k = jnp.indices(embedding.logits.shape)
        return self.condition(embedding, rows.ravel(), k.ravel()).reshape(*rows.shape, -1)

    def spread(self, embedding: Embedding) -> Embedding:
        """The embedding, prepared for conditions at most classes of each row."""
        return self.network.apply(self.variables, embedding, method="spread")

    def described(self, embedding: Embedding) -> Float[Array, "batch features"]:
        """What tells that a row is unlike simulations."""
        return self.network.apply(self.variables, embedding, method="described")

    def features(self, *data: Array) -> Float[Array, "batch features"]:
        """What simulations and observations should have alike: what describes a row, and of many
        classes their largest log probability and their entropy."""
        return self._features(self.embed(*data))

    def _features(self, embedding: Embedding) -> Float[Array, "batch features"]:
        described = self.described(embedding)
        if self.space.redshift is None:
            return described
        factor = self.space.distribution(embedding.logits)
        largest = jax.nn.log_softmax(embedding.logits).max(-1)
        return jnp.concatenate([described, largest[:, None], factor.entropy()[:, None]], axis=-1)

    def log_prob(
        self, theta: Float[Array, "batch params"], source: Int[Array, " batch"], *data: Array
    ) -> tuple[Float[Array, " batch"], Float[Array, " batch"]]:
        """Log of the two factors at one theta and source per row; their sum is
        ``log p(theta, source | x)``."""
        k, free, log_det = self.space.encode(theta, source)
        embedding = self.embed(*data)
        condition = self.condition(embedding, jnp.arange(len(k)), k)
        inside = self.density.log_prob(free, condition) + log_det
        return self.space.distribution(embedding.logits).log_prob(k), inside

    def loss(self, key: PRNGKeyArray, simulated: Simulated) -> Float[Array, ""]:
        """Mean of ``-log q(theta, source | data)`` (neural posterior estimation, Papamakarios+16),
        or what the density has in the place of its part.

        Its minimum over all densities is reached by the exact posterior; all factors are trained at
        once, the density at the true class.

        Args:
            key: Random key, for densities whose loss is random.
            simulated: Simulations.
        """
        return self._loss(key, simulated, self.embed(*simulated.data))

    def validation_loss(self, key: PRNGKeyArray, simulated: Simulated) -> Float[Array, ""]:
        """What decides when to stop: `loss`, of simulations that are not trained on."""
        return self.loss(key, simulated)

    def _loss(self, key, simulated: Simulated, embedding: Embedding) -> Float[Array, ""]:
        k, free, log_det = self.space.encode(simulated.theta, simulated.source)
        condition = self.condition(embedding, jnp.arange(len(k)), k)
        discrete = self.space.distribution(embedding.logits).log_prob(k)
        return (self.density.loss(key, free, condition) - log_det - discrete).mean()

    def loss_and_features(
        self, key: PRNGKeyArray, simulated: Simulated
    ) -> tuple[Float[Array, ""], Float[Array, "batch features"]]:
        """`loss` and `features`, embedded once."""
        embedding = self.embed(*simulated.data)
        return self._loss(key, simulated, embedding), self._features(embedding)


def build(
    key: PRNGKeyArray,
    frame: Frame,
    space: Space,
    architecture,
    *,
    initialise: bool = True,
) -> Model:
    """An untrained model.

    Args:
        key: Random key.
        frame: Of the data.
        space: Classes and parameters.
        architecture: Sizes, and the names of network and density.
        initialise: Whether to draw the network's variables, or have only their shapes, for
            parameters that come from a file.

    Raises:
        ValueError: On unknown names, or a network for data of another kind.
    """
    network = _kind_for(frame, architecture).made(frame, space, architecture)
    network_key, density_key = jax.random.split(key)
    init = jax.jit(network.init) if initialise else partial(jax.eval_shape, network.init)
    variables = init(network_key, *map(jnp.asarray, frame.blank()), k=jnp.zeros(1, int))
    made = density_of(architecture.density).made
    size = len(space.names), network.condition_size
    density = made(density_key, *size, architecture)
    return Model(variables, density, network, frame, space, architecture)


def model_for(
    key: PRNGKeyArray,
    priors: tuple[Prior, ...],
    sources: tuple[str, ...],
    frame: Frame,
    architecture,
    shares: tuple[float, ...] = (),
    redshift: str | None = "z",
) -> Model:
    """An untrained model of a simulator's priors, sources, their shares, redshift and frame."""
    _kind_for(frame, architecture)  # before sizes are looked for that another network has
    space = space_of(priors, sources, frame, architecture, shares, redshift)
    return build(key, frame, space, architecture)


def _kind_for(frame: Frame, architecture) -> type[Network]:
    """The network that an architecture names, if it is for data of that kind."""
    kind = network_of(architecture.network)
    if kind.frame_kind != frame.kind:
        raise ValueError(f"expected a network for {frame.kind}; got {architecture.network!r}, "
                         f"which is for {kind.frame_kind}")
    return kind
