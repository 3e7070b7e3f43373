"""Tables of one's own photoionisation models, a row per model, to `LineGrid`."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from flowspec.data.line_grid import LineGrid, line_grid
from flowspec.data.line_labels import choices, is_loose, looks_like_line, settled
from flowspec.data.line_names import canonical, known_name
from flowspec.io.line_columns import parsed
from flowspec.io.line_report import tell
from flowspec.io.roles import listed

_PARAMETERS = {"12logoh": "oh", "logno": "no", "logu": "log_u", "logus": "log_u",
               "logpk": "log_pk", "logepeak": "log_e_peak", "pnt": "p_nt"}  # fmt: skip


def grid_of_columns(columns: Mapping[str, np.ndarray], source: str) -> LineGrid:
    """A grid from columns by name: lines and, all others, parameters.

    What is spelled like a line is never a parameter: where it is of no known line, or the error of
    one, it is ignored. The log says what was taken as what.

    Args:
        columns: [models] each.
        source: of the models.

    Raises:
        ValueError: where lines or parameters are missing, columns are no numbers or of several
            lengths, a name may mean several lines, or two models have the same parameters.
    """
    values = {name: np.ma.filled(np.ma.asarray(x), np.nan) for name, x in columns.items()}
    bad = [n for n, x in values.items() if x.dtype.kind not in "fiu" or x.ndim != 1]
    if bad or len({len(x) for x in values.values()}) != 1:
        raise ValueError(f"expected columns of one length with numbers; got {', '.join(bad[:4])}")
    lines, ignored = _lines(list(values))
    params = [n for n in values if n not in lines and n not in ignored]
    if not lines or not params:
        raise ValueError(f"expected parameters and lines; got columns {listed(list(values), 8)}")
    points, flux = (
        np.stack([values[n] for n in part], 1).astype(float) for part in (params, lines)
    )
    names = [_parameter(n) for n in params]
    _check_once(names, points.round(6))
    parts = [
        "parameters " + ", ".join(_as(column, _parameter(column)) for column in params),
        "lines " + ", ".join(_as(column, canonical(name)) for column, name in lines.items()),
    ]
    parts += [f"IGNORED, of no known line: {', '.join(ignored)}"] if ignored else []
    tell("read as models", source, "; ".join(parts))
    return line_grid(points.round(6), flux, names, [*lines.values()], source=source)


def _lines(names: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Columns of lines to names of the lines, and the columns that are to be ignored."""
    said = {name: parsed(name) for name in names}
    fluxes = {name: about.label for name, about in said.items()
              if about and about.role == "flux" and choices(about.label)}  # fmt: skip
    sure = {known_name(label) for label in fluxes.values() if not is_loose(label)}
    meant = {name: settled(label, sure) for name, label in fluxes.items()}
    lines = {name: fluxes[name] if known_name(fluxes[name]) == line else line
             for name, line in meant.items() if line}  # fmt: skip
    ignored = [name for name, about in said.items() if name not in lines and (
        looks_like_line(name) or (about and choices(about.label)))]  # fmt: skip
    return lines, ignored


def _check_once(names: Sequence[str], points: np.ndarray):
    nodes, count = np.unique(points, axis=0, return_counts=True)
    if (count > 1).any():
        twice = ", ".join(f"{n} = {x:g}" for n, x in zip(names, nodes[count > 1][0], strict=True))
        raise ValueError(f"expected one model for each set of parameters; got {count.max()} "
                         f"models at {twice}")


def _as(column: str, name: str) -> str:
    return column if column == name else f"{name} = {column}"


def _parameter(name: str) -> str:
    """`oh` of `12 + log O/H`; unknown ones in small letters."""
    known = _PARAMETERS.get(re.sub(r"[^a-z0-9]", "", name.lower()))
    return known or re.sub(r"\W+", "_", name.strip().lower()).strip("_")
