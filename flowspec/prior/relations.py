"""Scaling relations of distant galaxies, as published: what `Population` is made of.

All masses and rates are for a Chabrier IMF (Kroupa's, 0.03 dex away, is taken as the same). There
is one Sun, `SOLAR_Z` for stars and `SOLAR_OH` for gas: what was published over another is brought
to it by `over_solar`. Every function works on arrays of any one shape. Those said to be
approximations carry a number that is this package's reading of a figure or a range, not a fit in
the paper.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

# Davidzon et al. (2017, A&A 605, A70), table 2: log10 of the characteristic mass, slope and
# 10^-3 Mpc^-3 of each component; the redshifts are the middles of their bins.
BINS = np.array([0.35, 0.65, 0.95, 1.30, 1.75, 2.25, 2.75, 3.25])
STAR_FORMING = np.array([
    [10.26, -1.29, 2.410, 1.01, 1.30],
    [10.40, -1.32, 1.661, 0.84, 0.86],
    [10.35, -1.29, 1.739, 0.81, 0.95],
    [10.42, -1.21, 1.542, 1.11, 0.49],
    [10.40, -1.24, 1.156, 0.90, 0.46],
    [10.45, -1.50, 0.441, 0.59, 0.38],
    [10.39, -1.52, 0.441, 1.05, 0.13],
    [10.83, -1.78, 0.086, 0.00, 0.00],
])  # fmt: skip
QUIESCENT = np.array([
    [10.83, -1.30, 0.098, -0.39, 1.58],
    [10.83, -1.46, 0.012, -0.21, 1.44],
    [10.75, -0.07, 1.724, 0.00, 0.00],
    [10.56, 0.53, 0.757, 0.00, 0.00],
    [10.54, 0.93, 0.251, 0.00, 0.00],
    [10.69, 0.17, 0.068, 0.00, 0.00],
    [10.24, 1.15, 0.028, 0.00, 0.00],
    [10.10, 1.15, 0.010, 0.00, 0.00],
])  # fmt: skip
# Mass fraction of metals that `log_zstar` is over: of BaSTI-IAC isochrones (Hidalgo et al. 2018,
# ApJ 856, 125, after Caffau et al. 2011), of which the optical spectra of the tables are made.
SOLAR_Z = 0.0153
SOLAR_OH = 8.69  # Asplund et al. (2009, ARA&A 47, 481), whose Sun formed of Z = 0.0142
ASPLUND_Z = 0.0142
BC03_Z = 0.02  # of Bruzual & Charlot (2003), and of what was fitted with it
SALPETER = 0.24  # dex: masses and rates for a Salpeter IMF over those for a Chabrier IMF
A1600_PER_AV = 2.46  # Calzetti et al. (2000), equation 4
# dex: O/H of the models of the nebular grid over O/H by electron temperatures of galaxies with the
# same strong lines, and how far the two wander from one line to another (`oxygen_of_grid`)
GRID_OVER_DIRECT, GRID_SCATTER = 0.09, 0.07

Values = Float[ArrayLike, "*shape"]
Result = Float[Array, "*shape"]


def ln_mass_function(log_mstar: Values, z: Values, table: Float[np.ndarray, "8 5"]) -> Result:
    """Natural log of the number of galaxies per Mpc^3 and dex of mass.

    Double Schechter functions of Davidzon et al. (2017, A&A 605, A70), equation 4 and table 2,
    joined by lines in ln(density) between the middles of their redshift bins.

    Args:
        log_mstar: log10 of the mass in M_sun.
        z: Redshift; beyond the outermost bins nothing changes.
        table: `STAR_FORMING` or `QUIESCENT`.
    """
    knee, slope1, phi1, slope2, phi2 = table.T
    x = np.log(10) * (jnp.asarray(log_mstar)[..., None] - knee)
    parts = [
        np.log(phi * 1e-3 + 1e-30) + (slope + 1) * x
        for slope, phi in ((slope1, phi1), (slope2, phi2))
    ]
    ln_phi = np.log(np.log(10)) + jnp.logaddexp(*parts) - jnp.exp(x)
    return jnp.vectorize(jnp.interp, excluded=(1,), signature="(),(b)->()")(z, BINS, ln_phi)


def quenched_fraction(log_mstar: Values, z: Values) -> Result:
    """Share of quiescent galaxies that the mass functions of the two types imply."""
    quiescent, forming = (ln_mass_function(log_mstar, z, t) for t in (QUIESCENT, STAR_FORMING))
    return jax.nn.sigmoid(quiescent - forming)


def over_solar(log_z: Values, z_sun: float) -> Result:
    """log10 of metallicity over this package's Sun of one that was given over another.

    Args:
        log_z: log10 of metallicity over the Sun of the source.
        z_sun: Mass fraction of metals of that Sun.
    """
    return jnp.asarray(log_z) + np.log10(z_sun / SOLAR_Z)


def main_sequence(log_mstar: Values, universe: Values) -> Result:
    """log10 star-formation rate (M_sun/yr) of star-forming galaxies; scatter 0.3 dex.

    Popesso et al. (2023, MNRAS 519, 1526), equation 15: 10^8.5 to 10^11.5 M_sun.

    Args:
        log_mstar: log10 of the mass in M_sun.
        universe: Age of the Universe in Gyr.
    """
    turnover = 10.86 - 0.0729 * jnp.asarray(universe)
    return 2.71 - 0.186 * universe - jnp.log10(1 + 10 ** (turnover - log_mstar))


def quiescent_sfr(log_mstar: Values, z: Values) -> Result:
    """log10 star-formation rate of quiescent galaxies; scatter 0.4 dex.

    The mock generator EGG (Schreiber et al. 2017, A&A 602, A96), from stacked far-infrared light,
    as in its public code: 0.5 (log M - 11) + log(1 + z) - 0.6 for a Salpeter IMF.
    """
    return 0.5 * (log_mstar + SALPETER - 11) + jnp.log10(1 + z) - 0.6 - SALPETER


def attenuation(log_mstar: Values) -> Result:
    """A(V) in magnitudes of star-forming galaxies.

    A(1600) of McLure et al. (2018, MNRAS 476, 3991), section 6.2, over 2.46 for a Calzetti curve;
    hardly any evolution from redshift 0 to 2.3 (Shapley et al. 2022). Measured from 10^9 M_sun on;
    its cubic falls below zero at 10^8.3.
    """
    return _far_attenuation(log_mstar) / A1600_PER_AV


def tilted_attenuation(log_mstar: Values) -> Result:
    """A(V) in magnitudes of star-forming galaxies whose curves are the steeper the less dust.

    The same A(1600) as of `attenuation`, over that of a Calzetti curve with the `typical_tilt`: a
    quarter less at A(V) of 0.5, as much at 1.1.
    """
    av = jnp.linspace(0.0, 5.0, 1001)
    far = A1600_PER_AV * av * (1600 / 5500) ** typical_tilt(av)
    return jnp.interp(_far_attenuation(log_mstar), far, av)


def typical_tilt(av: Values) -> Result:
    """Mean tilt of the attenuation curve: steep where there is little dust, flat where much.

    Radiative transfer through discs of any inclination (Chevallard et al. 2013, MNRAS 432, 2061):
    the mean optical depth falls as a power 2.8 / (1 + 3 sqrt(tau)) of the wavelength, within a
    quarter of it, where Calzetti's falls as 0.7. Observed curves are the steeper the less dust
    there is, too (Salim, Boquien & Lee 2018, ApJ 859, 11).

    Args:
        av: Attenuation at 5500 angstrom in magnitudes.
    """
    tau = jnp.maximum(jnp.asarray(av) / 1.086, 1e-3)
    return 0.7 - 2.8 / (1 + 3 * jnp.sqrt(tau))


def _far_attenuation(log_mstar):
    """A(1600) of McLure et al. (2018)."""
    return jnp.polyval(jnp.array([0.209, 0.256, 1.160, 2.293]), log_mstar - 10)


def oxygen(log_mstar: Values, log_sfr: Values) -> Result:
    """12 + log10 O/H of the fundamental metallicity relation.

    Curti et al. (2020, MNRAS 491, 944), equation 5: Z0 - gamma / beta log(1 + (M / M0)^-beta) with
    log M0 = m0 + m1 log SFR; table 6, total star-formation rates: Z0 = 8.779, gamma = 0.31,
    beta = 2.1, m0 = 10.11, m1 = 0.56.
    """
    turnover = 10.11 + 0.56 * log_sfr
    below = 2.1 * (turnover - log_mstar)
    return 8.779 - 0.31 / 2.1 * jnp.logaddexp(0.0, np.log(10) * below) / np.log(10)


def oxygen_of_grid(direct: Values) -> Result:
    """12 + log10 O/H at which the nebular grid has the strong lines of a galaxy.

    Models of photoionisation lie above direct temperatures: by 0.2 dex in general (Blanc et al.
    2015, ApJ 798, 99), by 0.25 those of Kewley & Dopita (2002) over Pettini & Pagel (2004) (Kewley
    & Ellison 2008, ApJ 681, 1183, table 3). By 0.09 dex the grid of this package (MAPPINGS V of
    NebulaBayes) over the scale of `oxygen`: offset and `ionisation_of_grid` are those at which its
    [O II], [O III] and [N II] fit the calibrations of Curti et al. (2020, table 2) from 8.0 to
    8.8, to 0.065 dex (rms). Each abundance fitted on its own, the offset is -0.03 to 0.20.

    Args:
        direct: 12 + log10 O/H on the scale of electron temperatures.
    """
    return jnp.asarray(direct) + GRID_OVER_DIRECT


def ionisation_of_grid(oh: Values) -> Result:
    """log10 of the ionisation parameter at which the nebular grid has the lines of galaxies.

    The line that fits with `oxygen_of_grid`: -2.6 at a direct O/H of 8.5, and as its inverse (Orsi
    et al. 2014 have the power -1.3, Dopita et al. 2006, ApJ 647, 244, -0.8). It holds at redshift 2
    too if line ratios at one direct O/H do (Sanders et al. 2021, ApJ 914, 19).

    Args:
        oh: 12 + log10 O/H of the grid.
    """
    return -2.6 - (jnp.asarray(oh) - GRID_OVER_DIRECT - 8.5)


def ionisation(oh: Values) -> Result:
    """log10 of the ionisation parameter, of version 1.

    Orsi et al. (2014, MNRAS 443, 799), equation 4: q = 2.8e7 cm/s (Z / 0.012)^-1.3, with U = q / c
    and Z = 0.0142 at solar O/H (an approximation: Asplund et al. 2009 for the forming Sun; their
    photosphere, 0.0134, gives 0.03 dex more). It passes through -2.85 at 8.48, where Topping et al.
    (2020) have -2.98 with a scatter of 0.25 at redshift 2.3. `ionisation_of_grid` has replaced it.
    """
    log_z = np.log10(ASPLUND_Z / 0.012) + jnp.asarray(oh) - SOLAR_OH
    return np.log10(2.8e7 / 2.998e10) - 1.3 * log_z


def nitrogen(oh: Values) -> Result:
    """log10 N/O of stars and H II regions by their 12 + log10 O/H.

    Nicholls et al. (2017, MNRAS 466, 4403): 10^-1.732 of primary nitrogen, and
    10^(log O/H + 2.19) of secondary.
    """
    secondary = jnp.asarray(oh) - 12 + 2.19
    return jnp.logaddexp(-1.732 * np.log(10), secondary * np.log(10)) / np.log(10)


def dispersion(log_mstar: Values) -> Result:
    """log10 of the stellar velocity dispersion of quiescent galaxies in km/s.

    Zahid et al. (2016, ApJ 832, 203), equation 5 and table 1: 10^2.073 km/s at 10^10.26 M_sun, as
    M^0.403 below and M^0.293 above, with no evolution to redshift 0.7.
    """
    x = log_mstar - 10.26
    return 2.073 + jnp.where(x > 0, 0.293, 0.403) * x


def rotating_dispersion(log_mstar: Values) -> Result:
    """log10 of the velocity dispersion of star-forming galaxies, rotation and all, in km/s.

    Kassin et al. (2007, ApJ 660, L35): S_0.5 = (0.5 V^2 + sigma^2)^0.5 of 10^1.89 km/s at 10^10
    M_sun, as M^0.34, with a scatter of 0.16 dex and no evolution from redshift 0.1 to 1.2. That is
    the dispersion that a spectrum of the whole galaxy has (Barat et al. 2019, MNRAS 487, 2924), of
    stars as of gas (Bezanson et al. 2018, ApJ 868, L36: the same on average).
    """
    return 1.89 + 0.34 * (jnp.asarray(log_mstar) - 10)


def late_type_radius(log_mstar: Values, z: Values) -> Result:
    """log10 of the half-light radius (major axis, kpc) of star-forming galaxies.

    van der Wel et al. (2014, ApJ 788, 28), figure 6: 8.9 kpc (1 + z)^-0.75 at 5e10 M_sun, as
    M^0.22; within 0.03 dex of their table 1 from redshift 0.25 to 2.75.
    """
    return np.log10(8.9) - 0.75 * jnp.log10(1 + z) + 0.22 * (log_mstar - np.log10(5e10))


def early_type_radius(log_mstar: Values, z: Values) -> Result:
    """log10 of the half-light radius (major axis, kpc) of quiescent galaxies.

    van der Wel et al. (2014, ApJ 788, 28), figure 6: 5.6 kpc (1 + z)^-1.48 at 5e10 M_sun, as
    M^0.75 above 2e10, within 0.05 dex of their table 1; constant below, which is an approximation
    of the flattening that they describe.
    """
    mass = jnp.maximum(log_mstar, np.log10(2e10)) - np.log10(5e10)
    return np.log10(5.6) - 1.48 * jnp.log10(1 + z) + 0.75 * mass
