"""MUSE at the VLT: every galaxy in its field."""

import numpy as np
import numpyro.distributions as dist

from flowspec.data.air import air_to_vacuum
from flowspec.prior.parameters import broad_prior
from flowspec.prior.prior import Prior
from flowspec.sim.instrument.instrument import Instrument, curve
from flowspec.sim.instrument.lattice import C_KMS


def muse_prior() -> Prior:
    """Default prior of galaxies by their [O II] or redder lines: redshift 0 to 1.5.

    The lowest masses of `broad_prior` are kept, for deep fields have them at every redshift.
    """
    return broad_prior().replace(z=dist.Uniform(0.0, 1.5), log_sfr=dist.Uniform(-13.0, -7.9))


def muse() -> Instrument:
    """VLT/MUSE, wide field, nominal mode: 4750 to 9350 angstrom in air, 1.25 angstrom pixels.

    The resolving power rises from 1770 at 4800 angstrom to 3590 at 9300 (ESO, MUSE User Manual),
    here linearly. That of the manual includes the detector's pixels, as does a spectrum that was
    resampled from them; pixels here are uniform in ln(wavelength), of a width in between. Noise,
    and its correlation from one pixel of a cube to the next, are the medians of 15 spectra of the
    MUSE Hubble Ultra Deep Field (Bacon et al. 2023, A&A 670, A4).
    """
    reduced = air_to_vacuum(4750 + 1.25 * np.arange(3681))
    wave = np.geomspace(reduced[1], reduced[-2], 4096)
    lsf = C_KMS / 2.3548 / np.interp(wave, [4800, 9300], [1770, 3590])
    noise = curve(
        wave,
        [4750, 4800, 4900, 5000, 5200, 5500, 6000, 6500, 7000, 8000, 8700, 9100, 9250, 9350],
        [2.3, 2.17, 1.97, 1.84, 1.68, 1.56, 1.48, 1.13, 0.98, 1.1, 1.25, 1.27, 1.4, 2.2],
    )
    return Instrument("muse", wave, lsf, noise, (0.3, 30.0), 2, reduced, 0.22, prior=muse_prior())
