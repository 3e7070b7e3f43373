"""The DESI spectrographs (DESI Collaboration 2022, AJ 164, 207)."""

import numpy as np
import numpyro.distributions as dist

from flowspec.data.lsf import lsf_of_power
from flowspec.prior.parameters import broad_prior
from flowspec.sim.instrument.instrument import Instrument, curve

# Resolving power (FWHM) at wavelengths in angstrom: second moments of the resolution matrices of a
# coadded spectrum of tile 80613 of the early data release, arm by arm.
_POWER = np.array([
    [3640, 2200], [4170, 2490], [4700, 2790], [5230, 3140], [5760, 3510],
    [5761, 3920], [6245, 4170], [6690, 4390], [7135, 4700], [7570, 5030],
    [7571, 4630], [8116, 4600], [8672, 5010], [9228, 5360], [9785, 5390],
])  # fmt: skip
# Shape of the noise per angstrom: medians of coadded spectra of that tile and of tile 169.
_NOISE = np.array([
    [3600, 35.0], [3650, 26.0], [3700, 20.0], [3800, 13.0], [3900, 10.0], [4000, 8.6], [4200, 6.6],
    [4500, 5.3], [4800, 4.1], [5100, 3.6], [5400, 3.2], [5700, 3.3], [5850, 2.7], [6200, 2.3],
    [6600, 2.0], [7000, 1.73], [7400, 1.63], [7500, 1.9], [7700, 1.5], [8200, 1.2], [8500, 1.03],
    [9100, 1.0], [9300, 1.4], [9800, 1.7],
])  # fmt: skip


def desi() -> Instrument:
    """DESI's three arms coadded on the lattice of the SDSS, 1e-4 in log10, 3600 to 9824 angstrom.

    These pixels of 69 km/s are as wide as its resolution in the red: nothing is lost of redshifts
    and lines of galaxies, dispersions below 40 km/s are.
    """
    wave = 10 ** (1e-4 * np.arange(35564, 39923))
    lsf = lsf_of_power(np.interp(wave, *_POWER.T))
    # a pixel of this lattice is as wide as its wavelength
    noise = curve(wave, *_NOISE.T) / np.sqrt(wave)
    prior = broad_prior().replace(z=dist.Uniform(0.0, 1.7), dispersion=dist.LogUniform(40.0, 400.0))
    return Instrument("desi", wave, lsf, noise, (0.2, 50.0), prior=prior)
