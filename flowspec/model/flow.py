"""The flow: coupling splines and an affine map, from a standard normal to a conditional density."""

from collections.abc import Callable, Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from flowjax.bijections import (
    AbstractBijection,
    Chain,
    Permute,
    RationalQuadraticSpline,
    Scan,
)
from flowjax.distributions import StandardNormal, Transformed
from flowjax.flows import coupling_flow
from jaxtyping import Array, Float, Int, PRNGKeyArray
from paramax import unwrap

from flowspec.model.coupling import Network, of_each, outputs, pushed
from flowspec.model.density import ACTIVATIONS, Density, numbered


class ConditionalAffine(AbstractBijection):
    """``y = loc(c) + L(c) x`` with L lower triangular: location and covariance from the condition.

    With it in front of the splines a flow starts as a Gaussian regression, which is exact for
    linear-Gaussian problems, and the splines need to describe only what is not Gaussian.
    """

    shape: tuple[int, ...]
    cond_shape: tuple[int, ...]
    conditioner: eqx.nn.MLP

    def __init__(self, key: PRNGKeyArray, *, dim: int, cond_dim: int, width: int = 64):
        self.shape, self.cond_shape = (dim,), (cond_dim,)
        outputs = 2 * dim + dim * (dim - 1) // 2
        mlp = eqx.nn.MLP(cond_dim, outputs, width, 1, jax.nn.gelu, key=key)
        self.conditioner = eqx.tree_at(
            lambda m: (m.layers[-1].weight, m.layers[-1].bias), mlp, replace_fn=lambda w: 0.1 * w
        )

    def _loc_and_triangle(self, condition):
        return self.shaped(self.conditioner(condition))

    def shaped(self, out: Float[Array, "outputs *n"]) -> tuple[Array, Array, Array]:
        """Location [dim, n], lower triangle [dim, dim, n] and log scale [dim, n] from the output
        of the conditioner."""
        dim = self.shape[0]
        log_scale = 6 * jnp.tanh(out[dim : 2 * dim] / 6)
        empty = jnp.zeros((dim, dim, *out.shape[1:]))
        lower = empty.at[jnp.tril_indices(dim, -1)].set(out[2 * dim :])
        return out[:dim], lower, log_scale

    def transform_and_log_det(self, x, condition=None):
        """Forward map."""
        loc, lower, log_scale = self._loc_and_triangle(condition)
        return loc + jnp.exp(log_scale) * (x + lower @ x), log_scale.sum()

    def inverse_and_log_det(self, y, condition=None):
        """Forward substitution, unrolled: the dimension is a dozen at most."""
        loc, lower, log_scale = self._loc_and_triangle(condition)
        y = (y - loc) * jnp.exp(-log_scale)
        x = []
        for i in range(self.shape[0]):
            x.append(y[i] - sum(lower[i, j] * x[j] for j in range(i)))
        return jnp.stack(x), -log_scale.sum()


class Flow(Density):
    """Conditional density over ``dim`` reals: coupling splines, then a conditional affine map.

    Coupling layers (Durkan+19, arXiv:1906.04032) sample in one pass, where autoregressive ones
    need one per dimension.
    """

    distribution: Transformed
    interval: float = eqx.field(static=True)

    def __init__(
        self,
        key: PRNGKeyArray,
        *,
        dim: int,
        cond_dim: int,
        layers: int = 4,
        width: int = 64,
        knots: int = 8,
        interval: float = 4.0,
        activation: Callable = jax.nn.gelu,
    ):
        self.interval = interval
        spline_key, affine_key = jax.random.split(key)
        base = StandardNormal((dim,))
        affine = ConditionalAffine(affine_key, dim=dim, cond_dim=cond_dim, width=width)
        if dim < 2:
            self.distribution = Transformed(base, affine)
            return
        splines = coupling_flow(
            spline_key,
            base_dist=base,
            transformer=RationalQuadraticSpline(knots=knots, interval=interval),
            cond_dim=cond_dim,
            flow_layers=layers,
            nn_width=width,
            nn_depth=1,
            nn_activation=activation,
            invert=False,
        ).bijection
        self.distribution = Transformed(base, Chain([splines, affine]))

    @classmethod
    def made(cls, key: PRNGKeyArray, dim: int, condition: int, sizes) -> "Flow":
        """Of ``layers``, ``width``, ``knots`` and ``activation`` of an architecture."""
        return cls(
            key, dim=dim, cond_dim=condition, layers=sizes.layers, width=sizes.width,
            knots=sizes.knots, activation=ACTIVATIONS[sizes.activation],
        )  # fmt: skip

    def log_prob(
        self, free: Float[Array, "*batch dim"], condition: Float[Array, "*batch condition"]
    ) -> Float[Array, "*batch"]:
        """Log density of unconstrained parameters."""
        return self.distribution.log_prob(free, condition)

    def push(
        self, base: Float[Array, "*batch dim"], condition: Float[Array, "*batch condition"]
    ) -> Float[Array, "*batch dim"]:
        """Standard normal draws to draws of the density."""
        bijection = unwrap(self.distribution).bijection
        transform = jnp.vectorize(bijection.transform, signature="(d),(c)->(d)")
        return transform(base, condition)

    def push_many(
        self,
        base: Float[Array, "n dim"],
        conditions: Float[Array, "classes condition"],
        k: Int[Array, " n"],
    ) -> Float[Array, "n dim"]:
        """As `push`, of many draws that share conditions: a third to half of the time."""
        splines, affine = self._parts()
        x = base.T
        for network, order in _layers(splines) if splines else ():
            x = pushed(network, order, x, conditions, k, self.interval)
        every, none = jnp.arange(len(conditions)), jnp.zeros((0, len(conditions)))
        out = outputs(_network(affine.conditioner), none, conditions, every)
        loc, lower, log_scale = affine.shaped(of_each(out, k))
        return (loc + jnp.exp(log_scale) * (x + (lower * x).sum(1))).T

    def restored(self, arrays: dict[str, np.ndarray]) -> "Flow":
        """As of `Density`.

        Raises:
            ValueError: If the order of the parameters after a layer is none.
        """
        if "splines.order" in self.named():
            order, inverse = arrays["splines.order"], arrays["splines.inverse"]
            places = np.arange(order.shape[-1])
            if (np.sort(order) != places).any() or (np.argsort(order) != inverse).any():
                raise ValueError("expected orders of parameters and their inverses; got others")
        return super().restored(arrays)

    def _parts(self) -> tuple[Scan | None, ConditionalAffine]:
        """The splines, None of a single parameter, and the affine map."""
        bijection = self.distribution.bijection
        return (None, bijection) if isinstance(bijection, ConditionalAffine) else (
            bijection.bijections)

    def named(self) -> dict:
        """``affine.*`` and ``splines.*``: layers of the conditioners, all coupling layers stacked;
        ``splines.order`` and its inverse are the parameters after each."""
        splines, affine = self._parts()
        found = numbered(affine.conditioner.layers, "affine")
        if splines is None:
            return found
        coupling, permutation = splines.bijection.bijections
        found |= numbered(coupling.conditioner.layers, "splines")
        if isinstance(permutation, Permute):  # two parameters take turns instead
            found["splines.order"] = permutation.permutation[0]
            found["splines.inverse"] = permutation.inverse_permutation[0]
        return found


def _network(mlp: eqx.nn.MLP) -> Network:
    first, second = mlp.layers
    return Network((first.weight, first.bias), (second.weight, second.bias), mlp.activation)


def _layers(splines: Scan) -> Iterator[tuple[Network, Array]]:
    """Network and order of each layer of a flowjax coupling flow, whose parameters are stacked."""
    coupling, permutation = splines.bijection.bijections
    *stacked, activation = _network(coupling.conditioner)
    count = len(stacked[0][1])
    order = jnp.arange(coupling.dim)[::-1] if coupling.dim == 2 else permutation.permutation[0]
    order = jnp.broadcast_to(order, (count, coupling.dim))
    for i in range(count):
        yield Network(*jax.tree.map(lambda a, i=i: a[i], stacked), activation), order[i]
