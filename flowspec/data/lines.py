"""`Lines`: a batch of emission-line fluxes, as `Spectra` is one of spectra."""

import logging
from collections.abc import Mapping, Sequence
from enum import IntEnum

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float, Int

from flowspec.data.extra import Extra, joined_extra
from flowspec.data.line_names import canonical, parts
from flowspec.data.observation import labels
from flowspec.data.units import in_one_unit

LIMIT_SIGMA = 3.0  # an upper limit is this many standard deviations
log = logging.getLogger("flowspec")


class State(IntEnum):
    """What is known of one line of one object."""

    ABSENT = 0
    """Not observed, masked or outside the range: no information."""
    MEASURED = 1
    """Flux ± err, Gaussian; the flux may be negative."""
    LIMIT = 2
    """Looked for, and its measured flux was below `flux` = `LIMIT_SIGMA` · err. The likelihood of
    a true flux F is Φ((flux - F) / err), with Φ the normal distribution function."""


class Lines(eqx.Module):
    """A batch of emission-line fluxes, held on the host.

    Per line and object: flux and err finite is a measurement; otherwise a finite, positive
    `limit` is an upper limit; otherwise the line is absent. An error that is not positive makes
    its line absent and is told in the note of the row.

    Args:
        lines: names of the lines, in any spelling that `line_names.canonical` knows.
        flux: [batch, lines] (or [lines], a batch of one) in any unit, one per row; NaN, infinite
            or masked where not measured.
        err: one standard deviation of `flux`, same shape. Quantities where `flux` is one, and
            converted to its unit.
        limit: upper limits of `LIMIT_SIGMA` standard deviations, likewise; NaN or masked where
            there is none.
        names: one label per row (default "0", "1", ...).
        notes: one per row: "" or what is wrong with it. A row without any usable line always gets
            a note.
        dereddened: whether the fluxes of each row are corrected for dust: one bool, or [batch].
        extra: labels to carry along to the table, one value per row by name of column.
        reading: which columns of a file these are and which were ignored, in words; "" where they
            are of no file.

    Attributes:
        flux: [batch, lines] of a limit the limit, 0 where absent.
        err: [batch, lines] of a limit `flux` / `LIMIT_SIGMA`, 0 where absent.
        state: [batch, lines] of `State`.

    Raises:
        ValueError: on wrong shapes, names that are no lines or the same line twice; or where
            errors are not positive and no line of any row is usable.
    """

    flux: Float[np.ndarray, "batch lines"]
    err: Float[np.ndarray, "batch lines"]
    state: Int[np.ndarray, "batch lines"]
    dereddened: Bool[np.ndarray, " batch"]
    lines: tuple[str, ...] = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)
    notes: tuple[str, ...] = eqx.field(static=True)
    extra: Extra = eqx.field(static=True)
    reading: str = eqx.field(static=True)

    def __init__(
        self,
        lines: Sequence[str],
        flux,
        err,
        limit=None,
        names: Sequence[str] = (),
        notes: Sequence[str] = (),
        dereddened=False,
        extra: Mapping = Extra(),
        reading: str = "",
    ):
        self.reading = reading
        self.lines = _checked_lines(lines)
        limits = [] if limit is None else [limit]
        flux, err, *limits = map(_filled, in_one_unit(flux, err, *limits))
        limit = limits[0] if limits else np.full(flux.shape, np.nan)
        if not flux.shape == err.shape == limit.shape == (len(flux), len(self.lines)):
            raise ValueError(
                f"expected flux, err and limit of shape [batch, {len(self.lines)}]; "
                f"got {flux.shape}, {err.shape} and {limit.shape}"
            )
        self.names = labels(names, [str(i) for i in range(len(flux))], "names")
        self.extra = Extra(extra, len(flux))
        dereddened = np.asarray(dereddened, bool)
        if dereddened.shape not in ((), (len(flux),)):
            raise ValueError(f"expected one dereddened, or one per row of {len(flux)}; got shape "
                             f"{dereddened.shape}")
        self.dereddened = np.broadcast_to(dereddened, (len(flux),))
        given = np.isfinite(flux) & np.isfinite(err)
        bad = np.isfinite(flux) & (err <= 0)
        measured, limited = given & ~bad, ~given & ~bad & np.isfinite(limit) & (limit > 0)
        self.flux = np.where(measured, flux, np.where(limited, limit, 0))
        self.err = np.where(measured, err, self.flux / LIMIT_SIGMA)
        kinds = [State.MEASURED, State.LIMIT]
        self.state = np.select([measured, limited], kinds, State.ABSENT).astype(np.int8)
        if bad.any() and not self.usable.any():
            worst = np.min(err[bad])
            raise ValueError(f"expected errors > 0; got {worst:g} and no usable line in any row")
        self.notes = self._annotated(labels(notes, [""] * len(flux), "notes"), bad)

    def _annotated(self, notes, bad) -> tuple[str, ...]:
        notes = list(notes)
        for i in np.flatnonzero(bad.any(axis=1)):
            which = ", ".join(np.array(self.lines)[bad[i]])
            notes[i] = "; ".join(filter(None, [notes[i], f"error not positive: {which}"]))
        for i in np.flatnonzero(~self.usable):
            notes[i] = notes[i] or f"no measured flux or upper limit of {_some(self.lines)}"
        return tuple(notes)

    def __len__(self) -> int:
        return self.flux.shape[0]

    def __getitem__(self, index) -> "Lines":
        """Rows by number, slice, mask or list of numbers: always a `Lines`."""
        rows = np.atleast_1d(np.arange(len(self))[index])
        return of_states(
            self.lines,
            self.flux[rows],
            self.err[rows],
            self.state[rows],
            [self.names[i] for i in rows],
            [self.notes[i] for i in rows],
            self.dereddened[rows],
            self.extra.of_rows(rows),
            self.reading,
        )

    def corrected(self, dereddened) -> "Lines":
        """The same fluxes, said to be corrected for dust or not: one bool, or [batch]."""
        return of_states(
            self.lines, self.flux, self.err, self.state, self.names, self.notes, dereddened,
            self.extra, self.reading,
        )  # fmt: skip

    def read_as(self, reading: str) -> "Lines":
        """The same rows, with words on how they were read."""
        return of_states(
            self.lines, self.flux, self.err, self.state, self.names, self.notes, self.dereddened,
            self.extra, reading,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"Lines({len(self)} x {', '.join(self.lines)})"

    @property
    def usable(self) -> Bool[np.ndarray, " batch"]:
        """[batch] whether the row has any measurement or upper limit."""
        return (self.state != State.ABSENT).any(axis=1)

    @property
    def snr(self) -> Float[np.ndarray, " batch"]:
        """[batch] median signal-to-noise ratio of the measured lines; 0 where there is none."""
        measured = self.state == State.MEASURED
        ratio = np.divide(self.flux, self.err, out=np.full(self.flux.shape, np.nan), where=measured)
        snr, any_measured = np.zeros(len(self)), measured.any(axis=1)
        snr[any_measured] = np.nanmedian(ratio[any_measured], axis=1)
        return snr

    def select(self, lines: Sequence[str]) -> "Lines":
        """The same objects with the lines of a model, in its order.

        A line that is not there is absent. A sum that the model wants of lines measured apart,
        such as [SII]6717,6731, is their sum, and its variance the sum of theirs; where all of
        them are upper limits it is the sum of the limits, and where one is absent or only some
        are limits it is absent (no Gaussian and no limit says what is known). A model that wants
        the single lines as well gets these, and their sum only where the table has it. Lines of no
        use to the model are dropped and named in the log.

        Args:
            lines: names of the lines.

        Raises:
            ValueError: on names that are no lines or the same line twice.
        """
        wanted, shape = _checked_lines(lines), (len(self), len(lines))
        if wanted == self.lines:
            return self
        flux, err, state = np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int8)
        used: set[str] = set()
        for i, line in enumerate(wanted):
            pieces = (line,) if line in self.lines else parts(line)
            # a sum of lines that are wanted themselves too would count them twice
            twice = len(pieces) > 1 and set(pieces) <= set(wanted)
            if set(pieces) <= set(self.lines) and not twice:
                columns = [self.lines.index(piece) for piece in pieces]
                flux[:, i], err[:, i], state[:, i] = self._sum(columns)
                used.update(pieces)
        self._log_dropped([line for line in self.lines if line not in used], wanted)
        about = self.names, self.notes, self.dereddened, self.extra, self.reading
        return of_states(wanted, flux, err, state, *about)

    def _sum(self, columns: list[int]):
        """Flux, err and state [batch] of the sum of some lines."""
        flux, err, state = (x[:, columns] for x in (self.flux, self.err, self.state))
        measured, limited = ((state == s).all(axis=1) for s in (State.MEASURED, State.LIMIT))
        total = np.where(measured | limited, flux.sum(axis=1), 0)
        sigma = np.where(measured, np.hypot.reduce(err, axis=1), total / LIMIT_SIGMA)
        return total, sigma, np.select([measured, limited], [1, 2], 0)

    def _log_dropped(self, dropped, wanted):
        pieces = {piece for line in wanted for piece in parts(line)}
        sums = [d for d in dropped if len(parts(d)) > 1 and pieces & set(parts(d))]
        if sums:
            log.warning("lines dropped, sums the model does not have: %s", "; ".join(sums))
        if others := [d for d in dropped if d not in sums]:
            log.info("lines that the model does not use: %s", "; ".join(others))

    @staticmethod
    def concatenate(pieces: Sequence["Lines"]) -> "Lines":
        """Rows of all `pieces`, which must have the same lines in the same order.

        Raises:
            ValueError: without pieces, or where their lines differ.
        """
        if not pieces:
            raise ValueError("expected at least one Lines to concatenate; got none")
        for piece in pieces:
            if piece.lines != pieces[0].lines:
                raise ValueError(f"expected the same lines ({pieces[0]}); got {piece}: select them")
        arrays = ((p.flux, p.err, p.state) for p in pieces)
        return of_states(
            pieces[0].lines,
            *(np.concatenate(a) for a in zip(*arrays, strict=True)),
            [name for p in pieces for name in p.names],
            [note for p in pieces for note in p.notes],
            np.concatenate([p.dereddened for p in pieces]),
            joined_extra([p.extra for p in pieces], [len(p) for p in pieces]),
            " | ".join(dict.fromkeys(p.reading for p in pieces if p.reading)),
        )


def of_states(
    lines, flux, err, state, names=(), notes=(), dereddened=False, extra: Mapping = Extra(),
    reading: str = "",
) -> Lines:
    """`Lines` from its own attributes, `state` among them."""
    flux_of = {s: np.where(state == s, flux, np.nan) for s in (State.MEASURED, State.LIMIT)}
    values = flux_of[State.MEASURED], err, flux_of[State.LIMIT]
    return Lines(lines, *values, names, notes, dereddened, extra, reading)


def _checked_lines(lines) -> tuple[str, ...]:
    if isinstance(lines, str) or not len(lines):
        raise ValueError(f"expected a sequence of names of lines; got {lines!r}")
    names = tuple(canonical(line) for line in lines)
    for i, name in enumerate(names):
        if name in names[:i]:
            first = lines[names.index(name)]
            raise ValueError(f"expected each line once; got {name} as '{first}' and '{lines[i]}'")
    return names


def _filled(values) -> np.ndarray:
    """[batch, lines] float64."""
    return np.atleast_2d(np.array(values, np.float64))


def _some(lines, most: int = 8) -> str:
    return ", ".join(lines[:most]) + (", ..." if len(lines) > most else "")
