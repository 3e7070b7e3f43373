"""Emission lines of quasars: where they are, how strong, how broad, and how they move.

Equivalent widths are those of table 2 of Vanden Berk et al. (2001, AJ 122, 549), of the median
composite of the SDSS. That table integrates over windows, above straight lines between their ends
on which wings and neighbours are; the strong lines have here what gives its values when the
simulated mean spectrum, of lines of 4,500 km/s, is measured in that way (`tests/test_quasar.py`).
Shares of a blend are from memory where the comment says so.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, ScalarLike


class Family(NamedTuple):
    """Lines that depart from the mean together.

    Attributes:
        scatter: Of the equivalent width between quasars at given luminosity, dex.
        baldwin: Slope of log10 of the equivalent width with that of the luminosity.
        pivot: log10 of lambda L_lambda at 1450 angstrom, erg/s, of the quasars of the composite.
        fading: Of the equivalent width in weak-line quasars, dex.
    """

    scatter: float
    baldwin: float
    pivot: float
    fading: float


# Slopes after Dietrich et al. (2002, ApJ 581, 912), who find them steeper the higher the
# ionisation but none of N V (the abstract); numbers from memory. Scatter is 0.2 dex, that of C IV
# and Mg II in Shen et al. (2011, ApJS 194, 45; from memory). In weak-line quasars lines of high
# ionisation fade more (Cheng et al. 2025, arXiv:2510.08135). Pivots: those of a quasar of
# magnitude 19, where the SDSS ended, at redshifts of 2.5, 1.3 and 0.4.
FAMILIES: dict[str, Family] = {
    "O VI": Family(0.2, -0.16, 46.4, -0.8),
    "Ly alpha": Family(0.2, -0.11, 46.4, -0.8),
    "N V": Family(0.2, 0.0, 46.4, -0.8),
    "O I": Family(0.2, -0.05, 46.4, -0.3),
    "Si IV": Family(0.15, -0.12, 46.4, -0.7),
    "C IV": Family(0.2, -0.20, 46.4, -0.9),
    "He II": Family(0.25, -0.20, 46.4, -0.9),
    "C III]": Family(0.15, -0.12, 46.1, -0.5),
    "Mg II": Family(0.2, -0.09, 45.7, -0.3),
    "Balmer": Family(0.2, 0.0, 44.7, -0.3),
}


class Motion(NamedTuple):
    """Gas in which lines are equally broad and shifted.

    Attributes:
        width: Full width at half maximum over the parameter.
        scatter: Of that between quasars, dex.
        shift: Scatter of the velocity between quasars, km/s.
    """

    width: float
    scatter: float
    shift: float


# Widths of C IV and Mg II scatter by 0.1 to 0.2 dex about each other (Shen et al. 2011, from
# memory).
MOTIONS: dict[str, Motion] = {
    "wind": Motion(1.1, 0.1, 0.0),  # its shift is `BLUESHIFT`
    "middle": Motion(1.1, 0.08, 150.0),
    "calm": Motion(0.95, 0.08, 100.0),
    "Balmer": Motion(1.0, 0.06, 100.0),
}
# C IV: 810 km/s in the mean of radio-quiet quasars (Richards et al. 2011, AJ 141, 167, abstract),
# more where it is weak; scatter and correlation are read off their figures, from memory
BLUESHIFT, BLUESHIFT_SCATTER, CORRELATION = -810.0, 550.0, 0.5


class Line(NamedTuple):
    """A broad line.

    Attributes:
        wave: At rest in vacuum, angstrom.
        width: Equivalent width over the local continuum, angstrom.
        family: Among `FAMILIES`.
        motion: Among `MOTIONS`.
        share: Of the blueshift of C IV, by the line's place in table 2 over that of C IV.
        shift: Further mean velocity, km/s, likewise.
    """

    wave: float
    width: float
    family: str
    motion: str
    share: float = 0.0
    shift: float = 0.0


BROAD: tuple[Line, ...] = (
    Line(937.80, 2.95, "O VI", "middle"),
    Line(977.02, 4.3, "O VI", "wind", 0.3), Line(990.69, 2.25, "O VI", "wind", 0.3),
    Line(1025.72, 2.0, "Ly alpha", "middle"), Line(1033.83, 7.77, "O VI", "wind", 0.3),
    Line(1066.66, 0.80, "O I", "calm"), Line(1117.26, 3.66, "O I", "calm"),
    Line(1175.70, 0.83, "O VI", "middle"),
    # 92.91 of the blend; a fifth is N V, from memory
    Line(1215.67, 74.0, "Ly alpha", "middle", 0.0, 143.0), Line(1240.14, 18.0, "N V", "wind", 0.3),
    Line(1262.59, 0.21, "O I", "calm"), Line(1304.35, 0.83, "O I", "calm"),
    Line(1306.82, 0.83, "O I", "calm"), Line(1335.30, 0.59, "O I", "calm"),
    # 8.13 as measured
    Line(1396.76, 4.93, "Si IV", "wind", 0.3), Line(1402.06, 3.98, "Si IV", "wind", 0.3),
    Line(1549.06, 30.15, "C IV", "wind", 1.0),  # 23.78 as measured
    Line(1640.42, 0.51, "He II", "wind", 0.6), Line(1663.48, 0.50, "He II", "middle"),
    Line(1718.55, 0.30, "He II", "middle"), Line(1750.26, 0.44, "He II", "middle"),
    Line(1816.98, 0.16, "O I", "calm"),
    # 21.19 as measured; a tenth is Al III, a fifth Si III], from memory
    Line(1857.40, 2.49, "C III]", "middle"), Line(1892.03, 5.10, "C III]", "middle"),
    Line(1908.73, 17.54, "C III]", "middle", 0.2),
    Line(2326.44, 0.31, "Mg II", "calm"), Line(2671.0, 0.14, "Mg II", "calm"),
    Line(2798.75, 35.86, "Mg II", "calm", 0.0, 162.0),  # 32.28 as measured
    # with the narrow lines 5.05, 12.62, 46.21, 4.94 and 194.52 as measured
    Line(4102.89, 9.37, "Balmer", "Balmer"), Line(4341.68, 17.98, "Balmer", "Balmer"),
    Line(4687.02, 0.72, "He II", "Balmer"), Line(4862.68, 47.65, "Balmer", "Balmer"),
    Line(5877.29, 8.30, "Balmer", "Balmer"), Line(6564.61, 199.19, "Balmer", "Balmer"),
    Line(7067.20, 3.06, "Balmer", "Balmer"),
)  # fmt: skip

# Narrow lines of table 2 by wavelength: equivalent width, and whether of low ionisation. H-beta
# is a tenth of [O III] 5008, and H-alpha 3.1 times that (Osterbrock & Ferland 2006).
NARROW: dict[float, tuple[float, bool]] = {
    3346.82: (0.35, False), 3426.84: (1.22, False), 3728.48: (1.56, True),
    3759.99: (0.29, False), 3869.85: (1.38, False), 3968.58: (0.45, False),
    4341.68: (0.6, False), 4364.44: (0.46, False), 4862.68: (1.3, False),
    4960.30: (4.4, False), 5008.24: (13.23, False), 6087.98: (0.71, False),
    6302.05: (1.15, True), 6365.54: (0.38, True), 6549.85: (0.68, True), 6564.61: (4.8, False),
    6585.28: (2.02, True), 6718.29: (1.65, True), 6732.67: (1.49, True), 7137.80: (0.57, False),
}  # fmt: skip
NARROW_SIGMA = 180.0  # km/s; half of that of [O III] in the composite, which has errors of its own

# Broad profiles are two Gaussians: a share in the wings, and widths of both over that of one
# Gaussian of the same full width at half maximum, which the two together have.
WINGS, CORE_WIDTH, WING_WIDTH = 0.40, 0.8708, 1.8
FWHM = 2.3548200450309493  # over the standard deviation


def luminosity_dex(log_l: ScalarLike) -> Float[Array, " families"]:
    """Change of equivalent widths by the Baldwin effect, dex.

    Args:
        log_l: log10 of lambda L_lambda at 1450 angstrom, erg/s; fainter than 44 and brighter than
            48 it changes no more.
    """
    slope = np.array([f.baldwin for f in FAMILIES.values()])
    pivot = np.array([f.pivot for f in FAMILIES.values()])
    return slope * (jnp.clip(log_l, 44.0, 48.0) - pivot)
