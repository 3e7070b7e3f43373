"""The shipped instruments by name, and their default priors."""

from functools import partial

import numpyro.distributions as dist

from flowspec.prior.prior import Prior
from flowspec.sim.instrument.instrument import Instrument, muse, sdss, vandels
from flowspec.sim.instrument.moons import moons

# The estimator needs pixels uniform in ln(wavelength), which the channels of MOONS are not:
# "moons-coarse" is their coaddition to such, in fours.
INSTRUMENTS = {
    "sdss": sdss, "vandels": vandels, "moons": moons, "moons-coarse": partial(moons, 4),
    "muse": muse,
}  # fmt: skip

# Value of a parameter that a user's prior leaves out.
FIXED = {
    "z": 0.0, "log_mstar": 10.0, "log_sfr": 0.0, "log_age": 0.5, "log_zstar": -0.2, "av": 0.3,
    "log_u": -3.0, "oh": 8.6, "dispersion": 120.0,
}  # fmt: skip


def instrument_of(instrument: str | Instrument) -> Instrument:
    """The instrument of a name in `INSTRUMENTS`; one that is no name is itself.

    Raises:
        ValueError: On an unknown name.
    """
    if isinstance(instrument, Instrument):
        return instrument
    if instrument not in INSTRUMENTS:
        raise ValueError(f"expected an instrument among {sorted(INSTRUMENTS)}; got {instrument!r}")
    return INSTRUMENTS[instrument]()


def sdss_prior() -> Prior:
    """Default prior of nearby galaxies: redshift 0 to 0.5, everything flat and broad.

    Units and meaning of each parameter are those of `GalaxySimulator`.
    """
    return Prior(
        {
            "z": dist.Uniform(0.0, 0.5),
            "log_mstar": dist.Uniform(7.0, 12.0),
            "log_sfr": dist.Uniform(-13.0, -8.0),
            "log_age": dist.Uniform(-0.5, 1.13),
            "log_zstar": dist.Uniform(-1.5, 0.3),
            "av": dist.Uniform(0.0, 2.0),
            "log_u": dist.Uniform(-4.0, -2.0),
            "oh": dist.Uniform(7.7, 9.2),
            "dispersion": dist.LogUniform(50.0, 350.0),
        },
        relative={"log_sfr": "log_mstar"},
    )


def vandels_prior() -> Prior:
    """Default prior of distant galaxies: redshift 1 to 7, younger, forming more stars.

    The rest-frame ultraviolet hardly knows the mass of older stars, so the specific star-formation
    rate has a prior of its own: the star-forming sequence of Speagle et al. (2014, ApJS 214, 15,
    equation 28) at 10^9.5 solar masses is at 10^-8.6 per year at redshift 1.5, 10^-8.3 at 3.5 and
    10^-8.2 at 6; its scatter of 0.2 to 0.3 dex is doubled.
    """
    return sdss_prior().replace(
        z=dist.Uniform(1.0, 7.0),
        log_mstar=dist.Uniform(8.0, 12.0),
        log_sfr=dist.Normal(-8.35, 0.5),
        log_age=dist.Uniform(-0.8, 0.7),
        log_u=dist.Uniform(-3.5, -2.0),
        oh=dist.Uniform(7.5, 9.0),
        av=dist.Uniform(0.0, 1.5),
    )


def moons_prior() -> Prior:
    """Default prior of MOONS: redshift 0.6 to 3, star-forming and quiescent galaxies alike.

    Flat, so that one network serves any selection: `Population` gives the weights that bring its
    samples to the galaxies of a survey. Faster star formation than 10^-7.9 per year would leave
    more stars of the 100 Myr that it is averaged over than there are.
    """
    return sdss_prior().replace(
        z=dist.Uniform(0.6, 3.0),
        log_mstar=dist.Uniform(8.0, 12.0),
        log_sfr=dist.Uniform(-12.5, -7.9),
        log_age=dist.Uniform(-0.8, 0.9),
        av=dist.Uniform(0.0, 3.0),
        oh=dist.Uniform(7.7, 9.0),
        dispersion=dist.LogUniform(30.0, 400.0),
    )


PRIORS = {"sdss": sdss_prior, "vandels": vandels_prior, "moons": moons_prior}
