"""Labels that say less than one line: an ion alone (`OIII`), or a wavelength alone (`5007`).

What they mean is decided by rules and by the other lines of the table, and not guessed:

- `OII`, `SII`, `MgII`, `CIII` and `CIV` are the sum of the doublet of that name;
- `OIII`, `NII` and `OI` are the stronger line of the pair (5007, 6584, 6300) where the table has
  the weaker (4959, 6548, 6364) apart; `OIII` also beside the `H_BETA` or `H_ALPHA` of MPA-JHU;
- a wavelength alone is the one line whose label in air is within 1.2 A;
- the label of a doublet (3727 or 3728 of [OII], 1550 of CIV) is one of its lines where the table
  has only the other apart, and the label is within 2 A of it: `OII-3727` beside `OII-3729` in MaNGA
  (wavelengths in vacuum), `OII_3728` beside `OII_3726` in Portsmouth (digits cut off). What says
  that it is a sum (`TOTL 3727`, `OII3726_29`, `O2_3726A_m`) is one.

Any other is ambiguous.
"""

import re
from collections.abc import Collection

from flowspec.data.line_names import IONS, known_name, near_lines, parts, separation, sum_name

_DOUBLETS = {
    "oii": ("[OII]3726", "[OII]3729"), "sii": ("[SII]6717", "[SII]6731"),
    "mgii": ("MgII2796", "MgII2803"), "ciii": ("CIII]1907", "CIII]1909"),
    "civ": ("CIV1548", "CIV1551"),
}  # fmt: skip
_PAIRS = {  # the stronger line first
    "oiii": ("[OIII]5007", "[OIII]4959"), "nii": ("[NII]6584", "[NII]6548"),
    "oi": ("[OI]6300", "[OI]6364"),
}  # fmt: skip
_ION = re.compile(r"[a-z]{1,2}[ivx]+")
_WAVELENGTH = re.compile(r"(?:f|i|lambda)?[ _]*((?:[3-9]\d{3}|1\d{4})(?:\.\d+)?)a?")
_NEAR = re.compile(  # an ion and a number, or a label of Cloudy
    r"\[?(?:h|he|c|n|o|ne|na|mg|al|si|p|s|cl|ar|k|ca|cr|mn|fe|co|ni)[ _]*(?:[ivx]+|\d)[]a-z _/-]*"
    r"\d{3,}.*|.*[ _](?:\d{3,}|\d+\.\d+)[amc]"
)


def choices(label: str) -> tuple[str, ...]:
    """Canonical names that a label may mean, without a look at others: none where it is no line.

    The first is what the rules take where nothing else is said, if they take any (`settled`).
    """
    if name := known_name(label):
        return (name,)
    if ion := _ion(label):
        if ion in _DOUBLETS:
            return (sum_name(_DOUBLETS[ion]),)
        if ion in _PAIRS:
            return (_PAIRS[ion][0], sum_name(_PAIRS[ion]))
        return IONS[ion]
    if match := _WAVELENGTH.fullmatch(label.strip().lower()):
        if blend := known_name(f"TOTL {match[1]}"):
            return (blend,)
        return tuple(near_lines(float(match[1])))
    return ()


def is_loose(label: str) -> bool:
    """Whether a label is of an ion or a wavelength alone."""
    return not known_name(label)


def settled(label: str, others: Collection[str], mpa: bool = False) -> str:
    """The line that a label means beside the `others` of a table; "" where it tells nothing new.

    Args:
        label: of which `choices` has something to say.
        others: canonical names of the lines that the table has by labels that are not loose.
        mpa: whether the table spells hydrogen as MPA-JHU does.

    Raises:
        ValueError: naming the choices, where it may mean several lines.
    """
    known = {part for other in others for part in parts(other)}
    means = choices(label)
    if not is_loose(label):
        return _beside(label, means[0], others)
    ion = _ion(label)
    if any(set(parts(line)) <= known for line in means):
        return ""  # another measure of what the table has apart, such as OIII_FLUX of MPA-JHU
    weaker = ion in _PAIRS and _PAIRS[ion][1] in known
    if len(means) == 1 or weaker or (mpa and ion == "oiii"):
        return means[0]
    several = " or ".join(means[:6])
    raise ValueError(f"expected the name of one line; got '{label}', which may be {several}: "
                     f"choose by columns, or rename it")


def looks_like_line(text: str) -> bool:
    """Whether a name is spelled as one of a line, known or not: `O  3 4931.23A`, `Ca B 4861A`."""
    return bool(known_name(text) or _NEAR.fullmatch(text.strip().lower()))


def _beside(label: str, line: str, others: Collection[str]) -> str:
    """A line, or of a doublet the one that is not among the others where that is meant."""
    missing = [part for part in parts(line) if part not in others]
    numbers = re.findall(r"\d{2,}(?:\.\d+)?", label)
    a_sum = len(numbers) > 1 or re.match(r"totl|blnd|total|blend|.*_m$", label.lower())
    if a_sum or len(parts(line)) != 2 or len(missing) != 1:
        return line
    return missing[0] if separation(missing[0], float(numbers[0])) <= 2 else line


def _ion(label: str) -> str | None:
    text = re.sub(r"[\[\] _]", "", label).lower()
    return text if _ION.fullmatch(text) and text in IONS and text != "hi" else None
