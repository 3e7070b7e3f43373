"""Wavelengths in standard air and in vacuum."""

import numpy as np


def refractive_index(vacuum) -> np.ndarray | np.float64:
    """Refractive index of standard air (15 °C, 101325 Pa, dry, 450 ppm CO2) at `vacuum` Å.

    Source: Ciddor (1996), Applied Optics 35, 1566, equation 1 and table of constants; made for
    0.23-1.69 µm and smooth beyond.
    """
    wavenumber2 = (1e4 / np.asarray(vacuum, np.float64)) ** 2  # 1/µm²
    return 1 + 0.05792105 / (238.0185 - wavenumber2) + 0.00167917 / (57.362 - wavenumber2)


def vacuum_to_air(vacuum) -> np.ndarray:
    """Air wavelengths of `vacuum` (Å), by Ciddor (1996). Below 2000 Å both are the same."""
    vacuum = np.asarray(vacuum, np.float64)
    return np.where(vacuum < 2000, vacuum, vacuum / refractive_index(np.maximum(vacuum, 2000)))


def air_to_vacuum(air) -> np.ndarray:
    """Vacuum wavelengths of `air` (Å): the inverse of `vacuum_to_air`, to 1e-9 Å.

    Three fixed-point steps: the index changes so slowly that each gains four digits or more.
    """
    air = np.asarray(air, np.float64)
    vacuum = air
    for _ in range(3):
        vacuum = np.where(air < 2000, air, air * refractive_index(np.maximum(vacuum, 2000)))
    return vacuum
