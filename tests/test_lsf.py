"""Line-spread functions that spectra carry: shapes, units, rows, other grids."""

from dataclasses import replace

import astropy.units as u
import jax
import numpy as np
import pytest

from flowspec.data.lsf import lsf_of_power, mean_lsf, power_of_lsf
from flowspec.data.spectra import Spectra

WAVE = 10 ** (3.6 + 1e-3 * np.arange(200))
PIXELS = len(WAVE)
CURVE = 60 + 20 * np.log(WAVE / WAVE[0])  # linear in ln wavelength
ONES = np.ones((3, PIXELS))


def make(lsf=None, wave=WAVE, rows=3):
    one = np.ones((rows, len(wave)))
    return Spectra(wave, one, one, lsf=lsf)


def test_resolving_power_is_wavelength_over_full_width():
    assert lsf_of_power(2000) == pytest.approx(63.66, abs=0.01)  # c / 2000 / 2.3548
    assert power_of_lsf(lsf_of_power(1850)) == pytest.approx(1850)
    assert np.isnan(lsf_of_power([0, -1, np.nan, np.inf])).all()


@pytest.mark.parametrize(
    ("lsf", "kept"),
    [
        (70, np.full((3, 1), 70)),
        ([60, 70, 80], [[60], [70], [80]]),
        ([[60], [70], [80]], [[60], [70], [80]]),
        ([[65]], np.full((3, 1), 65)),
        (CURVE[None], np.tile(CURVE, (3, 1))),
        (CURVE * ONES, np.tile(CURVE, (3, 1))),
        ([60, 0, -3], [[60], [np.nan], [np.nan]]),
        ([np.inf, np.nan, 1e300], np.full((3, 1), np.nan)),
        (np.ma.array([60, 70, 80], mask=[0, 1, 0]), [[60], [np.nan], [80]]),
        (7e4 * u.m / u.s, np.full((3, 1), 70)),
    ],
)
def test_shapes_that_are_taken(lsf, kept):
    found = make(lsf).lsf
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, kept, rtol=1e-6)


@pytest.mark.parametrize("lsf", [CURVE, [60, 70], np.ones((2, PIXELS)), np.ones((3, PIXELS - 1)),
                                 np.ones((3, PIXELS, 1)), 3 * u.AA])  # fmt: skip
def test_shapes_and_units_that_are_refused(lsf):
    with pytest.raises(ValueError, match=r"expected lsf (as a number|in a unit).*; got") as caught:
        make(lsf)
    assert "\n" not in str(caught.value)


def test_none_stays_none():
    obs = make()
    wide = obs.resample(WAVE[:100])
    assert all(x.lsf is None for x in (obs, obs[1:], wide, Spectra.concatenate([obs, obs])))
    assert len(jax.tree.leaves(obs)) == 3 and len(jax.tree.leaves(make(70))) == 4


def test_rows_and_replacing():
    obs = make([60, 70, 80])
    np.testing.assert_array_equal(obs[[2, 0]].lsf, [[80], [60]])
    np.testing.assert_array_equal(make(CURVE[None])[1].lsf, CURVE[None].astype(np.float32))
    np.testing.assert_array_equal(replace(obs, ivar=2 * obs.ivar).lsf, obs.lsf)
    assert make(70, rows=1)[:0].lsf.shape == (0, 1)


def test_concatenation_does_not_know_what_a_part_does_not_know():
    both = Spectra.concatenate([make(), make([60, 70, 80]), make(CURVE[None], rows=1)]).lsf
    assert both.shape == (7, PIXELS)
    assert np.isnan(both[:3]).all()
    np.testing.assert_array_equal(both[3:6], np.array([60, 70, 80])[:, None] * ONES)
    np.testing.assert_allclose(both[6], CURVE, rtol=1e-6)
    compact = Spectra.concatenate([make(), make(70)]).lsf
    np.testing.assert_array_equal(compact, [[np.nan]] * 3 + [[70]] * 3)


def test_resampling_is_linear_in_ln_wavelength_over_what_is_known_and_held_at_the_ends():
    rows = np.tile(CURVE, (3, 1))
    rows[0, ::3] = np.nan
    rows[0, 90:110] = 0  # not known
    rows[0, [0, -1]] = CURVE[[0, -1]]
    rows[1] = np.nan
    rows[2, 100:] = np.nan
    new = 10 ** (3.58 + 2.3e-3 * np.arange(110))
    found = make(rows).resample(new).lsf
    straight = 60 + 20 * np.log(new / WAVE[0])
    np.testing.assert_allclose(found[0], np.clip(straight, CURVE[0], CURVE[-1]), rtol=1e-6)
    assert np.isnan(found[1]).all()
    np.testing.assert_allclose(found[2], np.clip(straight, CURVE[0], CURVE[99]), rtol=1e-6)
    assert make([60, 70, 80]).resample(new).lsf.shape == (3, 1)
    np.testing.assert_allclose(make(CURVE[None]).resample(new).lsf, found[[0] * 3], rtol=1e-6)


def test_pixels_that_are_copied_keep_their_curve():
    part = slice(40, 90)
    rows = CURVE * np.array([[1.0], [1.1], [1.2]])
    np.testing.assert_allclose(make(rows).resample(WAVE[part]).lsf, rows[:, part], rtol=1e-6)


def test_variances_of_arms_are_averaged_with_their_weights():
    """A mixture of two Gaussians of one mean has the mean of their variances."""
    blue, red = np.full((1, 4), 50, np.float32), np.full((1, 1), 80, np.float32)
    weights = np.array([[3.0, 3, 0, 0]]), np.array([[0.0, 1, 1, 0]])
    wave = np.array([4000.0, 4001, 4002, 4003])
    found = mean_lsf([blue, red], weights, wave)
    mixed = np.sqrt((3 * 50**2 + 80**2) / 4)
    np.testing.assert_allclose(found, [[50, mixed, 80, 80]], rtol=1e-6)  # held where no arm is
    np.testing.assert_array_equal(mean_lsf([None, red], weights, wave), [[80] * 4])
    np.testing.assert_array_equal(mean_lsf([red, red], weights, wave), red)
    assert mean_lsf([None, None], weights, wave) is None


def test_specutils_there_and_back():
    pytest.importorskip("specutils")
    for lsf in (CURVE * np.array([[1.0], [1.1], [1.2]]), [60, 70, 80], None):
        obs = make(lsf)
        back = Spectra.from_specutils(obs.to_specutils())
        assert (back.lsf is None) == (lsf is None)
        if lsf is not None:
            np.testing.assert_array_equal(back.lsf, obs.lsf)
