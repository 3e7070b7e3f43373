"""Which pixels are data: masks of either sense, quality planes, impossible errors, padding."""

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from flowspec import io

WAVE = 10 ** (1e-4 * np.arange(36000, 36400))
N = len(WAVE)
FLUX = 3 + np.sin(np.arange(N))
ERR = 0.5 + 0.1 * np.cos(np.arange(N))
BAD = np.isin(np.arange(N), np.arange(100, 120))
SPOILED = np.where(BAD, 3000.0, FLUX)


def table(path, header=(), primary=(), **columns):
    hdu = fits.BinTableHDU(Table({"wave": WAVE, "flux": SPOILED, "err": ERR} | columns))
    hdu.header.update(dict(header))
    first = fits.PrimaryHDU()
    first.header.update(dict(primary))
    fits.HDUList([first, hdu]).writeto(path, overwrite=True)
    return path


def masked(spectra, row=0):
    return np.flatnonzero(spectra.ivar[row] == 0).tolist()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("mask", BAD),
        ("MASK", BAD * 64),  # bits
        ("mask", np.where(BAD, np.nan, 0.0)),
        ("BPM", BAD.astype("u1")),
        ("QUAL", BAD * 4),
        ("DQ", BAD * 4),
        ("good", ~BAD),
        ("valid", (~BAD).astype(int)),
        ("gpm", np.where(BAD, np.nan, 1.0)),
    ],
)
def test_names_of_masks_tell_their_sense(tmp_path, name, values):
    s = io.read(table(tmp_path / "t.fits", **{name: values}))
    assert masked(s) == np.flatnonzero(BAD).tolist() and "mask" not in s.notes[0]
    with h5py.File(tmp_path / "t.h5", "w") as f:
        f["wave"], f["flux"], f["err"], f[name] = WAVE, SPOILED, ERR, values
    assert masked(io.read(tmp_path / "t.h5")) == masked(s)


def test_pypeit_marks_good_pixels(tmp_path):
    for where in ({"header": {"DMODCLS": "OneSpec"}}, {"primary": {"PYP_SPEC": "keck_deimos"}}):
        s = io.read(table(tmp_path / "t.fits", mask=(~BAD).astype(int), **where))
        assert masked(s) == np.flatnonzero(BAD).tolist()
        own = io.read(tmp_path / "t.fits", columns={"mask": "mask"})
        assert masked(own) == np.flatnonzero(~BAD).tolist()


def test_a_mask_that_leaves_little_is_told(tmp_path):
    path = table(tmp_path / "t.fits", mask=(~BAD).astype(int))
    s = io.read(path)
    assert masked(s) == np.flatnonzero(~BAD).tolist()
    assert f"the mask leaves 20 of {N} pixels: is it the other way round" in s.notes[0]
    turned = io.read(path, columns={"good": "mask"})
    assert masked(turned) == np.flatnonzero(BAD).tolist() and "leaves" not in turned.notes[0]
    empty = io.read(table(tmp_path / "e.fits", mask=np.ones(N, int)))
    assert not empty.usable.any() and f"leaves 0 of {N}" in empty.notes[0]


def test_a_quality_by_ucd_and_one_that_is_not_used(tmp_path):
    s = io.read(table(tmp_path / "t.fits", {"TUCD4": "meta.code.qual;meta.main"}, X=BAD * 4))
    assert masked(s) == np.flatnonzero(BAD).tolist()
    s = io.read(table(tmp_path / "t.fits", AND_MASK=BAD * 4))
    assert masked(s) == [] and "AND_MASK masks nothing" in s.notes[0]


def test_a_mask_of_another_shape_is_an_error(tmp_path):
    flux = np.ones((3, N))
    for shape, words in (((5, N), "mask of 3 rows"), ((N - 1,), r"mask of shape \(3, 400\)")):
        with h5py.File(tmp_path / "t.h5", "w") as f:
            f["wave"], f["flux"], f["ivar"], f["mask"] = WAVE, flux, flux, np.zeros(shape)
        with pytest.raises(ValueError, match=words):
            io.read(tmp_path / "t.h5")


@pytest.mark.parametrize(
    "value", [0.0, -1.0, np.nan, np.inf, 1e10, 99999.0, 1e30, 3.4e38], ids=lambda v: f"{v:g}"
)
def test_errors_that_are_none(tmp_path, value):
    for name, err in (("err", ERR), ("var", ERR**2)):
        columns = {"wave": WAVE, "flux": FLUX, name: np.where(BAD, value, err)}
        Table(columns).write(tmp_path / "t.fits", overwrite=True)
        if name == "var" and value == 99999.0:
            continue  # an error of 316 may be one
        s = io.read(tmp_path / "t.fits")
        assert masked(s) == np.flatnonzero(BAD).tolist(), name
        good = s.ivar[0] > 0
        np.testing.assert_allclose(s.ivar[0, good], ERR[good] ** -2.0, rtol=1e-6)


def test_accidents_of_precision_do_not_mask_the_rest(tmp_path):
    tiny = np.where(np.arange(N) == 50, 1e-12, ERR)
    Table({"wave": WAVE, "flux": FLUX, "err": tiny}).write(tmp_path / "t.fits")
    assert masked(io.read(tmp_path / "t.fits")) == []
    mixed = np.select([BAD, np.arange(N) == 50], [1e10, np.nan], ERR)
    Table({"wave": WAVE, "flux": FLUX, "ivar": mixed**-2.0}).write(tmp_path / "u.fits")
    assert masked(io.read(tmp_path / "u.fits")) == [50, *np.flatnonzero(BAD)]


@pytest.mark.parametrize("filler", [np.nan, 0.0, -1.0, np.inf])
def test_pixels_without_a_wavelength_are_cut(tmp_path, filler):
    wave = np.where(np.arange(N) >= N - 3, filler, WAVE)
    Table({"WAVE": wave, "FLUX": FLUX, "ERR": ERR}).write(tmp_path / "t.fits")
    s = io.read(tmp_path / "t.fits")
    np.testing.assert_allclose(s.wave, WAVE[:-3])
    np.testing.assert_allclose(s.flux[0], FLUX[:-3], rtol=1e-6)
    rows = {"WAVE": [wave, WAVE], "FLUX": [FLUX] * 2, "ERR": [ERR] * 2}
    Table(rows).write(tmp_path / "rows.fits")
    s = io.read(tmp_path / "rows.fits")
    assert masked(s, 0) == [] or set(masked(s, 0)) == {N - 3, N - 2, N - 1}
    assert s.usable.all() and (s.ivar > 0).sum(axis=1).tolist() == [N - 3, N]
