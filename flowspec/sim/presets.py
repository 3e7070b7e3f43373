"""Default priors of the shipped instruments."""

import numpyro.distributions as dist

from flowspec.sim.prior import Prior

# Value of a parameter that a user's prior leaves out.
FIXED = {
    "z": 0.0, "log_mstar": 10.0, "log_sfr": 0.0, "log_age": 0.5, "log_zstar": -0.2, "av": 0.3,
    "log_u": -3.0, "oh": 8.6, "dispersion": 120.0,
}  # fmt: skip


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
    """Default prior of distant galaxies: redshift 1 to 7, younger, forming more stars."""
    return sdss_prior().replace(
        z=dist.Uniform(1.0, 7.0),
        log_mstar=dist.Uniform(8.0, 12.0),
        log_sfr=dist.Uniform(-10.5, -7.8),
        log_age=dist.Uniform(-0.8, 0.7),
        log_u=dist.Uniform(-3.5, -2.0),
        oh=dist.Uniform(7.5, 9.0),
        av=dist.Uniform(0.0, 1.5),
    )


PRIORS = {"sdss": sdss_prior, "vandels": vandels_prior}
