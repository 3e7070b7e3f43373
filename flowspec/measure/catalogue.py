"""Which emission lines are fitted and given, which go together, and which are told apart."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from flowspec.data.line_names import canonical, parts, sum_name
from flowspec.data.line_waves import WAVES

# Lines of galaxies that stars or gas in front hardly absorb, but for hydrogen, where stars are
# fitted. Resonance lines (Lyman alpha, N V, C IV, Mg II) have to be asked for.
LINES = (
    "HeII1640", "OIII]1661", "OIII]1666", "SiIII]1883", "SiIII]1892", "CIII]1907", "CIII]1909",
    "[NeV]3426", "[OII]3726", "[OII]3729", "H12", "H11", "H10", "HeI3820", "H9", "[NeIII]3869",
    "H8", "[NeIII]3967", "Hepsilon", "HeI4026", "[SII]4069", "[SII]4076", "Hdelta", "Hgamma",
    "[OIII]4363", "HeI4471", "[FeIII]4658", "HeII4686", "[ArIV]4711", "[ArIV]4740", "Hbeta",
    "[OIII]4959", "[OIII]5007", "HeI4922", "HeI5016", "[NI]5198", "[NI]5200", "[ClIII]5518",
    "[ClIII]5538", "[NII]5755", "HeI5876", "[OI]6300", "[SIII]6312", "[OI]6364", "[NII]6548",
    "Halpha", "[NII]6584", "HeI6678", "[SII]6717", "[SII]6731", "HeI7065", "[ArIII]7136", "HeI7281",
    "[OII]7320", "[OII]7330", "[ArIII]7751", "Pa11", "Pa10", "[SIII]9069", "Pa9", "[SIII]9531",
    "Pa8", "Padelta", "HeI10830", "Pagamma", "[FeII]12567", "Pabeta", "[FeII]16435", "Paalpha",
    "HeI20581", "Brgamma",
)  # fmt: skip
# By atomic physics, so that a pair is one measurement: a line, its stronger sister, their ratio.
# Storey & Zeippen (2000, MNRAS 312, 813) for O III and N II; for O I and Ne III the probabilities
# of NIST's atomic spectra database.
TIED = {"[OIII]4959": ("[OIII]5007", 1 / 2.98), "[NII]6548": ("[NII]6584", 1 / 3.05),
        "[OI]6364": ("[OI]6300", 1 / 3.1), "[NeIII]3967": ("[NeIII]3869", 0.30)}  # fmt: skip
# Each given apart where resolved, else as their sum.
DOUBLETS = (("[OII]3726", "[OII]3729"), ("[SII]6717", "[SII]6731"), ("[NI]5198", "[NI]5200"),
            ("[OII]7320", "[OII]7330"), ("CIII]1907", "CIII]1909"),
            ("OIII]1661", "OIII]1666"), ("SiIII]1883", "SiIII]1892"))  # fmt: skip
# Standard deviations between lines from where on their fluxes are nearly independent: at 3 the
# correlation of two Gaussians is -exp(-9/4) = -0.1.
APART = 3.0
BLENDED = ("H8",)  # with He I 3889, 30 km/s away: fitted, but its flux is not that of one line
# Strong ones, by which velocity and width are found.
STRONG = ("[OII]3726", "[OII]3729", "Hbeta", "[OIII]4959", "[OIII]5007", "[NII]6548", "Halpha",
          "[NII]6584", "[SII]6717", "[SII]6731", "CIII]1907", "CIII]1909", "OIII]1666", "Hgamma",
          "[SIII]9069", "[SIII]9531", "HeI10830", "Pabeta", "Paalpha")  # fmt: skip
LEAST_SEEN = 0.7  # share of a line's flux that has to fall on good pixels


class Columns(NamedTuple):
    """Fluxes that are free in the fit of one spectrum.

    Attributes:
        lines: Single lines that are fitted.
        share: What each column has of each line [columns, lines].
        wanted: What each line that is given has of each column, NaN where it is not seen
            [given, columns].
    """

    lines: tuple[str, ...]
    share: Float[np.ndarray, "columns lines"]
    wanted: Float[np.ndarray, "given columns"]


def fitted(asked: Sequence[str] | None) -> tuple[str, ...]:
    """Single lines to fit: `LINES` and those asked for, in order of wavelength."""
    more = () if asked is None else [part for name in asked for part in parts(canonical(name))]
    return tuple(sorted({*LINES, *more}, key=WAVES.__getitem__))


def given(asked: Sequence[str] | None, resolving: dict[str, float]) -> tuple[str, ...]:
    """Names of the lines of the result.

    By default each tied pair is both its lines, of which only one will have a flux, and doublets
    are either two lines or their sum.

    Args:
        asked: Names, or None.
        resolving: Typical standard deviation of each fitted line in km/s.
    """
    if asked is not None:
        return tuple(canonical(name) for name in asked)
    summed = {a: sum_name((a, b)) for a, b in DOUBLETS if not resolved(a, b, resolving)}
    second = {b for a, b in DOUBLETS if a in summed}
    return tuple(summed.get(name, name) for name in LINES if name not in {*BLENDED, *second})


def resolved(first: str, second: str, resolving: dict[str, float]) -> bool:
    """Whether two lines are `APART` standard deviations apart."""
    apart = 299792.458 * np.log(WAVES[second] / WAVES[first])
    return bool(apart >= APART * resolving.get(first, 0.0))


def columns(
    lines: tuple[str, ...], seen: Bool[np.ndarray, " lines"], names: tuple[str, ...], both: bool
) -> Columns:
    """What is free in the fit of a spectrum.

    Args:
        lines: That touch its good pixels.
        seen: Which are to be believed, with `LEAST_SEEN` of the flux on good pixels.
        names: Of the lines to give.
        both: Whether to give both lines of a tied pair.
    """
    known = dict(zip(lines, seen, strict=True))
    follows = {line: TIED[line] for line in lines if line in TIED and known.get(TIED[line][0])}
    own = [line for line in lines if line not in follows]
    share = np.zeros((len(own), len(lines)))
    for i, line in enumerate(lines):
        parent, ratio = follows.get(line, (line, 1.0))
        share[own.index(parent), i] = ratio
    wanted = np.full((len(names), len(own)), np.nan)
    for i, name in enumerate(names):
        pieces = parts(name)
        if all(known.get(p) for p in pieces) and (both or name not in follows):
            wanted[i] = sum(share[:, lines.index(p)] for p in pieces)
    return Columns(lines, share, wanted)
