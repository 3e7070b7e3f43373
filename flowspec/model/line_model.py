"""The one PyTree of line catalogues: which source ionises, and a flow over its parameters."""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, PRNGKeyArray

from flowspec.data.lines import State
from flowspec.model.flow import Flow
from flowspec.prior.prior import Prior

FEATURES = 5  # per line


@dataclass(frozen=True)
class LineArchitecture:
    """Sizes of the model.

    Attributes:
        hidden: Width of the residual network.
        blocks: Its residual blocks.
        condition: Features handed to the flow.
        layers: Coupling layers of the flow.
        width: Hidden width of their conditioners.
        knots: Spline knots.
    """

    hidden: int = 192
    blocks: int = 4
    condition: int = 64
    layers: int = 6
    width: int = 64
    knots: int = 8


class Residual(eqx.Module):
    """``x + W2 gelu(W1 norm(x))``."""

    norm: eqx.nn.LayerNorm
    first: eqx.nn.Linear
    second: eqx.nn.Linear

    def __init__(self, key: PRNGKeyArray, size: int):
        keys = jr.split(key)
        self.norm = eqx.nn.LayerNorm(size)
        self.first = eqx.nn.Linear(size, size, key=keys[0])
        self.second = eqx.nn.Linear(size, size, key=keys[1])

    def __call__(self, x: Float[Array, " size"]) -> Float[Array, " size"]:
        """One vector."""
        return x + self.second(jax.nn.gelu(self.first(self.norm(x))))


class LineModel(eqx.Module):
    """Posterior density ``P(source | x) p(theta | source, x)`` of rows of a line catalogue.

    Attributes:
        embedding: Features of a row.
        head: Logits of the sources.
        flow: Conditional density over the unconstrained parameters.
        priors: Of the parameters, for each source (static).
        sources: Names of the sources (static).
        lines: Names of the lines, in the order of the data (static).
    """

    embedding: list
    head: eqx.nn.Linear
    flow: Flow
    priors: tuple[Prior, ...] = eqx.field(static=True)
    sources: tuple[str, ...] = eqx.field(static=True)
    lines: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, key: PRNGKeyArray, priors, sources, lines, sizes: LineArchitecture):
        keys = jr.split(key, sizes.blocks + 4)
        count = FEATURES * len(lines) + 1
        blocks = [Residual(k, sizes.hidden) for k in keys[4:]]
        first = eqx.nn.Linear(count, sizes.hidden, key=keys[0])
        last = eqx.nn.Linear(sizes.hidden, sizes.condition, key=keys[1])
        self.embedding = [first, *blocks, last]
        self.head = eqx.nn.Linear(sizes.condition, len(sources), key=keys[2])
        self.priors, self.sources, self.lines = tuple(priors), tuple(sources), tuple(lines)
        self.flow = Flow(
            keys[3], dim=len(priors[0].names), cond_dim=sizes.condition + len(sources),
            layers=sizes.layers, width=sizes.width, knots=sizes.knots, activation=jax.nn.relu,
        )  # fmt: skip

    @property
    def settings(self) -> tuple:
        """What two models must share for one to resume the training of the other."""
        return self.sources, self.lines, [p.config() for p in self.priors]

    def summary(
        self,
        flux: Float[Array, "batch lines"],
        err: Float[Array, "batch lines"],
        state: Int[Array, "batch lines"],
        dereddened: Float[Array, " batch"],
    ) -> Float[Array, "batch condition"]:
        """Features of every row."""
        x = jnp.concatenate([inputs(flux, err, state), dereddened[:, None]], axis=-1)
        for layer in self.embedding:
            x = jax.vmap(layer)(x)
        return x

    features = summary
    """What simulations and observations should have alike: it feeds both factors."""

    def logits(
        self, summary: Float[Array, "batch condition"]
    ) -> Float[Array, "batch sources"]:
        """Of the sources."""
        return jax.vmap(self.head)(summary)

    def condition(
        self, summary: Float[Array, "*batch condition"], source: Int[Array, "*batch"]
    ) -> Float[Array, "*batch conditions"]:
        """What the flow is given: the summary and the source."""
        return jnp.concatenate([summary, jax.nn.one_hot(source, len(self.sources))], axis=-1)

    def encode(
        self, theta: Float[Array, "*batch params"], source: Int[Array, "*batch"]
    ) -> tuple[Float[Array, "*batch params"], Float[Array, "*batch"]]:
        """Parameters to unconstrained reals by the prior of each source, and the log Jacobian."""
        free, slope = zip(*(prior.to_unconstrained(theta) for prior in self.priors), strict=True)
        return _chosen(free, source[..., None]), _chosen(slope, source[..., None]).sum(-1)

    def decode(
        self, free: Float[Array, "*batch params"], source: Int[Array, "*batch"]
    ) -> Float[Array, "*batch params"]:
        """Inverse of `encode`: always inside the prior of the source."""
        return _chosen([p.to_constrained(free) for p in self.priors], source[..., None])

    def log_prior(
        self, theta: Float[Array, "*batch params"], source: Int[Array, "*batch"]
    ) -> Float[Array, "*batch"]:
        """Log density before the data of parameters and source; sources are alike."""
        given = _chosen([prior.log_prob(theta) for prior in self.priors], source)
        return given - jnp.log(len(self.sources))

    def log_prob(
        self,
        theta: Float[Array, "batch params"],
        source: Int[Array, " batch"],
        flux: Float[Array, "batch lines"],
        err: Float[Array, "batch lines"],
        state: Int[Array, "batch lines"],
        dereddened: Float[Array, " batch"],
    ) -> tuple[Float[Array, " batch"], Float[Array, " batch"]]:
        """Logs of the two factors at one theta and source per row."""
        return self._log_prob(theta, source, self.summary(flux, err, state, dereddened))

    def _log_prob(self, theta, source, summary: Float[Array, "batch condition"]):
        discrete = jax.nn.log_softmax(self.logits(summary))[jnp.arange(len(source)), source]
        free, log_det = self.encode(theta, source)
        return discrete, self.flow.log_prob(free, self.condition(summary, source)) + log_det

    def log_prob_and_features(
        self, theta: Float[Array, "batch params"], source: Int[Array, " batch"], *data: Array
    ) -> tuple[tuple[Float[Array, " batch"], Float[Array, " batch"]], Array]:
        """`log_prob` and `features`, embedded once."""
        summary = self.summary(*data)
        return self._log_prob(theta, source, summary), summary


def _chosen(values, source: Int[Array, "*batch"]) -> Array:
    """Of the values for each source [*batch] that of `source`."""
    return jnp.take_along_axis(jnp.stack(values), source[None], axis=0)[0]


def inputs(
    flux: Float[Array, "batch lines"],
    err: Float[Array, "batch lines"],
    state: Int[Array, "batch lines"],
) -> Float[Array, "batch features"]:
    """Per line: whether it is measured, or a limit; its flux and its error in units of the sum of
    all fluxes, and its signal-to-noise ratio, on scales like logarithms. The unit of the fluxes
    drops out, and so do absent lines."""
    measured, limit = state == int(State.MEASURED), state == int(State.LIMIT)
    present = measured | limit
    total = jnp.where(measured, jnp.abs(flux), jnp.where(limit, err, 0.0)).sum(-1, keepdims=True)
    total = jnp.where(total > 0, total, 1.0)
    safe = jnp.where(present, err, total)
    columns = [
        measured, limit,
        jnp.arcsinh(1e3 * flux / total) / 4,
        jnp.log10(safe / total) / 2,
        jnp.arcsinh(flux / safe) / 4,
    ]  # fmt: skip
    return jnp.concatenate([c * present for c in columns], axis=-1)
