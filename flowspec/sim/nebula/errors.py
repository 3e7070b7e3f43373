"""How wrong photoionisation models are, line by line."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from flowspec.data.line_names import HYDROGEN

REFERENCE = "Hbeta"  # of the fluxes of every grid
RECOMBINATION = 0.03  # of lines of hydrogen, which case B gives
# Spread of lines under mixtures of clouds: of those that galaxies have, what `benchmarks.mixtures`
# learned with HII-POPSTAR, rounded up; that of [O I] and [S III] is assumed, as nothing there gives
# these lines together with the others.
USUAL = {
    "[OII]3726,3729": 0.1, "[NeIII]3869": 0.1, "[OIII]5007": 0.05, "[OIII]4959": 0.05,
    "[SII]6717,6731": 0.12, "[OI]6300": 0.3, "[SIII]9069": 0.3, "[SIII]9531": 0.3,
}  # fmt: skip
OTHER = 0.1  # of lines that are not there, the usual guess


class LineErrors(NamedTuple):
    """How wrong photoionisation models are, line by line: a mean misfit and a spread.

    Real fluxes are those of the models times ``exp(offset + spread n)``, nearly, with a standard
    normal n for each object.

    Attributes:
        lines: Canonical names.
        offset: Mean misfit, ln of real over modelled flux [lines].
        spread: Standard deviation of the misfit [lines].
    """

    lines: tuple[str, ...]
    offset: Float[np.ndarray, " lines"]
    spread: Float[np.ndarray, " lines"]

    @classmethod
    def alike(cls, lines: tuple[str, ...], share: float) -> "LineErrors":
        """One spread for all lines, none of them off in the mean; the reference line is exact."""
        spread = np.where(np.array(lines) == REFERENCE, 0.0, share)
        return cls(tuple(lines), np.zeros(len(lines)), spread)

    @classmethod
    def usual(cls, lines: tuple[str, ...]) -> "LineErrors":
        """Those of mixtures of clouds before any catalogue was seen: `USUAL`, hydrogen's
        `RECOMBINATION`, `OTHER` of lines that are not in the table."""
        spread = [USUAL.get(n, RECOMBINATION if n in HYDROGEN else OTHER) for n in lines]
        known = cls.alike(tuple(lines), 1.0)
        return known._replace(spread=known.spread * spread)

    def of(self, lines: tuple[str, ...]) -> "LineErrors":
        """Those of other lines in another order.

        Raises:
            ValueError: If a line is missing.
        """
        missing = [line for line in lines if line not in self.lines]
        if missing:
            raise ValueError(f"expected errors of {', '.join(missing)}; got those of "
                             f"{', '.join(self.lines)}")
        order = [self.lines.index(line) for line in lines]
        return LineErrors(tuple(lines), np.asarray(self.offset)[order],
                          np.asarray(self.spread)[order])  # fmt: skip

