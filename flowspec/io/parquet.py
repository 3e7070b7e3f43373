"""Parquet tables of spectra, such as those of the Multimodal Universe; read by pyarrow.

A row is an object. Columns are lists, or a struct `spectrum` of them: `flux`, `ivar`, `lambda`
(Å; -1 is padding), `mask` (true: no data), mostly in 1e-17 erg/s/cm²/Å; `object_id` names the row
(github.com/MultimodalUniverse/MultimodalUniverse, scripts/sdss and scripts/desi).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np

from flowspec.data.spectra import Spectra
from flowspec.io.columns import Format, build, column
from flowspec.io.declared import check
from flowspec.io.labels import is_label, table_labels, with_labels
from flowspec.io.options import make_options
from flowspec.io.roles import find, listed
from flowspec.io.rows import IDENTIFIERS, row_labels, without_padding
from flowspec.io.source import blaming, one_line, sniff


@contextmanager
def opened(source):
    """A Parquet file for reading, from a path or from bytes in memory.

    Raises:
        ValueError: where pyarrow is not installed or the file is not complete.
    """
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise ValueError(
            "expected pyarrow, which reads Parquet (python -m pip install 'flowspec[parquet]'); "
            "got none"
        ) from None
    try:
        file = ParquetFile(source)
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"expected a complete Parquet file; got: {one_line(error)}") from None
    with file:
        groups = map(file.metadata.row_group, range(file.metadata.num_row_groups))
        check(sum(group.total_byte_size for group in groups), _size(source), "Parquet")
        yield file


def _size(source) -> int:
    return len(source.getvalue()) if isinstance(source, BytesIO) else Path(source).stat().st_size


def describe(file) -> str:
    """What is in a file: for messages about one that no format fits."""
    return f"Parquet with {listed(file.schema_arrow.names)}"


def _is_rows(file, options):
    return True  # what is missing is told by `find`


def _load_rows(file, options):
    plan = _plan(file, options)
    return _spectra(_first(file, plan.wanted, options.most), 0, plan, options)


class _Plan(NamedTuple):
    """What is read of a file: role to column, further ones, and the labels of all rows."""

    found: dict[str, str]
    said: list[str]
    labels: list[str]
    wanted: list[str]


def _plan(file, options) -> _Plan:
    schema = file.schema_arrow.empty_table().flatten().schema  # "spectrum.flux" of a struct
    found = find([field.name for field in schema if _is_list(field.type)], options.columns)
    known = [name for name in schema.names if name.lower() in IDENTIFIERS]
    said = [name for name in schema.names if is_label(name, options.keep)]
    every = _first(file, known, options.most) if known else None
    # whether one is the only one of its kind takes the whole file
    ids = {name: np.array(every[name].to_pylist()) for name in known}
    total = file.metadata.num_rows if options.most is None else options.most
    labels = row_labels([ids], len(every) if every else total)
    return _Plan(found, said, labels, list(dict.fromkeys([*found.values(), *said])))


def _spectra(table, first: int, plan: _Plan, options) -> list[Spectra]:
    """Rows of a file, of which the first has the number `first`."""
    table, found = table.flatten(), plan.found
    columns = dict(column(role, _padded(table[name]), None, name) for role, name in found.items())
    names = [f"#{label}" for label in plan.labels[first : first + table.num_rows]]
    spectra = build(columns, options, names=names, air=None, found=found)
    rows = {name: np.array(table[name].to_pylist()) for name in plan.said}
    return with_labels(spectra, table_labels(rows, table.num_rows, options.keep))


def stream_parquet(
    path, chunk: int = 1024, *, start: int = 0, stop: int | None = None, **said
) -> Iterator[Spectra]:
    """Read a Parquet file `chunk` rows at a time, for sets larger than memory.

    Whole row groups are decoded, so that a part of a large one costs as much as all before it.

    Args:
        path: of the file.
        chunk: rows per step; fewer where wavelengths differ between rows.
        start: the first row.
        stop: the row to end before, or all.
        **said: `columns`, `flux_unit` and so on of `flowspec.read`.

    Raises:
        ValueError: naming the file and what is wrong with it.
    """
    options = make_options(**said)
    with blaming(path), opened(sniff(path)[1]) as file:
        plan, total = _plan(file, options), file.metadata.num_rows
        stop = min(stop or total, total)
        groups, first = _groups(file, start, stop)
        for batch in file.iter_batches(chunk, row_groups=groups, columns=plan.wanted):
            low, high = max(start - first, 0), min(len(batch), stop - first)
            if low < high:
                part = _as_table(batch.slice(low, high - low))
                for spectra in _spectra(part, first + low, plan, options):
                    yield without_padding(spectra)
            first += len(batch)


def spectra_of_frame(frame, **said) -> list[Spectra]:
    """The spectra of a pandas data frame, in order, with a `Spectra` for each grid.

    Args:
        frame: Columns as a Parquet file has them.
        **said: `columns`, `flux_unit` and so on of `flowspec.read`.

    Raises:
        ValueError: where it has none.
    """
    from pyarrow import BufferOutputStream, Table
    from pyarrow.parquet import write_table

    written, options = BufferOutputStream(), make_options(**said)
    write_table(_unpacked(Table.from_pandas(frame, preserve_index=False)), written)
    with opened(BytesIO(written.getvalue())) as file:
        return [without_padding(spectra) for spectra in _load_rows(file, options)]


def _unpacked(table):
    """With a column of lists for each field of a column of lists of structs."""
    from pyarrow import LargeListArray, array, compute, types

    for name in table.schema.names:
        kind = table.schema.field(name).type
        if _is_list(kind) and types.is_struct(kind.value_type):
            column, inner = table[name], compute.list_flatten(table[name]).combine_chunks()
            lengths = compute.fill_null(compute.list_value_length(column), 0).to_numpy()
            ends = array(np.concatenate([[0], np.cumsum(lengths)]), "int64")
            table = table.drop_columns(name)
            for field, values in zip(kind.value_type, inner.flatten(), strict=True):
                table = table.append_column(
                    f"{name}.{field.name}", LargeListArray.from_arrays(ends, values))
    return table


def total_rows(path) -> int:
    """How many rows a Parquet file has.

    Raises:
        ValueError: naming the file, where it is not complete.
    """
    with blaming(path), opened(sniff(path)[1]) as file:
        return file.metadata.num_rows


def _groups(file, start: int, stop: int) -> tuple[list[int], int]:
    """Row groups with any of some rows, and the number of the first row in them."""
    counts = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
    ends = np.cumsum([0, *counts])
    some = np.flatnonzero((ends[1:] > start) & (ends[:-1] < stop))
    return some.tolist(), int(ends[some[0]]) if len(some) else 0


def _first(file, columns, most):
    """All rows of some columns, or `most` of them."""
    if most is None:
        return file.read(columns=columns)
    return _as_table(next(file.iter_batches(most, columns=columns)))


def _as_table(batch):
    from pyarrow import Table

    return Table.from_batches([batch])


def _is_list(kind) -> bool:
    from pyarrow import types

    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)


def _padded(column) -> np.ndarray:
    """Lists as rows [rows, pixels], with NaN beyond the end of shorter ones."""
    from pyarrow import compute

    length = compute.fill_null(compute.list_value_length(column), 0).to_numpy()
    values = compute.list_flatten(column).to_numpy()
    if len(length) and (length == length[0]).all():
        return values.reshape(len(length), -1)
    rows = np.full((len(length), length.max(initial=0)), np.nan)
    rows[np.arange(rows.shape[1]) < length[:, None]] = values
    return rows


PARQUET_FORMATS = [Format("parquet", _is_rows, _load_rows)]
