"""Rows of data frames with their spectra in cells, as LSDB and nested-pandas have them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack

from flowspec.cluster.job import digest_of, loaded
from flowspec.data.extra import filled
from flowspec.data.spectra import Spectra
from flowspec.io.blocks import gathered
from flowspec.io.parquet import spectra_of_frame
from flowspec.io.roles import ALIASES
from flowspec.io.rows import IDENTIFIERS
from flowspec.posterior.load import model_path
from flowspec.posterior.summary import summarized, with_silent

_ROWS = 1024  # answered at once


def predict_frame(
    frame,
    model: str | Path,
    *,
    n: int = 500,
    seed: int = 0,
    columns: Mapping[str, str] | None = None,
    flux_unit: str | None = None,
    wave_unit: str | None = None,
    air: bool | None = None,
    resolving_power: float | None = None,
):
    """What a model says of the rows of a data frame, such as a partition of an LSDB catalogue.

    ``catalog.map_partitions(fs.predict_frame, model="optical")`` gives a catalogue of results.
    Draws are keyed by identifiers where the frame has any, else by its index.

    Args:
        frame: `pandas.DataFrame` with the columns ``wave`` (or ``lambda``, ``loglam``), ``flux``
            and ``ivar`` of lists, or in one nested column, named as in `flowspec.read`.
        model: Name of a shipped model, or its file.
        n: Draws per row.
        seed: Random seed.
        columns: As for `flowspec.read`, like all that follow.
        flux_unit: Such as "1e-18 erg/s/cm2/A".
        wave_unit: Such as "nm".
        air: Whether wavelengths are in air.
        resolving_power: λ / FWHM of all spectra.

    Returns:
        `pandas.DataFrame` with the same index: columns of the frame that hold no lists, then
        those of `Posterior.summarize`.

    Raises:
        ValueError: Where there are no spectra in the frame.
    """
    path = model_path(model)
    posterior, own = loaded(str(path), digest_of(path)), _with_identifier(frame)
    grid = posterior.model.frame
    said = {"columns": columns, "flux_unit": flux_unit, "wave_unit": wave_unit, "air": air,
            "resolving_power": resolving_power}  # fmt: skip
    pieces = spectra_of_frame(own, **said) if len(frame) else [_blank(grid)]
    # what the frame has is not told again
    bare = (replace(s, names=[n.removeprefix("#") for n in s.names], extra={}) for s in pieces)
    tables = []
    for obs in gathered(map(grid.gridded, bare), _ROWS):
        table, _ = summarized(posterior, obs, n=n, seed=seed, by_name=True)
        tables.append(with_silent(table, posterior))
    table = vstack(tables, metadata_conflicts="silent")[: len(frame)]
    kept = frame[[name for name in frame.columns
                  if not _is_nested(frame[name]) and name not in table.colnames]]  # fmt: skip
    return kept.assign(**_columns(table, frame.index))


def _with_identifier(frame):
    """With the index as its identifier, where it has none."""
    if any(str(name).lower() in IDENTIFIERS for name in frame.columns):
        return frame
    return frame.assign(id=frame.index.astype(str))


def _blank(grid) -> Spectra:
    """A row without data: what columns there are is asked of empty frames too."""
    nothing = np.zeros((1, grid.size))
    return Spectra(grid.wave, nothing, nothing)


def _columns(table: Table, index) -> dict:
    """Columns of pandas, arrays as lists of Arrow."""
    import pandas as pd
    import pyarrow as pa

    columns = {}
    for name in table.colnames:
        values = filled(table[name].data)
        kind = values.dtype
        if values.ndim > 1:
            kind = pd.ArrowDtype(pa.list_(pa.from_numpy_dtype(values.dtype)))
        columns[name] = pd.Series(list(values) if values.ndim > 1 else values, index, dtype=(
            "str" if values.dtype.kind == "U" else kind))  # fmt: skip
    return columns


def _is_nested(column) -> bool:
    """Whether cells are lists, or tables of nested-pandas; of an empty frame also by the name."""
    if any(word in str(column.dtype) for word in ("list", "nested", "struct")):
        return True
    if len(column):
        return np.ndim(column.iloc[0]) > 0
    return column.dtype == object and any(column.name in names for names in ALIASES.values())
