"""How wrong photoionisation models are, line by line."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from flowspec.data.line_names import HYDROGEN, canonical

REFERENCE = "Hbeta"  # of the fluxes of every grid
RECOMBINATION = 0.03  # of lines of hydrogen, which case B gives


class LineErrors(NamedTuple):
    """Misfit of models, of each line: real fluxes are those of the models times
    ``exp(offset + spread n)``, nearly, with a standard normal n for each object.

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
        known = {canonical(line): value for line, value in USUAL.items()}
        spread = [known.get(n, RECOMBINATION if n in HYDROGEN else OTHER) for n in lines]
        return cls.alike(tuple(lines), 1.0)._replace(
            spread=np.where(np.array(lines) == REFERENCE, 0.0, spread)
        )

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


USUAL: dict[str, float] = {}
OTHER = 0.1
