"""Whether wavelengths are in air or in vacuum, as files say it."""

import re
from collections.abc import Mapping

from flowspec.io.roles import medium_in

_NAMED = ("AIRORVAC", "AIR_OR_VAC", "AIR_VAC", "AIRVAC", "VACORAIR", "VACAIR", "WAVEMED",
          "MEDIUM", "WAVE_MEDIUM", "WAVELENGTH_MEDIUM")  # fmt: skip
_SAYING = re.compile(rf"{'|'.join(_NAMED)}|VACUUM|T?CTYPE?\d+|WAT\d_\d+", re.I)
_YES, _NO = ("t", "true", "1", "yes", "y"), ("f", "false", "0", "no", "n")


def says_air(*headers: Mapping, name: str = "", ucd: str = "") -> bool | None:
    """Whether a file says that its wavelengths are in air (True) or in vacuum (False); None where
    it says neither.

    The name of the column (`wave_air`) and the UCD `obs.atmos` (ESO's phase 3) come first, then
    the headers in their order: AIRORVAC and the like, VACUUM, a WCS of type AWAV or WAVE
    (Greisen et al. 2006), labels of IRAF. SPECSYS and comments say nothing about the medium.

    Raises:
        ValueError: where one header says both.
    """
    said = medium_in(name)
    if said is None and "obs.atmos" in ucd.lower():
        said = True
    for header in headers:
        said = _in_header(header) if said is None else said
    return False if said is None and re.match(r"em\.wl", ucd.strip(), re.I) else said


def _in_header(header: Mapping) -> bool | None:
    saying = {key: _said(key.upper(), header[key]) for key in header if _SAYING.fullmatch(key)}
    said = {key: air for key, air in saying.items() if air is not None}
    if len(set(said.values())) > 1:
        words = ", ".join(f"{key} = {header[key]}" for key in said)
        raise ValueError(f"expected wavelengths in air or in vacuum (say air=); got {words}")
    return next(iter(said.values()), None)


def _said(key: str, value) -> bool | None:
    """What one keyword says, if anything."""
    text = (value.decode() if isinstance(value, bytes) else str(value)).strip().lower()
    if key in _NAMED:
        return text.startswith("air") if text.startswith(("air", "vac")) else None
    if key == "VACUUM":
        return {**dict.fromkeys(_YES, False), **dict.fromkeys(_NO, True)}.get(text)
    if key.startswith("WAT"):
        label = re.search(r'label\s*=\s*("[^"]*"|\S+)', text)
        words = re.findall("air|vac", label[1]) if label else []
        return words[0] == "air" if words else None
    return {"awav": True, "wave": False}.get(re.sub(r"-.*", "", text))
