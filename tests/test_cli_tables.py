"""`flowspec predict`: folders in, tables of every format out, and what cannot be told early."""

import gzip
import logging

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

import flowspec as fs
from flowspec import Architecture
from flowspec.cli import main
from flowspec.data.frame import Pixels
from flowspec.io.paths import expanded
from tests.problems import WAVE, line_simulator, untrained

SIZES = Architecture(
    templates=3, learned=0, aligned=6, window=21, condition=16, layers=2, width=16
)


def spectrum(path, **cards):
    """A FITS table of one spectrum, and cards of its first header."""
    rng = np.random.default_rng(len(path.name))
    flux = 1 + 0.5 * rng.normal(size=len(WAVE))
    table = fits.table_to_hdu(Table({"wave": WAVE, "flux": flux, "ivar": np.full(len(WAVE), 4.0)}))
    first = fits.PrimaryHDU()
    first.header.update(cards)
    fits.HDUList([first, table]).writeto(path)


@pytest.fixture
def folder(tmp_path):
    """Five spectra, one of them no spectrum after all, and five files that cannot be any."""
    inside = tmp_path / "in"
    (inside / "night").mkdir(parents=True)
    (inside / ".hidden").mkdir()
    spectrum(inside / "b.fits", RA=10.0, OBJECT="two")
    spectrum(inside / "a.fits", RA=20.0, OBJECT="one", EXPTIME=30.0)
    spectrum(inside / "night" / "c.fits")
    fits.PrimaryHDU(np.ones((9, 9))).writeto(inside / "d.fits")
    with gzip.open(inside / "e.fits.gz", "wb") as file:
        file.write((inside / "b.fits").read_bytes())
    spectrum(inside / ".hidden" / "never.fits")
    for name in ("notes.txt", "README", "lines.csv", "plot.png"):
        (inside / name).write_bytes(b"\x89PNG or some text")
    with gzip.open(inside / "log.gz", "wb") as file:
        file.write(b"text")
    return inside


def names(paths, folder) -> list[str]:
    return [path.removeprefix(f"{folder}/") for path in paths]


def test_a_folder_is_what_can_be_spectra_in_it(folder, caplog):
    with caplog.at_level(logging.INFO, logger="flowspec"):
        found = expanded([str(folder)])
    assert names(found, folder) == ["a.fits", "b.fits", "d.fits", "e.fits.gz", "night/c.fits"]
    (record,) = caplog.records
    assert record.getMessage().endswith("5 of 10 files passed over, which cannot be spectra")
    text = expanded([str(folder)], text=True, tell=False)
    assert set(names(text, folder)) - set(names(found, folder)) == {"lines.csv", "notes.txt"}
    assert len(caplog.records) == 1
    assert len(fs.read(folder)) == 5


def test_a_folder_without_any_is_refused(tmp_path):
    (tmp_path / "x.png").write_bytes(b"\x89PNG")
    with pytest.raises(ValueError, match="expected spectra in the directory; got 1 files"):
        expanded([str(tmp_path)])
    with pytest.raises(ValueError, match="expected files; got a pattern that matches none"):
        expanded([str(tmp_path / "*.fits")])


@pytest.mark.parametrize(("words", "cause"), [
    (["none.fits", "no.fits"], "none.fits: expected a file; got a path that does not exist (and 1"),
    (["empty"], "empty: expected spectra in the directory; got 0 files"),
    (["*.nothing"], "matches none"),
    (["a.fits", "-o", "out.txt"], "ends in .ecsv, .fits, .csv, .vot, .xml, .parquet or .h5"),
    (["a.fits", "-o", "a.fits/out.ecsv"], "expected a folder to write to; got a file"),
    (["a.fits", "--samples", "out.ecsv"], "out.ecsv: expected another file for each output"),
    (["a.fits", "--redshift-pdf", "a.fits"], "not an input"),
])  # fmt: skip
def test_what_cannot_be_is_told_before_the_model_is_loaded(
    words, cause, tmp_path, monkeypatch, capsys
):
    def load(path):
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("flowspec.cli.answering.load", load)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.fits").write_bytes(b"SIMPLE  =")
    words = words if "-o" in words else [*words, "-o", "out.ecsv"]
    assert main(["predict", *words, "--model", "m"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and cause in err, err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.fits", "empty"]


@pytest.fixture(scope="module")
def galaxies(tmp_path_factory):
    """A model of redshift and strength of a line, as it is before training."""
    posterior = untrained((line_simulator().prior,), ("a",), Pixels(WAVE), SIZES)
    path = tmp_path_factory.mktemp("model") / "galaxies"
    posterior.save(path)
    return path


def test_a_folder_to_a_new_folder_with_densities(folder, galaxies, tmp_path, capsys):
    new = tmp_path / "new" / "er"
    rest = ["--model", str(galaxies), "--num-samples", "100"]
    words = ["predict", str(folder), str(tmp_path / "gone.fits"), *rest]
    assert main([*words, "-o", str(new / "out.fits"), "--redshift-pdf", str(new / "z.h5")]) == 0
    err = capsys.readouterr().err
    assert "files that cannot be opened: 1, such as" in err and "passed over" in err
    table = Table.read(new / "out.fits")
    assert [str(n) for n in table["name"]] == [
        "a.fits", "b.fits", "d.fits", "e.fits.gz", "c.fits", "gone.fits"]
    assert table.colnames[:4] == ["name", "ra", "object", "exptime"]
    assert table["ra"].filled(-1).tolist() == [20.0, 10.0, -1, 10.0, -1, -1]
    assert all(table[n].description for n in table.colnames)
    with h5py.File(new / "z.h5") as file:
        density, edges = file["density"][...], file["edges"][...]
        assert list(file["names"].asstr()[...]) == [str(n) for n in table["name"]]
    empty = (table["flags"] & 1) > 0
    assert empty.tolist() == [False, False, True, False, False, True]
    assert np.isnan(density[empty]).all() and np.ma.getmaskarray(table["z_peaks"])[empty].all()
    np.testing.assert_allclose((density * np.diff(edges)).sum(1)[~empty], 1, rtol=1e-4)
    first = np.ma.filled(table["z_peaks"], np.nan)[~empty, 0]
    np.testing.assert_array_equal(first, table["z_best"][~empty])
    with_sum = np.nansum(np.ma.filled(table["z_peak_probs"], np.nan), axis=1)
    assert (with_sum <= 1 + 1e-6).all()


def test_densities_only_of_redshifts(folder, tmp_path, galaxies, capsys):
    words = ["predict", str(folder), "-o", str(tmp_path / "out.ecsv")]
    more = ["--redshift-pdf", str(tmp_path / "z.h5"), "--model"]
    assert main([*words, *more, "nebula"]) == 2
    assert "expected --redshift-pdf only with a model of redshifts" in capsys.readouterr().err
    assert main([*words, *more, str(galaxies), "--population"]) == 2
    assert "expected --redshift-pdf without --population" in capsys.readouterr().err


def test_python_has_the_same_columns(galaxies):
    obs = fs.Spectra(WAVE, np.ones((2, len(WAVE))), np.ones((2, len(WAVE))),
                     extra={"ra": [1.0, 2.0], "z_best": [7, 8], "mine": ["x", "y"]})
    table = fs.load(galaxies).summarize(obs, n=100)
    assert table.colnames[:4] == ["name", "ra", "z_best_1", "mine"]
    assert table["mine"].tolist() == ["x", "y"] and table["z_best_1"].tolist() == [7, 8]
    named = set(table.colnames) - {"mine", "z_best_1"}
    assert all(table[n].description for n in named), [n for n in named if not table[n].description]
    assert table["z_peaks"].shape == (2, 5)
