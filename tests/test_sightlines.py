"""Single sightlines through the intergalactic medium: against their means and published counts."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from flowspec.sim.galaxy import limit_systems
from flowspec.sim.galaxy.forest import (
    C_KMS,
    LYMAN_ALPHA,
    Forest,
    forest_power,
    lognormal_depth,
    transmission_scatter,
)
from flowspec.sim.galaxy.igm import LYMAN_LIMIT, Opacity

STEP = 6e-4  # in ln(wavelength), 180 km/s
WAVE = np.exp(np.arange(np.log(4000.0), np.log(7600.0), STEP))
SIGMA = 150.0
PIVOT = np.array([0.009])  # s/km
SHORT = np.linspace(880.0, 910.0, 7)  # angstrom at the source


@pytest.fixture(scope="module")
def forest():
    """Mean optical depth of Lyman alpha [n], and the transmission of 1,500 sightlines [1500, n]."""
    depth = np.asarray(Opacity(WAVE, STEP).lines[0], float)
    found = Forest(WAVE, depth, sigma=SIGMA)
    ratio = jax.jit(jax.vmap(found.ratio))(jr.split(jr.key(0), 1500))
    return depth, np.exp(-depth * np.asarray(ratio, float))


def test_power_of_the_forest_is_the_published_fit():
    """By hand at the pivots, and the maximum where it is cut."""
    assert forest_power(PIVOT, 3.0)[0] == pytest.approx(np.pi * 0.064 / 0.009)
    ratio = forest_power(PIVOT, 2.2)[0] / forest_power(PIVOT, 3.0)[0]
    assert ratio == pytest.approx((3.2 / 4.0) ** 3.55)
    k = np.geomspace(1e-6, 0.02, 400)
    for z in (2.2, 3.0, 4.4):
        power = forest_power(k, z)
        assert (np.diff(power) <= 1e-9).all() and power[0] == pytest.approx(power.max())


def test_a_long_stretch_scatters_by_the_power_at_small_wavenumbers():
    """Closed form: variance P(0) / L of a mean over L, and of a Gaussian P(0) / (2 sqrt(pi) s)."""
    low = forest_power(np.array([1e-6]), 3.0)[0]
    wide = transmission_scatter(3.0, width=1e5)
    assert wide**2 == pytest.approx(low / 1e5, rel=0.01)
    blurred = transmission_scatter(3.0, sigma=1e4)
    assert blurred**2 == pytest.approx(low / (2 * np.sqrt(np.pi) * 1e4), rel=0.01)


def test_scatter_is_of_the_size_that_was_measured():
    """Over Delta z = 0.1 at 1.9, 3.9 +0.5 -0.7 % of the continuum (Tytler et al. 2004), below the
    redshifts of the fit. Over 1070 to 1170 A, less than galaxies have, 0.10 and more at 3 to 5
    with the errors of measurement in it (Thomas et al. 2017, 2020)."""
    near = transmission_scatter(1.9, width=0.1 * C_KMS / 2.9) * 0.88
    assert 0.025 < near < 0.044
    window = C_KMS * np.log(1170 / 1070)
    for z, mean in ((3.0, 0.74), (4.0, 0.51), (5.0, 0.27)):
        absorbers = 1120 / LYMAN_ALPHA * (1 + z) - 1
        assert 0.015 < mean * transmission_scatter(absorbers, width=window) < 0.10


@pytest.mark.parametrize("mean", [0.05, 0.3, 0.7, 0.95])
def test_lognormal_depth_has_the_mean_and_the_scatter(mean):
    largest = np.sqrt((1 - mean) / mean)
    scatter = np.array([0.02, 0.2, 0.5]) * largest
    median, width = lognormal_depth(np.full(3, mean), scatter)
    x, weight = np.polynomial.hermite_e.hermegauss(100)  # another quadrature
    depth = median[:, None] * np.exp(width[:, None] * x)
    found = np.exp(-depth) @ weight / np.sqrt(2 * np.pi)
    second = np.exp(-2 * depth) @ weight / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(found, mean, rtol=2e-3)
    np.testing.assert_allclose(np.sqrt(second - found**2) / found, scatter, rtol=0.02)


def test_sightlines_keep_the_mean_and_have_the_scatter(forest):
    depth, transmission = forest
    mean, size = np.exp(-depth), len(transmission)
    blurred = [
        transmission_scatter(w / LYMAN_ALPHA - 1, width=C_KMS * STEP, sigma=SIGMA)
        for w in WAVE[::107]
    ]
    found = transmission.std(0)[::107] / mean[::107]
    np.testing.assert_allclose(found, blurred, rtol=0.1)  # 4 standard errors, of no normal
    error = transmission.std(0) / np.sqrt(size)
    assert np.abs((transmission.mean(0) - mean) / error).max() < 5  # of 1,070 pixels, 400 free


@pytest.mark.parametrize("z", [3.0, 4.0, 5.0])
def test_the_mean_of_a_window_scatters_by_the_power_spectrum(z, forest):
    _, transmission = forest
    window = (WAVE > 1070 * (1 + z)) & (WAVE < 1170 * (1 + z))
    means = transmission[:, window].mean(1)
    expected = transmission_scatter(
        1120 / LYMAN_ALPHA * (1 + z) - 1, width=C_KMS * np.log(1170 / 1070)
    )
    # the field has the shape of redshift 3, and a lognormal depth turns some power to small scales
    assert means.std() / means.mean() == pytest.approx(expected, rel=0.2)


def test_absorbers_are_as_many_as_are_counted():
    """Limit systems of an optical depth above 2 and damped systems, per unit redshift."""
    limit = np.log10(2 / limit_systems.CROSS_SECTION)
    assert abs(limit_systems.incidence(2.8, limit) - 1.21) < 0.28  # Worseck & Prochaska (2014)
    crighton = 1.46 * (4.5 / 4) ** 1.70  # Crighton et al. (2019), 8 %
    assert limit_systems.incidence(3.5, limit) == pytest.approx(crighton, rel=0.2)
    # Sanchez-Ramirez et al. (2016): 0.2 to 0.3 above 10^20.3 at redshift 3
    assert 0.2 < limit_systems.incidence(3.0, 20.3) < 0.3


@pytest.fixture(scope="module")
def absorbed():
    """Redshifts, columns and optical depths at `SHORT` of sightlines, by keys and redshift."""

    def one(key, z):
        absorbers = limit_systems.thick_absorbers(key, z)
        return *absorbers, limit_systems.continuum_depth(SHORT * (1 + z), z, absorbers)

    many = jax.jit(jax.vmap(one, (0, None)))
    return lambda seed, z: [np.asarray(a, float) for a in many(jr.split(jr.key(seed), 4000), z)]


@pytest.mark.parametrize("z", [3.0, 4.5])
def test_sightlines_have_the_mean_transmission_of_the_continuum(z, absorbed):
    """E[exp(-depth)] is that of Inoue et al. (2014), equations 25 to 29, which have no draws."""
    found = np.exp(-absorbed(1, z)[2])
    inoue = Opacity(SHORT * (1 + z), 1e-6)
    both, lines = np.asarray(inoue(z), float), np.asarray(inoue.lines, float).sum(0)
    np.testing.assert_allclose(found.mean(0), np.exp(lines - both), rtol=0.02)
    assert found.mean(1).std() > 0.2  # half of the sightlines are clear, some are black
    assert (found.mean(1) < 0.1).any() and (found.mean(1) > 0.8).any()


def test_one_thick_absorber_in_closed_form():
    """Opaque at its limit, as wavelength^3 blue of it, nothing red of it or of the source."""
    at, column = jnp.array([3.0, 2.5]), jnp.array([1e18, 0.0])
    wave = LYMAN_LIMIT * np.array([2.0, 3.9, 4.2, 4.6])
    alone = limit_systems.continuum_depth(wave, 3.4, (at, column))
    thin = limit_systems.continuum_depth(wave, 3.4, (at, 0 * column))
    expected = 1e18 * 6.3e-18 * np.array([0.5, 3.9 / 4, 0.0, 0.0]) ** 3
    np.testing.assert_allclose(alone - thin, expected, rtol=1e-4, atol=1e-6)
    assert thin[3] == 0 and (np.asarray(thin[:3]) > 0).all()


def test_absorbers_are_a_poisson_process_in_front_of_the_source(absorbed):
    redshift, column, _ = absorbed(2, 3.5)
    there = column > 0
    assert (redshift[there] < 3.5).all() and (column[there] >= 0.99 * limit_systems.THICK).all()
    number = there.sum(1)
    z = np.linspace(0, 3.5, 200)
    expected = np.trapezoid([limit_systems.incidence(x, 16.0) for x in z], z)
    assert abs(number.mean() - expected) < 4 * np.sqrt(expected / 4000)
    assert number.var() == pytest.approx(expected, rel=0.1)
    assert number.max() < limit_systems.COUNT
