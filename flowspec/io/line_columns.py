"""Names of columns to emission lines and to what each column says of its line."""

import difflib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from flowspec.data.line_names import WAVES, canonical
from flowspec.io.roles import listed

_ENDINGS = {"err": "err", "error": "err", "ivar": "ivar", "ul": "ul"}
_ADVICE = "choose by suffix or columns"
# line -> role ("flux"; "err" or "ivar"; "ul", the upper limit) -> name of the column
LineColumns = dict[str, dict[str, str]]


def find_lines(
    available: Sequence[str], given: Mapping[str, str], suffix: str | None = None
) -> LineColumns:
    """Which columns hold the flux, the noise and the upper limits of which lines.

    Args:
        available: names of the columns.
        given: line, line_err, line_ivar or line_ul to the name of its column. What is given for
            the flux or noise of a line replaces all that names tell of the two.
        suffix: what follows the line in names of fluxes, such as "_FLUX_CORR"; by default nothing
            or "_flux".

    Returns:
        Lines in the order of the table; none where no column is of a line.

    Raises:
        ValueError: where a line has two columns for one thing, flux without noise or noise
            without flux, or where `given` names no line or no column.
    """
    pattern = _pattern("(?:_flux)?" if suffix is None else re.escape(suffix))
    named = _given(available, given)
    mapped = {line for line, role in named if role != "ul"}
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for column in available:
        for line, role in _keys(column, named, mapped, pattern):
            kind = _kind(role)
            rival = next((found[line][r] for r in found[line] if _kind(r) == kind), None)
            if rival is not None:
                raise ValueError(
                    f"expected one column for the {kind} of {line}; "
                    f"got '{rival}' and '{column}': {_ADVICE}"
                )
            found[line][role] = column
    for line, columns in found.items():
        _check_complete(line, columns)
    return dict(found)


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


def _keys(column, named, mapped, pattern) -> list[tuple[str, str]]:
    """(line, role) of all that a column is for: as given, or else as its name tells."""
    if column in named.values():
        return [key for key, value in named.items() if value == column]
    key = _parsed(column, pattern)
    if key is None or key in named or (key[0] in mapped and key[1] != "ul"):
        return []
    return [key]


def _given(available, given: Mapping[str, str]) -> dict[tuple[str, str], str]:
    named: dict[tuple[str, str], str] = {}
    for text, column in given.items():
        key = _parsed(text, _pattern("(?:_flux)?"))
        if key is None:
            raise ValueError(
                f"expected columns of lines, such as [OIII]5007 and [OIII]5007_err; got '{text}'"
            )
        if column not in available:
            raise ValueError(f"expected a column '{column}' for {text}; got {listed(available)}")
        if key in named:
            raise ValueError(
                f"expected one column for {text}; got '{named[key]}' and '{column}' in columns"
            )
        named[key] = column
    return named


def _pattern(suffix: str) -> re.Pattern:
    return re.compile(rf"(e_)?(.+?){suffix}(?:_(err|error|ivar|ul))?", re.IGNORECASE)


def _parsed(column: str, pattern: re.Pattern) -> tuple[str, str] | None:
    """Line and role of a column, or None where it is of no line."""
    match = pattern.fullmatch(column.strip())
    if match is None or (match[1] and match[3]):
        return None
    try:
        line = canonical(match[2])
    except ValueError:
        return None
    if match[3]:
        return line, _ENDINGS[match[3].lower()]
    return line, "err" if match[1] else "flux"


def _kind(role: str) -> str:
    return {"ul": "upper limit", "flux": "flux"}.get(role, "error")


def _check_complete(line: str, columns: Mapping[str, str]):
    flux = columns.get("flux")
    noise = columns.get("err", columns.get("ivar"))
    if flux and not noise:
        raise ValueError(
            f"expected a column of errors for {line}, such as {flux}_err; got '{flux}' alone"
        )
    if noise and not flux:
        raise ValueError(f"expected a column of fluxes for {line}; got its errors '{noise}' alone")
