"""Columns of a table, known to be of lines, to `Lines`."""

from collections.abc import Mapping, Sequence

import numpy as np
from astropy.table import Table

from flowspec.data.lines import Lines
from flowspec.io.labels import is_label, table_labels
from flowspec.io.line_cells import check_units, converted, flags, masked, numbers
from flowspec.io.line_columns import LineColumns

_PLACE = {"ivar": "err", "var": "err"}  # what is held as standard deviations


def lines_of(
    table: Table, found: LineColumns, row_names: Sequence[str], labels: Mapping | None = None
) -> Lines:
    """The lines of a table with a row per object.

    Args:
        table: with the columns that `found` names, and perhaps labels.
        found: which columns say what of which line.
        row_names: one per row, or none.
        labels: of each row, by name, where they are no columns of the table.

    Raises:
        ValueError: on cells that are no numbers, and on units that do not go together.
    """
    columns = {line: {_PLACE.get(role, role): numbers(table, name, role)
                      for role, name in roles.items() if role not in ("limit", "mask")}
               for line, roles in found.lines.items()}  # fmt: skip
    every = [column for roles in columns.values() for column in roles.values()]
    check_units(every)
    blank = np.full(len(table), np.nan)
    flux, err, limit = (
        np.stack([converted(roles[role], every[0]) if role in roles else blank
                  for roles in columns.values()], axis=1)
        for role in ("flux", "err", "ul")
    )  # fmt: skip
    upper, lower, bad = (np.stack(said, axis=1) for said in zip(
        *(_said(table, roles, columns[line]) for line, roles in found.lines.items()), strict=True
    ))  # fmt: skip
    limit = np.where(upper, flux, limit)
    flux = np.where(upper | lower | bad, np.nan, flux)
    limit = np.where(lower | bad, np.nan, limit)
    why = {"lower limit, not used": lower & ~bad, "limit not positive": upper & ~bad & (limit <= 0)}
    columns = {name: np.ma.asarray(table[name]) for name in table.colnames if is_label(name)}
    extra = table_labels(columns, len(table)) if labels is None else labels
    notes = _notes([*found.lines], why)
    return Lines([*found.lines], flux, err, limit, names=row_names, notes=notes, extra=extra)


def _notes(lines, why: Mapping[str, np.ndarray]) -> list[str]:
    """One per row: what is wrong [rows, lines], and with which lines."""
    notes = [""] * len(next(iter(why.values())))
    names = np.array(lines)
    for what, bad in why.items():
        for i in np.flatnonzero(bad.any(axis=1)):
            told = f"{what}: {', '.join(names[bad[i]])}"
            notes[i] = "; ".join(filter(None, [notes[i], told]))
    return notes


def _said(table: Table, roles, columns) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[rows] whether the flux of a line is an upper limit, a lower one, masked."""
    none = np.zeros(len(table), bool)
    upper, lower = (columns["flux"].upper, columns["flux"].lower) if "flux" in columns else (
        none, none)
    if "limit" in roles:
        flagged = flags(table, roles["limit"])
        upper, lower = upper | flagged[0], lower | flagged[1]
    return upper, lower, masked(table, roles["mask"]) if "mask" in roles else none
