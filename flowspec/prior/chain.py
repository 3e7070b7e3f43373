"""What a `Population` believes of a galaxy of known redshift and mass, parameter by parameter.

Each function takes the parameters before it and gives a `Spread` for star-forming and one for
quiescent galaxies. A change of the numbers is a new version: model files whose prior holds a
population name the one that they were trained on.
"""

from collections.abc import Callable, Mapping

import jax.numpy as jnp
import numpy as np

from flowspec.prior import relations
from flowspec.prior.spread import Spread

# Share of star-forming galaxies that are starbursts, and dex above the main sequence: 3.3 % and 5.3
# times of Schreiber et al. (2015, A&A 575, A74; 2017, A&A 602, A96), after Sargent et al. (2012).
STARBURSTS, BURST = 0.033, 0.72
LAG = 0.35  # dex of iron behind oxygen in young stars: 0.40 +- 0.07 at redshift 3.4 (Cullen+21)


def _log_sfr(p):
    # EGG (`relations.quiescent_sfr`): no quiescent galaxy is expected above the main sequence
    sequence = relations.main_sequence(p["log_mstar"], p["universe"])
    quenched = jnp.minimum(relations.quiescent_sfr(p["log_mstar"], p["z"]), sequence)
    return Spread(sequence, 0.3, STARBURSTS, BURST), Spread(quenched, 0.4)


def _log_age(p):
    # approximation: quiescent galaxies formed their median star at about half the present age of
    # the Universe (Carnall et al. 2019, MNRAS 490, 417), star-forming ones later, both broad
    universe = jnp.log10(p["universe"])
    return Spread(universe + np.log10(0.3), 0.25), Spread(universe + np.log10(0.45), 0.15)


def _oh(p):
    # 0.1: scatter of single galaxies at high redshift (Sanders et al. 2021)
    mean = relations.oxygen_of_grid(relations.oxygen(p["log_mstar"], p["log_sfr"]))
    return (Spread(mean, float(np.hypot(0.1, relations.GRID_SCATTER))),) * 2


def _log_zstar(p):
    # the young stars have the gas's oxygen on the direct scale, for which the lag of iron was
    # found; quiescent: -0.13 with Z_sun = 0.02 at 10^11 M_sun (Carnall et al. 2022, ApJ 929, 131;
    # their other fit, 0.04 with 0.0142, is 0.02 dex from it); the scatters are approximations
    iron = p["oh"] - relations.GRID_OVER_DIRECT - relations.SOLAR_OH - LAG
    forming = relations.over_solar(iron, relations.ASPLUND_Z)
    return Spread(forming, 0.2), Spread(relations.over_solar(-0.13, relations.BC03_Z), 0.2)


def _av(p):
    # approximation: quiescent galaxies have little dust; the scatters too
    return Spread(relations.tilted_attenuation(p["log_mstar"]), 0.4), Spread(jnp.asarray(0.2), 0.25)


def _log_u(p):
    return (Spread(relations.ionisation_of_grid(p["oh"]), 0.25),) * 2


def _dispersion(p):
    forming = relations.rotating_dispersion(p["log_mstar"])
    return Spread(forming, 0.16), Spread(relations.dispersion(p["log_mstar"]), 0.1)


def _first_log_sfr(p):
    forming = relations.main_sequence(p["log_mstar"], p["universe"])
    return Spread(forming, 0.3), Spread(relations.quiescent_sfr(p["log_mstar"], p["z"]), 0.4)


def _first_oh(p):
    return (Spread(relations.oxygen(p["log_mstar"], p["log_sfr"]), 0.1),) * 2


def _first_log_zstar(p):
    return Spread(p["oh"] - relations.SOLAR_OH - 0.35, 0.2), Spread(jnp.asarray(-0.13), 0.2)


def _first_av(p):
    return Spread(relations.attenuation(p["log_mstar"]), 0.4), Spread(jnp.asarray(0.2), 0.25)


def _first_log_u(p):
    return (Spread(relations.ionisation(p["oh"]), 0.25),) * 2


def _first_dispersion(p):
    return (Spread(relations.dispersion(p["log_mstar"]), 0.1),) * 2


Chain = Mapping[str, Callable[[dict], tuple[Spread, Spread]]]

# What a `Population` draws after redshift and mass, in this order (log10 of the dispersion), given
# those before and the age of the Universe ("universe", Gyr).
CHAIN: Chain = {
    "log_sfr": _log_sfr, "log_age": _log_age, "oh": _oh, "log_zstar": _log_zstar, "av": _av,
    "log_u": _log_u, "dispersion": _dispersion,
}  # fmt: skip
# Of flowspec 0.1: half of the prior of the `moons` model that it shipped.
FIRST: Chain = CHAIN | {
    "log_sfr": _first_log_sfr, "oh": _first_oh, "log_zstar": _first_log_zstar, "av": _first_av,
    "log_u": _first_log_u, "dispersion": _first_dispersion,
}  # fmt: skip
CHAINS: dict[int, Chain] = {1: FIRST, 2: CHAIN}
LATEST = max(CHAINS)
