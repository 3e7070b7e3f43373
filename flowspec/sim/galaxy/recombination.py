"""The continuum of ionised gas: recombination of hydrogen and helium, two photons, free-free.

Emission coefficients are 4 pi j / (n_e n_p) in erg cm3 / s / Hz. Case B: photons of recombinations
to the ground level are absorbed on the spot. Brown & Mathews (1970, ApJ 160, 939); Osterbrock &
Ferland (2006, Astrophysics of Gaseous Nebulae, section 4.3); Draine (2011, chapter 10).
"""

import numpy as np
from jaxtyping import Float

from flowspec.sim.instrument.lattice import Lattice

H, C, K = 6.62607015e-27, 2.99792458e10, 1.380649e-16  # cgs
ELECTRON = 9.1093837e-28  # g
RYDBERG = 3.28805e15  # Hz: threshold of hydrogen
LYMAN_ALPHA = 0.75 * RYDBERG
TEMPERATURE = 1e4  # K
HBETA = 1.235e-25  # erg cm3 / s at that temperature and 100 cm-3; Storey & Hummer (1995)
HALPHA = 2.863 * HBETA  # likewise
HELIUM = 0.09  # He+ / H+: Asplund et al. (2009) has 0.085 of all helium for the Sun
_LEVELS = 40  # above, what is left is below a thousandth blue of 1.2 micron
# Excited levels n = 2 of He I: edge (A), cross-section there (1e-18 cm2), power of wavelength with
# which it falls, statistical weight. Fernley, Taylor & Seaton (1987, J. Phys. B 20, 6457) and
# Hummer & Storey (1998, MNRAS 297, 1073).
_HELIUM = ((2600.4, 5.48, 1.6, 3), (3121.9, 9.2, 2.0, 1), (3422.5, 16.0, 3.0, 9),
           (3679.5, 13.5, 3.0, 3))  # fmt: skip
# Lines that the tables of lines lack, 1e-5 of H-beta at 1e4 K and 100 cm-3 (Storey & Hummer 1995),
# by lower level, from the first to n = 25: they run together into the continuum before the edge.
_SERIES = {
    2: (13, (2399, 1921, 1561, 1287, 1074, 905, 771, 662, 573, 499, 438, 387, 344)),
    3: (12, (1060, 832, 666, 541, 446, 372, 314, 267, 229, 198, 172, 151, 133, 118)),
}
_BEYOND = -2.7  # power of n by which they fall from there to n = 50, likewise


def gaunt_bound(n: int, x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Bound-free Gaunt factor of hydrogen, asymptotic expansion, within 1 % from n = 2 up.

    Menzel & Pekeris (1935), as Seaton (1960, Rep. Prog. Phys. 23, 313) gives it.

    Args:
        n: Level.
        x: Frequency over that of the level's edge.
    """
    u = x - 1  # energy of the electron over the level's binding energy
    first, second = (u - 1) / (n * x) ** (2 / 3), (u**2 + 4 / 3 * u + 1) / (n * x) ** (4 / 3)
    return 1 + 0.1728 * first - 0.0496 * second


def gaunt_free(nu: Float[np.ndarray, " n"], temperature: float) -> Float[np.ndarray, " n"]:
    """Free-free Gaunt factor of singly charged ions, mean over the electrons' velocities.

    The expansion of Seaton (1960), for photons from the near infrared to the far ultraviolet.

    Args:
        nu: Frequencies in Hz.
        temperature: K.
    """
    x, y = nu / RYDBERG, K * temperature / (H * nu)
    second = 1 + 2 / 3 * y + 4 / 3 * y**2
    return 1 + 0.1728 * np.cbrt(x) * (1 + 2 * y) - 0.0496 * np.cbrt(x) ** 2 * second


def milne(nu, temperature, edge, cross_section, weight) -> Float[np.ndarray, " n"]:
    """Emission of recombinations to a level, from the cross-section of the reverse.

    Detailed balance (Osterbrock & Ferland 2006, appendix 1): the level's population in equilibrium
    times its cross-section times Wien's law.

    Args:
        nu: Frequencies in Hz.
        temperature: K.
        edge: Frequency of the level's edge in Hz.
        cross_section: For ionisation from the level, cm2.
        weight: Statistical weight of the level over twice that of the ion.
    """
    saha = (H**2 / (2 * np.pi * ELECTRON * K * temperature)) ** 1.5 * weight
    above = np.maximum(nu - edge, 0.0)
    wien = 4 * np.pi * 2 * H * nu**3 / C**2 * np.exp(-H * above / (K * temperature))
    return np.where(nu >= edge, saha * wien * cross_section, 0.0)


def hydrogen(
    nu: Float[np.ndarray, " n"], temperature: float = TEMPERATURE, lowest: int = 2
) -> Float[np.ndarray, " n"]:
    """Recombination continuum of hydrogen to levels from `lowest` up."""
    total = np.zeros_like(nu)
    for n in range(lowest, _LEVELS):
        x = nu * n**2 / RYDBERG
        kramers = 7.907e-18 * n / x**3 * gaunt_bound(n, np.maximum(x, 1.0))
        total += milne(nu, temperature, RYDBERG / n**2, kramers, n**2)
    return total


def helium(
    nu: Float[np.ndarray, " n"], temperature: float = TEMPERATURE
) -> Float[np.ndarray, " n"]:
    """Recombination continuum of He I per n_e n_He+, hydrogenic from n = 3 up."""
    total = hydrogen(nu, temperature, lowest=3)
    for wave, size, power, weight in _HELIUM:
        edge = C / (wave * 1e-8)
        total += milne(nu, temperature, edge, 1e-18 * size * (edge / nu) ** power, weight / 4)
    return total


def two_photon_rate(y: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Decays 2s to 1s per second and unit `y` of hydrogen: both photons of each are counted.

    The fit of Nussbaumer & Schmutz (1984, A&A 138, 495), within 1 %.

    Args:
        y: Frequency over that of Lyman alpha, 0 to 1.
    """
    w = np.clip(y * (1 - y), 0.0, 0.25)
    return 202.0 * (w * (1 - (4 * w) ** 0.8) + 0.88 * w**1.53 * (4 * w) ** 0.8)


def two_photon(
    nu: Float[np.ndarray, " n"], temperature: float = TEMPERATURE, density: float = 100.0
) -> Float[np.ndarray, " n"]:
    """Two-photon continuum of hydrogen.

    Recombinations that reach 2s and its losses by collisions to 2p are those of Osterbrock &
    Ferland (2006), tables 4.11 and 4.12, as powers of temperature.

    Args:
        nu: Frequencies in Hz.
        temperature: K.
        density: Electrons per cm3.
    """
    decay = 8.2249  # per second
    reach = 0.838e-13 * (temperature / 1e4) ** -0.728
    kept = 1 / (1 + density * 5.31e-4 * (temperature / 1e4) ** -0.17 / decay)
    y = nu / LYMAN_ALPHA
    return reach * kept * H * y * two_photon_rate(y) / decay


def free_free(
    nu: Float[np.ndarray, " n"], temperature: float = TEMPERATURE
) -> Float[np.ndarray, " n"]:
    """Bremsstrahlung of electrons on singly charged ions (Draine 2011, equation 10.1)."""
    boltzmann = np.exp(-H * nu / (K * temperature))
    return 6.842e-38 / np.sqrt(temperature) * gaunt_free(nu, temperature) * boltzmann


def continuum(
    wave: Float[np.ndarray, " n"], temperature: float = TEMPERATURE, helium_share: float = HELIUM
) -> Float[np.ndarray, " n"]:
    """Continuum of ionised gas in case B, erg cm3 / s / angstrom per n_e n_p.

    Args:
        wave: Wavelengths in angstrom, vacuum; blue of 912 nothing comes out.
        temperature: Of the electrons, K.
        helium_share: He+ over H+.
    """
    nu = C / (wave * 1e-8)
    total = hydrogen(nu, temperature) + two_photon(nu, temperature)
    total += helium_share * helium(nu, temperature)
    total += (1 + helium_share) * free_free(nu, temperature)
    return np.where(nu < RYDBERG, total, 0.0) * C / (wave * 1e-8) / wave


def series_ends() -> tuple[Float[np.ndarray, " lines"], Float[np.ndarray, " lines"]]:
    """Vacuum wavelengths (angstrom) and flux over H-alpha of the Balmer lines from n = 13 and the
    Paschen lines from n = 12, where the tables of lines end, up to n = 50."""
    waves, fluxes = [], []
    for lower, (first, known) in _SERIES.items():
        upper = np.arange(first, 51)
        waves.append(C * 1e8 / RYDBERG / (lower**-2.0 - upper**-2.0))
        beyond = known[-1] * (upper[len(known) :] / 25) ** _BEYOND
        fluxes.append(1e-5 * np.concatenate([known, beyond]) * HBETA / HALPHA)
    return np.concatenate(waves), np.concatenate(fluxes)


def on_lattice(lattice: Lattice, z_low: float) -> Float[np.ndarray, " freqs2"]:
    """Coefficients of the continuum of ionised gas and the ends of its series per unit of H-alpha,
    in the lattice's rest frame [2 freqs]."""
    edges = lattice.wave[[0, -1]] / (1 + z_low)
    wave = np.geomspace(edges[0], edges[1] * np.exp(2 * lattice.step), 3 * lattice.size)
    smooth = wave * continuum(wave) / HALPHA
    waves, fluxes = series_ends()
    seen = (waves > edges[0]) & (waves < edges[1])
    ends = fluxes[seen] @ lattice.of_lines(waves[seen] * (1 + z_low))
    return lattice.of_spectra(wave * (1 + z_low), smooth[None])[0] + ends
