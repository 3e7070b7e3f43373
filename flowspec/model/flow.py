"""Conditional densities: bins for the modes of the redshift, a flow for all that is inside one."""

import math
from collections.abc import Callable, Iterator

import distrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from flowjax.bijections import AbstractBijection, Chain, RationalQuadraticSpline, Scan
from flowjax.distributions import StandardNormal, Transformed
from flowjax.flows import coupling_flow
from jax.scipy.special import ndtr, ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, Float, Int, PRNGKeyArray
from paramax import unwrap

from flowspec.model.coupling import Network, outputs, pushed

_EDGE = 1e-6


class BinnedRedshift(eqx.Module):
    """Redshift bins of equal width in ``ln(1 + z)`` between two redshifts.

    The factorisation is exact: ``p(z | x) = P(bin | x) p(delta | bin, x) |d delta / dz|`` with
    ``delta`` in (0, 1) the position of ``ln(1 + z)`` in its bin. The last bin ends at ``high``.
    """

    low: float = eqx.field(static=True)
    high: float = eqx.field(static=True)
    width: float = eqx.field(static=True)

    @property
    def bins(self) -> int:
        """Number of bins."""
        span = math.log1p(self.high) - math.log1p(self.low)
        return math.ceil(span / self.width - 1e-6)

    def edges(self, bins: Int[Array, "*batch"]) -> tuple[Array, Array]:
        """Lower edge and width of each bin, in ``ln(1 + z)``."""
        left = math.log1p(self.low) + bins * self.width
        return left, jnp.minimum(self.width, math.log1p(self.high) - left)

    def all_edges(self) -> Float[np.ndarray, " edges"]:
        """Edges of all bins in redshift."""
        left = math.log1p(self.low) + self.width * np.arange(self.bins)
        return np.append(np.expm1(left), self.high)

    def split(self, z: Float[Array, "*batch"]) -> tuple[Array, Array, Array]:
        """Redshift to its bin, ``Phi^-1(delta)``, and the log derivative of the latter by z."""
        x = jnp.log1p(z)
        bins = jnp.floor((x - math.log1p(self.low)) / self.width).astype(int)
        bins = jnp.clip(bins, 0, self.bins - 1)
        left, width = self.edges(bins)
        free = ndtri(jnp.clip((x - left) / width, _EDGE, 1 - _EDGE))
        return bins, free, -x - jnp.log(width) - norm.logpdf(free)

    def join(self, bins: Int[Array, "*batch"], free: Float[Array, "*batch"]) -> Array:
        """Inverse of `split`."""
        left, width = self.edges(bins)
        return jnp.clip(jnp.expm1(left + width * ndtr(free)), self.low, self.high)

    @staticmethod
    def distribution(logits: Float[Array, "*batch bins"]) -> distrax.Categorical:
        """The discrete factor."""
        return distrax.Categorical(logits=logits)


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


class Flow(eqx.Module):
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
        fixed: Float[Array, " fixed"],
        varying: Float[Array, "n varying"],
    ) -> Float[Array, "n dim"]:
        """As `push`, of many draws of a condition whose first part they share: a third of the
        time."""
        parts = getattr(self.distribution.bijection, "bijections", None)
        affine = parts[1] if parts else self.distribution.bijection
        x, varying = base.T, varying.T
        for network, order in _layers(parts[0]) if parts else ():
            x = pushed(network, order, x, fixed, varying, self.interval)
        none = jnp.zeros((0, len(base)))
        out = outputs(_network(affine.conditioner), none, fixed, varying)
        loc, lower, log_scale = affine.shaped(out)
        return (loc + jnp.exp(log_scale) * (x + (lower * x).sum(1))).T


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
