"""Spectra: validation, units, indexing, resampling, specutils."""

from dataclasses import replace

import astropy.units as u
import jax
import numpy as np
import pytest

from flowspec.data.regrid import pixel_edges
from flowspec.data.spectra import Spectra, on_grid
from flowspec.data.units import FLUX_UNIT

LOG_GRID = 10 ** np.arange(3.6, 3.9, 1e-3)


def make(wave=LOG_GRID, rows=3, seed=0, sigma=0.5):
    rng = np.random.default_rng(seed)
    flux = 3 + rng.normal(0, sigma, (rows, len(wave)))
    return Spectra(wave, flux, np.full(flux.shape, sigma**-2))


def test_dtypes_names_and_promotion():
    s = Spectra([4000, 4001, 4002], [1, 2, 3], [1, 1, 1])
    assert (s.wave.dtype, s.flux.dtype, s.ivar.dtype) == (np.float64, np.float32, np.float32)
    assert s.flux.shape == (1, 3) and s.names == ("0",) and s.notes == ("",)
    assert "1x3 pixels" in repr(s)


@pytest.mark.parametrize(
    ("wave", "flux", "ivar", "message"),
    [
        ([4000, 4000, 4002], [1, 2, 3], [1, 1, 1], "repeated"),
        ([4002, 4001, 4000], [1, 2, 3], [1, 1, 1], "decreasing"),
        ([4000, np.nan, 4002], [1, 2, 3], [1, 1, 1], "finite"),
        ([-1, 1, 2], [1, 2, 3], [1, 1, 1], "positive"),
        ([4000, 4001], [1, 2, 3], [1, 1, 1], "shape"),
        ([[4000, 4001, 4002]], [1, 2, 3], [1, 1, 1], "shape"),
        ([4000, 4001, 4002], [1, 2, 3], [1, 1], "shape"),
        ([4000, 4001, 4002], [1, 2, 3], [1, -0.5, 1], "ivar >= 0; got -0.5"),
        ([4000, 4001, 4002] * u.s, [1, 2, 3], [1, 1, 1], "unit of length; got s"),
        ([4000, 4001, 4002], [1, 2, 3] * u.K, [1, 1, 1] * u.K**-2, "flux density"),
        ([4000, 4001, 4002], [1, 2, 3] * FLUX_UNIT, [1, 1, 1], "units"),
        ([4000, 4001, 4002], [1, 2, 3] * FLUX_UNIT, [1, 1, 1] * u.Jy, "flux density"),
    ],
)
def test_refuses(wave, flux, ivar, message):
    with pytest.raises(ValueError, match=message) as caught:
        Spectra(wave, flux, ivar)
    assert "\n" not in str(caught.value)


def test_non_finite_pixels_are_no_data_and_empty_rows_have_a_note():
    flux = np.array([[1, np.nan, np.inf, 4], [1, 2, 3, 4.0]])
    ivar = np.array([[1, 1, 1, np.nan], [0, 0, 0, 0.0]])
    s = Spectra([4000, 4001, 4002, 4003], flux, ivar)
    np.testing.assert_array_equal(s.ivar, [[1, 0, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(s.flux[0], [1, 0, 0, 0])
    assert s.notes == ("", "no good pixels between 4000 and 4003 A")
    np.testing.assert_array_equal(s.usable, [True, False])
    np.testing.assert_array_equal(s.snr, [1, 0])


def test_units():
    # 1 Jy at 5000 Å = 1e-23 c / λ² = 1.1992e-13 erg/s/cm²/Å
    s = Spectra([0.5, 0.6] * u.um, [1, 1] * u.Jy, [4, 4] * u.Jy**-2)
    np.testing.assert_allclose(s.wave, [5000, 6000])
    np.testing.assert_allclose(s.flux[0, 0] * 1e-17, 2.99792458e18 * 1e-23 / 5000**2, rtol=1e-6)
    np.testing.assert_allclose(s.flux * np.sqrt(s.ivar), [[2, 2]], rtol=1e-6)
    same = Spectra(s.wave, s.flux * FLUX_UNIT, s.ivar / FLUX_UNIT**2)
    np.testing.assert_allclose(same.ivar, s.ivar)
    watts = Spectra([5000, 6000], [1, 1] * u.W / u.m**3, [1, 1] * (u.W / u.m**3) ** -2)
    np.testing.assert_allclose(watts.flux, 1e10, rtol=1e-6)  # 1 W/m³ = 1e-7 erg/s/cm²/Å
    frequency = Spectra([6e14, 5e14] * u.Hz, [1, 1], [1, 1])
    np.testing.assert_allclose(frequency.wave, 2.99792458e18 / np.array([6e14, 5e14]))


def test_is_a_pytree_and_survives_maps_without_validation():
    s = make()
    back = jax.tree.map(lambda x: -x, s)
    assert isinstance(back, Spectra) and back.names == s.names
    np.testing.assert_array_equal(back.ivar, -s.ivar)
    assert len(jax.tree.leaves(s)) == 3


def test_indexing_keeps_names_and_notes():
    s = Spectra(LOG_GRID, np.ones((4, 300)), np.ones((4, 300)), list("abcd"), ["", "bad", "", ""])
    assert s[1].names == ("b",) and s[1].notes == ("bad",) and len(s[1]) == 1
    assert s[-1].names == ("d",) and s[1:3].names == ("b", "c")
    assert s[np.array([True, False, False, True])].names == ("a", "d")
    assert s[[2, 0]].names == ("c", "a") and len(s[np.zeros(4, bool)]) == 0
    assert [row.names[0] for row in s] == list("abcd")
    with pytest.raises(ValueError, match="4 names"):
        Spectra(LOG_GRID, np.ones((4, 300)), np.ones((4, 300)), ["a"])


def test_concatenate():
    s = make()
    both = Spectra.concatenate([s[:1], s[1:]])
    np.testing.assert_array_equal(both.flux, s.flux)
    with pytest.raises(ValueError, match="one grid"):
        Spectra.concatenate([s, make(LOG_GRID[1:])])
    with pytest.raises(ValueError, match="at least one"):
        Spectra.concatenate([])


NEW_GRIDS = {
    "finer log": 10 ** np.arange(3.65, 3.85, 3.3e-4),
    "coarser log": 10 ** np.arange(3.65, 3.85, 4.7e-3),
    "linear": np.arange(4500.0, 7000, 7.3),
    "half a pixel off": LOG_GRID[50:250] * 10**5e-4,
}


@pytest.mark.parametrize("name", NEW_GRIDS)
def test_resample_conserves_flux_and_constants(name):
    wave, s = NEW_GRIDS[name], make()
    new = s.resample(wave)
    flat = Spectra(s.wave, np.full((1, 300), 7.0), np.full((1, 300), 2.0)).resample(wave)
    np.testing.assert_allclose(flat.flux, 7, rtol=1e-6)
    # ∫F dλ over the new range, by the old pixels' exact overlap with it
    old, edges = pixel_edges(s.wave), pixel_edges(wave)
    width = np.diff(np.clip(old, edges[0], edges[-1]))
    np.testing.assert_allclose(new.flux @ np.diff(edges), s.flux @ width, rtol=1e-5)


@pytest.mark.parametrize("name", NEW_GRIDS)
def test_resampled_variance_is_that_of_monte_carlo(name):
    wave, rng = NEW_GRIDS[name], np.random.default_rng(1)
    sigma = 1 + 0.5 * np.sin(np.arange(300) / 5)
    flux = rng.normal(0, sigma, (4000, 300))
    ivar = np.broadcast_to(sigma**-2, flux.shape).copy()
    ivar[:, 120:123] = 0
    new = Spectra(LOG_GRID, flux, ivar).resample(wave)
    good = new.ivar[0] > 0
    chi2 = (new.flux[:, good] ** 2 * new.ivar[:, good]).mean(axis=0)
    assert np.abs(chi2 - 1).max() < 6 * np.sqrt(2 / 4000)
    assert abs(chi2.mean() - 1) < 0.01
    assert good.sum() > 0.9 * len(wave)


def test_resample_masks():
    s = make(np.arange(4000.0, 4100), rows=2)
    ivar = s.ivar.copy()
    ivar[0, 40:50] = 0
    flux = s.flux.copy()
    flux[0, 40:50] = 1e9  # must not contribute
    new = Spectra(s.wave, flux, ivar).resample(np.arange(4003.0, 4120, 5))
    # pixels of 5 Å centred on 4038, 4043, 4048, 4053; bad from 4039.5 to 4049.5
    i = np.searchsorted(new.wave, [4038, 4043, 4048, 4053])
    np.testing.assert_array_equal(new.ivar[0, i] > 0, [True, False, False, True])
    assert np.abs(new.flux[0]).max() < 10
    np.testing.assert_allclose(new.flux[0, i[0]], flux[0, 36:40].mean(), rtol=1e-6)
    np.testing.assert_allclose(new.ivar[0, i[0]], 4 * s.ivar[0, 0], rtol=1e-6)
    assert (new.ivar[:, new.wave > 4102] == 0).all() and (new.ivar[1, new.wave < 4098] > 0).all()
    outside = s.resample(np.arange(9000.0, 9100))
    assert not outside.usable.any() and "9000" in outside.notes[0]


@pytest.mark.parametrize("weighted", [False, True])
def test_resample_is_the_sum_over_overlaps(weighted):
    """Every pair of pixels in turn, on uneven grids with masked pixels."""
    rng = np.random.default_rng(2)
    old, new = 5000 + np.cumsum(rng.uniform(1, 2, 60)), 4990 + np.cumsum(rng.uniform(1, 6, 30))
    flux, ivar = rng.normal(size=60), rng.gamma(1, size=60) * (rng.uniform(size=60) > 0.3)
    got = Spectra(old, flux, ivar).resample(new, weighted=weighted)
    edges, cuts = pixel_edges(old), pixel_edges(new)
    for i, (low, high) in enumerate(zip(cuts[:-1], cuts[1:], strict=True)):
        share = np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None)
        share = np.where(ivar > 0, share, 0)
        weight = share * ivar if weighted else share
        if share.sum() < 0.5 * (high - low):
            assert got.ivar[0, i] == got.flux[0, i] == 0
            continue
        used = weight > 0
        variance = (weight[used] ** 2 / ivar[used]).sum() / weight.sum() ** 2
        # means of numbers near one, of either sign, in single precision
        np.testing.assert_allclose(got.flux[0, i], weight @ flux / weight.sum(), atol=1e-6)
        np.testing.assert_allclose(got.ivar[0, i], 1 / variance, rtol=1e-6)
    assert 10 < (got.ivar > 0).sum() < 30


def test_resample_copies_pixels_of_the_same_lattice():
    s = make()
    assert s.resample(s.wave) is s
    lattice = 10 ** (3.6 + 1e-3 * np.arange(-20, 320))
    wider = s.resample(lattice)
    np.testing.assert_array_equal(wider.flux[:, 20:320], s.flux)
    np.testing.assert_array_equal(wider.ivar[:, 20:320], s.ivar)
    assert (wider.ivar[:, :20] == 0).all() and (wider.ivar[:, 320:] == 0).all()
    np.testing.assert_array_equal(s.resample(lattice[10:100]).flux[:, 10:], s.flux[:, :80])
    np.testing.assert_array_equal(wider.resample(s.wave).flux, s.flux)
    np.testing.assert_array_equal(s.resample(s.wave[::2]).flux.shape, (3, 150))


def test_resample_rows_beyond_one_block_are_independent():
    s = make(rows=1100)
    grid = NEW_GRIDS["linear"]
    np.testing.assert_array_equal(s.resample(grid).flux[1050], s[1050].resample(grid).flux[0])


def test_specutils_round_trip():
    pytest.importorskip("specutils")
    s = make()
    s = Spectra(s.wave, s.flux, np.where(s.flux > 2, s.ivar, 0), names=list("abc"))
    back = Spectra.from_specutils(s.to_specutils())
    np.testing.assert_allclose(back.flux, s.flux, rtol=1e-6)
    np.testing.assert_allclose(back.ivar, s.ivar, rtol=1e-6)
    assert back.names == s.names
    from astropy.nddata import StdDevUncertainty

    kind = type(s.to_specutils())
    frequency = [5e14, 6e14, 7e14] * u.Hz
    jansky = kind(
        flux=[1, 2, 3] * u.mJy,
        spectral_axis=frequency,
        uncertainty=StdDevUncertainty([0.1, 0.1, 0.1]),
        mask=np.array([False, True, False]),
    )
    s = Spectra.from_specutils(jansky)
    np.testing.assert_allclose(s.wave, frequency[::-1].to_value(u.AA, u.spectral()))
    np.testing.assert_allclose((s.flux * np.sqrt(s.ivar))[0], [30, 0, 10], rtol=1e-5)
    with pytest.raises(ValueError, match="uncertainty"):
        Spectra.from_specutils(kind(flux=[1, 2] * u.Jy, spectral_axis=[1, 2] * u.um))


def test_resample_does_not_reach_into_a_gap():
    wave = np.concatenate([np.arange(4000.0, 4100), np.arange(4300.0, 4400)])
    s = Spectra(wave, np.ones((1, 200)), np.ones((1, 200)))
    new = s.resample(np.arange(4000.0, 4400, 4))
    inside = (new.wave < 4099) | (new.wave > 4299)
    assert (new.ivar[0] > 0).tolist() == inside.tolist()
    np.testing.assert_allclose(new.ivar[0, 5:20], 16 / 3.5)  # three pixels and two halves


def test_weighted_means_have_the_least_noise():
    """Inverse variances of independent pixels add; plain means are no better than their worst."""
    ivar = np.tile([4.0, 4.0, 0.01, 4.0], 50)[None]
    rng = np.random.default_rng(0)
    flux = 7 + rng.normal(size=(2000, 200)) * ivar**-0.5
    s = Spectra(np.arange(4000.0, 4200), flux, np.repeat(ivar, 2000, 0))
    best, plain = (s.resample(np.arange(4001.5, 4198, 4), weighted=w) for w in (True, False))
    np.testing.assert_allclose(best.ivar, 12.01, rtol=1e-5)
    assert plain.ivar.max() < 0.16
    # 2,000 x 49 values: their mean is right to 0.001, their variance to half a percent
    np.testing.assert_allclose(best.flux.mean(), 7, atol=0.004)
    np.testing.assert_allclose(best.flux.var() * 12.01, 1, atol=0.02)


def test_grids_that_differ_in_the_last_bit_are_one():
    """Exponentials are rounded differently by processors: files of one grid, made on two of them,
    join."""
    wave = np.geomspace(4000, 8000, 64)
    close = Spectra(np.nextafter(wave, 0), np.ones((1, 64)), np.ones((1, 64)))
    here = on_grid(close, wave)
    assert len(Spectra.concatenate([here, replace(close, wave=wave)])) == 2
    np.testing.assert_array_equal(here.flux, close.flux)
