"""MOONS against hand-counted electrons, closed forms and moons1d's own simulator."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from astropy import constants, units
from numpy.testing import assert_allclose, assert_array_equal

from benchmarks.moons1d_cases import CASES
from benchmarks.moons_reference import arms_of, signal_to_noise
from flowspec.prior.parameters import broad_prior
from flowspec.sim.galaxy.simulator import GalaxySimulator
from flowspec.sim.instrument.exposure import Coadd, ExposureNoise
from flowspec.sim.instrument.fibre import (
    dispersion_shift,
    fibre_fraction,
    gaussian_in_aperture,
    image_quality,
)
from flowspec.sim.instrument.moons import RESIDUAL, TABLE, load_channels, moons
from flowspec.sim.tables import build_moons
from tests.test_sim_tables import package

# Noiseless S/N of moons1d 1.0.3 by benchmarks/moons1d_cases.py, which uses it untouched: medians of
# the arms RI, YJ, H; then every thousandth of the 12,217 channels from the 500th on.
REFERENCE = {
    "AB 22, 2 h": (
        (3.5221, 5.0656, 3.0549),
        (4.7239, 4.4685, 3.5512, 3.0420, 4.7787, 1.8727, 5.2502, 1.6672, 3.2019, 3.6808, 3.1042,
         3.1257),
    ),
    "AB 24, 8 h": (
        (1.1490, 1.6455, 0.9799),
        (1.5620, 1.4733, 1.1601, 0.9847, 1.5398, 0.5950, 1.7056, 0.5300, 1.0282, 1.1833, 0.9969,
         1.0049),
    ),
    "AB 18, 0.5 h, best sky": (
        (42.2338, 60.4806, 45.4445),
        (51.8241, 48.2462, 41.3849, 39.7150, 66.9534, 38.6009, 63.1422, 27.2170, 47.0999, 51.7952,
         44.9009, 43.8327),
    ),
    "AB 22, 4 h, worst sky": (
        (2.5303, 3.5623, 2.2643),
        (2.7900, 2.9966, 2.5571, 2.4061, 3.2738, 1.3341, 3.6905, 1.8466, 2.2356, 2.7723, 2.2776,
         2.3332),
    ),
    "AB 23, 1 h of 60 s": (
        (0.5891, 1.0120, 0.6745),
        (0.7450, 0.7107, 0.5745, 0.5572, 1.1061, 0.5109, 1.0767, 0.4409, 0.6956, 0.8166, 0.6619,
         0.6452),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def channels():
    return load_channels(1.2)


@pytest.fixture(scope="module")
def fine():
    return moons(size=(0.3, 0.3))


@pytest.fixture(scope="module")
def coarse():
    return moons(4, size=(0.3, 0.3))


def flat(instrument, value=0.02):
    return jnp.full(len(instrument.wave), value, jnp.float32)


def snr(instrument, flux, hours=4.0):
    return np.asarray(flux * jnp.sqrt(instrument.exposure.ivar(flux, hours, 0.3)), float)


# --- channels --------------------------------------------------------------------------------


def test_channels_are_those_of_three_arms(channels):
    assert len(channels.wave) == 12217 and (np.diff(channels.wave) > 0).all()
    jumps = np.flatnonzero(np.diff(channels.wave) > 2)
    assert len(jumps) == 1
    gap = channels.wave[jumps[0] + np.arange(2)]
    assert_allclose(gap, (13500, 14520), atol=1.5)
    assert_allclose(channels.wave[[0, -1]], (6470, 18000), atol=1.5)
    fwhm = channels.lsf / 299792.458 * channels.wave * 2.3548
    assert_allclose(fwhm / channels.width, 2.7, rtol=1e-6)
    for centre, resolution in ((7905, 4200), (11420, 4300), (16260, 6700)):
        assert_allclose(centre / np.interp(centre, channels.wave, fwhm), resolution, rtol=1e-6)


def test_widths_are_those_of_the_arms_at_the_gap(fine, channels):
    assert_allclose(fine.widths * fine.wave, channels.width)


@pytest.mark.parametrize(
    "wrong",
    [{"airmass": 2.3}, {"size": (0.5, 0.1)}, {"size": (0.0, 0.1)}, {"hours": ()}, {"dit": 0.0}],
)
def test_what_cannot_be_observed_is_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        moons(**wrong)


# --- light in the fibre ----------------------------------------------------------------------


def test_a_centred_point_source_has_the_closed_form():
    wave = np.array([6500.0, 12000.0, 17500.0])
    sigma = image_quality(wave, 0.8, 1.0) / 2.3548
    expected = 1 - np.exp(-0.5 * (0.55 / sigma) ** 2)
    assert_allclose(fibre_fraction(wave, 0.0, airmass=1.0), expected, rtol=1e-6)


def test_a_huge_disc_fills_the_fibre_evenly():
    # central surface brightness of an exponential disc of half-light radius 1 is b^2 / (2 pi)
    b, size = 1.67835, 8.0
    expected = b**2 / (2 * np.pi) * np.pi * (0.55 / size) ** 2
    got = fibre_fraction(np.array([12000.0]), size)
    assert_allclose(got, expected * (1 - b * 0.6 / size), rtol=0.04)


@pytest.mark.parametrize("size", [0.1, 0.3, 0.8])
def test_a_disc_in_seeing_is_the_convolution_on_a_fine_image(size):
    x = 0.02 * (np.arange(1024) - 512)
    r = np.hypot(x, x[:, None])
    disc = np.exp(-1.67835 * np.hypot(r, 0.004) / size)
    sigma = image_quality(np.array([9000.0]), 0.8, 1.2)[0] / 2.3548
    transfer = np.exp(-2 * (np.pi * sigma * np.fft.fftfreq(1024, 0.02)) ** 2)
    image = np.fft.ifft2(np.fft.fft2(disc) * transfer * transfer[:, None]).real
    offset = dispersion_shift(np.array([9000.0]), 1.2, 12000.0)[0]
    inside = np.hypot(x - offset, x[:, None]) < 0.55
    got = fibre_fraction(np.array([9000.0]), size)
    assert_allclose(got, image[inside].sum() / image.sum(), rtol=0.01)


def test_an_offset_aperture_agrees_with_counting():
    points = np.random.default_rng(1).normal(size=(400_000, 2)) * 0.4
    inside = (np.hypot(points[:, 0] - 0.3, points[:, 1]) < 0.55).mean()
    got = gaussian_in_aperture(np.array([0.4]), np.array([0.3]), 0.55)
    assert_allclose(got, inside, atol=0.003)  # a share of 400,000 is known to 0.0008


def test_losses_are_those_of_moons1d():
    # its seeing_to_IQ, Atmospheric_diffraction and Aperture_loss
    wave = np.array([6500.0, 9000.0, 12000.0, 17000.0])
    assert_allclose(image_quality(wave, 0.8, 1.2), (0.7181, 0.6531, 0.5975, 0.5320), atol=1e-4)
    shift = dispersion_shift(wave, 2.0, 12000.0)
    assert_allclose(shift, (0.6974, 0.2229, 0.0, -0.1427), atol=0.003)
    assert_allclose(fibre_fraction(wave, 0.0), (0.6842, 0.8460, 0.9039, 0.9434), atol=0.002)
    worst = fibre_fraction(wave, 0.0, seeing=1.2, airmass=2.0)
    assert_allclose(worst, (0.1861, 0.3282, 0.3938, 0.4452), atol=0.002)


# --- electrons -------------------------------------------------------------------------------


def test_noise_in_the_dark_is_the_electrons_counted_by_hand(channels, fine):
    i = 5000
    with np.load(TABLE, allow_pickle=False) as t:
        efficiency, width = float(t["efficiency"][i]), t["width"][1] * units.AA
        emission, clear = 10 ** (t["log_sky"][1, i] / 4096), t["transmission"][1, i] / 65535
    seconds, mirror = 4 * units.h, np.pi * (4.1 * units.m) ** 2
    sky = emission / (units.s * units.cm**2 * units.AA) * np.pi * 0.55**2
    sky = (sky * mirror * width * seconds * efficiency).to_value("")
    variance = 2 * (sky + 30 * 4 + 24 * 6**2)
    photon = constants.h * constants.c / (channels.wave[i] * units.AA)
    source = 1e-17 * units.erg / (units.s * units.cm**2 * units.AA) / photon
    source = (source * mirror * width * seconds * efficiency * clear).to_value("")
    source *= fibre_fraction(channels.wave[i : i + 1], 0.3)[0]
    got = fine.exposure.ivar(flat(fine, 0.0), 4.0, 0.3)[i]
    assert_allclose(got**-0.5, variance**0.5 / source, rtol=2e-3)


def test_faint_sources_gain_as_the_root_of_time(fine):
    faint = flat(fine, 1e-4)
    assert_allclose(snr(fine, faint, 8.0), 2 * snr(fine, faint, 2.0), rtol=1e-3)


def test_bright_sources_gain_as_the_root_of_light(fine):
    clear = snr(fine, flat(fine, 1e5)) > 0
    ratio = snr(fine, flat(fine, 4e5)) / snr(fine, flat(fine, 1e5)).clip(1e-9)
    assert_allclose(ratio[clear], 2.0, rtol=0.02)


def test_known_sky_halves_the_variance_of_faint_sources(fine):
    stare = moons(size=(0.3, 0.3), background=1.0)
    ratio = snr(stare, flat(stare, 1e-5)) / snr(fine, flat(fine, 1e-5)).clip(1e-30)
    assert_allclose(ratio[ratio > 0], np.sqrt(2), rtol=1e-3)


def test_short_exposures_read_out_more_often(channels):
    fraction = fibre_fraction(channels.wave, 0.0)[None]
    long, short = (ExposureNoise(channels, fraction, np.zeros(1), dit=d) for d in (600.0, 60.0))
    dark = jnp.zeros(len(channels.wave))
    gained = (channels.response * fraction[0] * 3600) ** 2
    variance = [gained / np.asarray(n.ivar(dark, 1.0, 0.0), float) for n in (long, short)]
    assert_allclose(variance[1] - variance[0], 2 * 54 * channels.read**2, rtol=0.05)


def test_larger_galaxies_are_noisier_and_worse_seeing_too():
    noise = moons(size=(0.1, 1.0)).exposure
    dark = jnp.zeros(12217)
    by_size = [float(noise.ivar(dark, 2.0, s)[8000]) for s in (0.1, 0.2, 0.5, 1.0)]
    assert by_size == sorted(by_size, reverse=True)
    direct = moons(size=(0.27, 0.27)).exposure.ivar(dark, 2.0, 0.27)
    assert_allclose(noise.ivar(dark, 2.0, 0.27), direct, rtol=0.01)
    blurred = moons(size=(0.27, 0.27), seeing=1.2).exposure.ivar(dark, 2.0, 0.27)
    assert (blurred <= direct).all() and blurred[8000] < 0.8 * direct[8000]


# --- coarser pixels --------------------------------------------------------------------------


def test_coarse_pixels_are_uniform_in_the_logarithm(coarse):
    step = np.diff(np.log(coarse.wave))
    assert_allclose(step, step[0], rtol=1e-8)
    assert_allclose(coarse.widths, step[0], rtol=1e-4)
    assert 3000 < len(coarse.wave) < 3400


def test_coarse_pixels_add_signal_to_noise_in_quadrature(coarse, fine):
    every = np.asarray(snr(fine, flat(fine)) ** 2)
    total = snr(coarse, flat(coarse)) ** 2
    assert_allclose(total.sum(), every.sum(), rtol=2e-3)
    for low, high in ((7000, 7900), (10000, 11700), (15000, 17000)):
        inside = [(x.wave > low) & (x.wave < high) for x in (fine, coarse)]
        assert_allclose(total[inside[1]].sum(), every[inside[0]].sum(), rtol=0.01)


def test_coarse_pixels_have_no_data_in_the_gap(coarse):
    ivar = np.asarray(coarse.exposure.ivar(flat(coarse), 4.0, 0.3))
    gap = (coarse.wave > 13505) & (coarse.wave < 14515)
    assert gap.sum() > 200
    assert_array_equal(ivar[gap], 0)
    observed = (coarse.wave > 6475) & (coarse.wave < 17990) & ~gap
    assert (ivar[observed] > 0).mean() > 0.99


def test_one_coarse_pixel_by_hand():
    wave, width = np.array([1.0, 2.0, 3.0, 6.0]), np.ones(4)
    coadd = Coadd(wave, width, np.array([0.5, 2.25, 4.0, 5.5, 7.0]))
    # the third channel begins at 2.5; the second ends there; nothing between 3.5 and 5.5
    got = coadd(jnp.array([1.0, 4.0, 2.0, 8.0]))
    assert_allclose(got, (1 + 3.0, 1.0 + 2.0, 0.0, 8.0), atol=5e-6)
    values, ivar = jnp.array([1.0, 2.0, 3.0, 4.0]), jnp.array([1.0, 4.0, 2.0, 8.0])
    assert_allclose(coadd.mean(values, ivar), (7 / 4, 8 / 3, 0, 4), atol=2e-6)


# --- moons1d ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_signal_to_noise_is_that_of_moons1d(name):
    """In its conventions (benchmarks/moons_reference.py), which are not ours."""
    medians, some = REFERENCE[name]
    got = np.asarray(signal_to_noise(CASES[name])[1])
    arm = arms_of(load_channels(1.2).wave)
    assert_allclose([np.median(got[arm == a]) for a in range(3)], medians, rtol=0.02)
    assert_allclose(got[500::1000], some, rtol=0.05)


def test_ours_is_moons1d_with_the_right_photons_and_sky():
    """At the centre of an arm, with good seeing, the differences vanish where the gain is 1."""
    wave = load_channels(1.0).wave
    mine, same = signal_to_noise(CASES["AB 18, 0.5 h, best sky"])
    for centre in (11420, 16260):
        assert_allclose(mine[np.abs(wave - centre) < 50] / same[np.abs(wave - centre) < 50], 1,
                        atol=0.06)  # fmt: skip


@pytest.mark.slow
def test_the_table_is_that_of_moons1d(tmp_path):
    build_moons.build_moons(package("moons1d"), tmp_path)
    with np.load(TABLE, allow_pickle=False) as mine, np.load(tmp_path / "moons.npz") as again:
        assert set(mine) == set(again)
        for name in mine:
            assert_array_equal(mine[name], again[name])


# --- in the simulator ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simulator():
    return GalaxySimulator(moons(4), prior=broad_prior(), nuisances=("sky",))


@pytest.mark.slow
def test_simulated_spectra_have_moons_noise(simulator):
    drawn = eqx.filter_jit(simulator.draw)(jr.key(0), 8)
    flux, ivar = (np.asarray(x) for x in drawn[1:])
    gap = (simulator.wave > 13505) & (simulator.wave < 14515)
    assert np.isfinite(flux).all() and (ivar >= 0).all()
    assert not flux[:, gap].any() and not ivar[:, gap].any()
    assert (ivar[:, ~gap] > 0).mean() > 0.98


def test_exposure_times_are_drawn_from_the_given_hours():
    noise = moons(4, hours=(2.0, 8.0), size=(0.3, 0.3)).exposure
    dark = jnp.zeros(len(noise.coadd.share[0]))
    drawn = jax.vmap(lambda k: noise.draw(k, dark)[500])(jr.split(jr.key(0), 64))
    ends = [float(noise.ivar(dark, h, 0.3)[500]) for h in (2.0, 8.0)]
    long = np.isclose(drawn, ends[1], rtol=1e-4)
    assert (long | np.isclose(drawn, ends[0], rtol=1e-4)).all() and 0.2 < long.mean() < 0.8


def test_what_sky_subtraction_leaves_is_a_share_of_the_sky(fine, channels):
    gained = channels.response * fibre_fraction(channels.wave, 0.3)
    left = fine.residual * gained / channels.sky
    assert_allclose(left[left > 0], RESIDUAL, rtol=1e-3)
    assert (left > 0).mean() > 0.99


def test_residuals_of_the_sky_are_not_in_the_inverse_variance(simulator):
    flux = jnp.zeros(len(simulator.wave), jnp.float32)
    ivar = simulator.noise.ivar(flux, 8.0, 0.3)
    keys = jr.split(jr.key(1), 200)
    noise = jax.vmap(lambda k: simulator.add_noise(k, flux, ivar))(keys)
    excess = np.asarray((noise**2).mean(0) * ivar)
    expected = np.asarray(simulator.sight["sky"]) * np.sqrt(ivar)
    bright, dim = expected > 5, (expected < 0.3) & (ivar > 0)
    assert bright.sum() > 50 and np.median(excess[bright]) > 5
    assert_allclose(np.median(excess[dim]), 1.0, atol=0.15)
