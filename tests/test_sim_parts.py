"""The ingredients of the simulator against closed forms and published numbers."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM, Planck18

from flowspec.prior.cosmos import Cosmos
from flowspec.sim.galaxy import igm, interstellar, nebula, stars
from flowspec.sim.galaxy.weights import linear_weights
from flowspec.sim.instrument.instrument import Instrument, PixelOperator
from flowspec.sim.instrument.lattice import C_KMS, Lattice
from flowspec.sim.instrument.shipped import INSTRUMENTS

SUN_5500 = 1.367e-4  # L_sun per angstrom of the Sun at 5500 A: 1.86 of 1361 W/m2 (ASTM E490)


@pytest.fixture(scope="module")
def table():
    return stars.load_stars()


@pytest.fixture(scope="module")
def grid():
    return nebula.load_nebula()


def band(table, low, high):
    """Mean flux [metallicities, ages] between two wavelengths."""
    inside = (table.wave > low) & (table.wave < high)
    return table.flux[..., inside].mean(-1)


# --- intergalactic and interstellar gas ------------------------------------------------------


@pytest.mark.parametrize("z", [2.5, 3.0, 3.5, 4.0, 4.5])
def test_lyman_alpha_forest_matches_becker_et_al(z):
    # tau_eff = 0.751 ((1 + z) / 4.5)^2.90 - 0.132 (Becker et al. 2013, MNRAS 430, 2067)
    opacity = igm.Opacity(np.array([1215.67 * (1 + z)]), 1e-4)
    expected = 0.751 * ((1 + z) / 4.5) ** 2.90 - 0.132
    np.testing.assert_allclose(opacity(z + 0.2)[0], expected, rtol=0.15)


def test_igm_coefficients_of_inoue():
    # equation 21 with table 2 at n = 2: 1.690e-2 x^1.2, 2.354e-3 x^3.7 and 1.026e-4 x^5.5, plus
    # equation 22: 1.617e-4 x^2 and 5.390e-5 x^3
    x = np.array([2.0, 4.0, 6.5])
    forest = [1.690e-2 * 2**1.2, 2.354e-3 * 4**3.7, 1.026e-4 * 6.5**5.5]
    damped = [1.617e-4 * 2**2, 5.390e-5 * 4**3, 5.390e-5 * 6.5**3]
    tau = [igm.Opacity(1215.67 * x, 1e-4)(s - 0.99)[i] for i, s in enumerate(x)]
    np.testing.assert_allclose(tau, np.add(forest, damped), rtol=1e-4)


def test_igm_is_clear_redward_of_lyman_alpha_and_opaque_beyond_the_limit():
    wave = np.array([800.0 * 5, 1100.0 * 5, 1220.0 * 5])
    tau = igm.Opacity(wave, 1e-4)(4.0)
    assert tau[2] == 0 and 0.3 < tau[1] < 1.5 and tau[0] > 2


@pytest.mark.parametrize("z", [1.2, 2.0, 4.7])
def test_igm_is_continuous_where_its_laws_meet(z):
    opacity = igm.Opacity(np.linspace(1500, 5000, 500), 1e-3)
    np.testing.assert_allclose(opacity(z - 1e-5), opacity(z + 1e-5), rtol=0.01, atol=0.02)


def test_damping_wing_has_its_equivalent_width():
    # W = 7.3 A (N / 1e20)^1/2 for damped Lyman alpha (Draine 2011, equation 9.27)
    wave = jnp.linspace(1000, 1500, 200001)
    for log_column in (20.0, 21.0):
        tau = interstellar.damped_lyman_alpha(wave, log_column)
        width = (1 - jnp.exp(-tau)).sum() * (wave[1] - wave[0])
        np.testing.assert_allclose(width, 7.3 * 10 ** (0.5 * (log_column - 20)), rtol=0.03)


def test_metal_lines_have_their_equivalent_widths():
    ln_rest = jnp.linspace(np.log(1500), np.log(1560), 20001)
    lines = interstellar.LINES[np.abs(interstellar.LINES[:, 0] - 1526.71) < 1]
    tau = interstellar.metal_opacity(ln_rest, jnp.ones(1), lines, jnp.zeros(1), 200.0)
    width = ((1 - jnp.exp(-tau)) * jnp.exp(ln_rest)).sum() * (ln_rest[1] - ln_rest[0])
    np.testing.assert_allclose(width, lines[0, 1], rtol=0.1)


# --- stars -----------------------------------------------------------------------------------


def test_mass_to_light_of_an_old_population(table):
    # Chabrier, solar, 10 Gyr: M*/L_V of 2.5 to 3.5 with remnants (BC03, figure 4; Maraston 2005)
    solar, old = list(table.log_z).index(0.0), np.searchsorted(table.age_edges, 10.0) - 1
    luminosity = band(table, 5450, 5550)[solar, old] / SUN_5500
    assert 2.2 < stars.surviving_fraction(10.0) / luminosity < 4.0


def test_d4000_grows_with_age_and_metallicity(table):
    d4000 = band(table, 4000, 4100) / band(table, 3850, 3950)  # Balogh et al. 1999
    old = table.age_edges[1:] > 0.2
    assert (np.diff(d4000[table.log_z > -1][:, old], axis=1) > -0.01).all()
    assert (np.diff(d4000[:, -1]) > 0).all()
    solar = d4000[list(table.log_z).index(0.0)]
    assert 1.7 < solar[-1] < 2.2 and 0.9 < solar[0] < 1.15


def test_the_two_libraries_join_without_a_step(table):
    for edge in (3541.0, 7411.0):
        below, above = band(table, edge - 60, edge - 8), band(table, edge + 8, edge + 60)
        assert np.abs(np.log(above / below)).max() < 0.25


def test_ultraviolet_light_of_constant_star_formation(table):
    # L_1500 per SFR of Kennicutt & Evans (2012, Kroupa): log L_nu/SFR = 43.35 - log nu = 28.05
    widths = np.diff(table.age_edges) * (table.age_edges[1:] < 0.11) * 1e9
    solar = list(table.log_z).index(0.0)
    per_angstrom = (band(table, 1450, 1550)[solar] * widths).sum() * 10**nebula.LOG_LSUN
    per_hertz = per_angstrom * 1500**2 / 2.998e18
    np.testing.assert_allclose(np.log10(per_hertz), 28.05, atol=0.06)


def test_returned_mass_of_chabrier():
    # half of the mass after 10 Gyr, a fifth to a quarter after 100 Myr (Leitner & Kravtsov 2011)
    np.testing.assert_allclose(1 - stars.surviving_fraction(10.0), 0.483, atol=0.005)
    np.testing.assert_allclose(1 - stars.surviving_fraction(0.1), 0.271, atol=0.005)


def history(ssfr, log_age, burst=0.0, universe=12.0):
    edges = stars.load_stars().age_edges
    return edges, np.asarray(stars.formed_mass(ssfr, log_age, burst, edges, universe))


def test_star_formation_history_keeps_its_promises():
    edges, formed = history(10**-9.5, 0.3, burst=0.3)
    middle = 0.5 * (edges[1:] + edges[:-1])
    np.testing.assert_allclose((formed * stars.surviving_fraction(middle)).sum(), 1.0, rtol=1e-4)
    young = edges[1:] < 0.1001
    np.testing.assert_allclose(formed[young].sum() / 1e8, 10**-9.5, rtol=1e-5)
    np.testing.assert_allclose(formed[0] / 1e7, 10**-9.2, rtol=1e-5)
    share = np.cumsum(formed[~young]) / formed[~young].sum()
    np.testing.assert_allclose(np.interp(0.5, share, edges[1:][~young]), 2.0, rtol=0.15)


def test_no_star_is_older_than_the_universe():
    edges, formed = history(1e-10, 1.1, universe=1.5)
    assert formed[edges[:-1] > 1.5].max() == 0 and np.isfinite(formed).all()


def test_extreme_star_formation_stays_finite_and_positive():
    _, formed = history(10**-7.5, 0.0)
    assert np.isfinite(formed).all() and (formed >= 0).all()


def test_metallicity_weights_interpolate():
    nodes = jnp.array([-1.0, 0.0, 0.5])
    for x in (-2.0, -0.3, 0.1, 0.9):
        weights = linear_weights(x, nodes)
        np.testing.assert_allclose(weights.sum(), 1.0, rtol=1e-6)
        np.testing.assert_allclose(weights @ nodes, np.clip(x, -1, 0.5), atol=1e-6)


# --- emission lines --------------------------------------------------------------------------


def test_balmer_lines_are_case_b(grid):
    # 2.86 and 0.468 at 1e4 K, 2.74 to 3.04 for 2e4 to 5e3 K (Osterbrock & Ferland 2006, table 4.4)
    for log_u, oh in ((-3.5, 8.4), (-2.5, 8.0), (-3.0, 8.8)):
        ratio = 10 ** nebula.line_ratios(grid, log_u, oh)
        flux = dict(zip(grid.names, ratio, strict=True))
        assert 2.7 < flux["Halpha"] / flux["Hbeta"] < 3.15
        np.testing.assert_allclose(flux["Hgamma"] / flux["Hbeta"], 0.468, rtol=0.04)


def test_fixed_doublets(grid):
    flux = dict(zip(grid.names, 10 ** nebula.line_ratios(grid, -3.0, 8.5), strict=True))
    np.testing.assert_allclose(flux["OIII5007"] / flux["OIII4959"], 2.98, rtol=1e-3)
    np.testing.assert_allclose(flux["NII6583"] / flux["NII6548"], 3.05, rtol=1e-3)
    assert 1.0 < flux["SII6716"] / flux["SII6731"] < 1.45


def test_lines_follow_abundance_and_ionisation(grid):
    def flux(log_u, oh):
        return dict(zip(grid.names, 10 ** nebula.line_ratios(grid, log_u, oh), strict=True))

    assert flux(-3, 8.8)["NII6583"] > 3 * flux(-3, 8.1)["NII6583"]
    low, high = flux(-3.5, 8.4), flux(-2.3, 8.4)
    assert high["OIII5007"] / high["OII3729"] > 5 * low["OIII5007"] / low["OII3729"]


def test_grid_points_are_reproduced(grid):
    i, j, k = 3, 2, 5
    got = nebula.line_ratios(grid, grid.log_u[i], grid.oh[k], grid.log_pk[j])
    np.testing.assert_allclose(got, grid.log_flux[i, j, k], atol=1e-5)


def test_lines_can_be_chosen_and_normalised(grid):
    some = grid.ratios_to("Halpha").between(4800.0, 5100.0)
    got = nebula.line_ratios(some, -3.0, 8.5)
    every = dict(zip(grid.names, nebula.line_ratios(grid, -3.0, 8.5), strict=True))
    assert "OIII5007" in some.names and "Halpha" not in some.names
    expected = every["OIII5007"] - every["Halpha"]
    np.testing.assert_allclose(got[some.names.index("OIII5007")], expected, atol=1e-5)


# --- cosmology, lattice and pixels -----------------------------------------------------------


@pytest.mark.parametrize("cosmology", [Planck18, FlatLambdaCDM(H0=70, Om0=0.3)])
def test_distances_and_ages_match_astropy(cosmology):
    cosmos = Cosmos(cosmology, 7.0)
    for z in (1e-4, 0.0123, 0.31, 1.7, 6.93):
        expected = np.log10(cosmology.luminosity_distance(z).to_value("Mpc"))
        np.testing.assert_allclose(cosmos.log_distance(z), expected, atol=2e-6)
        np.testing.assert_allclose(cosmos.age(z), cosmology.age(z).to_value("Gyr"), rtol=1e-4)


@pytest.fixture(scope="module")
def lattice():
    return Lattice.covering(np.log(3000), np.log(10000), 1.15e-4)


def line(lattice, wave, sigma, shift=0.0):
    """One emission line of unit power on the lattice."""
    pairs = jnp.asarray(lattice.of_lines(np.array([wave]))).reshape(2, -1)
    return lattice.shifted(pairs * lattice.broaden(sigma), shift)


def moments(x, weight):
    mean = (x * weight).sum() / weight.sum()
    return mean, np.sqrt(((x - mean) ** 2 * weight).sum() / weight.sum())


@pytest.mark.parametrize("shift", [0.0, 0.1234567, 0.4])
def test_lines_are_gaussians_in_the_right_place(lattice, shift):
    x = np.log(lattice.wave)
    got = np.asarray(line(lattice, 5008.24, 60.0, shift), float)
    sigma = 60.0 / C_KMS
    expected = np.exp(-0.5 * ((x - np.log(5008.24) - shift) / sigma) ** 2)
    expected /= sigma * np.sqrt(2 * np.pi)
    np.testing.assert_allclose(got, expected, atol=2e-3 * expected.max())


def test_spectra_survive_the_lattice(lattice):
    wave = np.linspace(2500, 11000, 20000)
    power = (wave / 5000)[None] ** np.array([[1.0], [-2.0]])
    pairs = jnp.asarray(lattice.of_spectra(wave, power))[1].reshape(2, -1)
    z = 0.0321
    got = lattice.shifted(pairs * lattice.broaden(150.0), np.log1p(z))
    inside = (lattice.wave > 3600) & (lattice.wave < 9500)
    expected = (lattice.wave / (1 + z) / 5000) ** -2.0
    np.testing.assert_allclose(np.asarray(got)[inside], expected[inside], rtol=2e-4)


@pytest.mark.parametrize("name", sorted(set(INSTRUMENTS) - {"prism"}))  # test_prism.py
def test_pixels_conserve_flux_and_add_widths_in_quadrature(name):
    instrument = INSTRUMENTS[name]()
    ends = np.log(instrument.wave[[0, -1]]) + np.array([-0.05, 0.05])
    lattice = Lattice.covering(ends[0], ends[1], instrument.step)
    pixels = PixelOperator(instrument, lattice)
    near_infrared = (7001.91, 11000.37, 16201.0)
    for wave in near_infrared if name.startswith("moons") else (5300.37, 7001.91, 8999.0):
        light = line(lattice, wave, 80.0)[pixels.first : pixels.last]
        flux = np.asarray(pixels(light), float)
        np.testing.assert_allclose((flux * instrument.widths).sum(), 1.0, rtol=2e-4)
        near = np.abs(np.log(instrument.wave / wave)) < 2500 / C_KMS
        mean, width = moments(np.log(instrument.wave)[near] * C_KMS, flux[near])
        lsf = np.interp(wave, instrument.wave, instrument.lsf)
        assert abs(mean - np.log(wave) * C_KMS) < 0.004 * lsf
        pixel = np.interp(wave, instrument.wave, instrument.widths) * C_KMS
        # the lattice's own band limit is not part of the budget; a varying LSF is, a little
        np.testing.assert_allclose(width, np.sqrt(80**2 + lsf**2 + pixel**2 / 12), rtol=0.01)


def test_linear_pixels_agree_with_logarithmic_ones():
    """Any grid, also one whose pixels are no fixed number of lattice points."""
    wave = np.linspace(5000, 6000, 501)
    flat = np.ones_like(wave)
    instrument = Instrument("linear", wave, 100.0 * flat, flat, (1.0, 10.0))
    lattice = Lattice.covering(np.log(4800), np.log(6200), instrument.step)
    pixels = PixelOperator(instrument, lattice)
    light = line(lattice, 5500.2, 100.0)[pixels.first : pixels.last]
    per_angstrom = np.asarray(eqx.filter_jit(pixels)(light)) / wave
    np.testing.assert_allclose(per_angstrom.sum() * 2.0, 1.0, rtol=1e-3)
