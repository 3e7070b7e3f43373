"""Names of columns to emission lines and to what each column says of its line."""

import csv
import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from flowspec.data.line_labels import choices, is_loose, settled
from flowspec.data.line_names import known_name
from flowspec.data.line_waves import WAVES
from flowspec.io.roles import listed

NOISE = ("err", "ivar", "var")
_ENDINGS = {"err": "err", "error": "err", "unc": "err", "uncertainty": "err", "ivar": "ivar",
            "invvar": "ivar", "var": "var", "variance": "var", "ul": "ul",
            "mask": "mask"}  # fmt: skip
_BEFORE = {"e_": "err", "err_": "err", "error_": "err", "l_": "limit"}
_PREFIX = r"(?-i:l_)|e_|err_|error_"  # l_ of VizieR: L_Ha is a luminosity
_KINDS = {"flux": "flux", "ul": "upper limit", "limit": "flag of limits", "mask": "mask"}
_ADVICE = "choose by suffix or columns"


class LineColumns(NamedTuple):
    """Which columns say what of which line.

    Attributes:
        lines: line to role to the name of its column. Roles are "flux"; the noise "err", "ivar"
            or "var"; "ul", the upper limit; "limit", which says that the flux is one; "mask".
        rules: what was decided by the rules of `flowspec.data.line_labels`, in words.
    """

    lines: dict[str, dict[str, str]]
    rules: tuple[str, ...]


class Said(NamedTuple):
    """What the name of a column says: the label of the line and the role."""

    label: str
    role: str


def find_lines(
    available: Sequence[str], given: Mapping[str, str], suffix: str | None = None
) -> LineColumns:
    """Which columns hold the flux, the noise and the limits of which lines.

    Args:
        available: names of the columns.
        given: line, line_err, line_ivar, line_var, line_mask or line_ul to the name of its column.
            What is given for the flux or noise of a line replaces all that names tell of the two.
        suffix: what follows the line in names of fluxes, such as "_FLUX_CORR"; by default nothing
            or "_flux", or "Flux_" before the line.

    Returns:
        Lines in the order of the table; none where no column is of a line.

    Raises:
        ValueError: where a line has two columns for one thing, flux without noise or noise
            without flux, where a label may mean several lines, or where `given` names no line or
            no column.
    """
    named = _given(available, given)
    said = {column: parsed(column, suffix) for column in available}
    meant, rules = _meanings(said, named)
    mapped = {line for line, role in named if role in ("flux", *NOISE)}
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for column in available:
        for line, role in _keys(column, said[column], named, mapped, meant):
            kind = _kind(role)
            rival = next((found[line][r] for r in found[line] if _kind(r) == kind), None)
            if rival is not None:
                raise ValueError(
                    f"expected one column for the {kind} of {line}; "
                    f"got '{rival}' and '{column}': {_ADVICE}"
                )
            found[line][role] = column
    lines = {line: roles for line, roles in found.items() if set(roles) - {"limit", "mask"}}
    for line, columns in lines.items():
        _check_complete(line, columns)
    return LineColumns(lines, rules)


def check_once(names: Sequence[str]):
    """Refuse a table that has a name of a column twice.

    Raises:
        ValueError: naming the column.
    """
    twice = [name for name, count in Counter(names).items() if count > 1 and name.strip()]
    if twice:
        raise ValueError(f"expected columns of different names; got '{twice[0]}' more than once")


def header_names(rows: Sequence[str]) -> list[str]:
    """Names of the columns of CSV or ECSV as they stand, which astropy makes different."""
    ecsv = rows[0].startswith("# %ECSV") if rows else False
    by = " " if ecsv and not any(row.startswith("# delimiter: ','") for row in rows[:9]) else ","
    head = (row for row in rows if row.strip() and not row.lstrip().startswith("#"))
    return next(csv.reader(head, delimiter=by), [])


def no_line(available: Sequence[str], suffix: str | None = None) -> str:
    """The complaint about columns that are of no line, with the lines closest to their names."""
    plain = {re.sub(r"\W|_", "", name).lower(): name for name in WAVES}
    close = {
        plain[match]: None
        for column in available
        for match in difflib.get_close_matches(re.sub(r"\W|_", "", column).lower(), plain, n=1)
    }
    after = f" followed by '{suffix}'" if suffix else ""
    hint = f" (near: {listed(list(close), most=4)})" if close else ""
    return (
        f"expected columns named by emission lines{after}, such as [OIII]5007 with [OIII]5007_err; "
        f"got {listed(available, most=8)}{hint}"
    )


def parsed(column: str, suffix: str | None = None) -> Said | None:
    """Label, which may be of a line, and role of a column; None where its name has no such form."""
    flux = r"(?:[_ ]?g?flux)?" if suffix is None else re.escape(suffix)
    wrapper = r"(?:flux[_ ]|f(?=\[))?" if suffix is None else ""
    ending = rf"(?:[_ ]?(err|error|ivar)|[_ ]({'|'.join(_ENDINGS)}))?"
    pattern = rf"({_PREFIX})?{wrapper}(.+?){flux}{ending}"
    bare = re.sub(r"(?i)(?<![a-z0-9])(?:f|flux)\(([^()]+)\)", r"\1", column.strip())
    match = re.fullmatch(pattern, bare, re.IGNORECASE)
    if match is None:
        return None
    before, label, end = match[1], match[2], match[3] or match[4]
    if before and end:
        return None
    if end:
        return Said(label, _ENDINGS[end.lower()])
    return Said(label, _BEFORE[before.lower()] if before else "flux")


def _meanings(said, named) -> tuple[dict[str, str], tuple[str, ...]]:
    """Small letters of each label to the line that it means, "" for none; rules that decided."""
    every = [about for about in said.values() if about is not None and choices(about.label)]
    roles: dict[str, set[str]] = defaultdict(set)
    spelled = {about.label.lower(): about.label for about in reversed(every)}
    for label, role in every:
        roles[spelled[label.lower()]].add(role)
    sure = {known_name(label) for label in roles if "flux" in roles[label]} - {""}
    sure |= {line for line, _ in named}
    mpa = any(re.match(r"h_(alpha|beta)", label, re.IGNORECASE) for label in roles)
    meant, rules = {}, []
    for label in roles:
        if is_loose(label) and not ("flux" in roles[label] and roles[label] & set(NOISE)):
            continue  # of no use, and too little to call it a line
        line = meant[label.lower()] = settled(label, sure, mpa)
        if is_loose(label) or line != known_name(label):
            rules.append(f"{label} is " + (line or "ignored, of lines that are there apart"))
    return meant, tuple(rules)


def _keys(column, about, named, mapped, meant) -> list[tuple[str, str]]:
    """(line, role) of all that a column is for: as given, or else as its name tells."""
    if column in named.values():
        return [key for key, value in named.items() if value == column]
    line = meant.get(about.label.lower()) if about else None
    if not line or (line, about.role) in named:
        return []
    if line in mapped and about.role in ("flux", *NOISE):
        return []
    return [(line, about.role)]


def _given(available, given: Mapping[str, str]) -> dict[tuple[str, str], str]:
    named: dict[tuple[str, str], str] = {}
    for text, column in given.items():
        about = parsed(text)
        if about is None or not choices(about.label):
            raise ValueError(
                f"expected columns of lines, such as [OIII]5007 and [OIII]5007_err; got '{text}'"
            )
        if column not in available:
            raise ValueError(f"expected a column '{column}' for {text}; got {listed(available)}")
        key = settled(about.label, ()), about.role
        if key in named:
            raise ValueError(
                f"expected one column for {text}; got '{named[key]}' and '{column}' in columns"
            )
        named[key] = column
    return named


def _kind(role: str) -> str:
    return _KINDS.get(role, "error")


def _check_complete(line: str, columns: Mapping[str, str]):
    flux = columns.get("flux")
    noise = next((columns[role] for role in NOISE if role in columns), None)
    if flux and not noise:
        raise ValueError(
            f"expected a column of errors for {line}, such as {flux}_err; got '{flux}' alone"
        )
    if noise and not flux:
        raise ValueError(f"expected a column of fluxes for {line}; got its errors '{noise}' alone")
