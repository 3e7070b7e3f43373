"""What was read of a line catalogue, as what, and what was ignored: in words."""

import logging
import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

from flowspec.data.line_labels import choices, looks_like_line
from flowspec.data.line_names import known_name
from flowspec.io.line_columns import NOISE, LineColumns, parsed
from flowspec.io.roles import listed

log = logging.getLogger("flowspec")
_NOISE = {"err": "±", "ivar": "ivar", "var": "variance"}
_OTHERS = {"ul": "3 σ limit", "limit": "limits flagged by", "mask": "masked by"}


def describe(found: LineColumns, available: Sequence[str], row_names: str | None) -> str:
    """One line of text on the use of all columns of a catalogue.

    Columns that have errors or are spelled like lines, but are of no known line, are all named.

    Args:
        found: of `find_lines`.
        available: names of all columns.
        row_names: the column of labels, if there is one.
    """
    used = {column for roles in found.lines.values() for column in roles.values()} | {row_names}
    parts = ["; ".join(_of_line(line, roles) for line, roles in found.lines.items())]
    parts += [f"names of rows: {row_names}"] if row_names else []
    parts += [f"by rule: {', '.join(found.rules)}"] if found.rules else []
    rest = [column for column in available if column not in used]
    return "; ".join(parts + _ignored(rest))


def tell(what: str, path, text: str):
    """Log what was understood of a file, wrapped."""
    whole = textwrap.fill(f"{what}: {path}: {text}", 100, subsequent_indent="  ",
                          break_long_words=False, break_on_hyphens=False)  # fmt: skip
    log.info(f"{what}: %s", whole.removeprefix(f"{what}: "))


def _of_line(line: str, roles) -> str:
    text = f"{line} = {roles['flux']}" if "flux" in roles else line
    for role, word in (_NOISE | _OTHERS).items():
        if role in roles:
            text += f" {word} {_short(roles[role], roles.get('flux'))}"
    return text


def _short(column: str, flux: str | None) -> str:
    """`_ERR` of HB4861_FLUX_ERR beside HB4861_FLUX."""
    return column.removeprefix(flux) if flux and column != flux else column


def _ignored(rest: Sequence[str]) -> list[str]:
    """What is said of the columns that were not used."""
    fluxes = {about.label.lower() for column in rest
              if (about := parsed(column)) and about.role == "flux"}
    errors = {about.label.lower() for column in rest
              if (about := parsed(column)) and about.role in NOISE}
    values, unknown, alone, other = {}, [], [], []
    for column in rest:
        about = parsed(column)
        paired = about is not None and about.label.lower() in fluxes & errors
        if kind := _value_of_line(column):
            values[kind] = None
        elif about and known_name(about.label):
            values[column] = None  # of a line that the user's columns give
        elif about and choices(about.label):
            alone += [] if paired else [column]  # pairs are told with the rules
        elif paired:
            unknown += [column] if about.role == "flux" else []
        elif looks_like_line(re.sub(r"\s+[(\[].*", "", column)):  # without a unit
            unknown.append(column)
        else:
            other.append(column)
    stems = _stems(unknown)
    other = [column for column in other if not column.startswith(stems)]
    groups = {
        "IGNORED, of no known line": ", ".join(_folded(unknown)),
        "IGNORED, without flux or error": ", ".join(alone),
        "ignored, other values of lines": ", ".join(_folded([*values])),
        "ignored": listed(other, most=8) if other else "",
    }
    return [f"{words}: {names}" for words, names in groups.items() if names]


def _stems(names: Sequence[str]) -> tuple[str, ...]:
    """`H6_` of H6_FLUX: what begins so is of one line, or of one kind of lines."""
    heads = [re.sub(r"(?i)_flux$", "_", name) for name in names if name.lower().endswith("_flux")]
    return tuple(head for head in heads if head != "*_")


def _folded(names: Sequence[str]) -> list[str]:
    """Names, those with a stem in common as one: H6_* of H6_FLUX, H6_AMP."""
    stems = _stems(names)
    stem_of = {name: next((stem for stem in stems if name.startswith(stem)), "") for name in names}
    several = Counter(stem_of.values())
    short = {name: f"{stem}*" if several[stem] > 1 and stem else name
             for name, stem in stem_of.items()}  # fmt: skip
    return list(dict.fromkeys(short.values()))


def _value_of_line(column: str) -> str:
    """`*_EW` of HALPHA_EW and `Sigma_*` of Sigma_Ha_6562, "" where no line is in the name."""
    tokens = column.split("_")
    spans = sorted(combinations(range(len(tokens) + 1), 2), key=lambda span: span[0] - span[1])
    for start, end in spans:
        if known_name("_".join(tokens[start:end])) and end - start < len(tokens):
            return "_".join([*tokens[:start], "*", *tokens[end:]])
    return ""
