"""Parquet tables of spectra, such as those of the Multimodal Universe; read by pyarrow.

A row is an object. Columns are lists, or a struct `spectrum` of them: `flux`, `ivar`, `lambda`
(Å; -1 is padding), `mask` (true: no data), mostly in 1e-17 erg/s/cm²/Å; `object_id` names the row
(github.com/MultimodalUniverse/MultimodalUniverse, scripts/sdss and scripts/desi).
"""

from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np

from flowspec.io.columns import Format, build, column
from flowspec.io.declared import check
from flowspec.io.labels import is_label, table_labels, with_labels
from flowspec.io.roles import find, listed
from flowspec.io.rows import IDENTIFIERS, row_labels
from flowspec.io.source import one_line


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
    schema = file.schema_arrow.empty_table().flatten().schema  # "spectrum.flux" of a struct
    found = find([field.name for field in schema if _is_list(field.type)], options.columns)
    known = [name for name in schema.names if name.lower() in IDENTIFIERS]
    said = [name for name in schema.names if is_label(name, options.keep)]
    wanted = dict.fromkeys([*found.values(), *known, *said])
    table = _first(file, list(wanted), options.most).flatten()
    columns = dict(column(role, _padded(table[name]), None, name) for role, name in found.items())
    rows = {name: np.array(table[name].to_pylist()) for name in (*known, *said)}
    labels = row_labels([{name: rows[name] for name in known}], table.num_rows)
    names = [f"#{label}" for label in labels]
    spectra = build(columns, options, names=names, air=None, found=found)
    extra = table_labels({name: rows[name] for name in said}, table.num_rows, options.keep)
    return with_labels(spectra, extra)


def _first(file, columns, most):
    """All rows of some columns, or `most` of them."""
    from pyarrow import Table

    if most is None:
        return file.read(columns=columns)
    return Table.from_batches([next(file.iter_batches(most, columns=columns))])


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
