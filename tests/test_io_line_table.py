"""Tables of emission lines: values against the raw table, names of columns, units, bad files."""

import gzip
import os

import astropy.units as u
import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, QTable, Table

from flowspec import io
from flowspec.data.lines import Lines, State

TEXT = """# a catalogue
name,RA,Hb,Hb_err,OIII5007,OIII5007_err,OIII5007_ul,NII6584,e_NII6584
one,1.5,10,1,30,2,,4,0.5
two,1.6,5,1,,,6,nan,0.5
three,1.7,,,,,,,
four,1.8,7,-1,9,1,,1,1
"""


def written(folder, text, name="t.csv"):
    (folder / name).write_text(text)
    return folder / name


def csv(folder, header, *rows):
    return written(folder, "\n".join([header, *(rows or ["1," * header.count(",") + "1"])]) + "\n")


def test_csv(tmp_path):
    lines = io.read_lines(written(tmp_path, TEXT))
    assert lines.lines == ("Hbeta", "[OIII]5007", "[NII]6584")
    assert lines.names == ("one", "two", "three", "four")
    np.testing.assert_array_equal(lines.state, [[1, 1, 1], [1, 2, 0], [0, 0, 0], [0, 1, 1]])
    np.testing.assert_array_equal(lines.flux, [[10, 30, 4], [5, 6, 0], [0, 0, 0], [0, 9, 1]])
    np.testing.assert_array_equal(lines.err, [[1, 2, 0.5], [1, 2, 0], [0, 0, 0], [0, 1, 1]])
    assert lines.notes[:2] == ("", "") and lines.notes[2].startswith("no measured")
    assert lines.notes[3] == "error not positive: Hbeta"
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(TEXT.encode("utf-8-sig")))
    again = io.read_lines(tmp_path / "t.csv.gz", name="RA")
    np.testing.assert_array_equal(again.flux, lines.flux)
    assert again.names == ("1.5", "1.6", "1.7", "1.8")


def table():
    """Line fluxes with units, a masked cell, and integer labels with a masked one."""
    return Table({
        "TARGETID": MaskedColumn([39627, 39628, 39629], mask=[False, False, True]),
        "H_BETA_FLUX": [1.0, 2.0, np.nan] * u.Unit("1e-17 erg / (s cm2)"),
        "H_BETA_FLUX_IVAR": np.array([4.0, 0.0, 1.0]) * u.Unit("1e34 s2 cm4 / erg2"),
        "OIII_5007_FLUX": MaskedColumn([3e-20, 4e-20, 5e-20], mask=[False, True, False],
                                       unit="W / m2"),
        "OIII_5007_FLUX_ERR": [1.0, 1.0, 2.0] * u.Unit("1e-17 erg / (s cm2)"),
    })  # fmt: skip


@pytest.mark.parametrize("ending", ["fits", "ecsv"])
@pytest.mark.parametrize("kind", [Table, QTable])
def test_units_masks_and_inverse_variances(tmp_path, ending, kind):
    kind(table()).write(tmp_path / f"t.{ending}")
    lines = io.read_lines(tmp_path / f"t.{ending}")
    assert lines.lines == ("Hbeta", "[OIII]5007") and lines.names == ("39627", "39628", "2")
    # 1 W/m2 is 1000 erg/s/cm2: 3e-20 W/m2 are 3 units of 1e-17; ivar 4 is an error of 1/2
    np.testing.assert_allclose(lines.flux, [[1, 3], [0, 0], [0, 5]])
    np.testing.assert_allclose(lines.err, [[0.5, 1], [0, 0], [0, 2]])
    np.testing.assert_array_equal(lines.state, [[1, 1], [0, 0], [0, 1]])
    assert lines.notes[1] != "" == lines.notes[0]


def test_negative_inverse_variance_is_an_error_of_the_row(tmp_path):
    path = csv(tmp_path, "Ha,Ha_ivar", "1,4", "2,-4", "3,0")
    lines = io.read_lines(path)
    np.testing.assert_array_equal(lines.err[:, 0], [0.5, 0, 0])
    assert lines.notes[1] == "error not positive: Halpha" and "no measured" in lines.notes[2]


def test_unknown_units_serve_where_all_are_the_same(tmp_path):
    columns = {n: fits.Column(n, "D", "furlongs", array=[2.0]) for n in ("Ha", "Ha_err")}
    fits.BinTableHDU.from_columns(columns.values()).writeto(tmp_path / "t.fits")
    assert io.read_lines(tmp_path / "t.fits").flux[0, 0] == 2


def test_named_columns_and_suffixes(tmp_path):
    path = csv(tmp_path, "id,o3,o3sig,Ha_FLUX,Ha_FLUX_ERROR,Ha_CORR,Ha_CORR_err", "7,1,2,3,4,5,6")
    given = {"[OIII]5007": "o3", "OIII5007_err": "o3sig"}
    lines = io.read_lines(path, columns=given)
    assert lines.lines == ("[OIII]5007", "Halpha") and lines.names == ("7",)
    np.testing.assert_array_equal(lines.flux, [[1, 3]])
    np.testing.assert_array_equal(lines.err, [[2, 4]])
    np.testing.assert_array_equal(io.read_lines(path, suffix="_CORR").flux, [[5]])
    own = io.read_lines(path, columns={"Ha": "Ha_CORR", "Ha_err": "Ha_CORR_err"})
    assert own.lines == ("Halpha",) and own.err[0, 0] == 6


def test_the_first_table_with_lines_is_taken(tmp_path):
    hdus = [fits.BinTableHDU(Table(t)) for t in ({"Z": [0.1]}, {"Ha": [3.0], "Ha_err": [1.0]})]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(tmp_path / "t.fits")
    assert io.read_lines(tmp_path / "t.fits").flux[0, 0] == 3


BAD = {  # header and rows, options, words of the message
    "no error": (("Ha,Hb,Hb_err",), {}, ("errors for Halpha", "'Ha' alone")),
    "no flux": (("Ha,Ha_err,Hb_err",), {}, ("fluxes for Hbeta", "'Hb_err'")),
    "two": (("Ha,Ha_err,HA6563_FLUX",), {}, ("flux of Halpha", "'Ha'", "'HA6563_FLUX'")),
    "two errors": (("Ha,Ha_err,Ha_ivar",), {}, ("error of Halpha", "'Ha_err'", "'Ha_ivar'")),
    "no line": (("RA,OIII_flx,Hbetta",), {}, ("RA, OIII_flx, Hbetta", "near: ", "Hbeta")),
    "suffix": (("Ha,Ha_err",), {"suffix": "_X"}, ("followed by '_X'", "Ha, Ha_err")),
    "given": (("Ha,Ha_err",), {"columns": {"Ha": "x"}}, ("column 'x' for Ha", "Ha, Ha_err")),
    "key": (("Ha,Ha_err",), {"columns": {"age": "Ha"}}, ("columns of lines", "'age'")),
    "half": (("x,Ha,Ha_err",), {"columns": {"Ha": "x"}}, ("errors for Halpha", "'x' alone")),
    "name": (("Ha,Ha_err",), {"name": "id"}, ("column 'id' of names",)),
    "text": (("Ha,Ha_err", "1,1", "n/a,1"), {}, ("numbers in column 'Ha'", "'n/a'")),
    "absent": (("Ha,Ha_err", ",1", "nan,2"), {}, ("none in 2 rows", "Halpha")),
    "negative": (("Ha,Ha_err", "1,-1", "2,0"), {}, ("errors > 0; got -1",)),
    "no rows": (("Ha,Ha_err", ""), {}, ("without rows",)),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_are_one_line(tmp_path, case):
    rows, options, words = BAD[case]
    one_line_error(csv(tmp_path, *rows), *words, **options)


def one_line_error(path, *words, **options):
    with pytest.raises(ValueError) as caught:
        io.read_lines(path, **options)
    message = str(caught.value)
    assert "\n" not in message and message.count(str(path)) == 1, message
    for word in words:
        assert word in message, message


def test_bad_files_are_one_line(tmp_path):
    one_line_error(tmp_path / "absent.csv", "does not exist")
    one_line_error(tmp_path, "directory")
    one_line_error(written(tmp_path, "", "empty"), "expected a table; got an empty file")
    one_line_error(written(tmp_path, " \n\n", "blank"))
    (tmp_path / "binary").write_bytes(b"\x00\xff\x01" * 99)
    one_line_error(tmp_path / "binary", "no text")
    fits.PrimaryHDU(np.ones((5, 6))).writeto(tmp_path / "image.fits")
    one_line_error(tmp_path / "image.fits", "expected a table", "5x6")
    Table({"Ha": np.ones((2, 3)), "Ha_err": np.ones(2)}).write(tmp_path / "wide.fits")
    one_line_error(tmp_path / "wide.fits", "'Ha'", "2-dimensional")


def test_mixed_units(tmp_path):
    for name, unit, words in (("K", u.K, ("'K'", "'Ha'")), ("none", None, ("none on 'Ha_err'",))):
        err = [1.0] if unit is None else [1.0] * unit
        flux = [1.0] * u.Unit("1e-17 erg / (s cm2)")
        Table({"Ha": flux, "Ha_err": err}).write(tmp_path / f"{name}.fits")
        one_line_error(tmp_path / f"{name}.fits", "Ha_err", *words)


def test_nebulae_of_ngc628(data):
    path = data / "lines/phangs_ngc628/ngc628_nebulae.fits"
    if not path.exists():
        pytest.skip(f"no PHANGS nebulae at {path}")
    lines, raw = io.read_lines(path), Table.read(path, unit_parse_strict="silent")
    assert lines.lines == ("Hbeta", "[OIII]5007", "Halpha", "[NII]6584", "[SII]6717", "[SII]6731",
                           "[SIII]9069", "[OI]6300")  # fmt: skip
    assert len(lines) == len(raw) and lines.names[2] == str(int(raw["region_ID"][2]))
    for i, name in enumerate(("HB4861", "OIII5006", "HA6562", "NII6583", "SII6716", "SII6730")):
        np.testing.assert_array_equal(lines.flux[:, i], raw[f"{name}_FLUX"])
        np.testing.assert_array_equal(lines.err[:, i], raw[f"{name}_FLUX_ERR"])
    corrected = io.read_lines(path, suffix="_FLUX_CORR")
    np.testing.assert_array_equal(corrected.flux[:, 2], raw["HA6562_FLUX_CORR"])
    missing = np.ma.getmaskarray(raw["SIII9068_FLUX_CORR_ERR"])
    assert missing.sum() == 303
    np.testing.assert_array_equal(corrected.state[:, 6] == State.ABSENT, missing)


# --- HDF5


def some_lines(n, seed=0):
    rng = np.random.default_rng(seed)
    flux, err = rng.normal(size=(n, 3)), rng.uniform(0.5, 2, (n, 3))
    limit = np.where(rng.uniform(size=(n, 3)) < 0.5, err, np.nan)
    flux[rng.uniform(size=(n, 3)) < 0.4] = np.nan
    dust = rng.uniform(size=n) < 0.5
    return Lines(("Ha", "Hb", "[OII]3727"), flux, err, limit, dereddened=dust)


def equal(a, b):
    assert (a.lines, a.names, a.notes) == (b.lines, b.names, b.notes)
    for name in ("flux", "err", "state", "dereddened"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_hdf5_round_trip_in_chunks(tmp_path):
    path, lines = tmp_path / "l.h5", some_lines(2500)
    assert set(np.unique(lines.state)) == {0, 1, 2} and not lines.usable.all()
    io.write_lines(path, (lines[i : i + 700] for i in range(0, 2500, 700)))
    chunks = list(io.stream_lines(path, 1000))
    assert [len(c) for c in chunks] == [1000, 1000, 500]
    equal(Lines.concatenate(chunks), lines)
    equal(io.read_lines(path), lines)
    io.write_lines(path, lines[:3])
    equal(next(io.stream_lines(path)), lines[:3])
    assert os.listdir(tmp_path) == ["l.h5"]


def test_rows_corrected_for_dust(tmp_path):
    """Of a table all rows or none; HDF5 says it of each, and early files of none."""
    text = written(tmp_path, TEXT)
    plain, said = io.read_lines(text), io.read_lines(text, dereddened=True)
    assert not plain.dereddened.any()
    equal(said, plain.corrected(True))
    path, lines = tmp_path / "l.h5", some_lines(40)
    assert 0 < lines.dereddened.sum() < 40
    io.write_lines(path, lines)
    equal(io.read_lines(path, dereddened=True), lines.corrected(True))
    with h5py.File(path, "r+") as f:
        del f["dereddened"]
    equal(io.read_lines(path), lines.corrected(False))
    with h5py.File(path, "r+") as f:
        f["dereddened"] = np.ones(3, bool)
    one_line_error(path, "dereddened of shape [rows]", "(3,)")


def test_hdf5_errors_leave_nothing_and_name_the_file(tmp_path):
    path, lines = tmp_path / "l.h5", some_lines(4)
    for bad in ([], [lines, lines.select(["Ha"])]):
        with pytest.raises(ValueError, match="l.h5: expected"):
            io.write_lines(path, bad)
    with pytest.raises(OSError, match="nowhere"):
        io.write_lines(tmp_path / "nowhere/l.h5", lines)
    assert os.listdir(tmp_path) == []
    with h5py.File(path, "w") as f:
        f["flux"] = np.ones((2, 3))
    one_line_error(path, "attribute lines", "HDF5 with flux")
    io.write_lines(path, lines)
    one_line_error(path, "got HDF5", suffix="_FLUX")
    with h5py.File(path, "r+") as f:
        f["err"].resize(2, axis=0)
    one_line_error(path, "shape [rows, 3]", "(2, 3)")
    with pytest.raises(ValueError, match="rows >= 1"):
        next(io.stream_lines(path, 0))
    io.write_lines(path, lines[:0])
    one_line_error(path, "at least one")
