"""Labels of rows: found in files by their names, carried along whole, and looked at by nothing."""

import ast

import astropy.units as u
import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table

import flowspec as fs
from flowspec.data.extra import LABELS, MISSING, Extra
from tests.test_house import modules

WAVE = np.linspace(4000.0, 5000.0, 60)
LONG = 39627746095137037  # beyond 2^53: a float would make it even


def spectra(rows: int, **extra) -> fs.Spectra:
    flux = np.ones((rows, len(WAVE)))
    return fs.Spectra(WAVE, flux, flux, extra=extra)


def header(**cards) -> fits.PrimaryHDU:
    hdu = fits.PrimaryHDU()
    for key, value in cards.items():
        hdu.header[key] = value
    return hdu


def pixels(name="SPECTRUM", **cards) -> fits.BinTableHDU:
    """A spectrum, a pixel per row."""
    columns = {"WAVE": WAVE, "FLUX": np.ones(len(WAVE)), "IVAR": np.ones(len(WAVE))}
    hdu = fits.table_to_hdu(Table(columns))
    hdu.name = name
    hdu.header.update(cards)
    return hdu


def of_rows(rows: int, **columns) -> fits.BinTableHDU:
    """A spectrum per row, and other columns."""
    arrays = {"WAVE": WAVE, "FLUX": np.ones(len(WAVE)), "IVAR": np.ones(len(WAVE))}
    wide = {name: np.tile(x, (rows, 1)) for name, x in arrays.items()}
    return fits.table_to_hdu(Table(wide | columns))


def read(tmp_path, *hdus) -> fs.Spectra:
    fits.HDUList(list(hdus)).writeto(tmp_path / "x.fits", overwrite=True)
    return fs.read(tmp_path / "x.fits")


def plain(extra) -> dict[str, list]:
    return {name: values.tolist() for name, values in extra.items()}


def test_labels_follow_their_rows():
    given = {"ra": [1.0, np.nan, 3.0], "target_id": np.array([LONG, 2, 3])}
    one = spectra(3, **given, object=["a", "b", "c"])
    assert plain(one[[2, 0]].extra) == {"ra": [3.0, 1.0], "target_id": [3, LONG],
                                        "object": ["c", "a"]}
    assert plain(one.resample(WAVE[5:50] + 0.3).extra) == plain(one.extra)
    assert one.extra["ra"].mask.tolist() == [False, True, False]
    both = fs.Spectra.concatenate([spectra(1), one, spectra(1, mjd=[5])])
    assert both.extra["target_id"].dtype == np.int64
    assert both.extra["target_id"].tolist() == [None, LONG, 2, 3, None]
    assert both.extra["object"].tolist() == [None, "a", "b", "c", None]
    assert both.extra["mjd"].tolist() == [None, None, None, None, 5]
    mixed = fs.Spectra.concatenate([one, spectra(1, target_id=["x7"])])  # text takes both
    assert mixed.extra["target_id"].tolist() == [str(LONG), "2", "3", "x7"]


def test_lines_and_vectors_carry_them_too():
    lines = fs.Lines(["Ha", "[OII]3727", "Hb"], np.ones((2, 3)), np.ones((2, 3)),
                     extra={"target_id": [LONG, 5]})
    seen = lines.select(["Hbeta"]).corrected(True)[[1, 0]]
    assert plain(fs.Lines.concatenate([seen, seen[:1]]).extra) == {"target_id": [5, LONG, 5]}
    vectors = fs.Vectors(np.eye(2), extra={"ra": [1.0, 2.0]})
    assert plain(fs.Vectors.concatenate([vectors[1], vectors]).extra) == {"ra": [2.0, 1.0, 2.0]}
    assert plain(vectors.select(["x1"]).extra) == {"ra": [1.0, 2.0]}


def test_units_are_converted_and_lengths_checked():
    assert spectra(1, ra=[2.0] * u.hourangle).extra["ra"][0] == pytest.approx(30.0)
    with pytest.raises(ValueError, match="expected extra 'ra' in 'deg'; got unit 'm'"):
        spectra(1, ra=[2.0] * u.m)
    with pytest.raises(ValueError, match="expected extra 'depth' in ''; got unit 'm'"):
        spectra(1, depth=[2.0] * u.m)
    with pytest.raises(ValueError, match=r"expected 2 values, one per row in extra 'ra'; got"):
        spectra(2, ra=[2.0])
    assert Extra({"a": [1]}) == Extra({"a": [1]}) != Extra({"a": [2]})


def test_a_fibre_goes_before_the_telescope(tmp_path):
    """As in SDSS files, whose RA and DEC are the middle of the plate."""
    primary = header(RA=200.0, DEC=10.0, PLUG_RA=201.25, PLUG_DEC=10.5, PLATEID=1160, MJD=52674,
                     FIBERID=5, EXPTIME=3800.4)
    row = fits.table_to_hdu(Table({"Z": np.float32([0.25]), "CLASS": ["GALAXY "],
                                   "SPECOBJID": ["  1306045311189280769"]}))
    assert plain(read(tmp_path, primary, pixels(), row).extra) == {
        "ra": [201.25], "dec": [10.5], "target_id": [1306045311189280769], "plate": [1160],
        "mjd": [52674], "fiber": [5], "exptime": [3800.4], "z_archive": [0.25],
        "class_archive": ["GALAXY"]}  # fmt: skip


def test_rows_have_their_own(tmp_path):
    """Of many objects a header tells only what may be true of all."""
    primary = header(RA=200.0, OBJECT="field 7", EXPTIME=900.0, MJD=58000.4)
    table = of_rows(3, TARGETID=[LONG, LONG + 1, -5], TARGET_RA=[1.5, -999.0, np.nan],
                    Z=MaskedColumn([0.1, 0.2, 0.3], mask=[False, True, False]))
    found = read(tmp_path, primary, table)
    assert plain(found.extra) == {"ra": [1.5, None, None], "target_id": [LONG, LONG + 1, -5],
                                  "exptime": [900.0] * 3, "z_archive": [0.1, None, 0.3]}


def test_a_table_for_each_object(tmp_path):
    """As in JWST x1d, with a header of its own."""
    tables = [pixels("EXTRACT1D", SOURCEID=n, SRCRA=r) for n, r in ((7, 1.0), (9, 2.0))]
    assert plain(read(tmp_path, header(TARG_RA=80.0), *tables).extra) == {
        "ra": [1.0, 2.0], "target_id": [7, 9]}


@pytest.mark.parametrize(("cards", "expected"), [
    ({"RA": "12:00:36.0", "DEC": "-30:15:00"}, {"ra": 180.15, "dec": -30.25}),
    ({"RA": "12 00 36", "DEC": "+00 30 00"}, {"ra": 180.15, "dec": 0.5}),
    ({"RA": "180.15", "DEC": "unknown"}, {"ra": 180.15}),
    ({"RA": 400.0, "DEC": -91.0, "EXPTIME": 0.0, "Z": -9.999, "FIBERID": "?"}, {}),
    ({"OBJECT": "", "MJD": 58000.4, "TARGETID": 7.5, "PLATEID": 0}, {}),
    ({"OBJECT": " NGC 1 ", "TARGETID": "0123"}, {"object": "NGC 1", "target_id": 123}),
])  # fmt: skip
def test_what_is_not_of_its_kind_is_not_taken(cards, expected, tmp_path):
    found = {name: values[0] for name, values in read(tmp_path, header(**cards), pixels())
             .extra.items()}
    assert found == pytest.approx(expected)


def test_hdf5_there_and_back(tmp_path):
    """In blocks of which not all have the labels."""
    given = spectra(2, target_id=np.ma.array([LONG, 1], mask=[False, True]), ra=[10.0, np.nan],
                    class_archive=["QSO", "STAR"], mine=[1, 2])
    with fs.io.Writer(tmp_path / "x.h5", WAVE) as file:
        for piece in (spectra(1), given, spectra(1)):
            file.append(piece)
    expected = {"ra": [None, 10.0, None, None], "target_id": [None, LONG, None, None],
                "class_archive": [None, "QSO", "STAR", None]}
    assert plain(fs.read(tmp_path / "x.h5").extra) == expected
    pieces = list(fs.io.stream(tmp_path / "x.h5", 3))
    assert plain(fs.Spectra.concatenate(pieces).extra) == expected
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["target_id"].attrs["missing"] == MISSING == file["target_id"][0]


def test_line_catalogues_have_them(tmp_path):
    table = Table({"name": ["a", "b"], "RA": [1.0, 2.0], "TARGETID": [LONG, 4], "Ha": [1.0, 2.0],
                   "Ha_err": [0.1, 0.1]})
    table.write(tmp_path / "x.csv")
    lines = fs.read_lines(tmp_path / "x.csv")
    assert plain(lines.extra) == {"ra": [1.0, 2.0], "target_id": [LONG, 4]}
    fs.io.write_lines(tmp_path / "x.h5", lines)
    assert plain(fs.read_lines(tmp_path / "x.h5").extra) == plain(lines.extra)


def test_parquet_has_them(tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = {"wave": [WAVE.tolist()] * 2, "flux": [[1.0] * 60] * 2, "ivar": [[1.0] * 60] * 2,
            "object_id": [LONG, 4], "ra": [1.5, None], "Z": [0.1, 0.2]}
    parquet.write_table(arrow.table(rows), tmp_path / "x.parquet")
    assert plain(fs.read(tmp_path / "x.parquet").extra) == {
        "ra": [1.5, None], "target_id": [LONG, 4], "z_archive": [0.1, 0.2]}


def test_a_damaged_label_is_none_to_the_spectrum(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["wave"], file["flux"], file["ivar"] = WAVE, np.ones((2, 60)), np.ones((2, 60))
        file["ra"] = np.array([(1.0, 2), (3.0, 4)], dtype=[("a", "f8"), ("b", "i4")])
        file["object"] = np.array([b"\xff\xfe", b"x"])
    found = fs.read(tmp_path / "x.h5")
    assert found.usable.all() and list(found.extra) == ["object"]


def test_columns_are_kept_that_are_asked_for(tmp_path):
    """From a table, a header of a single object, HDF5; masked where only another file has them."""
    table = of_rows(2, PETRO_I=[15.5, np.nan], RA=[1.0, 2.0])
    fits.HDUList([header(), table]).writeto(tmp_path / "table.fits")
    fits.HDUList([header(petro_i=17.25), pixels()]).writeto(tmp_path / "single.fits")
    fits.HDUList([header(), pixels()]).writeto(tmp_path / "without.fits")
    fs.io.write(tmp_path / "x.h5", spectra(3))
    with h5py.File(tmp_path / "x.h5", "a") as file:
        file["phot/petro_i"] = [14.0, 15.0, 16.0]
    expected = {"table.fits": [15.5, None], "single.fits": [17.25], "x.h5": [14.0, 15.0, 16.0]}
    for name, values in expected.items():
        found = fs.read(tmp_path / name, keep=["petro_i"])
        assert found.extra["petro_i"].tolist() == values, name
    both = [tmp_path / "without.fits", tmp_path / "single.fits"]
    assert fs.read(both, keep=["petro_i"]).extra["petro_i"].tolist() == [None, 17.25]
    assert "petro_i" not in fs.read(both[0], keep=["petro_i"]).extra
    assert "petro_i" not in fs.read(tmp_path / "x.h5").extra
    pieces = list(fs.io.stream(tmp_path / "x.h5", 2, keep=["phot/petro_i"]))
    assert [x for piece in pieces for x in piece.extra["phot/petro_i"]] == [14.0, 15.0, 16.0]


def test_no_name_in_files_means_two_things():
    spellings = [s for label in LABELS.values() for s in label.spellings]
    assert len(spellings) == len(set(spellings)) and all(s == s.upper() for s in spellings)


def test_nothing_but_tables_looks_at_them():
    """No training, adaptation or choice of rows: the attribute is named nowhere else.

    A total magnitude among them is looked at where the user names it, and gives further columns.
    Rows that no model is for (`cli.auto`) have them in a table without a posterior; lines that are
    measured have those of their spectra (`measure.spectra`).
    """
    looking = {m for m, f in modules().items() for n in ast.walk(ast.parse(f.read_text()))
               if isinstance(n, ast.Attribute) and n.attr == "extra"}
    allowed = {"posterior.table", "posterior.magnitudes", "cli.auto", "measure.spectra"}
    assert {m for m in looking if not m.startswith(("data.", "io."))} == allowed
