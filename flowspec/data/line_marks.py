"""Lines that figures and pages name in a spectrum: what astronomers look for."""

from typing import NamedTuple

from flowspec.data.line_names import wave_of
from flowspec.data.line_waves import ABSORPTION

FIRST, MAIN, OTHER = 1, 2, 3  # what is named even in a small figure, in a large one, with room
# Printed name, canonical name, and which of these it is.
_EMISSION = (
    ("Lyα", "Lyalpha", FIRST), ("N V", "NV1239", OTHER), ("C IV", "CIV1548,1551", FIRST),
    ("He II", "HeII1640", OTHER), ("C III]", "CIII]1907,1909", FIRST),
    ("Mg II", "MgII2796,2803", FIRST), ("[Ne V]", "[NeV]3426", OTHER),
    ("[O II]", "[OII]3726,3729", FIRST), ("[Ne III]", "[NeIII]3869", MAIN),
    ("Hδ", "Hdelta", OTHER), ("Hγ", "Hgamma", MAIN), ("[O III] 4363", "[OIII]4363", OTHER),
    ("He II", "HeII4686", OTHER), ("Hβ", "Hbeta", FIRST), ("[O III] 4959", "[OIII]4959", OTHER),
    ("[O III]", "[OIII]5007", FIRST), ("He I", "HeI5876", MAIN), ("[O I]", "[OI]6300", MAIN),
    ("[N II]", "[NII]6548", OTHER), ("Hα", "Halpha", FIRST), ("[N II]", "[NII]6584", MAIN),
    ("[S II]", "[SII]6717", FIRST), ("[S II]", "[SII]6731", OTHER),
    ("[Ar III]", "[ArIII]7136", MAIN), ("[S III]", "[SIII]9069", MAIN),
    ("[S III]", "[SIII]9531", MAIN), ("Paδ", "Padelta", OTHER), ("He I", "HeI10830", MAIN),
    ("Paγ", "Pagamma", OTHER), ("Paβ", "Pabeta", MAIN),
)  # fmt: skip
_ABSORPTION = (
    ("Fe II", "FeII2383", OTHER), ("Fe II", "FeII2600", MAIN), ("K", "CaK", FIRST),
    ("H", "CaH", FIRST), ("G", "G", MAIN), ("Mg b", "Mgb", FIRST), ("Na D", "NaD", FIRST),
    ("Ca T", "CaT8498", OTHER), ("Ca T", "CaT8542", MAIN), ("Ca T", "CaT8662", OTHER),
)  # fmt: skip


class Mark(NamedTuple):
    """A line to name.

    Attributes:
        label: As it is printed; some ions have several lines of one label.
        wave: In vacuum at rest, Å; of a doublet that is hardly resolved, the mean.
        emitted: Or absorbed.
        rank: `FIRST`, `MAIN` or `OTHER`.
    """

    label: str
    wave: float
    emitted: bool
    rank: int


MARKS = tuple(sorted(
    [Mark(label, wave_of(name), True, rank) for label, name, rank in _EMISSION]
    + [Mark(label, ABSORPTION[name], False, rank) for label, name, rank in _ABSORPTION],
    key=lambda mark: mark.wave,
))  # fmt: skip
