"""Rows of a NumPy simulator, in this process or one of its own, which loads NumPy and no JAX."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_FUNCTION: list[Callable] = []  # of this process: sent once, not with every piece of work


class Piece(NamedTuple):
    """What a function made of some rows of parameters.

    Attributes:
        values: Of each row its numbers, or None where the function failed.
        error: The first exception, in one line, or "".
    """

    values: list[np.ndarray | None]
    error: str


def begin(function: Callable) -> None:
    """Keep the function that this process is to run."""
    _FUNCTION[:] = [function]


def ready() -> bool:
    """Whether there is a function to run."""
    return bool(_FUNCTION)


def kept_function(*args) -> Piece:
    """`piece` of the function that the process has."""
    return piece(_FUNCTION[0], *args)


def piece(
    function: Callable, theta: np.ndarray, seed: tuple[int, ...], batched: bool, random: bool
) -> Piece:
    """Run a function on some rows; each has random numbers of its own, whoever runs it.

    Args:
        function: Of parameters [params], or [rows, params] if it is `batched`.
        theta: Parameters [rows, params].
        seed: Of the rows.
        batched: Whether the function takes all rows at once. Where it fails it gets them one by
            one, so that one row fails and not all.
        random: Whether the function takes a generator of random numbers as well.
    """
    state = np.random.get_state()
    try:
        if batched:
            try:
                values = np.asarray(_called(function, theta, seed, random), float)
                if values.shape[:1] != (len(theta),):
                    raise ValueError(f"expected {len(theta)} rows of numbers from the function; "
                                     f"got shape {values.shape}")
                return Piece([row.reshape(-1) for row in values], "")
            except Exception:
                if len(theta) == 1:
                    raise
                rows = [theta[i : i + 1] for i in range(len(theta))]
        else:
            rows = list(theta)
        return _one_by_one(function, rows, seed, random)
    except Exception as error:
        return Piece([None] * len(theta), _line(error))
    finally:
        np.random.set_state(state)


def _one_by_one(function, rows: list, seed: tuple[int, ...], random: bool) -> Piece:
    values, first = [], ""
    for i, row in enumerate(rows):
        try:
            value = np.asarray(_called(function, row, (*seed, i), random), float)
            values.append(value.reshape(-1))
        except Exception as error:  # of any kind: it is the user's code
            values.append(None)
            first = first or _line(error)
    return Piece(values, first)


def _called(function, theta: np.ndarray, seed: tuple[int, ...], random: bool):
    """The function at parameters, with both kinds of random numbers of NumPy seeded."""
    rng = np.random.default_rng(seed)
    np.random.seed(rng.integers(2**32, dtype=np.uint32))
    return function(theta, rng) if random else function(theta)


def _line(error: Exception) -> str:
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words[:200]}" if words else type(error).__name__
