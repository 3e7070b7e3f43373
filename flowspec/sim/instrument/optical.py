"""The optical spectrographs of surveys as one: 3600 to 10,000 angstrom at any resolution."""

import numpy as np
import numpyro.distributions as dist

from flowspec.data.lsf import lsf_of_power
from flowspec.prior.parameters import broad_prior
from flowspec.sim.instrument.desi import desi
from flowspec.sim.instrument.instrument import Instrument
from flowspec.sim.instrument.muse import muse
from flowspec.sim.instrument.sdss import sdss

FINEST, COARSEST = 5500.0, 1000.0  # resolving power (FWHM)
_TILTS = (-0.6, -0.2, 0.2, 0.6)  # natural log of the noise, end to middle


def optical() -> Instrument:
    """What SDSS, BOSS, DESI, 4MOST, WEAVE, LAMOST, MUSE, 6dF and GAMA have in common.

    The lattice is that of the SDSS, 1e-4 in log10, longer at both ends. The resolving power of a
    spectrum is the same at all wavelengths, and anything from 1000 to 5500; the shape of its noise
    is that of SDSS, DESI or MUSE, or flat, each with tilts. `flowspec.sim.instrument.varied` takes
    away what a spectrograph does not see. Spectra come with the width of their line-spread
    function.
    """
    wave = 10 ** (1e-4 * np.arange(35563, 40001))
    lsf = np.full(len(wave), lsf_of_power(FINEST))
    x = np.linspace(-1, 1, len(wave))
    curves = [np.zeros(len(wave))]
    for one in (sdss(), desi(), muse()):
        # beyond its ends as there; per pixel of this lattice, wherever its own are of another width
        own = np.log(one.noise * np.sqrt(one.widths))
        curves.append(np.interp(np.log(wave), np.log(one.wave), own))
    noise = np.exp([curve - curve.mean() + tilt * x for curve in curves for tilt in _TILTS])
    prior = broad_prior().replace(
        z=dist.Uniform(0.0, 1.7), log_sfr=dist.Uniform(-13.0, -7.9),
        dispersion=dist.LogUniform(40.0, 400.0),
    )  # fmt: skip
    return Instrument(
        "optical", wave, lsf, noise, (0.2, 50.0), prior=prior, widest=FINEST / COARSEST, told=True
    )
