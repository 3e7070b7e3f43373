"""Names of emission lines: one canonical spelling, its vacuum wavelength, and the spellings of
catalogues and photoionisation codes that mean it.

A name is the ion, with the brackets of forbidden and semi-forbidden lines, and the wavelength in
angstrom as the field writes it: in air above 2000 A, in vacuum below; beyond 5 microns in microns
(`[SIII]18.7um`). A sum of lines of one ion lists them with commas: `[SII]6717,6731`. Pairs that no
galaxy spectrum resolves are one line: `[OII]7320` (7319 and 7320), `[OII]7330` (7330 and 7331).
"""

import difflib
import re

# Name -> vacuum wavelength in angstrom: NIST ASD (Kramida et al.), for most of these by way of
# NebulaBayes (Thomas et al. 2018) and FSPS (Byler et al. 2017). Hydrogen by the usual letters up to
# n + 4 or 5 (Lyman, Balmer, Paschen, Brackett, Pfund, Humphreys), then by the upper level.
WAVES: dict[str, float] = {
    "Lyalpha": 1215.67, "Lybeta": 1025.72, "Lygamma": 972.54, "Lydelta": 949.74,
    "Lyepsilon": 937.80, "Ly7": 930.75, "Ly8": 926.23, "Ly9": 923.15,
    "Halpha": 6564.614, "Hbeta": 4862.683, "Hgamma": 4341.684, "Hdelta": 4102.892,
    "Hepsilon": 3971.198, "H8": 3890.166, "H9": 3836.485, "H10": 3798.987, "H11": 3771.708,
    "H12": 3751.224, "Paalpha": 18756.1, "Pabeta": 12821.6, "Pagamma": 10941.10,
    "Padelta": 10052.16, "Pa8": 9548.59, "Pa9": 9231.55, "Pa10": 9017.38, "Pa11": 8865.22,
    "Bralpha": 40522.6, "Brbeta": 26258.7, "Brgamma": 21661.2, "Brdelta": 19450.9,
    "Br9": 18179.1, "Br10": 17366.9, "Pfalpha": 74598.6, "Pfbeta": 46537.8, "Pfgamma": 37405.6,
    "Pfdelta": 32969.9, "Pf10": 30392.0, "Hualpha": 123719.0, "Hubeta": 75024.6,
    "Hugamma": 59082.2, "Hudelta": 51286.5,
    "HeI3188": 3188.67, "HeI3820": 3820.70, "HeI3889": 3889.75, "HeI4026": 4027.33,
    "HeI4471": 4472.735, "HeI4922": 4923.31, "HeI5016": 5017.077, "HeI5876": 5877.249,
    "HeI6678": 6679.995, "HeI7065": 7067.138, "HeI7281": 7283.36, "HeI10830": 10833.17,
    "HeI20581": 20586.9,
    "HeII949": 949.33, "HeII959": 958.70, "HeII972": 972.11, "HeII992": 992.36,
    "HeII1025": 1025.27, "HeII1085": 1084.94, "HeII1215": 1215.13, "HeII1640": 1640.42,
    "HeII2385": 2386.13, "HeII2511": 2511.96, "HeII2733": 2734.11, "HeII3203": 3204.03,
    "HeII4686": 4687.022, "HeII5411": 5413.03, "HeII6560": 6561.91, "HeII10124": 10126.4,
    "HeII18637": 18641.8,
    "[CI]4622": 4622.86, "[CI]8727": 8729.53, "[CI]9824": 9826.82, "[CI]9850": 9852.96,
    "[CI]370um": 3704151.0, "[CI]610um": 6095900.0,
    "CII1335": 1335.71, "CII]2323.5": 2324.21, "CII]2324.7": 2325.40, "CII]2325.4": 2326.11,
    "CII]2326.9": 2327.64, "CII]2328.1": 2328.84, "[CII]158um": 1577409.3,
    "CIII977": 977.02, "CIII]1907": 1906.68, "CIII]1909": 1908.73, "CIV1548": 1548.20,
    "CIV1551": 1550.77,
    "[NI]5198": 5199.35, "[NI]5200": 5201.705, "[NII]2139": 2139.68, "[NII]2143": 2143.45,
    "[NII]5755": 5756.24, "[NII]6548": 6549.86, "[NII]6584": 6585.27, "[NII]122um": 1218980.0,
    "[NII]205um": 2051782.0, "NIII]1747": 1746.82, "NIII]1749": 1748.65, "NIII]1750": 1749.67,
    "NIII]1752": 1752.16, "NIII]1754": 1753.99, "[NIII]57.3um": 573394.0, "NIV]1483": 1483.32,
    "NIV]1486": 1486.50, "NV1239": 1238.82, "NV1243": 1242.80,
    "[OI]5577": 5578.89, "[OI]6300": 6302.046, "[OI]6364": 6365.536, "OI8446": 8448.7,
    "[OI]63.2um": 631836.8, "[OI]146um": 1455254.4, "[OII]2470": 2471.05, "[OII]3726": 3727.092,
    "[OII]3729": 3729.875, "[OII]7320": 7321.6, "[OII]7330": 7332.2,
    "OIII]1661": 1660.81, "OIII]1666": 1666.15, "[OIII]2321": 2321.66, "[OIII]4363": 4364.436,
    "[OIII]4931": 4932.60, "[OIII]4959": 4960.295, "[OIII]5007": 5008.240,
    "[OIII]51.8um": 518145.0, "[OIII]88.4um": 883564.0, "OIV]1397": 1397.23, "OIV]1400": 1399.78,
    "OIV]1401": 1401.16, "OIV]1405": 1404.81, "OIV]1407": 1407.38, "[OIV]25.9um": 258903.0,
    "OV]1214": 1213.81, "OV]1218": 1218.34,
    "[NeII]12.8um": 128135.5, "[NeIII]1815": 1814.56, "[NeIII]3343": 3343.5,
    "[NeIII]3869": 3869.861, "[NeIII]3967": 3968.593, "[NeIII]15.6um": 155550.5,
    "[NeIII]36.0um": 360135.0, "[NeIV]1601.5": 1601.5, "[NeIV]1601.7": 1601.7,
    "[NeIV]2422": 2422.56, "[NeIV]2424": 2425.14, "[NeIV]4714": 4715.8, "[NeIV]4724": 4725.47,
    "[NeV]1137": 1136.5, "[NeV]1146": 1145.6, "[NeV]1575": 1574.7, "[NeV]2973": 2974.0,
    "[NeV]3346": 3346.8, "[NeV]3426": 3426.9, "[NeV]14.3um": 143216.8, "[NeV]24.3um": 243175.0,
    "[NeVI]7.65um": 76524.0,
    "MgI2852": 2852.96, "MgII2796": 2796.35, "MgII2803": 2803.53, "[MgIV]4.49um": 44867.0,
    "[MgV]5.61um": 56099.0, "[NaIII]7.32um": 73177.0, "[NaIV]9.04um": 90410.0,
    "AlII]2661": 2661.15, "AlII]2670": 2669.95, "AlIII1855": 1854.72, "AlIII1863": 1862.79,
    "SiIII]1883": 1882.71, "SiIII]1892": 1892.03, "SiIV1394": 1393.76, "SiIV1403": 1402.77,
    "[SiII]34.8um": 348152.0, "[PII]32.9um": 328709.0, "[PII]60.6um": 606406.0,
    "[SII]4069": 4069.75, "[SII]4076": 4077.50, "[SII]6717": 6718.294, "[SII]6731": 6732.674,
    "[SII]10287": 10289.5, "[SII]10320": 10323.3, "[SIII]1729": 1728.94, "[SIII]3722": 3722.69,
    "[SIII]6312": 6313.81, "[SIII]9069": 9071.10, "[SIII]9531": 9533.20,
    "[SIII]18.7um": 187130.3, "[SIII]33.5um": 334810.3, "[SIV]1406": 1406.02,
    "[SIV]1417": 1416.89, "[SIV]10.5um": 105104.9, "SVI933": 933.38, "SVI945": 944.52,
    "[ClII]8579": 8581.06, "[ClII]9124": 9126.10, "[ClII]14.4um": 143678.0,
    "[ClIII]5518": 5519.24, "[ClIII]5538": 5539.41, "[ClIV]11.8um": 117619.0,
    "[ArII]6.99um": 69852.7, "[ArIII]3109": 3109.98, "[ArIII]5192": 5193.27,
    "[ArIII]7136": 7137.77, "[ArIII]7751": 7753.24, "[ArIII]8.99um": 89913.8,
    "[ArIII]21.8um": 218302.0, "[ArIV]2854": 2854.54, "[ArIV]2868": 2869.06,
    "[ArIV]4711": 4712.58, "[ArIV]4740": 4741.45, "[ArIV]7171": 7172.68, "[ArIV]7237": 7239.76,
    "[ArIV]7263": 7264.77, "[ArIV]7331": 7333.4, "[ArV]6435": 6436.9, "[ArV]7006": 7007.8,
    "[ArV]7.90um": 79015.8, "[ArV]13.1um": 131021.9, "[ArVI]4.53um": 45295.0,
    "[FeII]12567": 12570.2, "[FeII]16435": 16440.0, "[FeIII]4658": 4659.4,
    "[FeVII]7.81um": 78145.0, "[FeVII]9.53um": 95267.0,
}  # fmt: skip

# Absorption by gas (`flowspec.sim.galaxy.interstellar`) and by stars (NIST air wavelengths in
# vacuum); "G" is the head of the CH band.
ABSORPTION: dict[str, float] = {
    "FeII2344": 2344.21, "FeII2383": 2382.77, "FeII2587": 2586.65, "FeII2600": 2600.17,
    "CaK": 3934.78, "CaH": 3969.59, "G": 4305.61, "Mgb": 5176.63, "NaD": 5893.57,
    "CaT8498": 8500.36, "CaT8542": 8544.44, "CaT8662": 8664.52,
}  # fmt: skip

# Labels of what catalogues give as one, and the lines that they mean: (ion, label) -> lines.
_BLENDS = {
    ("oii", 3727): ("[OII]3726", "[OII]3729"), ("oii", 3728): ("[OII]3726", "[OII]3729"),
    ("oii", 7325): ("[OII]7320", "[OII]7330"), ("ciii", 1908): ("CIII]1907", "CIII]1909"),
    ("civ", 1549): ("CIV1548", "CIV1551"), ("civ", 1550): ("CIV1548", "CIV1551"),
    ("mgii", 2798): ("MgII2796", "MgII2803"), ("mgii", 2799): ("MgII2796", "MgII2803"),
    ("mgii", 2800): ("MgII2796", "MgII2803"), ("nv", 1240): ("NV1239", "NV1243"),
    ("oiii", 1663): ("OIII]1661", "OIII]1666"), ("oiii", 1664): ("OIII]1661", "OIII]1666"),
    ("siiii", 1888): ("SiIII]1883", "SiIII]1892"), ("niv", 1485): ("NIV]1483", "NIV]1486"),
    ("cii", 2326): ("CII]2323.5", "CII]2324.7", "CII]2325.4", "CII]2326.9", "CII]2328.1"),
}  # fmt: skip
_SERIES = {"ly": "Ly", "h": "H", "pa": "Pa", "br": "Br", "pf": "Pf", "hu": "Hu"}
_LETTERS = {"a": "alpha", "b": "beta", "g": "gamma", "d": "delta", "7": "epsilon"}
_GREEK = str.maketrans({"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon",
                        "µ": "u", "μ": "u", "λ": None, "[": " ", "]": " ", "Å": "a"})  # fmt: skip
_ROMAN = ("", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix")
_NUMBER = r"\d+(?:\.\d+)?"
_HYDROGEN = re.compile(
    rf"(?P<series>ly|h|pa|br|pf|hu)[ _-]*(?P<letter>alpha|beta|gamma|delta|epsilon|[abgd]|\d\d?)"
    rf"(?:[ _-]*(?P<wave>{_NUMBER})a?)?"
)
_LINE = re.compile(
    rf"(?P<ion>[a-z]{{1,2}}[ _]*(?:[ivx]+|[1-9](?=[ _])))[ _-]*"
    rf"(?P<waves>{_NUMBER}(?:[ ]*[,+/&_][ ]*{_NUMBER})*)[ ]*(?P<unit>um|m|a|)"
)
_UNNAMED = re.compile(rf"vac({_NUMBER})")

# Lines of hydrogen, two of which tell how much dust there is.
HYDROGEN = frozenset(name for name in WAVES if re.match(r"Ly|H(?!e)|Pa|Br|Pf", name))


def unnamed(wave: float) -> str:
    """Name of a line of which only the vacuum wavelength (A) is known."""
    return f"vac{wave:.2f}"


def canonical(text: str) -> str:
    """The canonical name that `text` means, of one line or of a sum.

    Understands `HB4861`, `H_beta`, `Ha`, `OIII5006`, `[O III] 5007`, `o3_5007`, `H  1 4861.33A`,
    `NII6583`, `SIII_33m` (microns), sums (`SII_6717,31`, `OII3726_29`, `[NII]6548+6584`) and the
    labels of unresolved doublets (`[OII]3727`, `CIII]1908`), in any case. Of an ion, the line is
    meant whose label is within 1.2 A, else the one whose air or vacuum wavelength is nearest,
    within 3 A (0.1 % in the far infrared, where labels are rounded).

    Raises:
        ValueError: naming the text, and names like it.
    """
    if text in WAVES or _UNNAMED.fullmatch(text):
        return text
    plain = " ".join(text.translate(_GREEK).lower().split())
    if name := _hydrogen(plain):
        return name
    if match := _LINE.fullmatch(plain):
        numbers = _expanded(re.findall(_NUMBER, match["waves"]))
        found = [_parts_of(_ion(match["ion"]), number, match["unit"]) for number in numbers]
        if all(found):
            return sum_name({part for some in found for part in some})
    near = difflib.get_close_matches(text, WAVES, n=3, cutoff=0.5)
    hint = f" (near: {', '.join(near)})" if near else ""
    raise ValueError(f"expected the name of an emission line; got {text!r}{hint}")


def is_line(text: str) -> bool:
    """Whether `canonical` understands `text`."""
    try:
        return bool(canonical(text))
    except ValueError:
        return False


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
    return ",".join([names[0], *(n.removeprefix(_prefix(n)) for n in names[1:])])


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


_IONS = _by_ion()


def _hydrogen(text: str) -> str | None:
    match = _HYDROGEN.fullmatch(text)
    if not match:
        return None
    letter = match["letter"]
    for ending in (letter, _LETTERS.get(letter, letter)):
        name = _SERIES[match["series"]] + ending
        if name in WAVES and (match["wave"] is None or _off(name, float(match["wave"])) <= 3):
            return name
    return None


def _ion(text: str) -> str:
    """`siii` of `s_iii` or `s 3`; the same key serves Si II: their lines lie far apart."""
    text = re.sub("[ _]", "", text)
    return text[:-1] + _ROMAN[int(text[-1])] if text[-1].isdigit() else text


def _expanded(numbers: list[str]) -> list[str]:
    """Numbers in full: 6717, 31 is 6717, 6731."""
    first = numbers[0]
    whole = first.split(".")[0]
    return [whole[: max(len(whole) - len(n.split(".")[0]), 0)] + n for n in numbers]


def _parts_of(ion: str, number: str, unit: str) -> tuple[str, ...]:
    """The lines of `ion` that a label means, none where there is no such line."""
    value = float(number)
    names = _IONS.get(ion, ())
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
    best = min(names, key=lambda n: _off(n, value))
    return (best,) if _off(best, value) <= (3 if value < 3e4 else 1.1e-3 * value) else ()


def _air(name: str) -> float:
    """Wavelength in air above 2000 A to 0.1 A in the optical: enough to tell labels apart."""
    return WAVES[name] / (1.000276 if WAVES[name] > 2000 else 1)


def _off(name: str, value: float) -> float:
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
