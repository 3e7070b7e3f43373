"""Gas of many clouds: line fluxes summed over a smooth distribution of ionisation and density.

Real nebulae are no single cloud: sums of clouds at one set of abundances give all their strong
lines within ten per cent (HOMERUN: Marconi et al. 2024, arXiv:2401.13028). Here the shares of
H-beta are a distribution of few named numbers. Its integral over fluxes that go linearly between
the nodes of the grid is exact: the product of a vector of weights and a matrix.
"""

import math
from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf
from jaxtyping import Array, Float

from flowspec.data.line_grid import LineGrid
from flowspec.sim.nebula.interpolate import corners, refined

SPREAD = ("log_u", "log_pk", "log_n")  # parameters in which the clouds of a nebula differ
SKEWED = "log_u"  # the one whose distribution may lean to one side
FINER = 2  # steps in one of the grid, for fluxes and not their logarithms are linear in between
_WHOLE = 2**18  # numbers of a table that is summed at once
_MEAN = math.sqrt(2 / math.pi)  # of half a standard normal distribution


def shape_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the parameters of the distribution beyond those of a grid."""
    own = [name for name in names if name in SPREAD]
    return (*(f"{n}_width" for n in own), *(f"{n}_skew" for n in own if n == SKEWED))


class Clouds(eqx.Module):
    """Gas of many clouds of the same abundances.

    A parameter among `SPREAD` is the mean over the clouds, each counted by its share of H-beta;
    with its ``_width`` and, of log U, its ``_skew`` it describes the distribution (`shares`).
    Clouds beyond an end of the grid are taken as those at the end.

    Args:
        grid: A regular one.
        columns: Of theta, by the name of the parameter: those of the grid, and `shape_names`.

    Raises:
        ValueError: On a grid that is not regular, or without a parameter to be spread over.
    """

    common: tuple[Array, ...]
    spread: tuple[Array, ...]
    flux: Float[Array, "..."]
    shared: tuple[int, ...] = eqx.field(static=True)
    shapes: tuple[tuple[int, int, int | None], ...] = eqx.field(static=True)

    def __init__(self, grid: LineGrid, columns: Mapping[str, int]):
        inside = [i for i, name in enumerate(grid.names) if name in SPREAD]
        if not inside or grid.axes is None:
            raise ValueError(f"expected a regular grid (LineGrid.completed) over one of "
                             f"{', '.join(SPREAD)}; got {', '.join(grid.names)}")
        fluxes = np.log10(np.maximum(grid.cube(), grid.floor))
        axes, values = refined(grid.axes, fluxes, FINER)
        outside = [i for i in range(len(axes)) if i not in inside]
        table = np.transpose(10**values, (*outside, *inside, len(axes)))
        table = table.reshape(*table.shape[: len(outside)], -1, table.shape[-1])
        self.flux = jnp.asarray(table, jnp.float32)
        self.common, self.spread = (
            tuple(jnp.asarray(axes[i], jnp.float32) for i in kind) for kind in (outside, inside)
        )
        self.shared = tuple(columns[grid.names[i]] for i in outside)
        own = [grid.names[i] for i in inside]
        self.shapes = tuple((columns[n], columns[f"{n}_width"], columns.get(f"{n}_skew"))
                            for n in own)  # fmt: skip

    def __call__(self, theta: Float[Array, " params"]) -> Float[Array, " lines"]:
        """Flux of every line over H-beta."""
        weight = jnp.ones(1)
        for nodes, (mean, width, skew) in zip(self.spread, self.shapes, strict=True):
            asymmetry = jnp.zeros(()) if skew is None else theta[skew]
            own = shares(nodes, theta[mean], theta[width], asymmetry)
            weight = (weight[:, None] * own).ravel()
        about = corners([theta[i] for i in self.shared], self.common)
        if self.flux.size > _WHOLE:
            return sum(part * (weight @ self.flux[index]) for index, part in about)
        # all nodes of the abundances are fewer steps than copies of the two about each nebula
        every = jnp.tensordot(weight, self.flux, (0, self.flux.ndim - 2))
        return sum(part * every[index] for index, part in about)


def shares(
    nodes: Float[Array, " nodes"],
    mean: Float[Array, ""],
    width: Float[Array, ""],
    skew: Float[Array, ""],
) -> Float[Array, " nodes"]:
    """Weights that give the mean, over a distribution, of a function by its values at nodes: exact
    for one that is linear between them and constant beyond.

    The distribution is normal; with a skew it is two halves of normal ones that meet at the mode,
    ``width (1 - skew)`` wide below it and ``width (1 + skew)`` above.

    Args:
        nodes: Increasing.
        mean: Of the distribution.
        width: Of the distribution, > 0.
        skew: Above -1 and below 1.
    """
    low, high = width * (1 - skew), width * (1 + skew)
    away = nodes - (mean - _MEAN * (high - low))
    own = jnp.where(away < 0, low, high)
    z, peak = away / own, (2 * math.pi) ** -0.5
    # integral of the cumulative distribution up to each node; its second differences are weights
    normal = own**2 * (z * (0.5 + 0.5 * erf(z * 0.5**0.5)) + peak * jnp.exp(-(z**2) / 2))
    bent = normal + jnp.where(away < 0, 0.0, (low - high) * ((low + high) * peak + away / 2))
    slope = jnp.diff(bent) / jnp.diff(nodes) / width
    return jnp.diff(jnp.concatenate([jnp.zeros(1), slope, jnp.ones(1)]))
