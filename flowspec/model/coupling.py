"""Conditional coupling splines for many draws of a few conditions.

The same map as flowjax's, from its parameters, but with the draws as the last axis, so that the
processor works on many at once; with the part of the condition in each layer worked out once for
all of them; and with knots compared in turn instead of looked up.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

LEAST = 1e-3  # least width and height of a bin, and least slope at a knot: flowjax's defaults
_FEW = 8  # conditions
_NO_SLOPE = math.log(math.expm1(1 - LEAST))  # a raw slope of 0 is a slope of 1


class Network(NamedTuple):
    """What gives parameters of a map from draws and conditions: one hidden layer.

    Attributes:
        first: Weight [width, inputs] and bias of the hidden layer.
        second: Weight [outputs, width] and bias of the last one.
        activation: Of the hidden layer.
    """

    first: tuple[Array, Array]
    second: tuple[Array, Array]
    activation: Callable


def outputs(
    network: Network,
    x: Float[Array, "half n"],
    conditions: Float[Array, "classes condition"],
    which: Int[Array, " n"],
) -> Float[Array, "outputs n"]:
    """Outputs of a network of a draw and its condition, each condition worked out once.

    Args:
        network: The network.
        x: Of each draw.
        conditions: That draws share.
        which: Number of the condition of each draw.
    """
    weight, bias = network.first
    once = weight[:, len(x) :] @ conditions.T + bias[:, None]
    hidden = weight[:, : len(x)] @ x + of_each(once, which)
    weight, bias = network.second
    return weight @ network.activation(hidden) + bias[:, None]


def of_each(
    values: Float[Array, "outputs classes"], which: Int[Array, " n"]
) -> Float[Array, "outputs _"]:
    """Columns of the condition of each draw, or the only one, which fits all draws."""
    classes = values.shape[1]
    if classes == 1:
        return values
    if classes <= _FEW:  # a product is faster than looking up
        return values @ jax.nn.one_hot(which, classes, axis=0)
    return values.T[which].T


def pushed(
    network: Network,
    order: Int[Array, " dim"],
    x: Float[Array, "dim n"],
    conditions: Float[Array, "classes condition"],
    which: Int[Array, " n"],
    interval: float,
) -> Float[Array, "dim n"]:
    """Draws through one coupling layer: the first half moves the second, then all are permuted.

    Args:
        network: From the first half and the condition to the splines of the second.
        order: Of the parameters after it.
        x: Draws.
        conditions: See `outputs`.
        which: See `outputs`.
        interval: Splines reach from minus this to this, beyond which they are the identity.
    """
    half = len(x) // 2
    raw = outputs(network, x[:half], conditions, which).reshape(len(x) - half, -1, x.shape[1])
    moved = spline(x[half:], [raw[:, i] for i in range(raw.shape[1])], interval)
    return jnp.concatenate([x[:half], moved])[order]


def spline(
    x: Float[Array, "*batch"], raw: list[Float[Array, "*batch"]], interval: float
) -> Float[Array, "*batch"]:
    """Monotone rational-quadratic spline (Durkan et al. 2019, arXiv:1906.04032, equation 4).

    Args:
        x: Where.
        raw: Unconstrained widths and heights of its bins, as many of each, and slopes at its
            knots, one more.
        interval: Identity beyond minus and plus this.
    """
    bins = len(raw) // 3
    xs, ys = _knots(raw[:bins], interval), _knots(raw[bins : 2 * bins], interval)
    inside = jnp.clip(x, -interval, interval)
    ends = (values[side:][:bins] for values in (xs, ys, raw[2 * bins :]) for side in (0, 1))
    x0, x1, y0, y1, d0, d1 = (_in_bin(inside, xs, values) for values in ends)
    d0, d1 = (jax.nn.softplus(d + _NO_SLOPE) + LEAST for d in (d0, d1))
    slope, share = (y1 - y0) / (x1 - x0), (inside - x0) / (x1 - x0)
    both = share * (1 - share)
    top = (y1 - y0) * (slope * share**2 + d0 * both)
    y = y0 + top / (slope + (d1 + d0 - 2 * slope) * both)
    return jnp.where(jnp.abs(x) <= interval, jnp.clip(y, -interval, interval), x)


def _knots(raw: list[Array], interval: float) -> list[Array]:
    """Increasing from minus to plus `interval`, by steps in proportion to ``exp(raw)``."""
    top = jnp.stack(raw).max(0)
    steps = [jnp.exp(r - top) for r in raw]
    free = (2 * interval - LEAST * len(raw)) / sum(steps)
    places = [jnp.full_like(top, -interval)]
    for step in steps[:-1]:
        places.append(places[-1] + LEAST + free * step)
    return [*places, jnp.full_like(top, interval)]


def _in_bin(x: Array, knots: list[Array], values: list[Array]) -> Array:
    """Of the values of each bin that of the bin in which `x` is."""
    chosen = values[0]
    for knot, value in zip(knots[1:-1], values[1:], strict=True):
        chosen = jnp.where(x > knot, value, chosen)
    return chosen
