"""`Vectors`: rows of numbers of any kind, with errors and gaps, and no wavelength."""

from collections.abc import Mapping, Sequence

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float

from flowspec.data.extra import Extra, joined_extra
from flowspec.data.observation import labels
from flowspec.data.scaling import is_lost
from flowspec.data.units import without_unit


class Vectors(eqx.Module):
    """A batch of vectors of named numbers, held on the host: photometry, summary statistics, ...

    Args:
        values: [batch, columns] (or [columns], a batch of one): plain numbers in the units of the
            simulations, whatever these are; NaN, infinite or masked where there is none.
        err: One standard deviation of `values`, the same shape or one that broadcasts to it; None
            where errors are not known, or are the same for all and so part of the simulator.
        columns: Names of the columns (default "x0", "x1", ...).
        names: One label per row (default "0", "1", ...).
        notes: One per row: "" or what is wrong with it. A row without any number gets a note.
        extra: Labels to carry along to the table, one value per row by name of column.

    Attributes:
        values: 0 where there is none.
        err: 0 where there is none.
        present: [batch, columns] whether there is a number.

    Raises:
        ValueError: On wrong shapes, columns of one name, negative errors, or quantities, whose
            unit would be lost.
    """

    values: Float[np.ndarray, "batch columns"]
    err: Float[np.ndarray, "batch columns"]
    present: Bool[np.ndarray, "batch columns"]
    columns: tuple[str, ...] = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)
    notes: tuple[str, ...] = eqx.field(static=True)
    extra: Extra = eqx.field(static=True)

    def __init__(
        self, values, err=None, columns: Sequence[str] = (), names: Sequence[str] = (),
        notes: Sequence[str] = (), extra: Mapping = Extra(),
    ):  # fmt: skip
        values = _filled(values, "values")
        err = np.zeros(values.shape) if err is None else _filled(err, "errors")
        if values.ndim != 2 or not _broadcasts(err.shape, values.shape):
            raise ValueError(f"expected values [batch, columns] and as many errors; got "
                             f"{values.shape} and {err.shape}")
        err = np.broadcast_to(err, values.shape)
        self.columns = labels(columns, [f"x{i}" for i in range(values.shape[1])], "columns")
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"expected columns of different names; got {self.columns}")
        if (err < 0).any():
            row = int(np.argmax((err < 0).any(1)))
            raise ValueError(f"expected errors >= 0; got {err[row].min():g} in row {row}")
        with np.errstate(over="ignore"):
            single, single_err = values.astype(np.float32), err.astype(np.float32)
        lost = np.isfinite(values) & np.isinf(single) | is_lost(err, single_err)
        values, err = single, single_err
        self.present = np.isfinite(values) & np.isfinite(err) & ~lost
        self.values, self.err = (np.where(self.present, a, 0) for a in (values, err))
        self.names = labels(names, [str(i) for i in range(len(values))], "names")
        self.extra = Extra(extra, len(values))
        notes = labels(notes, [""] * len(values), "notes")
        none = np.where(self.usable, "", "no numbers")
        none = np.where(lost.any(1), "numbers or errors beyond single precision", none)
        self.notes = tuple(n or str(own) for n, own in zip(notes, none, strict=True))

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index) -> "Vectors":
        """Rows by number, slice, mask or list of numbers: always a `Vectors`."""
        rows = np.atleast_1d(np.arange(len(self))[index])
        given = np.where(self.present, self.values, np.nan)[rows], self.err[rows]
        names, notes = ([texts[i] for i in rows] for texts in (self.names, self.notes))
        return Vectors(*given, self.columns, names, notes, self.extra.of_rows(rows))

    def __repr__(self) -> str:
        return f"Vectors({len(self)} x {', '.join(self.columns)})"

    @property
    def usable(self) -> Bool[np.ndarray, " batch"]:
        """Whether each row has any number [batch]."""
        return self.present.any(axis=1)

    @property
    def snr(self) -> Float[np.ndarray, " batch"]:
        """Median of ``|value| / err`` of each row, 0 where no error is known [batch]."""
        known = self.present & (self.err > 0)
        ratio = np.divide(np.abs(self.values), self.err, out=np.full(known.shape, np.nan),
                          where=known)
        snr, some = np.zeros(len(self)), known.any(axis=1)
        snr[some] = np.nanmedian(ratio[some], axis=1)
        return snr

    def select(self, columns: Sequence[str]) -> "Vectors":
        """The same rows with the columns of a model, in its order; others are dropped.

        Raises:
            ValueError: Naming a column that is not there.
        """
        if tuple(columns) == self.columns:
            return self
        missing = [c for c in columns if c not in self.columns]
        if missing:
            raise ValueError(f"expected columns {', '.join(columns)}; none is {missing[0]!r}")
        at = [self.columns.index(c) for c in columns]
        values = np.where(self.present, self.values, np.nan)[:, at]
        return Vectors(values, self.err[:, at], columns, self.names, self.notes, self.extra)

    @staticmethod
    def concatenate(parts: Sequence["Vectors"]) -> "Vectors":
        """Rows of all `parts`, in the columns of the first.

        Raises:
            ValueError: Without parts, or where columns are missing.
        """
        if not parts:
            raise ValueError("expected at least one Vectors to concatenate; got none")
        parts = [p.select(parts[0].columns) for p in parts]
        values = np.concatenate([np.where(p.present, p.values, np.nan) for p in parts])
        err = np.concatenate([p.err for p in parts])
        names, notes = ([t for p in parts for t in getattr(p, what)] for what in ("names", "notes"))
        extra = joined_extra([p.extra for p in parts], [len(p) for p in parts])
        return Vectors(values, err, parts[0].columns, names, notes, extra)


def _filled(values, what: str) -> np.ndarray:
    return np.atleast_2d(np.asarray(without_unit(values, what), float))


def _broadcasts(shape: tuple, to: tuple) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False
