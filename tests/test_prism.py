"""JWST/NIRSpec prism: resolution, zero point, breaks and lines, and light red of 1.2 micron."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.special import ndtr

import flowspec as fs
from flowspec.sim.galaxy import dust, infrared, nebula, stars
from flowspec.sim.instrument.instrument import PixelOperator, moved
from flowspec.sim.instrument.lattice import C_KMS, Lattice
from flowspec.sim.instrument.prism import prism, reduced_pixels, resolving_power
from flowspec.sim.simulator import draw_many

FWHM = np.sqrt(8 * np.log(2))


@pytest.fixture(scope="module")
def instrument():
    return prism()


@pytest.fixture(scope="module")
def optics(instrument):
    """Lattice and pixels, without a simulator."""
    ends = np.log(instrument.wave[[0, -1]]) + np.array([-0.2, 0.1])
    lattice = Lattice.covering(*ends, instrument.step)
    return lattice, PixelOperator(instrument, lattice)


@pytest.fixture(scope="module")
def sim():
    """Without nuisances but those that the test sets."""
    return fs.GalaxySimulator("prism", nuisances=("lsf", "zero"))


@pytest.fixture(scope="module")
def table():
    return stars.load_stars()


def line(optics, wave, sigma, *seen):
    """Pixels of a line of unit area at `wave` (angstrom) and of a width in km/s."""
    lattice, pixels = optics
    pairs = jnp.asarray(lattice.of_lines(np.array([wave])))[0].reshape(2, -1)
    light = lattice.shifted(pairs * lattice.broaden(sigma), 0.0)
    return np.asarray(pixels(light[pixels.first : pixels.last], *seen), float)


def test_resolution_is_the_published_one():
    """JWST User Documentation, NIRSpec Dispersers and Filters: 30 at 1.2 and 300 at 5.3 micron, 100
    at 3 micron (Jakobsen et al. 2022, figure 9), read from the figures to a tenth."""
    at = np.array([12000.0, 30000.0, 53000.0])
    np.testing.assert_allclose(resolving_power(at), [30, 95, 300], rtol=0.1)


def test_pixels_are_not_much_finer_than_the_finest_of_the_detector(instrument):
    element = 1 / resolving_power(instrument.wave[-1:])[0]
    assert 2.2 < element / instrument.widths[0] < 2.6
    assert np.ptp(instrument.widths) < 1e-6


def test_reduced_pixels_are_those_of_real_spectra(data):
    """They only say where noise is independent: half a pixel of 706."""
    obs = fs.read(data / "spectra" / "jades" / "000110_prism_clear_v5.0_1D.fits")
    assert len(obs.wave) == len(reduced_pixels())
    off = np.abs(reduced_pixels() - obs.wave) / np.gradient(obs.wave)
    assert off.max() < 0.7


@pytest.mark.parametrize("wave", [7000.0, 12000.0, 20000.0, 35000.0, 50000.0])
@pytest.mark.parametrize("wider", [1.0, 1.15, 1.5, 1.8, 2.0])
def test_lines_have_the_closed_form_at_any_width_of_a_source(instrument, optics, wave, wider):
    """A Gaussian through a Gaussian and a box: each pixel by its own line-spread function."""
    flux = line(optics, wave, 150.0, np.log(wider))
    x, w = np.log(instrument.wave / wave), instrument.widths
    sigma = np.hypot(wider * instrument.lsf, 150.0) / C_KMS
    expected = (ndtr((x + w / 2) / sigma) - ndtr((x - w / 2) / sigma)) / w
    # 0.2 % by the cubic in ln(width) where the galaxy adds nothing; 0.3 with the lattice's limit
    np.testing.assert_allclose(flux, expected, atol=3e-3 * expected.max())


@pytest.mark.parametrize("zero", [-1.0, 0.3, 1.0])
def test_zero_point_moves_lines_by_a_quarter_of_a_pixel_of_the_detector(instrument, optics, zero):
    for wave in (8000.0, 15000.0, 30000.0, 48000.0):
        x, w = np.log(instrument.wave / wave), instrument.widths
        here, there = (line(optics, wave, 150.0, 0.0, shift) for shift in (0.0, zero))
        centre = [(x * f * w).sum() / (f * w).sum() for f in (here, there)]
        quarter = 0.25 / 2.2 / resolving_power(np.array([wave]))[0]
        # the shift itself changes by 1 to 2 % along the line
        assert centre[1] - centre[0] == pytest.approx(zero * quarter, rel=0.03)
        width = [np.sqrt((x**2 * f * w).sum() / (f * w).sum() - c**2)
                 for f, c in zip((here, there), centre, strict=True)]  # fmt: skip
        assert width[1] == pytest.approx(width[0], rel=0.01)


def test_a_moved_spectrum_keeps_area_place_and_width():
    x = np.arange(200.0)
    narrow = np.exp(-0.5 * ((x - 100) / 1.6) ** 2)  # as the finest line-spread function
    for step in (0.5, -3.25):
        got = np.asarray(moved(jnp.asarray(narrow), jnp.full(200, step)), float)
        expected = np.exp(-0.5 * ((x - 100 - step) / 1.6) ** 2)
        np.testing.assert_allclose(got, expected, atol=0.02)
        assert got.sum() == pytest.approx(narrow.sum(), rel=1e-4)
        assert (got * x).sum() / got.sum() == pytest.approx(100 + step, abs=1e-3)


def test_nothing_is_blue_of_lyman_alpha_at_redshift_10(sim):
    theta = {"z": 10.0, "log_mstar": 9.0, "log_sfr": 1.0, "log_age": -0.5, "log_zstar": -1.0,
             "av": 0.2, "log_u": -2.5, "oh": 8.0}  # fmt: skip
    theta = jnp.array([theta[name] for name in sim.prior.names])
    flux = np.asarray(sim.spectrum_of(theta, jnp.zeros(sim.layout.size)), float)
    edge, sigma = 1215.67 * 11, 1.5 / resolving_power(np.array([13372.0]))[0] / FWHM
    blue = sim.wave < edge * (1 - 4.5 * sigma)
    red = (sim.wave > edge * (1 + 4.5 * sigma)) & (sim.wave < 1.5 * edge)
    assert blue.sum() > 300 and np.abs(flux[blue]).max() < 1e-3 * flux[red].mean()
    middle = np.interp(edge, sim.wave, flux) / flux[red][:30].mean()
    assert 0.35 < middle < 0.6  # half of a step, and the continuum is not flat


def test_brightest_line_of_a_young_galaxy_is_where_it_belongs(sim):
    for z, rest in ((2.0, 6564.6), (6.5, 5008.2)):
        theta = {"z": z, "log_mstar": 9.0, "log_sfr": 1.0, "log_age": -0.5, "log_zstar": -1.0,
                 "av": 0.2, "log_u": -2.2 if z > 4 else -3.5, "oh": 8.0}  # fmt: skip
        theta = jnp.array([theta[name] for name in sim.prior.names])
        flux = np.asarray(sim.spectrum_of(theta, jnp.zeros(sim.layout.size)), float)
        near = np.abs(np.log(sim.wave / rest / (1 + z))) < 0.05
        assert sim.wave[near][flux[near].argmax()] == pytest.approx(rest * (1 + z), rel=1.5e-3)


def test_draws_are_finite_and_of_every_redshift():
    sim = fs.GalaxySimulator("prism")
    theta, flux, ivar = draw_many(sim, jr.key(0), 32)
    assert np.isfinite(flux).all() and (ivar > 0).all()
    z = theta[:, sim.prior.names.index("z")]
    assert z.min() < 2 and z.max() > 12
    assert "zero" in sim.layout.names and sim.known[sim.layout.place("zero")].all()
    assert "zero" not in fs.GalaxySimulator("sdss").layout.names


# Light red of 1.2 micron


def test_light_goes_on_where_two_tables_join(table):
    """The step from the last point of the one to the first of the other is one like those around,
    of 50 A each: up to 7 % in the bands of cool giants, and 1.6 % more than elsewhere just there in
    metal-rich models of BC03, which have it on both sides."""
    at = int(np.abs(table.wave - 11978.3).argmin())
    step = np.abs(np.diff(np.log(table.flux), axis=-1))[..., at - 8 : at + 9]
    assert (step[..., 8] < np.delete(step, 8, axis=-1).max(-1) + 0.02).all()
    assert table.wave[-1] >= 59000 and (np.diff(table.wave) > 0).all()


def test_hot_stars_are_in_the_rayleigh_jeans_limit(table):
    """F_lambda of a black body of 20,000 K from 3 to 5.4 micron, closed form: power of -3.85; the
    youngest populations have some supergiants of 3,500 K (-3.4)."""
    x = 1.4388e8 / 2e4 / np.array([3e4, 5.4e4])
    hot = np.log(1.8**-5 * np.expm1(x[0]) / np.expm1(x[1])) / np.log(1.8)
    flux = [table_at(table, 5, 0, wave) for wave in (3e4, 5.4e4)]
    assert np.log(flux[1] / flux[0]) / np.log(1.8) == pytest.approx(hot, abs=0.3)


def table_at(table, metallicity, age, low, high=None):
    """Flux, or the mean in a box (angstrom)."""
    wave = np.linspace(low, high or low, 200 if high else 1)
    return np.interp(wave, table.wave, table.flux[metallicity, age]).mean()


# 2MASS as boxes (angstrom) and Vega in them, erg/s/cm2/A (Cohen, Wheaton & Megeath 2003, table 2)
J, K = (11100, 14000, 3.129e-10), (20000, 23200, 4.283e-11)


def j_k(table, age):
    flux = [table_at(table, 5, age, *band[:2]) / band[2] for band in (J, K)]
    return 2.5 * np.log10(flux[1] / flux[0])


def test_infrared_colours_of_old_populations_are_those_of_ellipticals(table):
    """J - K of ellipticals is 0.87 +- 0.05 (Frogel et al. 1978; 2MASS: Jarrett et al. 2003, 0.9 to
    0.95); boxes for bands cost 0.03, the mean metallicity as much. [3.6] - [4.5] is -0.05 +- 0.05
    (Vega; Peletier et al. 2012), by CO in the redder band; AB is 0.48 less."""
    assert j_k(table, 15) == pytest.approx(0.9, abs=0.1)
    short, long = table_at(table, 5, 15, 31900, 39400), table_at(table, 5, 15, 40000, 50200)
    ab = 2.5 * np.log10(long * 4.5**2 / (short * 3.55**2))
    assert ab == pytest.approx(-0.53, abs=0.1)


def test_young_populations_are_bluer_in_the_infrared(table):
    """By 0.2 to 0.4 mag in J - K below 10 Myr: hot stars have -0.2, red supergiants 1.0."""
    assert 0.15 < j_k(table, 15) - j_k(table, 0) < 0.6


def test_dust_absorbs_ever_less_in_the_infrared():
    wave = np.linspace(15000, 60000, 500)
    curve = np.asarray(dust.calzetti(jnp.asarray(wave)))
    assert (curve > 0).all() and (np.diff(curve) < 0).all()
    at = np.asarray(dust.calzetti(jnp.array([21999.0, 22001.0])))
    np.testing.assert_allclose(at[0], at[1], rtol=1e-3)


def test_lines_of_hydrogen_are_case_b_in_both_tables():
    """Storey & Hummer (1995) at 1e4 K, 100 cm-3 over H-beta, and the Rydberg formula."""
    formed, nuclear = infrared.line_tables(1200.0, 60000.0)
    assert formed.names == nuclear.names and (np.diff(formed.wave) > 0).all()
    cases = {"Pabeta": (3, 5, 0.163), "Paalpha": (3, 4, 0.339), "Brgamma": (4, 7, 0.0278),
             "Brbeta": (4, 6, 0.0455), "Bralpha": (4, 5, 0.0802),
             "Pfbeta": (5, 7, 0.0162)}  # fmt: skip
    hbeta = formed.log_flux[..., formed.names.index("Hbeta")]
    for name, (low, high, ratio) in cases.items():
        at = formed.names.index(name)
        wave = 1e8 / 109677.58 / (low**-2.0 - high**-2.0)
        assert formed.wave[at] == pytest.approx(wave, rel=2e-5)
        np.testing.assert_allclose(10 ** (formed.log_flux[..., at] - hbeta), ratio, rtol=0.01)
    assert "Pabeta" not in nebula.load_nebula().names  # catalogues of lines are as they were
    optical = infrared.line_tables(3000.0, 9500.0)[0]
    assert not set(infrared.LINES) & set(optical.names)
