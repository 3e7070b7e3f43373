"""Emission lines red of 1.1 micron, which the grids lack, tied to lines that they have."""

from dataclasses import replace
from typing import TypeVar

import numpy as np

from flowspec.sim.galaxy.nebula import NebularTable, load_nebula
from flowspec.sim.galaxy.nucleus import NuclearTable, load_nucleus

# Vacuum wavelength (A), the line that it goes with and their ratio. Hydrogen is case B at 1e4 K and
# 100 cm-3 (Storey & Hummer 1995, MNRAS 272, 41). [Fe II] comes from where [O I] does: [Fe II]1.257
# over Pa-beta grows with [O I] over H-alpha, about one to four (Larkin et al. 1998, ApJS 114, 59);
# 1.644 is of the same level (Nussbaumer & Storey 1988).
LINES = {
    "FeII12570": (12570.2, "OI6300", 0.7), "Pabeta": (12821.6, "Hbeta", 0.1632),
    "FeII16440": (16440.0, "OI6300", 0.5), "Brepsilon": (18179.1, "Hbeta", 0.0127),
    "Paalpha": (18756.1, "Hbeta", 0.3386), "Brdelta": (19450.9, "Hbeta", 0.0183),
    "Brgamma": (21661.2, "Hbeta", 0.0278), "Brbeta": (26258.7, "Hbeta", 0.0455),
    "Pfgamma": (37405.6, "Hbeta", 0.0107), "Bralpha": (40522.6, "Hbeta", 0.0802),
    "Pfbeta": (46537.8, "Hbeta", 0.0162),
}  # fmt: skip

_Table = TypeVar("_Table", NebularTable, NuclearTable)


def line_tables(low: float, high: float) -> tuple[NebularTable, NuclearTable]:
    """Lines over H-alpha of gas that stars ionise, and of one that a nucleus does.

    Args:
        low: Vacuum wavelength in angstrom above which lines are kept.
        high: Below which.
    """
    nuclear = load_nucleus()
    own = load_nebula().with_lines(nuclear.names, nuclear.wave)
    formed = _longer(own).ratios_to("Halpha").between(low, high)
    return formed, _longer(nuclear).ratios_to("Halpha").only(formed.names)


def _longer(table: _Table) -> _Table:
    """A table with `LINES` at its end."""
    waves, parents, ratios = zip(*LINES.values(), strict=True)
    tied = table.log_flux[..., [table.names.index(name) for name in parents]]
    tied = (tied + np.log10(ratios)).astype(table.log_flux.dtype)
    new = {
        "wave": np.concatenate([table.wave, waves]),
        "log_flux": np.concatenate([table.log_flux, tied], axis=-1),
        "names": (*table.names, *LINES),
    }
    if isinstance(table, NebularTable):
        new["parent"] = (*table.parent, *parents)
    return replace(table, **new)
