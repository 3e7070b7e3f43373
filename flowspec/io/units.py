"""Units as files spell them."""

import re
import warnings

import astropy.units as u
import numpy as np

from flowspec.data.units import is_flux_density

LOG_BASES = {"log10": 10.0, "log": 10.0, "lg": 10.0, "dex": 10.0, "ln": np.e, "loge": np.e}
# Words of IRAF, IDL, SDSS, MaNGA and others that astropy does not know or takes for another
# unit: lower-case spelling -> astropy's. Upper-case files (FITS of the 1990s) are lower-cased.
_WORDS = {
    **dict.fromkeys(("a", "aa", "ang", "angs", "angstrom", "angstroms", "angstroem"), "Angstrom"),
    **dict.fromkeys(("micron", "microns", "micrometer", "micrometers", "um"), "um"),
    **dict.fromkeys(("nanometer", "nanometers", "nanometre", "nanometres", "nm"), "nm"),
    **dict.fromkeys(("meter", "meters", "metre", "metres", "m"), "m"),
    **dict.fromkeys(("centimeter", "centimeters", "cm"), "cm"),
    **dict.fromkeys(("second", "seconds", "sec", "secs", "s"), "s"),
    **dict.fromkeys(("erg", "ergs"), "erg"),
    **dict.fromkeys(("watt", "watts", "w"), "W"),
    **dict.fromkeys(("hz", "hertz"), "Hz"),
    **dict.fromkeys(("jy", "jansky", "janskys"), "Jy"),
    **dict.fromkeys(("mjy", "millijansky"), "mJy"),
    **dict.fromkeys(("ujy", "microjy", "microjansky"), "uJy"),
    **dict.fromkeys(("njy", "nanojy", "nanojansky"), "nJy"),
    "photon": "photon",
    "photons": "photon",
    "flam": "erg s-1 cm-2 Angstrom-1",
    "fnu": "erg s-1 cm-2 Hz-1",
}
_KEPT = {"MJy", "MJY", "S", "Mm"}  # mega, or siemens: not what their lower case means
_PER_APERTURE = r"/\s*(spaxels?|fiber|fibre|pixel)\b"  # of MaNGA, SAMI: a row is that aperture


def parse_unit(text) -> u.UnitBase | None:
    """A unit as files spell it; None for none given.

    "A" is angstrom, never ampere.

    Raises:
        ValueError: where it cannot be understood.
    """
    if isinstance(text, np.ndarray) and text.size == 1:
        text = text.item()
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if text is None or isinstance(text, u.UnitBase):
        return text
    text = str(text).strip()
    if text.lower() in ("", "none", "-", "unknown", "n/a"):
        return None
    try:
        return _parsed(_plain(text))
    except (ValueError, TypeError, ZeroDivisionError, OverflowError):
        raise ValueError(f"expected a unit that astropy knows; got unit '{text}'") from None


def log_unit(text) -> tuple[float, u.UnitBase | None] | None:
    """The base of a logarithm and the unit of its argument, such as of `log10(Angstrom)`; None of
    any other text."""
    match = re.fullmatch(r"\s*(log10|log|lg|loge|ln|dex)\b[\s(\[]*(.*?)[\s)\]]*", str(text), re.I)
    return match and (LOG_BASES[match[1].lower()], parse_unit(match[2]))


def flux_power(unit: u.UnitBase) -> tuple[int, u.UnitBase] | None:
    """Of which power of a flux density a unit is (1 an error, 2 a variance, -2 an inverse
    variance), and the unit of flux; None of any other unit."""
    for power, exponent in ((1, 1), (2, 0.5), (-2, -0.5)):
        root = unit**exponent
        if is_flux_density(root):
            return power, root
    return None


def _plain(text: str) -> str:
    """In the words and the notation of astropy."""
    text = re.sub(_PER_APERTURE, "", text, flags=re.I)
    text = re.sub(r"\\(AA|mathrm|rm|[,;! ])|[][${}]|\^(?=\{)", lambda m: _latex(m[0]), text)
    text = re.sub(r"\s+(?=\*\*)", "", text)
    text = text.replace("Å", "Angstrom").replace("Å", "Angstrom").replace("μ", "u")
    text = text.replace("µ", "u").replace("×", "*").replace("·", " ").replace("−", "-")
    text = re.sub(r"^\s*[xX*]?\s*10\s*(?:\*\*|\^)?\s*\(?\s*([+-]\d+)\)?", r"1e\1 ", text)
    text = re.sub(r"^\s*[eE]([+-]?\d+)\b", r"1e\1", text)
    text = re.sub(r"\bper\b", "/", text)
    upper = text.upper() == text and "ERG" in text
    text = re.sub(r"[A-Za-z]+(?=[\d\W_]|$)", lambda m: _word(m, upper), text)
    return text.replace("(Angstrom)", "Angstrom")


def _latex(piece: str) -> str:
    return {"\\AA": "Angstrom", "{": "(", "}": ")", "^": "**"}.get(piece, " ")


def _word(match: re.Match, upper: bool) -> str:
    word, before = match[0], match.string[: match.start()]
    if word in ("e", "E") and re.search(r"\d\.?$", before):  # of 1e-17
        return word
    known = _WORDS.get(word.lower())
    if known is None or (word in _KEPT and not upper):
        return word
    return known


def _parsed(plain: str) -> u.UnitBase:
    """A unit of astropy, a power of one in parentheses, or one over either."""
    if square := re.fullmatch(r"\((.*)\)\s*(?:\*\*|\^)?\s*\(?([+-]?[12])\)?", plain):
        return _parsed(square[1]) ** int(square[2])  # STAT of the MUSE pipeline
    if inverse := re.fullmatch(r"1\s*/\s*(\(.*\)\s*(?:\*\*|\^)?\s*\(?2\)?)", plain):
        return _parsed(inverse[1]) ** -1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", u.UnitsWarning)
        unit = u.Unit(plain)
    if not isinstance(unit, u.UnitBase):
        raise ValueError("a magnitude or another function")
    return unit
