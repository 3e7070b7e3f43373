"""Between the models of a grid: line fluxes at any parameters, differentiable, in JAX.

In log10 of the flux. Where the models are a full regular product, monotone cubics along each axis
(PCHIP: Fritsch & Butland 1984, SIAM J. Sci. Stat. Comput. 5, 300) fill in nodes, between which it
is multilinear: as smooth as cubics at the price of lines. Where they are scattered, radial basis
functions (cubic, with a linear polynomial; Wendland 2004, Scattered Data Approximation). Beyond the
ends of a regular grid the fluxes are those at the end.
"""

import itertools
import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.interpolate import PchipInterpolator

from flowspec.data.line_grid import LineGrid

_LN10 = float(np.log(10.0))
_FINER = 4  # steps in one of the grid
_MOST = 6000  # scattered models: the coefficients are the solution of a dense system


class Regular(eqx.Module):
    """Multilinear interpolation in a regular grid of log10 fluxes."""

    axes: tuple[Array, ...]
    log_flux: Float[Array, "..."]

    def __call__(self, theta: Float[Array, " params"]) -> Float[Array, " lines"]:
        """log10 flux of every line at parameters in the order of the axes."""
        return sum(weight * self.log_flux[index] for index, weight in corners(theta, self.axes))


def corners(theta, axes):
    """Indices of the nodes about a point of a regular grid, each with its weight."""
    places = [_sides(x, axis) for x, axis in zip(theta, axes, strict=True)]
    for choice in itertools.product(*places):
        index, weights = zip(*choice, strict=True) if choice else ((), ())
        yield index, math.prod(weights)


def _sides(x, axis):
    """The two nodes about x, each with its weight."""
    last = len(axis) - 1
    place = jnp.interp(x, axis, jnp.arange(last + 1.0))
    first = jnp.clip(place.astype(int), 0, max(last - 1, 0))
    return (first, 1 - (place - first)), (jnp.minimum(first + 1, last), place - first)


class Scattered(eqx.Module):
    """Radial basis functions through scattered models."""

    centre: Float[Array, " params"]
    scale: Float[Array, " params"]
    nodes: Float[Array, "models params"]
    weight: Float[Array, "models lines"]
    plane: Float[Array, "coefficients lines"]

    def __call__(self, theta: Float[Array, " params"]) -> Float[Array, " lines"]:
        """log10 flux of every line."""
        x = (theta - self.centre) / self.scale
        square = ((x - self.nodes) ** 2).sum(-1)
        # the gradient of a square root at zero is not a number
        cube = jnp.where(square > 0, jnp.maximum(square, 1e-30) ** 1.5, 0.0)
        return cube @ self.weight + jnp.concatenate([jnp.ones(1), x]) @ self.plane


def interpolator(grid: LineGrid) -> Regular | Scattered:
    """What maps parameters [params] to log10 fluxes [lines] for a grid.

    Raises:
        ValueError: If scattered models are too many, or too few to span their parameters.
    """
    axes = grid.axes
    if axes is not None:
        axes, values = refined(axes, np.log10(np.maximum(grid.cube(), grid.floor)))
        arrays = [jnp.asarray(a, jnp.float32) for a in (*axes, values)]
        return Regular(tuple(arrays[:-1]), arrays[-1])
    count, dims = grid.points.shape
    if not dims + 1 < count <= _MOST:
        raise ValueError(
            f"expected a regular grid or {dims + 2} to {_MOST} scattered models; got {count}"
        )
    nodes, centre, scale, system = _system(grid)
    values = np.log10(np.maximum(grid.flux, grid.floor))
    wanted = np.concatenate([values, np.zeros((len(system) - count, values.shape[1]))])
    solution = np.linalg.solve(system, wanted)
    arrays = (centre, scale, nodes, solution[:count], solution[count:])
    return Scattered(*(jnp.asarray(a, jnp.float32) for a in arrays))


def refined(axes, values, finer: int = _FINER):
    """A regular grid with `finer` times as many steps, and its values, along every axis."""
    fine_axes = []
    for axis, nodes in enumerate(axes):
        steps = np.arange(finer * (len(nodes) - 1) + 1) / finer
        fine = np.interp(steps, np.arange(len(nodes)), nodes)
        if len(nodes) > 1:
            values = PchipInterpolator(nodes, values, axis=axis)(fine)
        fine_axes.append(fine)
    return tuple(fine_axes), values


def _system(grid):
    """Standardised nodes, their origin and scale, and the equations of basis and plane."""
    centre, scale = grid.points.mean(0), grid.points.std(0) + 1e-12
    nodes = (grid.points - centre) / scale
    distance = np.linalg.norm(nodes[:, None] - nodes[None], axis=-1)
    plane = np.concatenate([np.ones((len(nodes), 1)), nodes], axis=1)
    size = plane.shape[1]
    system = np.block([[distance**3, plane], [plane.T, np.zeros((size, size))]])
    return nodes, centre, scale, system


def leave_one_out(grid: LineGrid) -> Float[np.ndarray, " lines"]:
    """Expected error of the interpolation, per line, as a fraction of its flux.

    In a regular grid every second inner node is predicted along each axis from the others; the
    error half way between nodes is taken as a quarter of that, as goes with the square of the step
    (with a higher power where the grid is smooth); axes add in quadrature. Among scattered models
    each is predicted by all others (Rippa 1999, Adv. Comput. Math. 11, 193, equation 11). Fluxes
    below the grid's floor do not count.

    Returns:
        Root mean square over the models.
    """
    if grid.axes is None:
        return _left_out(grid)
    cube = np.maximum(grid.cube(), grid.floor)
    values, seen = np.log10(cube), cube > 2 * grid.floor
    square = np.zeros(values.shape[-1])
    for axis, nodes in enumerate(grid.axes):
        y, ok = np.moveaxis(values, axis, 0), np.moveaxis(seen, axis, 0)
        total, count = 0.0, 0
        for first in (0, 1):
            kept = np.unique(np.r_[0, np.arange(first, len(nodes), 2), len(nodes) - 1])
            left = np.setdiff1d(np.arange(len(nodes)), kept)
            if len(left) and len(kept) > 2:
                error = PchipInterpolator(nodes[kept], y[kept])(nodes[left]) - y[left]
                across = tuple(range(error.ndim - 1))
                total = total + (np.where(ok[left], error, 0) ** 2).sum(across)
                count = count + ok[left].sum(across)
        square += total / np.maximum(count, 1) / 16
    return _LN10 * np.sqrt(square)


def _left_out(grid):
    values, count = np.log10(np.maximum(grid.flux, grid.floor)), len(grid.points)
    inverse = np.linalg.inv(_system(grid)[-1])[:count, :count]
    error = (inverse @ values) / np.diag(inverse)[:, None]
    seen = grid.flux > 2 * grid.floor
    mean = (np.where(seen, error, 0) ** 2).sum(0) / np.maximum(seen.sum(0), 1)
    return _LN10 * np.sqrt(mean)
