"""Departures of emission lines from the grid of H II regions: which go together, and how far."""

import numpy as np

from flowspec.sim.galaxy.nebula import NebularTable

# dex, in the mean. Single clouds give too much [S III] (Mingozzi et al. 2020, A&A 636, A42), and so
# too much [Ar III], which is tied to it as observed in H II regions, 0.35 (Berg et al. 2015, ApJ
# 806, 16): 1.77 times that of the SDSS's star-forming galaxies. Their helium is ionised wherever
# hydrogen is, which the softer light of stars of solar metallicity does not do (Osterbrock &
# Ferland 2006, section 2.4): He I 5876 is 1.47 times too strong there, where H-beta is 1.17 times.
_IONS = {"SIII": -0.25, "ArIII": -0.25, "HeI": -0.1}
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
    ion = [
        "H" if not n.startswith("He") and n.startswith(("H", "Pa")) else n.rstrip("0123456789._")
        for n in table.names
    ]
    metal = np.array([n != "H" for n in ion])
    mean = np.where(far, 0.35, [_IONS.get(n, 0.0) for n in ion])
    scatter = np.where(far, 0.35, np.where(metal, 0.2, 0.1))
    ion = [f"{n} UV" if is_far else n for n, is_far in zip(ion, far, strict=True)]
    groups = np.unique(ion, return_inverse=True)[1]
    return tuple(tuple(part.tolist()) for part in (groups, mean, scatter))
