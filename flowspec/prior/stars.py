"""What is believed of stars of the Milky Way before their spectra are seen."""

import numpyro.distributions as dist

from flowspec.prior.prior import Prior

_C_KMS = 299792.458
# km/s: between the thick disc and the halo (Bland-Hawthorn & Gerhard 2016), so that both are
# likely; faster stars leave the Galaxy (the escape speed near the
# Sun is 550, same source); both from memory.
SCATTER, FASTEST = 130.0, 600.0


def star_prior() -> Prior:
    """Stars of every kind that `flowspec.StarSimulator` has, all flat but the velocity.

    Units and meaning of each parameter are those of `flowspec.StarSimulator`.
    """
    ends = {"low": -FASTEST / _C_KMS, "high": FASTEST / _C_KMS}
    return Prior(
        {
            "z": dist.TruncatedNormal(0.0, SCATTER / _C_KMS, **ends),
            "log_teff": dist.Uniform(3.48, 4.48),
            "logg": dist.Uniform(0.5, 5.0),
            "feh": dist.Uniform(-2.5, 0.5),
            "av": dist.Uniform(0.0, 2.0),
            "mag": dist.Uniform(12.0, 23.0),
        }
    )
