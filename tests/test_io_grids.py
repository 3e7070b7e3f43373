"""Photoionisation grids in files: against the raw content, and broken."""

import gzip
import logging

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from flowspec import read_grid

HCM = "12+log(O/H) \t log(N/O) \t log(U) \t OIII_5007 \t SII_6717,31\n"
C = 2.99792458e10  # cm/s


def at(grid, **values):
    """The only model at these parameters: line -> flux."""
    near = [np.isclose(grid.points[:, grid.names.index(n)], v) for n, v in values.items()]
    (row,) = np.flatnonzero(np.all(near, axis=0))
    return dict(zip(grid.lines, grid.flux[row], strict=True))


@pytest.fixture
def grids(data):
    return data / "grids"


@pytest.mark.parametrize(
    "name", ["C17_POPSTAR_1myr", "ssciwr_17lines_C17_AGN_alpha08_efrac02_CNfix"]
)
def test_hii_chi_mistry(grids, name):
    path = grids / f"hcm_cloudy17/optical/{name}.dat.gz"
    grid = read_grid(path)
    rows = [row.split() for row in gzip.open(path, "rt").read().splitlines() if row[0] != "#"]
    head, raw = rows[0], rows[1000]
    got = at(grid, oh=float(raw[0]), no=float(raw[1]), log_u=float(raw[2]))
    for column, line in {"OII_3727": "[OII]3726,3729", "SIII_9069": "[SIII]9069"}.items():
        assert got[line] == float(raw[head.index(column)])
    assert got["Hbeta"] == 1 and got["Halpha"] == 2.86
    assert [len(nodes) for nodes in grid.axes] == [23, 17, 11 if "POPSTAR" in name else 13]
    assert grid.floor > 1e-5 and grid.source.startswith("HII-CHI-mistry")
    assert "Halpha" not in read_grid(path, balmer=False).lines


def test_hii_chi_mistry_infrared(grids):
    grid = read_grid(grids / "hcm_cloudy17/ir/C17_POPSTAR_1myr.dat.gz")
    got = at(grid, oh=6.9, no=-2.0, log_u=-4.0)
    assert got["Bralpha"] == 0.0652 and got["[SIII]33.5um"] == 0.0097


def test_izi(grids):
    path = grids / "izi_grids/HII_CHIm.fits"
    grid, raw = read_grid(path), fits.getdata(path, 1)[7]
    by_id = dict(zip(raw["ID"], raw["FLUX"], strict=True))
    oh, log_u = raw["LOGZ"] + raw["LOGOHSUN"], raw["LOGQ"] - np.log10(C)
    got = at(grid, oh=oh, log_u=log_u, no=raw["LOGNO"])
    np.testing.assert_allclose(got["[NII]6584"], by_id["nii6584"] / by_id["hbeta"], rtol=1e-12)


def test_every_izi_grid_reads_and_its_models_are_lit(grids):
    for path in sorted((grids / "izi_grids").glob("*.fits"))[::4]:
        grid = read_grid(path)
        ratio = grid.flux[:, grid.lines.index("Halpha")]
        # case B within its range of temperature; Levesque's and Dopita's hardest reach 3.5
        assert 2.5 < np.median(ratio) < 3.5
        assert "log_u" in grid.names and {"oh", "log_z"} & set(grid.names)


def test_columns_of_byler_that_hold_a_neighbour_are_left_out(grids):
    grid = read_grid(grids / "izi_grids/byler_FSPS_mist_age_1_Myr.fits")
    assert not {"CII1335", "HeI5016"} & set(grid.lines)
    assert "CIII]1907" in grid.lines


def test_fsps_agrees_with_its_izi_extract(grids):
    """Byler's file for 1 Myr was cut out of the same tables."""
    fsps = read_grid(grids / "fsps_nebular/ZAU_ND_mist.lines.gz").fixed(log_age=6.0)
    izi = read_grid(grids / "izi_grids/byler_FSPS_mist_age_1_Myr.fits")
    got = at(fsps, log_z=-0.98, log_u=-2.0)
    want = at(izi, oh=8.93 - 0.98, log_u=-2.0)
    for line in ("[OIII]5007", "[OII]3726", "[NII]6584", "[SIII]9531", "[OII]7320", "CIII]1907"):
        np.testing.assert_allclose(got[line], want[line], rtol=1e-3)  # four digits


@pytest.mark.parametrize(("name", "extra"), [("gutkin16", "co"), ("feltre16", "alpha")])
def test_gutkin_and_feltre(grids, name, extra):
    grid = read_grid(grids / "gutkin16_feltre16" / name)
    assert {"log_z", "log_u", "xid", "log_nh", extra} <= set(grid.names)
    ratio = grid.flux[:, grid.lines.index("Halpha")] / grid.flux[:, grid.lines.index("Hbeta")]
    assert 2.7 < np.median(ratio) < 3.3
    doublet = grid.select(["[OIII]5007", "[OIII]4959"]).flux
    np.testing.assert_allclose(doublet[:, 0] / doublet[:, 1], 3.0, atol=0.05)  # atomic physics


def test_one_table_of_gutkin(grids):
    path = grids / "gutkin16_feltre16/gutkin16/nebular_emission_Z0001.txt"
    grid = read_grid(path)
    got = at(grid, log_u=-1, xid=0.1, log_nh=2, co=np.log10(0.44 * 1.4), m_up=100)
    np.testing.assert_allclose(got["CIII]1907,1909"], 1.875e7 / 4.207e7)


def own(path, kind):
    """A user's table of four models in one of the formats."""
    table = Table({"12 + log O/H": [8.0, 8.0, 9.0, 9.0], "log U": [-3.0, -2.0, -3.0, -2.0],
                   "H  1 4861.33A": [2.0, 2.0, 2.0, 2.0], "[OIII]5007": [1.0, 2.0, 3.0, 4.0],
                   "SII_6717,31": [0.4, 0.0, 0.4, 0.2]})  # fmt: skip
    if kind == "fits":  # which frowns on other characters
        table.rename_columns(table.colnames, ["oh", "logU", "HB4861", "OIII_5007", "SII6716_31"])
    if kind == "hdf5":
        table.rename_column("12 + log O/H", "oh")  # a "/" would be a group
        with h5py.File(path, "w") as file:
            for name in table.colnames:
                file[name] = table[name]
    else:
        table.write(path, format={"ecsv": "ascii.ecsv", "csv": "ascii.csv"}.get(kind, kind))
    return path


@pytest.mark.parametrize("kind", ["ecsv", "csv", "fits", "hdf5"])
def test_a_table_of_ones_own_comes_back(tmp_path, kind):
    path = own(tmp_path / f"grid.{kind}", kind)
    zipped = tmp_path / "grid.bin"
    zipped.write_bytes(gzip.compress(path.read_bytes()))
    for file in (path, zipped):
        grid = read_grid(file, source="mine")
        assert set(grid.names) == {"oh", "log_u"} and grid.source == "mine"
        got = at(grid, oh=9.0, log_u=-2.0)
        assert got == {"Hbeta": 1.0, "[OIII]5007": 2.0, "[SII]6717,6731": 0.1}
        assert [len(nodes) for nodes in grid.axes] == [2, 2]


def test_nebulabayes(tmp_path):
    """Its layout: a FITS table with sums and depths beside the lines, NaN where too faint."""
    n = np.array([-3.0, -2.0], np.float32)
    table = Table({"log U": n, "log P/k": n + 8, "12 + log O/H": n + 11, "Hbeta": [1.0, 1.0],
                   "OII7330": [0.1, 0.2], "OII7331": [0.1, 0.2], "OII7330_31": [0.2, 0.4],
                   "OIII5007": [np.nan, 2.0], "D_50%_neutral_cm": [1e19, 1e19]})  # fmt: skip
    table.write(tmp_path / "nb.fits.gz")
    grid = read_grid(tmp_path / "nb.fits.gz")
    assert grid.names == ("log_u", "log_pk", "oh")
    assert grid.lines == ("Hbeta", "[OII]7330", "[OIII]5007")
    np.testing.assert_allclose(grid.flux, [[1, 0.2, 0], [1, 0.4, 2]])


def text(content):
    return lambda path: path.write_text(content)


BROKEN = {
    "missing": (lambda path: None, "does not exist"),
    "empty": (text(""), "empty file"),
    "zip": (lambda p: p.write_bytes(gzip.compress(b"x" * 9999)[:20]), "complete gzip"),
    "bytes": (lambda path: path.write_bytes(b"\xff\xfe\x00"), "expected text, FITS or HDF5"),
    "prose": (text("once upon a time\n"), "expected a grid of models"),
    "hcm short": (text(HCM + "8 -1 -2 1.0\n"), "expected 5 values per model; got 4 in model 1"),
    "hcm word": (text(HCM + "8 -1 -2 1.0 x\n"), "expected numbers"),
    "fsps": (text("#2 cols 5 rows\n4862.7 5008.2\n-1 1e6 -2\n1 2\n"), "expected 5 models; got 1"),
    "fits": (lambda p: fits.PrimaryHDU().writeto(p), "expected a FITS table; got none"),
    "no lines": (text("a,b\n1,2\n"), "expected parameters and lines"),
    "no hbeta": (text("a,Ha\n1,2\n2,3\n"), "expected Hbeta"),
    "words": (text("a,Hb\n1,x\n"), "with numbers; got Hb"),
    "negative": (text("a,Hb,Ha\n1,1,-3\n2,1,3\n"), "fluxes >= 0"),
    "folder": (lambda path: path.mkdir(), "folder without any"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_one_line_with_its_name(tmp_path, kind):
    write, cause = BROKEN[kind]
    path = tmp_path / "grid.dat"
    write(path)
    with pytest.raises(ValueError, match=cause) as caught:
        read_grid(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_what_is_spelled_like_a_line_is_no_parameter_of_a_grid(tmp_path, caplog):
    caplog.set_level(logging.INFO, "flowspec")
    names = ["log U", "H  1 4861.33A", "TOTL 3727.00A", "O  3 5006.84A", "OIII_4959_FLUX",
             "OIII_4959_FLUX_ERR", "Ca B 4861.33A", "BLND 1035.00A"]  # fmt: skip
    rows = np.arange(1, 17.0).reshape(2, 8)
    Table(rows, names=names).write(tmp_path / "g.csv")
    grid = read_grid(tmp_path / "g.csv")
    assert grid.names == ("log_u",)
    assert grid.lines == ("Hbeta", "[OII]3726,3729", "[OIII]5007", "[OIII]4959")
    np.testing.assert_allclose(grid.flux, rows[:, 1:5] / rows[:, 1:2])
    said = " ".join(caplog.messages[0].split())
    assert "log_u = log U" in said and "[OII]3726,3729 = TOTL 3727.00A, " in said
    assert "IGNORED, of no known line: OIII_4959_FLUX_ERR, Ca B 4861.33A, BLND 1035.00A" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [("a,Hb,OIII5007,O3_5007\n1,1,2,2\n2,1,2,2\n", "OIII5007' and 'O3_5007"),
     ("a,Hb,OIII\n1,1,2\n2,1,3\n", "5007 or .OIII.4959,5007"),
     ("a,Hb,Ha,Ha\n1,1,2,3\n2,1,3,3\n", "'Ha' more than once"),
     ("a,Hb,Ha\n1,1,3\n1,1,2\n", "2 models at a = 1")],
)  # fmt: skip
def test_grids_with_something_twice_are_refused(text, words, tmp_path):
    (tmp_path / "g.csv").write_text(text)
    with pytest.raises(ValueError, match=words):
        read_grid(tmp_path / "g.csv")


def test_a_gap_in_a_lattice_is_announced(tmp_path, caplog):
    rows = [f"{oh},{u},1,{oh + u}" for oh in (7, 8, 9) for u in (-3, -2, -1)]
    for kept, gaps in ((rows, 0), (rows[:4] + rows[5:], 1)):
        caplog.clear()
        (tmp_path / "g.csv").write_text("\n".join(["oh,logu,Hb,Ha", *kept]))
        grid = read_grid(tmp_path / "g.csv")
        assert len(grid.gaps) == gaps
        warned = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
        assert len(warned) == gaps
    assert "lacks 1 of 9, such as oh = 8, log_u = -2" in warned[0]
