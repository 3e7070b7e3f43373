"""Line catalogues with a row per line, as LiMe writes them, to tables with a row per object."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from astropy.table import MaskedColumn, Table

from flowspec.data.line_labels import choices
from flowspec.data.line_names import canonical, is_line, parts, sum_name
from flowspec.io.roles import listed

# Columns of fluxes, the first that there is; that of errors has the same name and an ending.
FLUXES = ("profile_flux", "gauss_flux", "intg_flux", "flux", "line_flux", "intensity")
_ERRORS = ("_err", "_error", "_unc", "_ivar")
_SHARE = 0.5  # least, of the cells of a column of lines, that are names of known ones


def line_column(table: Table) -> str | None:
    """The column that says of which line each row is, None where none does.

    More than half of its cells are lines, and the table has a column of `FLUXES`.
    """
    if not any(name.lower() in FLUXES for name in table.colnames):
        return None
    for name in table.colnames:
        cells = table[name]
        if cells.ndim == 1 and cells.dtype.kind in "USO" and len(cells):
            counts = Counter(_label(cell) for cell in cells)
            if sum(n for label, n in counts.items() if is_line(label)) > _SHARE * len(cells):
                return name
    return None


def with_row_per_object(
    table: Table, lines: str, objects: str | None, suffix: str | None
) -> tuple[Table, str]:
    """The fluxes and errors of a table with a row per line, in columns named by the lines.

    LiMe's merged lines (`O2_3726A_m`) are the sum in `group_label`.

    Args:
        table: with a column of `FLUXES` and its errors.
        lines: the column of names of lines.
        objects: the column of names of objects; without one all rows are of one object.
        suffix: the column of fluxes, by default the first of `FLUXES`.

    Returns:
        The table, and in words what became of which column.

    Raises:
        ValueError: where an object has a line twice, or fluxes have no errors.
    """
    flux, err, ending = _flux_and_error(table.colnames, suffix)
    members: dict[str, list[int]] = defaultdict(list)  # rows of each label
    for row in range(len(table)):
        members[_merged(table, row, lines)].append(row)
    rows = [str(x) for x in table[objects]] if objects else ["0"] * len(table)
    place = {name: i for i, name in enumerate(dict.fromkeys(rows))}
    wide = {"name": list(place)} if objects else {}
    unknown = [label for label in members if not choices(label)]
    for label, mine in members.items():
        if label not in unknown:
            _check_once(label, [rows[i] for i in mine], objects)
            places = [place[rows[i]] for i in mine]
            for column, name in ((flux, label), (err, label + ending)):
                wide[name] = _spread(table[column], mine, places, len(place))
    rest = [name for name in table.colnames if name not in {lines, objects, flux, err}]
    told = [f"a row per line ({lines}), {flux} ± {err}"]
    told += [f"IGNORED rows, of no known line: {', '.join(unknown)}"] if unknown else []
    told += [f"ignored: {listed(rest, most=8)}"] if rest else []
    return Table(wide), "; ".join(told)


def _check_once(label: str, rows: Sequence[str], objects: str | None):
    name, count = Counter(rows).most_common(1)[0]
    if count > 1:
        of = f" of {name}" if objects else " (no column says of which object)"
        raise ValueError(f"expected each line once; got '{label}' more than once{of}")


def _flux_and_error(names: Sequence[str], suffix: str | None) -> tuple[str, str, str]:
    """Columns of fluxes and of errors, and what tells the latter by name."""
    lower = {name.lower(): name for name in names}
    flux = suffix or next(lower[name] for name in FLUXES if name in lower)
    wanted = {flux.lower() + ending: ending for ending in _ERRORS} | {f"e_{flux.lower()}": "_err"}
    err = next((name for name in wanted if name in lower), None)
    if flux not in names or err is None:
        raise ValueError(f"expected columns '{flux}' and '{flux}_err'; got {listed(names)}")
    return flux, lower[err], wanted[err]


def _merged(table: Table, row: int, lines: str) -> str:
    """The label of a row; of LiMe's merged lines the sum of the lines of the group."""
    label = _label(table[lines][row])
    if not label.endswith("_m") or "group_label" not in table.colnames:
        return label
    group = str(table["group_label"][row]).replace("-", "+").split("+")
    if len(group) < 2 or not all(is_line(one) for one in group):
        return label
    single = {part for one in group for part in parts(canonical(one))}
    total = sum_name(single)
    return total if set(parts(total)) == single else label  # else of several ions


def _spread(cells, mine, places, count: int) -> MaskedColumn:
    """The cells of some rows at their places among `count`, all others masked."""
    values = np.ma.masked_all(count, cells.dtype)
    values[places] = np.ma.asarray(cells)[mine]
    return MaskedColumn(values, unit=cells.unit)


def _label(cell) -> str:
    return "" if np.ma.is_masked(cell) else (
        cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)).strip()
