"""What is believed of quasars before they are looked at."""

import numpyro.distributions as dist

from flowspec.prior.prior import Prior

# Values of parameters that a prior leaves out
DEFAULTS: dict[str, float] = {
    "z": 1.0, "mag": 19.0, "slope": -0.44, "log_fwhm": 3.65, "ebv": 0.0,
}  # fmt: skip


def quasar_prior() -> Prior:
    """Quasars of a survey of magnitude 23: broad and flat, but for the slope of the continuum.

    That is normal, with mean and scatter of Vanden Berk et al. (2001) and Richards et al. (2003,
    AJ 126, 1131; scatter from memory). Widths of broad lines are 1,500 to 10,000 km/s.
    """
    return Prior(
        {
            "z": dist.Uniform(0.02, 6.0),
            "mag": dist.Uniform(15.5, 23.5),
            "slope": dist.Normal(-0.44, 0.3),
            "log_fwhm": dist.Uniform(3.176, 4.0),
            "ebv": dist.Uniform(0.0, 0.3),
        }
    )
