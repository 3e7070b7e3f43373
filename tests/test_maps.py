"""Maps of lines in three layouts to maps of parameters: values, sky, bins, memory, errors."""

import gzip
import tracemalloc

import h5py
import numpy as np
import numpyro.distributions as dist
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

import flowspec as fs
from flowspec.cli import main
from flowspec.data.flags import Flag
from flowspec.data.frame import LineSet
from flowspec.io.line_table import maps_of
from flowspec.io.maps import maps_file
from flowspec.networks.lines import LineArchitecture
from flowspec.prior.prior import Prior
from tests.problems import untrained

LINES = ("Hbeta", "[OIII]5007", "[NII]6584")
SHAPE = (6, 9)  # y, x: a map whose axes are mixed up is found out
MUSE, DAP = ("HB4861", "OIII5006", "NII6583"), ("Hb-4862", "OIII-5008", "NII-6585")
SKY = fits.Header({
    "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 5.0, "CRPIX2": 3.0, "CRVAL1": 24.17,
    "CRVAL2": 15.78, "CD1_1": -4e-5, "CD1_2": 3e-5, "CD2_1": 3e-5, "CD2_2": 4e-5,
    "CUNIT1": "deg", "CUNIT2": "deg", "RADESYS": "ICRS",
})  # fmt: skip
SIZES = LineArchitecture(hidden=16, blocks=1, condition=8, layers=2, width=8, knots=4)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model file, untrained."""
    prior = Prior({"oh": dist.Uniform(7.0, 9.0), "av": dist.Uniform(0.0, 4.0)})
    path = tmp_path_factory.mktemp("model") / "lines"
    untrained((prior, prior), ("HII", "AGN"), LineSet(LINES), SIZES).save(path)
    return path


def galaxy(shape=SHAPE, seed=0):
    """Fluxes and errors [lines, y, x]; without data at the first row and one spaxel, and without
    one line at another."""
    rng = np.random.default_rng(seed)
    flux = rng.uniform(1, 3, (3, *shape)).astype(np.float32)
    err = rng.uniform(0.1, 0.2, flux.shape).astype(np.float32)
    flux[:, 0], err[:, 3, 4], flux[1, 2, 5] = np.nan, 0, np.nan
    return flux, err


def seen(flux, err):
    return (np.isfinite(flux) & (err > 0)).any(0)


def muse(path, flux, err, names=MUSE, end="_FLUX", units=("1e-20 erg/s/cm2/spaxel",) * 3):
    """PHANGS-MUSE MAPS: an image of fluxes, errors and velocities per line."""
    images = []
    for name, f, e, unit in zip(names, flux, err, units, strict=True):
        header = fits.Header([*SKY.cards, ("BUNIT", unit)])
        images += [fits.ImageHDU(f, header, f"{name}{end}"),
                   fits.ImageHDU(e, header, f"{name}{end}_ERR"),
                   fits.ImageHDU(f * 100, SKY, f"{name}_VEL")]  # fmt: skip
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(path)


def manga(path, flux, err, bins=None):
    """MAPS of MaNGA's DAP: channels, inverse variances, masks, bins of five kinds."""
    names = fits.Header({f"C{i + 1:02d}": name for i, name in enumerate(DAP)})
    good = np.isfinite(flux) & (err > 0)
    ivar = np.where(good, 1 / np.where(good, err, 1) ** 2, 0)
    arrays = {"EMLINE_GFLUX": np.nan_to_num(flux), "EMLINE_GFLUX_IVAR": ivar,
              "EMLINE_GFLUX_MASK": np.where(good, 0, 1 << 30).astype(np.int32)}  # fmt: skip
    hdus = [fits.ImageHDU(x, fits.Header([*SKY.cards, *names.cards]), n) for n, x in arrays.items()]
    if bins is not None:
        others = np.zeros_like(bins)  # of the continuum and others: one bin for all
        stack = np.stack([others, others, others, bins, others])
        hdus.append(fits.ImageHDU(stack, name="BINID"))
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)


def plain(path, flux, err):
    muse(path, flux, err, names=("HBETA", "[OIII]5007", "[NII]6584"), end="")


LAYOUTS = {"PHANGS-MUSE": muse, "MaNGA": manga, "plain": plain}


def predict(model, source, target, *more) -> int:
    words = ["predict", source, "--model", model, "-o", target, "--num-samples", "100", *more]
    return main([str(w) for w in words])


def on_tangent_plane(x, y):
    """Sky position of pixels counted from 0 (Calabretta & Greisen 2002, gnomonic), degrees."""
    x, y = x + 1 - SKY["CRPIX1"], y + 1 - SKY["CRPIX2"]
    xi = np.radians(SKY["CD1_1"] * x + SKY["CD1_2"] * y)
    eta = np.radians(SKY["CD2_1"] * x + SKY["CD2_2"] * y)
    ra, dec = np.radians(SKY["CRVAL1"]), np.radians(SKY["CRVAL2"])
    below = np.cos(dec) - eta * np.sin(dec)
    away = np.hypot(xi, below)
    return (np.degrees(ra + np.arctan2(xi, below)),
            np.degrees(np.arctan2(np.sin(dec) + eta * np.cos(dec), away)))  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_are_the_spaxels_with_data(layout, tmp_path):
    flux, err = galaxy()
    LAYOUTS[layout](tmp_path / "maps.fits", flux, err)
    lines = fs.read_lines(tmp_path / "maps.fits")
    y, x = np.nonzero(seen(flux, err))
    assert lines.lines == LINES
    assert lines.names == tuple(f"{j},{i}" for j, i in zip(y, x, strict=True))
    np.testing.assert_array_equal([lines.extra["x"], lines.extra["y"]], [x, y])
    there = np.isfinite(flux[:, y, x].T)
    assert (~there).sum() == 1
    np.testing.assert_array_equal(lines.state, there)
    np.testing.assert_array_equal(lines.flux[there], flux[:, y, x].T[there])
    np.testing.assert_allclose(lines.err[there], err[:, y, x].T[there], rtol=1e-6)  # 1 / err^2
    sky = np.array([lines.extra["ra"], lines.extra["dec"]])
    np.testing.assert_allclose(sky, on_tangent_plane(x, y), atol=1e-9)  # a millionth of a pixel
    assert f"{len(x)} of 54 spaxels" in lines.reading
    pieces = list(fs.io.stream_lines(tmp_path / "maps.fits", 10))
    assert [len(p) for p in pieces] == [10, 10, 10, 10, len(x) - 40]
    np.testing.assert_array_equal(np.concatenate([p.flux for p in pieces]), lines.flux)
    with open(tmp_path / "maps.fits", "rb") as raw, gzip.open(tmp_path / "m.fits.gz", "wb") as gz:
        gz.write(raw.read())
    np.testing.assert_array_equal(fs.read_lines(tmp_path / "m.fits.gz").flux, lines.flux)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_maps_are_the_rows_of_the_table(layout, model, tmp_path, monkeypatch):
    monkeypatch.setattr("flowspec.io.blocks._LINE_ROWS", 16)  # blocks, of which the last is short
    flux, err = galaxy()
    LAYOUTS[layout](tmp_path / "maps.fits", flux, err)
    table = fs.load(model).summarize(fs.read_lines(tmp_path / "maps.fits"), n=100)
    assert predict(model, tmp_path / "maps.fits", tmp_path / "out.fits") == 0
    y, x = np.nonzero(seen(flux, err))
    with fits.open(tmp_path / "out.fits") as hdus:
        for name, column in {"OH": "oh_p50", "OH_P16": "oh_p16", "OH_P84": "oh_p84",
                             "AV": "av_p50", "P_HII": "p_HII", "SNR": "snr"}.items():
            values = hdus[name].data
            assert values.shape == SHAPE and values.dtype == np.dtype(">f4")
            # blocks of other lengths are other programs: of single precision
            np.testing.assert_allclose(values[y, x], table[column], rtol=2e-5, err_msg=name)
            assert np.isnan(values[~seen(flux, err)]).all()
        assert np.isfinite(hdus["OH"].data[y, x]).all()
        np.testing.assert_array_equal(hdus["FLAGS"].data[y, x], table["flags"])
        assert (hdus["FLAGS"].data[~seen(flux, err)] == Flag.NO_DATA).all()
        assert hdus["FLAGS"].header["BIT10"] == "unsure_source" and 1 << 10 == Flag.UNSURE_SOURCE
        kinds, header = hdus["SOURCE"].data, hdus["SOURCE"].header
        assert [header[f"KIND{k}"] for k in kinds[y, x]] == list(table["source"])
        assert (kinds[~seen(flux, err)] == -1).all()
        check_headers(hdus)
    # tables go to maps by one function too
    fs.io.write_maps(tmp_path / "mine.fits", table, tmp_path / "maps.fits")
    np.testing.assert_array_equal(fits.getdata(tmp_path / "mine.fits", "OH")[y, x], table["oh_p50"])


def check_headers(hdus):
    """Every map lies where the input did; the first header tells where maps come from."""
    corners = np.array([[0, 0], [8, 0], [0, 5], [8, 5]], float)
    for hdu in hdus[1:]:
        assert WCS(hdu.header).wcs.ctype[0] == "RA---TAN"
        found = WCS(hdu.header).all_pix2world(corners, 0)
        np.testing.assert_array_equal(found, WCS(SKY).all_pix2world(corners, 0))
    assert hdus["AV"].header["BUNIT"] == "mag"
    assert "50th percentile of oxygen" in hdus["OH"].header["COMMENT"][0]
    about = hdus[0].header
    assert about["SAMPLES"] == 100 and about["SEED"] == 0 and "maps.fits" in about["INPUTS"]


def test_spaxels_of_one_bin_are_inferred_once(model, tmp_path):
    flux, err = galaxy()
    bins = np.arange(54).reshape(SHAPE) // 9 * 3 + np.arange(9) // 3  # three of each row
    bins[0], bins[5, 8] = -1, -1  # in no bin: none seen, one of its own
    shared = np.arange(9) // 3 * 3
    flux, err = flux[..., shared], err[..., shared]
    flux[:, 5, 8] = 2.5
    manga(tmp_path / "maps.fits", flux, err, bins)
    lines = fs.read_lines(tmp_path / "maps.fits")
    there = seen(flux, err)
    groups = len(set(bins[there]))  # the spaxel of no bin is one of them
    assert len(lines) == groups < there.sum() and f"in {groups} bins" in lines.reading
    assert predict(model, tmp_path / "maps.fits", tmp_path / "out.fits") == 0
    table = fs.load(model).summarize(lines, n=100)
    with fits.open(tmp_path / "out.fits") as hdus:
        values, flags = hdus["OH"].data, hdus["FLAGS"].data
    np.testing.assert_array_equal(np.isfinite(values), there)
    for row in table:
        alike = (bins == bins[row["y"], row["x"]]) & there
        alike &= (bins >= 0) | (np.arange(54).reshape(SHAPE) == row["y"] * 9 + row["x"])
        np.testing.assert_allclose(values[alike], row["oh_p50"], rtol=2e-5)
        assert (flags[alike] == row["flags"]).all()


def test_units_that_differ_are_converted(tmp_path):
    flux, err = galaxy()
    unlike = ("1e-20 erg/s/cm2", "1e-18 erg/s/cm2", "1e-20 erg/s/cm2")
    muse(tmp_path / "maps.fits", flux, err, units=unlike)
    lines = fs.read_lines(tmp_path / "maps.fits")
    y, x = np.nonzero(seen(flux, err))
    there = lines.state > 0
    for values, raw in ((lines.flux, flux), (lines.err, err)):
        wanted = raw[:, y, x].T * np.array([1, 100, 1])
        np.testing.assert_allclose(values[there], wanted[there], rtol=1e-6)


def test_images_of_other_names_and_endings(tmp_path):
    flux, err = galaxy()
    muse(tmp_path / "corrected.fits", flux, err, end="_FLUX_CORR")
    assert fs.read_lines(tmp_path / "corrected.fits", suffix="_FLUX_CORR").lines == LINES
    muse(tmp_path / "own.fits", flux, err, names=("A", "B", "C"), end="")
    given = {"Hbeta": "A", "Hbeta_err": "A_ERR", "[NII]6584": "C", "[NII]6584_err": "C_ERR"}
    assert fs.read_lines(tmp_path / "own.fits", columns=given).lines == ("Hbeta", "[NII]6584")


def test_other_endings_are_rows(model, tmp_path):
    muse(tmp_path / "maps.fits", *galaxy())
    assert predict(model, tmp_path / "maps.fits", tmp_path / "out.ecsv") == 0
    rows, (y, x) = Table.read(tmp_path / "out.ecsv"), np.nonzero(seen(*galaxy()))
    assert rows["x"].tolist() == x.tolist() and rows["y"].tolist() == y.tolist()
    np.testing.assert_allclose([rows["ra"], rows["dec"]], on_tangent_plane(x, y), atol=1e-9)
    # and maps can be made of them, with where they came from
    rows["model"] = "nebula"  # as of --model auto
    fs.io.write_maps(tmp_path / "out.fits", rows, tmp_path / "maps.fits")
    np.testing.assert_array_equal(fits.getdata(tmp_path / "out.fits", "OH")[y, x], rows["oh_p50"])
    header = fits.getheader(tmp_path / "out.fits")
    assert header["SAMPLES"] == 100 and header["MODEL"] == "nebula"


def test_an_image_without_errors_beside_a_table_is_no_map(tmp_path):
    table = fits.table_to_hdu(Table({"Hbeta": [1.0], "Hbeta_err": [0.1]}))
    image = fits.ImageHDU(np.ones(SHAPE), name="HALPHA")
    fits.HDUList([fits.PrimaryHDU(), image, table]).writeto(tmp_path / "t.fits")
    assert len(fs.read_lines(tmp_path / "t.fits")) == 1
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(tmp_path / "i.fits")
    with pytest.raises(ValueError, match="expected a table, or images of lines and their errors"):
        fs.read_lines(tmp_path / "i.fits")


def test_packed_images(tmp_path):
    flux, err = galaxy()
    muse(tmp_path / "maps.fits", flux, err)
    with fits.open(tmp_path / "maps.fits") as hdus:
        packed = [fits.CompImageHDU(h.data, h.header, compression_type="GZIP_2", quantize_level=0)
                  for h in hdus[1:]]  # fmt: skip
        fits.HDUList([fits.PrimaryHDU(), *packed]).writeto(tmp_path / "packed.fits")
    both = [fs.read_lines(tmp_path / f"{name}.fits") for name in ("maps", "packed")]
    np.testing.assert_array_equal(both[0].flux, both[1].flux)
    assert both[0].extra == both[1].extra


def test_several_files_are_rows(model, tmp_path):
    for name in "ab":
        muse(tmp_path / f"{name}.fits", *galaxy())
    both = [tmp_path / "a.fits", tmp_path / "b.fits"]
    words = ["predict", *both, "--model", model, "-o", tmp_path / "out.fits", "--num-samples", 100]
    assert main([str(w) for w in words]) == 0
    assert len(Table.read(tmp_path / "out.fits")) == 2 * seen(*galaxy()).sum()


def test_samples_of_maps(model, tmp_path):
    muse(tmp_path / "maps.fits", *galaxy())
    more = "--samples", tmp_path / "s.h5"
    assert predict(model, tmp_path / "maps.fits", tmp_path / "out.fits", *more) == 0
    with h5py.File(tmp_path / "s.h5") as file:
        y, x = np.array([n.split(",") for n in file["names"].asstr()[:]], int).T
        median = np.median(file["samples"][..., 0], axis=0)
    np.testing.assert_allclose(fits.getdata(tmp_path / "out.fits", "OH")[y, x], median, rtol=1e-5)


def bad_table(**columns):
    return Table({"x": [1], "y": [1], "oh_p50": [8.0], "flags": [0]} | columns)


@pytest.mark.parametrize(
    ("table", "said"),
    [(bad_table()["oh_p50", "flags"], "got none of x, y"),
     (bad_table(x=[9]), "9 x 6 spaxels; got x up to 9"),
     (bad_table(y=[-1]), "9 x 6 spaxels")],
)  # fmt: skip
def test_rows_of_other_pixels_are_refused(table, said, tmp_path):
    muse(tmp_path / "maps.fits", *galaxy())
    with pytest.raises(ValueError, match=said):
        fs.io.write_maps(tmp_path / "out.fits", table, tmp_path / "maps.fits")
    with pytest.raises(ValueError, match=r"none.fits: expected maps of lines"):
        fs.io.write_maps(tmp_path / "out.fits", bad_table(), tmp_path / "none.fits")
    assert [p.name for p in tmp_path.iterdir()] == ["maps.fits"]


def test_bad_maps_are_one_line_and_leave_nothing(model, tmp_path, capsys):
    flux, err = galaxy()
    muse(tmp_path / "empty.fits", flux * np.nan, err)
    muse(tmp_path / "alone.fits", flux, err)
    with fits.open(tmp_path / "alone.fits", mode="update") as hdus:
        del hdus["NII6583_FLUX_ERR"]
    said = {"empty": "expected spaxels with fluxes and errors; got none of 54",
            "alone": "got 'NII6583_FLUX' alone"}  # fmt: skip
    for name, words in said.items():
        assert predict(model, tmp_path / f"{name}.fits", tmp_path / "out.fits") == 2
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert f"{name}.fits" in error and words in error
    assert not (tmp_path / "out.fits").exists()


def peak_of(path, out) -> int:
    """Most bytes of Python and NumPy while maps are read in blocks and others written."""
    tracemalloc.start()
    with maps_file(out, maps_of(path, {}), {}) as append:
        for lines in fs.io.stream_lines(path, 1024):
            append(Table({"x": lines.extra["x"], "y": lines.extra["y"], "oh_p50": lines.flux[:, 0],
                          "av_p50": lines.flux[:, 1], "flags": np.zeros(len(lines), int)}))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_is_that_of_the_maps_that_are_written(tmp_path):
    """Not of the lines: each of 37,500 spaxels more is in three images of 4 bytes, of which one at
    a time has another byte order (4), has a number of row and column (16, and as much in the
    making), and is in an image of a line at a time (8): 64 bytes. All lines would be 3 times 17,
    and names 100."""
    peaks = []
    for side in (50, 200):
        muse(tmp_path / f"{side}.fits", *galaxy((side, side)))
        peaks.append(peak_of(tmp_path / f"{side}.fits", tmp_path / f"out-{side}.fits"))
    assert peaks[1] - peaks[0] < 64 * (200**2 - 50**2)
