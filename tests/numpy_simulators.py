"""Simulators of NumPy, in a module of their own, as other processes must import them."""

import numpy as np


def line(theta: np.ndarray) -> np.ndarray:
    """A straight line at five places [5]; no negative slopes."""
    if theta[1] < -1.5:
        raise ValueError("a slope below -1.5")
    if theta[0] > 2:
        return np.full(5, np.nan)
    return theta[0] + theta[1] * np.arange(5.0)


def lines(theta: np.ndarray) -> np.ndarray:
    """`line` of many parameters at once [rows, 5]."""
    return np.stack([line(row) for row in theta])


def noisy(theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`line` with noise of both of NumPy's generators [5]."""
    return line(theta) + rng.normal(size=5) + np.random.normal(size=5)
