"""Bad files: one line that names file and cause alone, a masked row with a note among others."""

import gzip
import os
import warnings

import astropy.units as u
import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from flowspec import io

WAVE = 10 ** (1e-4 * np.arange(35900, 36400))
N = len(WAVE)


def spec_file(path, first=35900, n=N, **columns):
    """A file like SDSS spec-lite; `columns` replace or add to flux, loglam and ivar."""
    rng = np.random.default_rng(first)
    table = {
        "flux": rng.normal(5, 1, n).astype("f4"),
        "loglam": (1e-4 * np.arange(first, first + n)).astype("f4"),
        "ivar": np.ones(n, "f4"),
    }
    coadd = fits.BinTableHDU(Table(table | columns), name="COADD")
    primary = fits.PrimaryHDU()
    primary.header["BUNIT"] = "1E-17 erg/cm^2/s/Ang"
    fits.HDUList([primary, coadd]).writeto(path, overwrite=True)
    return path


def one_line_error(path, *words, **options):
    """`read` fails in one line that has the file's name and `words`, and warns of nothing."""
    with pytest.raises(ValueError) as caught, warnings.catch_warnings():
        warnings.simplefilter("error")
        io.read(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    for word in (os.path.basename(os.fspath(path)), *words):
        assert word in message, message
    return message


def bad_files(folder):
    """name -> path and words its message must have."""
    good = spec_file(folder / "good.fits")
    whole = good.read_bytes()
    cases = {"missing": ("does not exist",), "empty": ("empty file",), "cut": ("truncated",)}
    (folder / "empty").write_bytes(b"")
    (folder / "cut").write_bytes(whole[: len(whole) // 2])
    (folder / "header").write_bytes(whole[:1000])
    (folder / "text").write_text("wave flux\n1 2\n")
    (folder / "cut.gz").write_bytes(gzip.compress(whole)[:-500])
    fits.PrimaryHDU(np.ones((50, 60))).writeto(folder / "image")
    spec_file(folder / "kelvin", flux=np.ones(N) * u.K)
    spec_file(folder / "nonsense")
    fits.setval(folder / "nonsense", "TUNIT1", value="furlongs", ext=1)
    loglam = 1e-4 * np.arange(35900, 35900 + N)
    spec_file(folder / "down", loglam=loglam[::-1].copy())
    spec_file(folder / "twice", loglam=np.where(np.arange(N) == 9, loglam[8], loglam))
    spec_file(folder / "negative", ivar=np.where(np.arange(N) == 9, -2.0, 1))
    Table({"wave": WAVE * u.s, "flux": np.ones(N), "ivar": np.ones(N)}).write(folder / "time.fits")
    Table({"wave": WAVE / 1e4, "flux": np.ones(N), "ivar": np.ones(N)}).write(folder / "um.fits")
    Table({"ID": [1, 2], "Z": [0.1, 0.2]}).write(folder / "catalogue.fits")
    with h5py.File(folder / "h", "w") as f:
        f["flux"] = np.ones((2000, 50))
    (folder / "cut.h5").write_bytes((folder / "h").read_bytes()[:-4000])
    return cases | {
        "header": ("complete FITS", "truncated"),
        "text": ("FITS or HDF5",),
        "cut.gz": ("gzip",),
        "image": ("image", "50x60"),
        "kelvin": ("flux density", "'K'"),
        "nonsense": ("unit", "furlongs"),
        "down": ("decreasing",),
        "twice": ("repeated",),
        "negative": ("ivar >= 0; got -2",),
        "time.fits": ("unit of length; got s",),
        "um.fits": ("0.38", "wave_unit"),
        "catalogue.fits": ("ID, Z",),
        "cut.h5": ("complete HDF5", "truncated"),
        "h": ("wave, loglam",),
    }


def test_bad_files_alone_and_among_good_ones(tmp_path):
    cases = bad_files(tmp_path)
    for name, words in cases.items():
        one_line_error(tmp_path / name, *words)
    paths = [tmp_path / name for name in ("good.fits", *cases)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        s = io.read(paths)
    good = io.read(tmp_path / "good.fits")
    assert s.names == tuple(p.name for p in paths) and s.notes[0] == ""
    np.testing.assert_array_equal(s.flux[0], good.flux[0])
    assert not s.usable[1:].any() and s.usable[0]
    for note, (name, words) in zip(s.notes[1:], cases.items(), strict=True):
        assert all(word in note for word in (name, *words)), note


def test_all_bad_files_raise_the_first_cause(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(ValueError, match=r"a: expected spectra; got an empty file \(and 1 more"):
        io.read([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(ValueError, match="matches none"):
        io.read(str(tmp_path / "*.nothing"))
    with pytest.raises(ValueError, match="at least one"):
        io.read([])
    with pytest.raises(ValueError, match="format of sdss"):
        io.read(tmp_path / "a", format="svg")
    with pytest.raises(ValueError, match="directory"):
        io.read(tmp_path)


def test_masked_or_nan_spectra_are_rows_with_notes(tmp_path):
    nan = np.where(np.arange(N) < 10, np.nan, 1)
    spec_file(tmp_path / "a.fits", ivar=np.zeros(N))
    spec_file(tmp_path / "b.fits", flux=np.full(N, np.nan))
    spec_file(tmp_path / "c.fits", flux=nan)
    s = io.read(str(tmp_path / "*.fits"))
    np.testing.assert_array_equal(s.usable, [False, False, True])
    assert "no good pixels" in s.notes[0] and "no good pixels" in s.notes[1] and not s.notes[2]
    np.testing.assert_array_equal(s.ivar[2] > 0, np.isfinite(nan))


def test_one_row_with_negative_ivar_in_a_file_of_many(tmp_path):
    with h5py.File(tmp_path / "n.h5", "w") as f:
        f["wave"], f["flux"] = WAVE, np.ones((3, N))
        f["ivar"] = np.ones((3, N))
        f["ivar"][1, 5] = -1
    s = io.read(tmp_path / "n.h5")
    np.testing.assert_array_equal(s.usable, [True, False, True])
    assert "ivar >= 0; got -1" in s.notes[1]
    assert [len(c) for c in io.stream(tmp_path / "n.h5", 2)] == [2, 1]
