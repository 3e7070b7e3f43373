"""A data set of Parquet files, one for each unit that is done; its footer says what of and how."""

import hashlib
import json
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from astropy.table import Table

from flowspec.cluster.units import Unit
from flowspec.data.atomic import replacing
from flowspec.io.source import one_line
from flowspec.io.table_formats import write

log = logging.getLogger("flowspec")
# Key-value metadata of the footer: the hash of both others, which are there to be read.
HASH, UNIT, RUN = "flowspec.hash", "flowspec.unit", "flowspec.run"
# The same bytes for the same rows: nothing is left to the defaults of a version of pyarrow.
_WRITING = {"compression": "zstd", "compression_level": 3, "version": "2.6",
            "data_page_version": "1.0", "use_dictionary": True, "write_statistics": True,
            "row_group_size": 2**20}  # fmt: skip


def write_part(table: Table, path: Path, unit: Unit, run: dict) -> None:
    """Write the results of a unit, whole or not at all.

    Args:
        table: Of results.
        path: Of the part.
        unit: What it is of.
        run: Of `Job.run`.

    Raises:
        OSError: Naming the part, where it cannot be written.
    """
    from pyarrow import parquet

    with replacing(path) as temporary:
        write(table, temporary, "parquet")
        content = parquet.read_table(temporary)
        about = (content.schema.metadata or {}) | _footer(unit, run)
        parquet.write_table(content.replace_schema_metadata(about), temporary, **_WRITING)


def done(folder: Path, units: Iterable[Unit], run: dict) -> set[Unit]:
    """Units whose results are there, of the inputs as they are.

    A part is known by its name and its footer; one of an input that has changed is to be made
    again.

    Raises:
        ValueError: If the folder has Parquet files that are no parts of this model and these
            options, or of rows that an input has no more.
    """
    known = {unit.part: unit for unit in units}
    files = {unit.path for unit in known.values()}
    found = set()
    for path in parts_in(folder):
        footer = _read(path)
        _check_run(path, json.loads(footer[RUN.encode()]), run)
        own = Unit(**json.loads(footer[UNIT.encode()]))
        if path.name not in known and own.path in files:
            raise ValueError(f"{path}: expected a part of {own.path} as it is now; got one from "
                             f"row {own.start}, which it has no more: remove that part")
        unit = known.get(path.name)
        if unit is not None and footer[HASH.encode()] == _footer(unit, run)[HASH]:
            found.add(unit)
    return found


def parts_in(folder: Path) -> list[Path]:
    """All Parquet files of a data set, but those of its metadata and hidden ones."""
    return [path for path in sorted(folder.glob("*.parquet")) if path.name[0] not in "._"]


def write_metadata(folder: Path, units: Sequence[Unit]) -> None:
    """Write ``_common_metadata``, the columns of all parts, and ``_metadata``, their footers.

    The latter only where all have the same columns, as its format wants; parts of `units` are in
    their order, others after them.

    Raises:
        OSError: If they cannot be written.
    """
    from pyarrow import parquet, unify_schemas

    first = {unit.part: number for number, unit in enumerate(units)}
    paths = sorted(parts_in(folder), key=lambda path: (first.get(path.name, len(first)), path.name))
    schemas = [parquet.read_schema(path).remove_metadata() for path in paths]
    same = all(schema == schemas[0] for schema in schemas[1:])
    whole = schemas[0] if same else unify_schemas(schemas, promote_options="permissive")
    with replacing(folder / "_common_metadata") as temporary:
        parquet.write_metadata(whole, temporary)
    (folder / "_metadata").unlink(missing_ok=True)
    if not same:
        log.info("%s: columns differ between parts, so that there is no _metadata", folder)
        return
    footers = [parquet.read_metadata(path) for path in paths]
    for path, footer in zip(paths, footers, strict=True):
        footer.set_file_path(path.name)
    with replacing(folder / "_metadata") as temporary:
        parquet.write_metadata(whole, temporary, metadata_collector=footers)


def _footer(unit: Unit, run: dict) -> dict[str, bytes]:
    texts = {UNIT: json.dumps(unit._asdict(), sort_keys=True)}
    texts[RUN] = json.dumps(run, sort_keys=True)
    both = "\n".join(texts.values()).encode()
    texts[HASH] = hashlib.blake2b(both, digest_size=16).hexdigest()
    return {key: text.encode() for key, text in texts.items()}


def _read(path: Path) -> dict[bytes, bytes]:
    """Key-value metadata of a part.

    Raises:
        ValueError: Where it is none.
    """
    from pyarrow import ArrowException, parquet

    try:
        found = parquet.read_metadata(path).metadata or {}
    except (ArrowException, OSError) as error:
        raise ValueError(f"{path}: expected a part of 'flowspec predict'; got {one_line(error)}"
                         ) from None  # fmt: skip
    if any(key.encode() not in found for key in (HASH, UNIT, RUN)):
        raise ValueError(f"{path}: expected a part of 'flowspec predict'; got another Parquet "
                         "file: results need a folder of their own")
    return found


def _check_run(path: Path, found: dict, run: dict) -> None:
    names = [name for name in sorted({*found, *run}) if found.get(name) != run.get(name)]
    if names:
        said = ", ".join("model" if name == "digest" else name for name in names)
        wanted, got = (", ".join(json.dumps(own.get(name)) for name in names)
                       for own in (run, found))  # fmt: skip
        raise ValueError(f"{path.parent}: expected parts of the same {said}, {wanted}; got {got} "
                         f"in {path.name}: give each run a folder of its own")
