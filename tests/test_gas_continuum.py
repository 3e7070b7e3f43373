"""The continuum of ionised gas against published emission coefficients and limits."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from flowspec.sim.galaxy import nebula, stars
from flowspec.sim.galaxy import recombination as gas
from flowspec.sim.galaxy.simulator import GalaxySimulator

# Recombination of hydrogen over H-beta, per angstrom, interpolated in the tables of Ercolano &
# Storey (2006, MNRAS 372, 1875), which hold exact cross-sections; H-beta of Storey & Hummer (1995).
ERCOLANO = {
    5e3: {2500: 4.185e-4, 3640: 6.813e-3, 3660: 3.362e-5, 5500: 1.987e-4, 8220: 6.255e-5},
    1e4: {2500: 1.682e-3, 3640: 4.524e-3, 3660: 2.262e-4, 5500: 3.599e-4, 8220: 1.058e-4},
    2e4: {2500: 3.096e-3, 3640: 3.396e-3, 3660: 5.324e-4, 5500: 4.405e-4, 8220: 1.193e-4},
}
HBETA = {5e3: 2.199e-25, 1e4: 1.235e-25, 2e4: 6.579e-26}


def per_angstrom(wave):
    """Hz per angstrom."""
    return gas.C * 1e8 / wave**2


@pytest.mark.parametrize("temperature", ERCOLANO)
def test_recombination_of_hydrogen_is_that_of_exact_cross_sections(temperature):
    wave, expected = (np.array(list(x), float) for x in
                      (ERCOLANO[temperature], ERCOLANO[temperature].values()))  # fmt: skip
    nu = gas.C * 1e8 / wave
    got = gas.hydrogen(nu, temperature) * per_angstrom(wave) / HBETA[temperature]
    np.testing.assert_allclose(got, expected, rtol=0.02)  # Gaunt factors are good to 1 %


def test_recombination_of_helium_is_that_of_exact_cross_sections():
    """Ercolano & Storey (2006) for He+/H+ = 0.1 at 1e4 K, over H-beta, per angstrom."""
    wave = np.array([2500.0, 3000.0, 3400.0, 3640.0, 5500.0])
    expected = [3.851e-4, 3.846e-4, 4.674e-4, 1.013e-4, 4.067e-5]
    got = 0.1 * gas.helium(gas.C * 1e8 / wave) * per_angstrom(wave) / gas.HBETA
    np.testing.assert_allclose(got, expected, rtol=0.12)


def test_gaunt_factors_are_the_exact_ones():
    """Karzas & Latter (1961) at the edges of n = 2 and 3; van Hoof et al. (2014) for free-free."""
    edges = [float(gas.gaunt_bound(n, np.ones(1))[0]) for n in (2, 3)]
    np.testing.assert_allclose(edges, [0.876, 0.908], rtol=0.01)
    free = gas.gaunt_free(gas.C / np.array([3e-5, 5.5e-5, 1e-4]), 1e4)
    assert (free > 1.1).all() and (free < 1.3).all() and (np.diff(free) > 0).all()


def test_each_decay_gives_two_photons_and_one_lyman_alpha_of_energy():
    """Of the 8.2249 decays per second (Nussbaumer & Schmutz 1984, table 1)."""
    y = np.linspace(0, 1, 20001)
    rate = gas.two_photon_rate(y)
    np.testing.assert_allclose(np.trapezoid(rate, y), 2 * 8.2249, rtol=2e-3)
    np.testing.assert_allclose(np.trapezoid(rate * y, y), 8.2249, rtol=2e-3)
    np.testing.assert_allclose(rate, rate[::-1], rtol=1e-9)
    nu = y * gas.LYMAN_ALPHA
    total = np.trapezoid(gas.two_photon(nu, density=0.0), nu)
    np.testing.assert_allclose(total, 0.838e-13 * gas.H * gas.LYMAN_ALPHA, rtol=2e-3)


def test_balmer_jump_measures_temperature():
    """Liu et al. (2001, MNRAS 327, 141), equation 3: Te = 368 (1 + 0.259 y+) (BJ / H11)^-1.5."""
    for temperature in (7e3, 1e4, 1.4e4):
        blue, red = gas.continuum(np.array([3643.0, 3681.0]), temperature, 0.1)
        h11 = 0.0397 * gas.HBETA * (temperature / 1e4) ** -0.87  # of the Balmer lines alike
        measured = 368 * (1 + 0.259 * 0.1) * ((blue - red) / h11) ** -1.5
        # as good as the two fits: a power law for H11, and theirs from 4000 to 20,000 K
        np.testing.assert_allclose(measured, temperature, rtol=0.07)


def test_gas_alone_has_the_largest_equivalent_width():
    """About 1000 angstrom of H-beta (Krueger et al. 1995, A&A 303, 41)."""
    assert 1000 < gas.HBETA / gas.continuum(np.array([4861.0]))[0] < 1500


def test_light_of_young_stars_is_partly_that_of_gas():
    """Tenths in the near ultraviolet in the first 10 Myr, less of older stars and in the visual.

    Reines et al. (2010, ApJ 708, 26) and Byler et al. (2017, ApJ 840, 44): most at the Balmer
    and Paschen jumps, 10 to 40 % at ages up to 5 Myr, below a few per cent after 10 Myr.
    """
    table = stars.load_stars()
    solar = list(table.log_z).index(0.0)
    halpha = 10 ** (nebula.LOG_HALPHA_PER_SFR - nebula.LOG_LSUN)

    def share(low, high, ages):
        wave = np.linspace(low, high, 50)
        mass = 1e9 * np.diff(table.age_edges)[ages]  # at 1 M_sun / yr
        light = np.interp(wave, table.wave, mass @ table.flux[solar, ages])
        ours = halpha * gas.continuum(wave) / gas.HALPHA
        return ours.sum() / (ours + light).sum()

    young, steady = slice(0, 1), slice(0, 3)
    assert 0.05 < share(2000, 2500, young) < 0.15
    assert 0.15 < share(3000, 3600, young) < 0.35
    assert share(3700, 4000, young) < 0.5 * share(3000, 3600, young)
    assert share(4500, 5500, steady) < 0.06


@pytest.mark.slow
def test_simulated_continuum_has_the_light_of_the_gas():
    """Its power and its Balmer jump on the lattice, without stars and lines."""
    sim = GalaxySimulator("sdss", nuisances=())
    dark = eqx.tree_at(
        lambda s: (s.star_table, s.line_table), sim,
        (jnp.zeros_like(sim.star_table), jnp.zeros_like(sim.line_table)),
    )  # fmt: skip
    theta = jnp.array([0.2, 10.0, 1.0, 0.5, 0.0, 0.0, -3.0, 8.6, 100.0])
    flux = eqx.filter_jit(dark.spectrum_of)(theta, jnp.zeros(0))
    rest = np.asarray(dark.wave) / 1.2
    p = dark.parameters(theta)
    halpha = 10 ** (p["log_sfr"] - p["log_mstar"] + nebula.LOG_HALPHA_PER_SFR - nebula.LOG_LSUN)
    expected = dark.flux_scale(p) * halpha * gas.continuum(rest) / gas.HALPHA / 1.2
    plain = ((rest > 3450) & (rest < 3600)) | ((rest > 3900) & (rest < 7500))  # between edges
    np.testing.assert_allclose(flux[plain], expected[plain], rtol=0.01)
