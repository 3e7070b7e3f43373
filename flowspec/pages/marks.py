"""Lines that a page names at a redshift: what astronomers look for first."""

from flowspec.data.line_names import wave_of
from flowspec.data.line_waves import ABSORPTION

# Printed name, canonical name, and whether it is among those that are named in a crowd.
_EMISSION = (
    ("Lyα", "Lyalpha", True), ("N V", "NV1239", False), ("C IV", "CIV1548,1551", True),
    ("He II", "HeII1640", False), ("C III]", "CIII]1909", True), ("Mg II", "MgII2796", True),
    ("[Ne V]", "[NeV]3426", False), ("[O II]", "[OII]3726,3729", True),
    ("[Ne III]", "[NeIII]3869", False), ("Hδ", "Hdelta", False), ("Hγ", "Hgamma", True),
    ("[O III] 4363", "[OIII]4363", False), ("He II", "HeII4686", False), ("Hβ", "Hbeta", True),
    ("[O III] 4959", "[OIII]4959", False), ("[O III] 5007", "[OIII]5007", True),
    ("He I", "HeI5876", False), ("[O I]", "[OI]6300", False), ("[N II]", "[NII]6548", False),
    ("Hα", "Halpha", True), ("[N II]", "[NII]6584", True), ("[S II]", "[SII]6717", True),
    ("[S II]", "[SII]6731", False), ("[Ar III]", "[ArIII]7136", False),
    ("[S III]", "[SIII]9069", True), ("[S III]", "[SIII]9531", True), ("Paδ", "Padelta", False),
    ("He I", "HeI10830", True), ("Paγ", "Pagamma", False), ("Paβ", "Pabeta", True),
)  # fmt: skip
_ABSORPTION = (
    ("Fe II", "FeII2383", False), ("Fe II", "FeII2600", True), ("K", "CaK", True),
    ("H", "CaH", True), ("G", "G", True), ("Mg b", "Mgb", True), ("Na D", "NaD", True),
    ("Ca T", "CaT8498", False), ("Ca T", "CaT8542", True), ("Ca T", "CaT8662", False),
)  # fmt: skip


def marks() -> list[dict]:
    """Lines by wavelength: `label`, `wave` (vacuum Å at rest), `emitted` or absorbed, `main`."""
    emitted = [_mark(label, wave_of(name), True, main) for label, name, main in _EMISSION]
    absorbed = [_mark(label, ABSORPTION[name], False, main) for label, name, main in _ABSORPTION]
    return sorted(emitted + absorbed, key=lambda mark: mark["wave"])


def _mark(label: str, wave: float, emitted: bool, main: bool) -> dict:
    return {"label": label, "wave": wave, "emitted": emitted, "main": main}
