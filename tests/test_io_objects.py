"""Several objects: per row, table and group, ragged, named; what is no spectrum; shapes."""

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from flowspec import io

WAVE = 10 ** (1e-4 * np.arange(36000, 36300))
N = len(WAVE)
ONES = np.ones(N)
TARGETS = [39627746095137037, 39627746095137038, 39627746095137040]


def spectrum(level=1.0, pixels=N):
    return {"WAVE": WAVE[:pixels], "FLUX": level * ONES[:pixels], "IVAR": ONES[:pixels] / level**2}


def hdus(path, *tables):
    """A file of tables or images with names."""
    made = [
        fits.BinTableHDU(Table(what), name=name) if isinstance(what, dict)
        else fits.ImageHDU(what, name=name) for name, what in tables
    ]  # fmt: skip
    fits.HDUList([fits.PrimaryHDU(), *made]).writeto(path, overwrite=True)
    return path


def ragged(path, rows, **more):
    """Columns of variable length from rows of (wave, flux, ivar)."""
    columns = [
        fits.Column(name, "PD()", array=np.array([np.asarray(x) for x in values], dtype=object))
        for name, values in zip(("WAVE", "FLUX", "IVAR"), zip(*rows, strict=True), strict=True)
    ]
    columns += [fits.Column(name, "K", array=values) for name, values in more.items()]
    fits.BinTableHDU.from_columns(columns).writeto(path, overwrite=True)
    return path


def levels(spectra):
    """Median flux and number of good pixels of each row."""
    return [(float(np.median(f[v > 0])) if v.any() else 0.0, int((v > 0).sum()))
            for f, v in zip(spectra.flux, spectra.ivar, strict=True)]  # fmt: skip


def test_one_object_per_table(tmp_path):
    path = hdus(tmp_path / "t.fits", *((f"OBJ{i}", spectrum(i)) for i in (1, 2, 3)))
    s = io.read(path)
    assert s.names == ("t.fits#OBJ1", "t.fits#OBJ2", "t.fits#OBJ3")
    assert levels(s) == [(1, N), (2, N), (3, N)]
    hdus(path, ("A", spectrum(1)), ("A", spectrum(2)), ("B", {"X": [1.0]}))
    assert io.read(path).names == ("t.fits#0", "t.fits#1")


def test_one_bad_table_among_good_ones_is_a_row(tmp_path):
    bad = spectrum() | {"WAVE": WAVE[::-1].copy()}
    s = io.read(hdus(tmp_path / "t.fits", ("A", bad), ("B", spectrum(2))))
    assert s.names == ("t.fits#A", "t.fits#B") and levels(s) == [(0, 0), (2, N)]
    assert "decreasing" in s.notes[0]


def test_lists_of_lines_are_no_spectra(tmp_path):
    lines = {"WAVE": [3728.0, 4862.7, 5008.2, 6564.6], "FLUX": [1.0, 2, 3, 4], "IVAR": [1.0] * 4}
    path = hdus(tmp_path / "t.fits", ("LINES", lines), ("SPECTRUM", spectrum(2)))
    s = io.read(path)
    assert s.names == ("t.fits",) and levels(s) == [(2, N)]
    assert "LINES is no spectrum of the object" in s.notes[0]
    sky = hdus(tmp_path / "sky.fits", ("SKY", spectrum(9)), ("MODEL", spectrum(3)))
    assert io.read(sky).names == ("sky.fits#SKY", "sky.fits#MODEL")
    hdus(sky, ("SKY", spectrum(9)), ("TARGET", spectrum(2)))
    s = io.read(sky)
    assert levels(s) == [(2, N)] and "SKY is no spectrum" in s.notes[0]
    hdus(path, ("LINES", lines))
    with pytest.raises(ValueError, match="got table LINES with wavelengths of irregular steps"):
        io.read(path)
    assert len(io.read(path, columns={"wave": "WAVE"}).wave) == 4
    # pixels taken out at random leave a spectrum
    kept = np.sort(np.random.default_rng(0).choice(N, N // 2, replace=False))
    hdus(path, ("S", {name: values[kept] for name, values in spectrum().items()}))
    assert io.read(path).flux.shape == (1, N // 2)


@pytest.mark.parametrize(
    ("name", "values", "labels"),
    [
        ("TARGETID", TARGETS, TARGETS),
        ("SOURCE_ID", np.array([7.0, 8.0, 9.0]), [7, 8, 9]),
        ("OBJECT", ["NGC 1", "NGC 2 ", "M 3"], ["NGC 1", "NGC 2", "M 3"]),
        ("TARGETID", [5, 6, 5], ["5#0", "6", "5#2"]),
        ("ID", [0.5, 1.0, 2.0], [0, 1, 2]),
        ("Z", [0.1, 0.2, 0.3], [0, 1, 2]),
    ],
)
def test_rows_are_named_by_what_identifies_them(tmp_path, name, values, labels):
    rows = {key: np.stack([x] * 3) for key, x in spectrum().items()}
    s = io.read(hdus(tmp_path / "t.fits", ("", {name: values} | rows)))
    assert s.names == tuple(f"t.fits#{label}" for label in labels)
    images = [("WAVE", WAVE), ("FLUX", rows["FLUX"]), ("IVAR", rows["IVAR"])]
    s = io.read(hdus(tmp_path / "t.fits", *images, ("FIBERMAP", {name: values})))
    assert s.names == tuple(f"t.fits#{label}" for label in labels)
    with h5py.File(tmp_path / "t.h5", "w") as f:
        f["wave"], f["flux"], f["ivar"] = WAVE, rows["FLUX"], rows["IVAR"]
        f[name.lower()] = values
    assert io.read(tmp_path / "t.h5").names == tuple(f"t.h5#{label}" for label in labels)
    assert list(io.stream(tmp_path / "t.h5", 2))[1].names == (f"#{labels[2]}",)


def test_rows_of_different_lengths(tmp_path):
    rows = [list(spectrum(level, pixels).values()) for level, pixels in ((1, N), (2, 200))]
    s = io.read(ragged(tmp_path / "t.fits", rows, TARGETID=TARGETS[:2]))
    assert levels(s) == [(1, N), (2, 200)]
    assert s.names == tuple(f"t.fits#{target}" for target in TARGETS[:2])
    np.testing.assert_allclose(s.wave, WAVE)
    assert levels(io.read(ragged(tmp_path / "one.fits", rows[1:]))) == [(2, 200)]
    with h5py.File(tmp_path / "t.h5", "w") as f:
        for i, name in enumerate(("wave", "flux", "ivar")):
            data = f.create_dataset(name, (2,), h5py.vlen_dtype(np.float64))
            for j in range(2):
                data[j] = rows[j][i]
    assert levels(io.read(tmp_path / "t.h5")) == [(1, N), (2, 200)]
    assert [len(piece.wave) for piece in io.stream(tmp_path / "t.h5")] == [N, 200]


def test_rows_without_wavelengths_or_whose_lengths_differ_are_flagged(tmp_path):
    good = list(spectrum(2).values())
    rows = [([], [], []), good, (WAVE, ONES[:-1], ONES[:-1]), (WAVE[::-1], ONES, ONES)]
    s = io.read(ragged(tmp_path / "t.fits", rows))
    assert levels(s) == [(0, 0), (2, N), (0, 0), (0, 0)]
    expected = ("got none", "assumed", "of one length", "decreasing")
    assert all(words in note for words, note in zip(expected, s.notes, strict=True))
    waves = np.stack([WAVE, np.full(N, np.nan), np.zeros(N), WAVE * 1e9, WAVE * 1.1])
    rows = {"WAVE": waves, "FLUX": np.ones((5, N)), "IVAR": np.ones((5, N))}
    s = io.read(hdus(tmp_path / "t.fits", ("", rows)))
    np.testing.assert_array_equal(s.usable, [True, False, False, False, True])
    assert all("expected wavelengths" in note for note in s.notes[1:4])


def test_groups_of_an_hdf5_file_are_objects(tmp_path):
    with h5py.File(tmp_path / "t.h5", "w") as f:
        for i in (1, 2):
            for name, values in spectrum(i).items():
                f[f"obj{i}/{name}"] = values
        f["catalogue/flux"] = [1.0, 2.0]
    s = io.read(tmp_path / "t.h5")
    assert s.names == ("t.h5#obj1", "t.h5#obj2") and levels(s) == [(1, N), (2, N)]
    assert [piece.names for piece in io.stream(tmp_path / "t.h5")] == [("#obj1",), ("#obj2",)]


@pytest.mark.parametrize(
    ("wave", "flux", "ivar"),
    [((N,), (3, N), (5, N)), ((N,), (5, N), (3, N)), ((N,), (N,), (3, N)), ((5, N), (3, N), (3, N)),
     ((N - 1,), (3, N), (3, N)), ((N,), (3, N), (N,)), ((N,), (2, 3, N), (2, 3, N)),
     ((N,), (N, 3), (N, 3))],
)  # fmt: skip
def test_shapes_that_do_not_fit_are_an_error_never_a_cut(tmp_path, wave, flux, ivar):
    grid = np.broadcast_to(np.resize(WAVE, wave[-1]), wave)
    with h5py.File(tmp_path / "t.h5", "w") as f:
        f["wave"], f["flux"], f["ivar"] = grid, np.ones(flux), np.ones(ivar)
    images = [("WAVE", np.array(grid)), ("FLUX", np.ones(flux)), ("IVAR", np.ones(ivar))]
    hdus(tmp_path / "t.fits", *images)
    for name in ("t.h5", "t.fits"):
        with pytest.raises(ValueError, match=f"{name}: expected .*; got"):
            io.read(tmp_path / name)
    with pytest.raises(ValueError, match=r"t.h5: expected .*; got"):
        list(io.stream(tmp_path / "t.h5", 2))


def test_parameters_of_other_rows_are_an_error(tmp_path):
    with h5py.File(tmp_path / "t.h5", "w") as f:
        f["wave"], f["flux"], f["ivar"] = WAVE, np.ones((3, N)), np.ones((3, N))
        f["theta"] = np.ones((5, 2))
    with pytest.raises(ValueError, match="theta of 3 rows as of flux; got 5"):
        io.read_simulations(tmp_path / "t.h5", ("a", "b"))


def coadd(path, rows=2, targets=2, **changed):
    """Images as of a DESI coadd; None leaves one out."""
    images = {}
    for arm, low in (("B", 3600.0), ("R", 5760.0)):
        images[f"{arm}_WAVELENGTH"] = low + 0.8 * np.arange(N)
        images[f"{arm}_FLUX"] = images[f"{arm}_IVAR"] = np.ones((rows, N))
    images = {name: image for name, image in (images | changed).items() if image is not None}
    return hdus(path, ("FIBERMAP", {"TARGETID": TARGETS[:targets]}), *images.items())


def test_an_arm_that_is_not_whole_is_an_error(tmp_path):
    assert len(io.read(coadd(tmp_path / "c.fits"))) == 2
    for name in ("B_IVAR", "R_FLUX", "B_WAVELENGTH"):
        with pytest.raises(ValueError, match=f"expected all of arm {name[0]}; got no {name}"):
            io.read(coadd(tmp_path / "c.fits", **{name: None}))
    one = np.ones((1, N))
    for changed, words in (
        ({"R_FLUX": one, "R_IVAR": one}, "FIBERMAP of 1 rows; got 2"),
        ({"targets": 1}, "FIBERMAP of 2 rows; got 1"),
        ({"B_IVAR": one}, "of one length"),
    ):
        with pytest.raises(ValueError, match=words):
            io.read(coadd(tmp_path / "c.fits", **changed))


def test_an_arm_without_data_is_told(tmp_path):
    ivar = np.ones((2, N))
    ivar[1] = 0
    s = io.read(coadd(tmp_path / "c.fits", B_IVAR=ivar))
    assert s.usable.all() and s.notes == ("", "no good pixels between 3600 and 3839 A")
