"""Diagrams of line ratios that tell what ionises a nebula, and where objects lie in them."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from flowspec.data.lines import Lines, State

Y = ("[OIII]5007", "Hbeta")
_UPPER, _LOWER = -1, 1


class Diagram(NamedTuple):
    """Baldwin, Phillips & Terlevich (1981) and Veilleux & Osterbrock (1987): [O III]/Hβ over x.

    Attributes:
        x: Lines whose ratio is the abscissa.
        curves: Name of a boundary, and the numbers of ``y = a / (x - b) + c`` for x below b.
    """

    x: tuple[str, str]
    curves: dict[str, tuple[float, float, float]]


_K01 = "Kewley+01"  # ApJ 556, 121, equations 5 to 7: the most that starbursts reach
DIAGRAMS = (
    # Kauffmann et al. (2003, MNRAS 346, 1055), equation 1
    Diagram(("[NII]6584", "Halpha"), {_K01: (0.61, 0.47, 1.19), "Kauffmann+03": (0.61, 0.05, 1.3)}),
    Diagram(("[SII]6717,6731", "Halpha"), {_K01: (0.72, 0.32, 1.30)}),
    Diagram(("[OI]6300", "Halpha"), {_K01: (0.73, -0.59, 1.33)}),
)


class Ratios(NamedTuple):
    """Logarithms of a ratio of lines.

    Attributes:
        value: log10, NaN where it is not known [batch].
        error: Standard error in dex, 0 of a limit [batch].
        limit: -1 of an upper limit, 1 of a lower one, else 0 [batch].
    """

    value: Float[np.ndarray, " batch"]
    error: Float[np.ndarray, " batch"]
    limit: Int[np.ndarray, " batch"]


def ratios(obs: Lines, above: str, below: str) -> Ratios:
    """The ratio of two lines; with a limit above or below it is one, with both it is not known."""
    known = np.zeros(len(obs), bool)
    if above not in obs.lines or below not in obs.lines:
        none = np.full(len(obs), np.nan)
        return Ratios(none, none, known.astype(int))
    i, j = obs.lines.index(above), obs.lines.index(below)
    flux, err, state = (x[:, [i, j]] for x in (obs.flux, obs.err, obs.state))
    limits = state == State.LIMIT
    known = (state != State.ABSENT).all(1) & (flux > 0).all(1) & ~limits.all(1)
    safe = np.where(known[:, None], flux, 1)
    error = np.hypot(*(np.where(limits, 0, err / safe) / np.log(10)).T)
    return Ratios(
        np.where(known, np.log10(safe[:, 0] / safe[:, 1]), np.nan),
        np.where(known, np.where(limits.any(1), 0, error), np.nan),
        np.where(known, np.where(limits[:, 0], _UPPER, np.where(limits[:, 1], _LOWER, 0)), 0),
    )
