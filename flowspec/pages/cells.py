"""A table of results as cells of a page: text, numbers, and nothing where nothing is known."""

import numpy as np
from astropy.table import Table

from flowspec.data.flags import Flag

DIGITS = 7  # float32 holds no more


def cells(table: Table) -> tuple[list[dict], list[list]]:
    """Columns (`name`, `about`, `unit`, whether `text`) and rows of values, None where masked.

    Columns of several values per row, such as the peaks of the redshift, are left out.

    Args:
        table: Of `Posterior.summarize`.
    """
    names = [name for name in table.colnames if np.ndim(table[name]) == 1]
    columns = [
        {
            "name": name,
            "about": str(table[name].description or ""),
            "unit": str(table[name].unit or ""),
            "text": table[name].dtype.kind not in "biuf",
        }
        for name in names
    ]
    values = [[cell(value) for value in table[name]] for name in names]
    if {"snr", "flags"} <= set(names):  # the table has 0, where there is none
        none = (np.asarray(table["flags"]) & int(Flag.NO_DATA)) > 0
        snr = values[names.index("snr")]
        values[names.index("snr")] = [None if no else x for x, no in zip(snr, none, strict=True)]
    return columns, [list(row) for row in zip(*values, strict=True)]


def cell(value) -> str | int | float | None:
    """One value as JSON has it; None where it is masked or not finite."""
    if value is None or np.ma.is_masked(value):
        return None
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None
    return value if isinstance(value, bool | int) else str(value)
