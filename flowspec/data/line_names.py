"""Names of emission lines: one canonical spelling, its vacuum wavelength, and the spellings of
catalogues and photoionisation codes that mean it.

A name is the ion, with the brackets of forbidden and semi-forbidden lines, and the wavelength in
angstrom as the field writes it: in air above 2000 A, in vacuum below; beyond 5 microns in microns
(`[SIII]18.7um`). A sum of lines of one ion lists them with commas: `[SII]6717,6731`. Pairs that no
galaxy spectrum resolves are one line: `[OII]7320` (7319 and 7320), `[OII]7330` (7330 and 7331).
"""

import difflib
import re

from flowspec.data.line_waves import ABSORPTION, WAVES

# Labels of what catalogues give as one, and the lines that they mean: (ion, label) -> lines.
_BLENDS = {
    ("oii", 3727): ("[OII]3726", "[OII]3729"), ("oii", 3728): ("[OII]3726", "[OII]3729"),
    ("oii", 7325): ("[OII]7320", "[OII]7330"), ("ciii", 1908): ("CIII]1907", "CIII]1909"),
    ("civ", 1549): ("CIV1548", "CIV1551"), ("civ", 1550): ("CIV1548", "CIV1551"),
    ("mgii", 2798): ("MgII2796", "MgII2803"), ("mgii", 2799): ("MgII2796", "MgII2803"),
    ("mgii", 2800): ("MgII2796", "MgII2803"), ("nv", 1240): ("NV1239", "NV1243"),
    ("oiii", 1663): ("OIII]1661", "OIII]1666"), ("oiii", 1664): ("OIII]1661", "OIII]1666"),
    ("siiii", 1888): ("SiIII]1883", "SiIII]1892"), ("niv", 1485): ("NIV]1483", "NIV]1486"),
    ("aliii", 1857): ("AlIII1855", "AlIII1863"), ("aliii", 1858): ("AlIII1855", "AlIII1863"),
    ("sii", 6720): ("[SII]6717", "[SII]6731"), ("sii", 6725): ("[SII]6717", "[SII]6731"),
    ("oii", 7323): ("[OII]7320",), ("oii", 7332): ("[OII]7330",),
    ("cii", 2326): ("CII]2323.5", "CII]2324.7", "CII]2325.4", "CII]2326.9", "CII]2328.1"),
}  # fmt: skip
# Sums that Cloudy calls TOTL or BLND by a label that elsewhere is of a single line.
_TOTALS = {
    1909: ("CIII]1907", "CIII]1909"), 1666: ("OIII]1661", "OIII]1666"),
    1486: ("NIV]1483", "NIV]1486"), 5199: ("[NI]5198", "[NI]5200"),
    1750: ("NIII]1747", "NIII]1749", "NIII]1750", "NIII]1752", "NIII]1754"),
    1402: ("OIV]1397", "OIV]1400", "OIV]1401", "OIV]1405", "OIV]1407"),
}  # fmt: skip
_SERIES = {"ly": "Ly", "h": "H", "pa": "Pa", "br": "Br", "pf": "Pf", "hu": "Hu", "p": "Pa"}
_LETTERS = {"a": "alpha", "b": "beta", "g": "gamma", "d": "delta", "7": "epsilon",
            "e": "epsilon", "gam": "gamma", "del": "delta", "eps": "epsilon"}  # fmt: skip
# Letters beyond those of canonical names, to the upper level (of Paschen one less: see below).
_LEVELS = {"eps": 7, "epsilon": 7, "zet": 8, "zeta": 8, "eta": 9, "the": 10, "theta": 10}
_GREEK = str.maketrans({"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon",
                        "µ": "u", "μ": "u", "λ": None, "[": " ", "]": " ", "Å": "a"})  # fmt: skip
_ROMAN = ("", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix")
_NUMBER = r"\d+(?:\.\d+)?"
_HYDROGEN = re.compile(
    rf"(?:(?P<series>ly|h|pa|br|pf|hu)[ _-]*(?P<letter>alpha|beta|gamma|delta|epsilon|gam|del|"
    rf"eps|zeta?|eta|theta|the|[abgd]|e(?=[ _-]*\d)|\d\d?)|(?P<p>p)(?P<of_p>eps|zet|eta))"
    rf"(?:[ _-]*(?P<wave>{_NUMBER})a?)?"
)
_LINE = re.compile(
    rf"(?P<ion>[a-z]{{1,2}}[ _]*(?:[ivx]+d?|[1-9](?=[ _])))[ _/-]*"
    rf"(?P<waves>{_NUMBER}(?:[ ]*[,+/&_][ ]*{_NUMBER})*)[ ]*(?P<unit>um|m|a|)"
)
_TOTAL = re.compile(rf"(?:totl|blnd|total|blend)[ _]*({_NUMBER})a?")
_MERGED = re.compile(r"(.*\da)_m")  # of LiMe: the doublet that the line is one of
_UNNAMED = re.compile(rf"vac({_NUMBER})")

# Lines of hydrogen, two of which tell how much dust there is.
HYDROGEN = frozenset(name for name in WAVES if re.match(r"Ly|H(?!eI)|Pa|Br|Pf", name))


def unnamed(wave: float) -> str:
    """Name of a line of which only the vacuum wavelength (A) is known."""
    return f"vac{wave:.2f}"


def canonical(text: str) -> str:
    """The canonical name that `text` means, of one line or of a sum.

    Understands `HB4861`, `H_beta`, `Ha`, `OIII5006`, `[O III] 5007`, `o3_5007`, `H  1 4861.33A`,
    `NII6583`, `SIII_33m` (microns), sums (`SII_6717,31`, `OII3726_29`, `[NII]6548+6584`), the
    labels of unresolved doublets (`[OII]3727`, `CIII]1908`) and the totals of Cloudy
    (`TOTL 3727.00A`, `BLND 3727.00A`), in any case. Of an ion, the line is meant whose label is
    within 1.2 A, else the one whose air or vacuum wavelength is nearest, within 3 A (0.1 % in the
    far infrared, where labels are rounded).

    Raises:
        ValueError: naming the text, and names like it.
    """
    if name := known_name(text):
        return name
    near = difflib.get_close_matches(text, WAVES, n=3, cutoff=0.5)
    hint = f" (near: {', '.join(near)})" if near else ""
    raise ValueError(f"expected the name of an emission line; got {text!r}{hint}")


def known_name(text: str) -> str:
    """What `canonical` returns; "" where it would raise."""
    if text in WAVES or _UNNAMED.fullmatch(text):
        return text
    plain = " ".join(text.translate(_GREEK).lower().split())
    if name := _hydrogen(plain):
        return name
    if match := _LINE.fullmatch(plain):
        unit = match["unit"]
        numbers = _expanded([_with_point(n, unit) for n in re.findall(_NUMBER, match["waves"])])
        found = [_parts_of(_ion(match["ion"]), number, unit) for number in numbers]
        return sum_name({part for some in found for part in some}) if all(found) else ""
    if match := _TOTAL.fullmatch(plain):
        return sum_name(_total(float(_with_point(match[1], "a"))))
    if match := _MERGED.fullmatch(plain):
        line = known_name(match[1])
        sums = {lines for lines in _BLENDS.values() if line in lines and len(lines) > 1}
        return sum_name(*sums) if len(sums) == 1 else ""
    return ""


def is_line(text: str) -> bool:
    """Whether `canonical` understands `text`."""
    return bool(known_name(text))


def parts(name: str) -> tuple[str, ...]:
    """The single lines that the canonical `name` sums: itself alone where it is no sum."""
    if "," not in name:
        return (name,)
    first, *rest = name.split(",")
    prefix = _prefix(first)
    return (first, *(prefix + label for label in rest))


def sum_name(names) -> str:
    """Canonical name of the sum of single lines of one ion, in order of wavelength."""
    names = sorted(names, key=lambda n: WAVES[n])
    return ",".join([*names[:1], *(n.removeprefix(_prefix(n)) for n in names[1:])])


def wave_of(name: str) -> float:
    """Vacuum wavelength in angstrom of a canonical name: of a sum, the mean of its lines.

    Raises:
        ValueError: where it is not the canonical name of a line.
    """
    if match := _UNNAMED.fullmatch(name):
        return float(match[1])
    lines = parts(name)
    if any(line not in WAVES for line in lines):
        lines = parts(canonical(name))
    return sum(WAVES[line] for line in lines) / len(lines)


def _prefix(name: str) -> str:
    """`[OIII]` of `[OIII]5007`."""
    return re.match(r"\D*", name)[0]


def _by_ion() -> dict[str, tuple[str, ...]]:
    ions: dict[str, list[str]] = {}
    for name in WAVES:
        ion = _prefix(name).strip("[]").lower()
        hydrogen = not re.fullmatch(r"[a-z]{1,2}[ivx]+", ion) or name.startswith("Hu")
        ions.setdefault("hi" if hydrogen else ion, []).append(name)
    return {ion: tuple(names) for ion, names in ions.items()}


IONS = _by_ion()  # `oiii` and the like to its lines


def _hydrogen(text: str) -> str | None:
    match = _HYDROGEN.fullmatch(text)
    if not match:
        return None
    series, letter = match["series"] or match["p"], match["letter"] or match["of_p"]
    if letter.isdigit() and match["wave"]:  # H5_3889: the wavelength decides
        near = [n for n in IONS["hi"] if n.startswith(_SERIES[series])
                and separation(n, float(match["wave"])) <= 3]  # fmt: skip
        return near[0] if near else None
    endings = [letter, _LETTERS.get(letter, letter)]
    if letter in _LEVELS:
        endings.append(str(_LEVELS[letter] + (series in ("pa", "p"))))
    for ending in endings:
        name = _SERIES[series] + ending
        if name in WAVES and (match["wave"] is None or separation(name, float(match["wave"])) <= 3):
            return name
    return None


def _total(value: float) -> tuple[str, ...]:
    """The lines of a sum that is known by its label alone, or a line that is alone there."""
    sums = {lines for (_, label), lines in _BLENDS.items() if label == round(value)}
    if lines := _TOTALS.get(round(value)) or (sums.pop() if len(sums) == 1 else ()):
        return lines
    return tuple(near) if len(near := near_lines(value)) == 1 else ()


def near_lines(value: float) -> list[str]:
    """Lines in the optical whose label in air is within 1.2 A of a wavelength."""
    return [n for n, wave in WAVES.items() if wave > 2000 and abs(_air(n) - value) <= 1.2]


def _with_point(number: str, unit: str) -> str:
    """`5006.84` of `500684`, as pyCloudy writes wavelengths in angstrom, and `88.3323` microns."""
    digits = {"a": 2, "m": 4}.get(unit, 0)
    return f"{number[:-digits]}.{number[-digits:]}" if digits and re.fullmatch(
        r"\d{6,}", number) else number


def _ion(text: str) -> str:
    """`siii` of `s_iii` or `s 3`; the same key serves Si II: their lines lie far apart."""
    text = re.sub("[ _]", "", text).removesuffix("d")  # of MaNGA's OIId, the doublet
    return text[:-1] + _ROMAN[int(text[-1])] if text[-1].isdigit() else text


def _expanded(numbers: list[str]) -> list[str]:
    """Numbers in full: 6717, 31 is 6717, 6731."""
    first = numbers[0]
    whole = first.split(".")[0]
    return [whole[: max(len(whole) - len(n.split(".")[0]), 0)] + n for n in numbers]


def _parts_of(ion: str, number: str, unit: str) -> tuple[str, ...]:
    """The lines of `ion` that a label means, none where there is no such line."""
    value = float(number)
    names = IONS.get(ion, ())
    if not names:
        return ()
    if unit in ("um", "m"):
        rounded = 1e4 * 10.0 ** -len(number.partition(".")[2])
        best = min(names, key=lambda n: abs(WAVES[n] - 1e4 * value))
        return (best,) if abs(WAVES[best] - 1e4 * value) < max(rounded, 11 * value) else ()
    if number.isdigit() and (ion, int(number)) in _BLENDS:
        return _BLENDS[ion, int(number)]
    label = min(names, key=lambda n: abs(_air(n) - value))
    if abs(_air(label) - value) <= 1.2:
        return (label,)
    best = min(names, key=lambda n: separation(n, value))
    return (best,) if separation(best, value) <= (3 if value < 3e4 else 1.1e-3 * value) else ()


def _air(name: str) -> float:
    """Wavelength in air above 2000 A to 0.1 A in the optical: enough to tell labels apart."""
    return WAVES[name] / (1.000276 if WAVES[name] > 2000 else 1)


def separation(name: str, value: float) -> float:
    """From a wavelength to that of a line, in air or in vacuum, the nearer (A)."""
    return min(abs(WAVES[name] - value), abs(_air(name) - value))


_EMITTED = {
    "Lyalpha": "Lyalpha", "CIV1549": "CIV1548,1551", "HeII1640": "HeII1640",
    "CIII1909": "CIII]1909", "MgII2796": "MgII2796", "MgII2804": "MgII2803",
    "MgI2853": "MgI2852", "OII3726": "[OII]3726", "OII3729": "[OII]3729", "H9": "H9",
    "NeIII3869": "[NeIII]3869", "H8": "H8", "Hdelta": "Hdelta", "Hgamma": "Hgamma",
    "Hbeta": "Hbeta", "OIII4959": "[OIII]4959", "OIII5007": "[OIII]5007", "HeI5876": "HeI5876",
    "OI6300": "[OI]6300", "NII6548": "[NII]6548", "Halpha": "Halpha", "NII6583": "[NII]6584",
    "SII6716": "[SII]6717", "SII6731": "[SII]6731", "ArIII7136": "[ArIII]7136",
    "SIII9069": "[SIII]9069", "SIII9531": "[SIII]9531", "Padelta": "Padelta",
    "HeI10830": "HeI10830", "Pagamma": "Pagamma",
}  # fmt: skip
# Lines by which galaxies are given a redshift, in emission or absorption, to vacuum wavelength in
# angstrom. Names of emission lines are those of `flowspec.sim.galaxy.nebula.load_nebula`.
GALAXY_LINES = {name: wave_of(line) for name, line in _EMITTED.items()} | ABSORPTION
