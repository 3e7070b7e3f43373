"""Ratios of emission lines with their errors and limits: one rule for pages and figures."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from flowspec.data.line_names import parts
from flowspec.data.lines import Lines, State, of_states

FAINT = 2.0  # standard deviations below which a line is a limit
_UPPER, _LOWER = -1, 1


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
    """The ratio of two lines; with a limit above or below it is one, with both it is not known.

    A line measured at less than `FAINT` standard deviations is an upper limit, of its flux (or 0)
    and as many more.
    """
    (flux, err, limits, known) = (np.stack(x, 1) for x in
                                  zip(found(obs, above), found(obs, below), strict=True))
    known = known.all(1) & ~limits.all(1)
    safe = np.where(known[:, None], flux, 1)
    error = np.hypot(*(np.where(limits, 0, err / safe) / np.log(10)).T)
    return Ratios(
        np.where(known, np.log10(safe[:, 0] / safe[:, 1]), np.nan),
        np.where(known, np.where(limits.any(1), 0, error), np.nan),
        np.where(known, np.where(limits[:, 0], _UPPER, np.where(limits[:, 1], _LOWER, 0)), 0),
    )


class Found(NamedTuple):
    """A line of a catalogue.

    Attributes:
        flux: Or the limit of it [batch].
        err: Standard error, of measurements [batch].
        limit: Whether it is an upper limit [batch].
        known: Whether it is either [batch].
    """

    flux: Float[np.ndarray, " batch"]
    err: Float[np.ndarray, " batch"]
    limit: Bool[np.ndarray, " batch"]
    known: Bool[np.ndarray, " batch"]


def found(obs: Lines, name: str) -> Found:
    """A line by its canonical name; a sum that was not measured as one is that of its lines."""
    flux, err = np.zeros((2, len(obs)))
    state = np.full(len(obs), State.ABSENT)
    for pieces in ((name,), parts(name)):
        if set(pieces) <= set(obs.lines):
            one = _only(obs, pieces).select((name,))
            none = state == State.ABSENT
            flux, err, state = (
                np.where(none, new[:, 0], old)
                for new, old in ((one.flux, flux), (one.err, err), (one.state, state)))
    faint = (state == State.MEASURED) & (flux < FAINT * err)
    flux = np.where(faint, np.maximum(flux, 0) + FAINT * err, flux)
    return Found(flux, err, faint | (state == State.LIMIT), state != State.ABSENT)


def _only(obs: Lines, names: tuple[str, ...]) -> Lines:
    columns = [obs.lines.index(name) for name in names]
    return of_states(names, *(x[:, columns] for x in (obs.flux, obs.err, obs.state)))
