"""Departures of emission lines from the grid of H II regions: which go together, and how far."""

import numpy as np

from flowspec.sim.galaxy.nebula import NebularTable

# dex, in the mean. Single clouds give too much [S III]: 0.45 dex, scatter 0.15, in H II regions of
# NGC 628 (Groves et al. 2023; tests/test_line_levels.py), up to 0.6 elsewhere (Mingozzi et al.
# 2020, A&A 636, A42; Marconi et al. 2024). So there is too much [Ar III], which is tied to it as
# H II regions have it, 0.35 (Berg et al. 2015, ApJ 806, 16): by 0.24 dex and more in the SDSS.
_IONS = {"SIII": -0.4, "ArIII": -0.4}
_ULTRAVIOLET = 2400.0  # A


def multiplets(table: NebularTable) -> tuple[tuple[int | float, ...], ...]:
    """Which lines depart from the grid together, by how many dex in the mean, and in scatter.

    Those of one ion do (hydrogen is one), with its ultraviolet lines apart: they depend on
    temperature and C/O, are the least certain, and are stronger in distant galaxies than in the
    grid (C III] of 1 to 3 angstrom, Shapley et al. 2003, Llerena et al. 2022).

    Args:
        table: The lines.

    Returns:
        Number of the multiplet, mean and scatter of each line.
    """
    far = table.wave < _ULTRAVIOLET
    ion = ["H" if _is_hydrogen(n) else n.rstrip("0123456789._") for n in table.names]
    metal = np.array([n != "H" for n in ion])
    mean = np.where(far, 0.35, [_IONS.get(n, 0.0) for n in ion])
    scatter = np.where(far, 0.35, np.where(metal, 0.2, 0.1))
    ion = [f"{n} UV" if is_far else n for n, is_far in zip(ion, far, strict=True)]
    groups = np.unique(ion, return_inverse=True)[1]
    return tuple(tuple(part.tolist()) for part in (groups, mean, scatter))


def _is_hydrogen(line: str) -> bool:
    """Whether a line of the table is one of hydrogen's, of which Hepsilon is one."""
    return line.startswith(("H", "Pa", "Br", "Pf")) and not line.startswith("HeI")
