"""Spectrographs of surveys: their published wavelengths and resolving powers."""

from typing import NamedTuple

import numpy as np

from flowspec.data.lsf import lsf_of_power
from flowspec.data.spectra import Spectra

_PIXELS = 2.0  # per resolution element, as little as samples one


class Spectrograph(NamedTuple):
    """What has been published of one.

    Attributes:
        name: Of the survey, or the instrument and its mode.
        low, high: Wavelengths in angstrom.
        blue, red: Resolving power (FWHM) there.
        source: Where it says so.
    """

    name: str
    low: float
    high: float
    blue: float
    red: float
    source: str

    def blank(self) -> Spectra:
        """A spectrum of ones without gaps, on pixels of half its resolution."""
        wave = [self.low]
        x, power = np.log([self.low, self.high]), (self.blue, self.red)
        while wave[-1] < self.high:
            step = 1 / np.interp(np.log(wave[-1]), x, power) / _PIXELS
            wave.append(wave[-1] * (1 + step))
        one, lsf = np.ones((1, len(wave))), lsf_of_power(np.interp(np.log(wave), x, power))
        return Spectra(np.array(wave), one, one, names=[self.name], lsf=lsf[None])


SPECTROGRAPHS = (
    Spectrograph("SDSS", 3800, 9200, 1850, 2200, "Smee et al. 2013, AJ 146, 32"),
    Spectrograph("BOSS", 3600, 10400, 1560, 2650, "Smee et al. 2013, AJ 146, 32"),
    Spectrograph("DESI", 3600, 9824, 2000, 5500, "DESI Collaboration 2022, AJ 164, 207"),
    Spectrograph("4MOST LRS", 3700, 9500, 6500, 6500, "de Jong et al. 2019, Messenger 175, 3"),
    Spectrograph("MUSE", 4750, 9350, 1770, 3590, "Bacon et al. 2010, SPIE 7735, 08"),
    Spectrograph("LAMOST LRS", 3700, 9000, 1800, 1800, "Zhao et al. 2012, RAA 12, 723"),
    Spectrograph("6dF", 3900, 7500, 1000, 1000, "Jones et al. 2009, MNRAS 399, 683"),
    Spectrograph("GAMA (AAOmega)", 3750, 8850, 1300, 1300, "Hopkins et al. 2013, MNRAS 430, 2047"),
    Spectrograph("WEAVE LR", 3660, 9590, 5000, 5000, "Jin et al. 2024, MNRAS 530, 2688"),
    Spectrograph("VANDELS (VIMOS)", 4800, 10000, 580, 580, "McLure et al. 2018, MNRAS 479, 25"),
    Spectrograph("MOONS LR", 6450, 18000, 4100, 6600, "Cirasuolo et al. 2020, Messenger 180, 10"),
    Spectrograph("NIRSpec prism", 6000, 53000, 30, 330, "Jakobsen et al. 2022, A&A 661, A80"),
)
