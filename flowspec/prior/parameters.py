"""The parameters of galaxies, nebulae and stars: the one list of names, units, labels and defaults.

A name that is not here may be a parameter all the same: it is its own label. A new parameter of
`GalaxySimulator` takes a row, with the value at which it changes nothing as its default, so that
priors and model files without it mean what they meant.
"""

from typing import NamedTuple

import numpyro.distributions as dist

from flowspec.prior.prior import Prior


class Parameter(NamedTuple):
    """A named quantity.

    Attributes:
        about: What it is.
        unit: In which it is given, empty for a pure number or a logarithm of one.
        label: For the axes of figures, in matplotlib's mathematics, without the unit.
        default: Value that `GalaxySimulator` takes where a prior leaves it out; None where it is
            no parameter of galaxies.
    """

    about: str
    unit: str
    label: str
    default: float | None = None


PARAMETERS: dict[str, Parameter] = {
    "z": Parameter("redshift", "", "redshift $z$", 0.0),
    "log_mstar": Parameter("mass in stars and remnants", "log10 M_sun",
                           r"$\log\,M_\star\;[\mathrm{M}_\odot]$", 10.0),
    "log_sfr": Parameter("star-formation rate, mean of 100 Myr", "log10 M_sun/yr",
                         r"$\log\,\mathrm{SFR}\;[\mathrm{M}_\odot\,\mathrm{yr}^{-1}]$", 0.0),
    "log_age": Parameter("median age of the stars older than 100 Myr", "log10 Gyr",
                         r"$\log\,t_\star\;[\mathrm{Gyr}]$", 0.5),
    "log_zstar": Parameter("metallicity of the stars over solar (0.0153)", "log10",
                           r"$\log\,Z_\star/Z_\odot$", -0.2),
    "av": Parameter("attenuation at 5500 A", "mag", r"$A_V\;[\mathrm{mag}]$", 0.3),
    "log_u": Parameter("ionisation parameter", "log10", r"$\log\,U$", -3.0),
    "oh": Parameter("oxygen abundance", "12 + log10 O/H", r"$12+\log\,\mathrm{O/H}$", 8.6),
    "dispersion": Parameter("velocity dispersion", "km/s",
                            r"$\sigma_\star\;[\mathrm{km\,s}^{-1}]$", 120.0),
    "no": Parameter("nitrogen over oxygen", "log10 N/O", r"$\log\,\mathrm{N/O}$"),
    "log_pk": Parameter("pressure over Boltzmann's constant", "log10 K cm-3",
                        r"$\log\,P/k\;[\mathrm{K\,cm}^{-3}]$"),
    "so": Parameter("sulphur over oxygen", "log10 S/O", r"$\log\,\mathrm{S/O}$"),
    "log_u_width": Parameter("width of the clouds' log U", "dex", r"$\sigma(\log\,U)$"),
    "log_u_skew": Parameter("skew of the clouds' log U", "", r"skew of $\log\,U$"),
    "log_pk_width": Parameter("width of the clouds' log P/k", "dex", r"$\sigma(\log\,P/k)$"),
    "log_teff": Parameter("effective temperature of a star", "log10 K",
                          r"$\log\,T_\mathrm{eff}\;[\mathrm{K}]$"),
    "logg": Parameter("surface gravity of a star", "log10 cm s-2",
                      r"$\log\,g\;[\mathrm{cm\,s}^{-2}]$"),
    "feh": Parameter("metallicity of a star over solar", "log10", r"$[\mathrm{M/H}]$"),
    "mag": Parameter("AB magnitude in the r band", "mag", r"$r\;[\mathrm{mag}]$"),
    "slope": Parameter("power of the continuum", "", r"slope $\alpha$"),
    "log_fwhm": Parameter("full width at half maximum of broad lines", "log10 km/s",
                          r"$\log\,\mathrm{FWHM}\;[\mathrm{km\,s}^{-1}]$"),
    "ebv": Parameter("colour excess", "mag", r"$E(B-V)\;[\mathrm{mag}]$"),
}  # fmt: skip


EXTENSIVE = ("log_mstar", "log_sfr")  # logarithms of what adds up over a galaxy


def label(name: str) -> str:
    """Axis label with unit; a name that is not in `PARAMETERS` is its own label."""
    return PARAMETERS[name].label if name in PARAMETERS else name


def galaxy_defaults() -> dict[str, float]:
    """Every parameter of galaxies and the value it has where a prior leaves it out."""
    return {name: p.default for name, p in PARAMETERS.items() if p.default is not None}


def broad_prior() -> Prior:
    """Nearby galaxies of every kind: redshift 0 to 0.5, everything flat and broad.

    Units and meaning of each parameter are those of `flowspec.GalaxySimulator`.
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
