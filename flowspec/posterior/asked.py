"""What is asked of a posterior, checked: parameters, numbers of draws, and what keys the draws."""

import hashlib
import operator

import numpy as np
from jaxtyping import Float, Int, UInt32

from flowspec.data.observation import Observation
from flowspec.data.units import without_unit


def draw_count(n, least: int = 1) -> int:
    """A number of draws.

    Raises:
        ValueError: If it is not whole, or below `least`.
    """
    try:
        count = operator.index(n)
    except TypeError:
        count = -1
    if count < least:
        raise ValueError(f"expected a whole number of draws, at least {least}; got {n!r}")
    return count


def row_numbers(
    obs: Observation, first: int | Int[np.ndarray, " rows"] = 0, by_name: bool = False
) -> UInt32[np.ndarray, "rows words"]:
    """What tells the random numbers of one row from those of another.

    Args:
        obs: Observations.
        first: Number of the first row: each row has its number; or the number of every row, of
            rows that do not follow one another.
        by_name: Or each has 64 bits of the BLAKE2 hash of its name (RFC 7693), the same wherever
            the row stands, and on every machine.
    """
    if not by_name:
        each = first if np.ndim(first) else first + np.arange(len(obs))
        return np.asarray(each)[:, None].astype(np.uint32)
    digests = (hashlib.blake2b(name.encode(), digest_size=8).digest() for name in obs.names)
    return np.frombuffer(b"".join(digests), "<u4").reshape(-1, 2).astype(np.uint32)


def parameters_of(theta, rows: int, params: int) -> Float[np.ndarray, "*n rows params"]:
    """Parameters for every row, of one theta for all or of one or more per row.

    Args:
        theta: Of any precision and byte order.
        rows: Number of rows.
        params: Number of parameters.

    Raises:
        ValueError: On other shapes.
    """
    theta = without_unit(theta, "theta").astype(np.float32)
    if theta.shape == (params,):
        return np.tile(theta, (rows, 1))
    if theta.shape[-2:] != (rows, params):
        raise ValueError(f"expected theta of shape [{rows}, {params}] or [n, {rows}, {params}], "
                         f"or [{params}] for all rows; got {list(theta.shape)}")
    return theta


def sources_of(source, shape: tuple[int, ...], count: int) -> Int[np.ndarray, "*n rows"]:
    """Numbers of sources for parameters of a shape.

    Raises:
        ValueError: On another shape, or if there is no such source.
    """
    source = np.asarray(source)
    fits = source.ndim <= len(shape) and source.shape == shape[len(shape) - source.ndim :]
    if not (fits and source.dtype.kind in "iu" and ((source >= 0) & (source < count)).all()):
        raise ValueError(f"expected numbers of sources from 0 to {count - 1}, of shape "
                         f"{list(shape)}; got {source.dtype} of shape {list(source.shape)}")
    return np.broadcast_to(source.astype(np.int32), shape)
