"""What is known of a redshift from elsewhere: a value, a window, or a density of each object.

The classes of a model are redshift bins, so that what is known goes into their probabilities
exactly; inside a bin draws are weighted by it.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm
from jaxtyping import Float

from flowspec.model.model import Model
from flowspec.model.space import Space
from flowspec.posterior.draws import Chunk, Drawn, log_density_free


class Known(eqx.Module):
    """A factor on the posterior of the redshift, piecewise constant.

    Attributes:
        edges: Of its pieces, for each row or all [rows or 1, pieces + 1].
        density: In them [rows or 1, pieces].
    """

    edges: Float[np.ndarray, "#rows edges"]
    density: Float[np.ndarray, "#rows pieces"]

    def of(self, rows: np.ndarray) -> "Known":
        """What is known of some rows."""
        return Known(*(a if len(a) == 1 else a[rows] for a in (self.edges, self.density)))

    def tilt(self, rows: int, space: Space) -> Float[np.ndarray, "rows classes"]:
        """Log of the mean factor in the bins of each class, ``-inf`` where it is zero."""
        edges, density = _for_rows(rows, self.edges, self.density)
        own = space.redshift.all_edges()
        mass = np.pad(np.cumsum(density * np.diff(edges), axis=1), ((0, 0), (1, 0)))
        at = np.stack([np.interp(own, e, m) for e, m in zip(edges, mass, strict=True)])
        with np.errstate(divide="ignore"):
            log_mean = np.log(np.maximum(np.diff(at), 0) / np.diff(own))
        if not np.isfinite(log_mean).any(1).all():
            row = int(np.argmin(np.isfinite(log_mean).any(1)))
            raise ValueError(f"expected redshifts between {own[0]:g} and {own[-1]:g}; got others "
                             f"in row {row}")
        return np.tile(log_mean, len(space.sources)).astype(np.float32)

    def weighed(self, model: Model, chunk: Chunk, drawn: Drawn):
        """Draws, and the log of the factor at each over that of its class."""
        own = self.of(chunk.rows[: chunk.count])
        z = drawn.theta[..., model.space.names.index("z")]
        edges, density = _for_rows(chunk.count, own.edges, own.density)
        tilt = own.tilt(chunk.count, model.space)
        place = np.stack([np.searchsorted(e, x, "right") - 1
                          for e, x in zip(edges, z.T, strict=True)], axis=1)
        inside = (place >= 0) & (place < density.shape[1])
        value = np.take_along_axis(density.T, np.clip(place, 0, density.shape[1] - 1), axis=0)
        with np.errstate(divide="ignore"):
            log_value = np.log(np.where(inside, value, 0.0))
        return drawn, log_value - np.take_along_axis(tilt.T, drawn.k, axis=0)


class KnownValue(Known):
    """A redshift that is known exactly.

    Attributes:
        z: Of each row or all [rows or 1].
    """

    z: Float[np.ndarray, " rows"]

    def __init__(self, z: Float[np.ndarray, " rows"], space: Space):
        edges = space.redshift.all_edges()
        place = np.clip(np.searchsorted(edges, z, "right") - 1, 0, space.bins - 1)
        self.z = z
        self.edges = np.stack([edges[place], edges[place + 1]], axis=1)  # its bin
        self.density = np.ones((len(z), 1))

    def weighed(self, model: Model, chunk: Chunk, drawn: Drawn):
        """Draws moved to the redshift inside its bin, and the weights that this takes.

        With u the place in the bin and v all other parameters, draws ``(u, v) ~ q`` moved to
        ``(u0, w)``, ``w = v + b (u0 - u)``, have weights ``q(u0, w) r(u) / q(u, v)`` for the
        conditional ``q(w | u0)``, whatever the slopes b and the density r. Weights hardly vary for
        those of a regression (Beaumont et al. 2002, Genetics 162, 2025) and the normal one.
        """
        space, column = model.space, model.space.names.index("z")
        source = np.asarray(space.source_of(drawn.k))
        rows = chunk.rows[: chunk.count]
        z = np.broadcast_to(self.z if len(self.z) == 1 else self.z[rows], drawn.k.shape)
        _, free, _ = space.encode(jnp.asarray(drawn.theta), source)
        fixed = jnp.asarray(drawn.theta).at[..., column].set(jnp.asarray(z, free.dtype))
        place = space.encode(fixed, source).free[..., column]
        own = free[..., column]
        away, spread = own - own.mean(0), own.std(0) + 1e-3
        slope = ((free - free.mean(0)) * away[..., None]).mean(0) / spread[:, None] ** 2
        moved = free + slope * (place - own)[..., None]
        moved = moved.at[..., column].set(place)
        marginal = norm.logpdf(away / spread) - jnp.log(spread)
        log_weight = (log_density_free(model, chunk, drawn.k, moved) + np.asarray(marginal)
                      - log_density_free(model, chunk, drawn.k, free))
        theta = np.array(space.decode(jnp.asarray(drawn.k), moved))
        theta[..., column] = z
        return Drawn(theta, drawn.k), log_weight


def known_redshift(z, space: Space) -> Known:
    """What `Posterior.given` was told.

    Args:
        z: See there.
        space: Of the model.

    Raises:
        ValueError: If it is none of these, or outside the prior.
    """
    low, high = space.redshift.low, space.redshift.high
    if not isinstance(z, tuple):
        value = np.atleast_1d(np.asarray(z, float))
        if value.ndim != 1 or not ((value >= low) & (value <= high)).all():
            raise ValueError(f"expected a redshift between {low:g} and {high:g}, or one per row; "
                             f"got {z}")
        return KnownValue(value, space)
    if len(z) != 2:
        raise ValueError(f"expected (low, high) or (edges, density); got {len(z)} of them")
    first, second = (np.asarray(x, float) for x in z)
    if first.ndim == 1 and second.ndim and second.shape[-1] == len(first) - 1:
        return _checked(Known(first[None], np.atleast_2d(second)))
    first, second = np.broadcast_arrays(np.atleast_1d(first), np.atleast_1d(second))
    return _checked(Known(np.stack([first, second], axis=1), np.ones((len(first), 1))))


def _checked(known: Known) -> Known:
    if not ((np.diff(known.edges) > 0).all() and (known.density >= 0).all()):
        raise ValueError("expected increasing redshifts and densities that are not negative; got "
                         f"{known.edges[0]} and {known.density[0]}")
    return known


def _for_rows(rows: int, *arrays):
    """Arrays for so many rows, of as many or of one.

    Raises:
        ValueError: If there are other numbers of rows.
    """
    for a in arrays:
        if len(a) not in (1, rows):
            raise ValueError(f"expected what is known of {rows} rows; got that of {len(a)}")
    return tuple(np.broadcast_to(a, (rows, a.shape[1])) for a in arrays)
