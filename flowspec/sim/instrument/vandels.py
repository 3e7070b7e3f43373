"""VIMOS at the VLT as the survey VANDELS used it, distant galaxies."""

import numpy as np
import numpyro.distributions as dist

from flowspec.prior.parameters import broad_prior
from flowspec.prior.prior import Prior
from flowspec.sim.instrument.instrument import Instrument, curve
from flowspec.sim.instrument.lattice import C_KMS


def vandels_prior() -> Prior:
    """Default prior of distant galaxies: redshift 1 to 7, younger, forming more stars.

    The rest-frame ultraviolet hardly knows the mass of older stars, so the specific star-formation
    rate has a prior of its own: the star-forming sequence of Speagle et al. (2014, ApJS 214, 15,
    equation 28) at 10^9.5 solar masses is at 10^-8.6 per year at redshift 1.5, 10^-8.3 at 3.5 and
    10^-8.2 at 6; its scatter of 0.2 to 0.3 dex is doubled.
    """
    return broad_prior().replace(
        z=dist.Uniform(1.0, 7.0),
        log_mstar=dist.Uniform(8.0, 12.0),
        log_sfr=dist.Normal(-8.35, 0.5),
        log_age=dist.Uniform(-0.8, 0.7),
        log_u=dist.Uniform(-3.5, -2.0),
        oh=dist.Uniform(7.5, 9.0),
        av=dist.Uniform(0.0, 1.5),
    )


def vandels() -> Instrument:
    """VLT/VIMOS, medium-resolution grism as in VANDELS (McLure+18): 4804 to 10295 angstrom.

    The resolution is a constant 11.5 angstrom (FWHM), R = 600 in the middle of the range. The
    released spectra have linear pixels with noise correlated by a fifth from one to the next.
    """
    wave = np.geomspace(4804, 10295, 1280)
    lsf = 11.5 / 2.3548 / wave * C_KMS
    noise = curve(
        wave,
        [4804, 5000, 5300, 5800, 6800, 7800, 8300, 8800, 9300, 9730, 10295],
        [20.0, 3.0, 1.7, 1.12, 0.75, 0.95, 1.0, 1.05, 2.0, 2.3, 5.0],
    )
    reduced = 4803.807 + 5.005928 * np.arange(1099)
    prior = vandels_prior()
    return Instrument("vandels", wave, lsf, noise, (0.3, 15.0), 2, reduced, 0.2, prior=prior)
