"""A page from a table of results alone, which tells what it was made from."""

import argparse
import contextlib
import io
import json
import shutil
import time
from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.table import Table

from flowspec.cli import main
from flowspec.cli.inputs import rows_bar
from flowspec.io import write
from flowspec.io.recorded import KEY, MANY, record, recorded
from tests.test_pages import contents, mocks

pytest.importorskip("plotly", reason="pages need plotly: pip install plotly")
KEEPING = (".fits", ".ecsv", ".h5", *([".parquet"] if find_spec("pyarrow") else []))


@pytest.fixture(scope="module")
def predicted(tiny_model_file, tmp_path_factory):
    """A folder with spectra, a model, and tables of results in it."""
    folder = tmp_path_factory.mktemp("predicted")
    (folder / "night").mkdir()
    write(folder / "night" / "mocks.h5", mocks())
    shutil.copy(tiny_model_file, folder / "my model")
    with contextlib.chdir(folder):
        for ending in KEEPING:
            words = ["night", "--model", "my model", "--seed", "7", "--num-samples", "120", "-q"]
            assert main(["predict", *words, "-o", f"out/results{ending}"]) == 0
    return folder


@pytest.fixture
def night(predicted, tmp_path, monkeypatch):
    """Its copy, as the current folder."""
    shutil.copytree(predicted, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def shown(folder: str = "page") -> tuple[list[str], list[list]]:
    """Names of columns and rows of a page's table."""
    about, _ = contents(Path(folder) / "index.html")
    return [column["name"] for column in about["columns"]], about["table"]


@pytest.mark.parametrize("ending", KEEPING)
def test_a_table_tells_its_spectra_model_and_draws(ending, night, capsys):
    """What the page shows is what the table has: the same draws, of the same seed."""
    (night / "elsewhere").mkdir()
    with contextlib.chdir(night / "elsewhere"):  # names of files do not depend on where one is
        assert main(["view", f"../out/results{ending}", "-o", "page", "--fits", "0"]) == 0
        names, rows = shown()
    assert "6 rows" in capsys.readouterr().out
    if ending == ".h5":
        with h5py.File("out/results.h5") as file:
            table = {"name": file["name"].asstr()[...], "z_p50": file["z_p50"][...]}
    elif ending == ".parquet":  # which astropy reads with pandas alone
        table = pytest.importorskip("pyarrow.parquet").read_table("out/results.parquet").to_pydict()
    else:
        table = Table.read(f"out/results{ending}")
    assert [row[names.index("name")] for row in rows] == [str(n).strip() for n in table["name"]]
    z = [row[names.index("z_p50")] for row in rows[:-1]]
    assert z == pytest.approx(list(np.asarray(table["z_p50"][:5], float)), rel=1e-5)


def test_what_is_said_goes_before_what_the_table_tells(night):
    words = ["--num-samples", "100", "--seed", "0"]
    assert main(["view", "out/results.fits", "-o", "page", *words]) == 0
    made = contents(Path("page/index.html"))[0]["made"]
    assert "100 draws" in made and "seed 0" in made


def test_both_may_move_together_and_a_selection_is_what_is_shown(night):
    Table.read("out/results.ecsv")[[3, 1]].write("out/odd.ecsv")
    (night / "new").mkdir()
    for name in ("night", "my model", "out"):
        shutil.move(name, "new")
    assert main(["view", "new/out/odd.ecsv", "-o", "page"]) == 0
    names, rows = shown()
    assert [row[names.index("name")] for row in rows] == ["row 3", "row 1"]


@pytest.mark.parametrize("gone", ["night", "my model", "all"])
@pytest.mark.parametrize("ending", KEEPING)
def test_what_has_moved_is_named_in_one_line(ending, gone, night, capsys):
    path = f"out/results{ending}"
    if gone == "all":
        (night / "far" / "away").mkdir(parents=True)
        path = shutil.move(path, "far/away/")
    else:
        shutil.move(gone, "gone")
    assert main(["view", path, "-o", "page"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and told.startswith(f"error: {path}: expected what it was made")
    assert ("night: expected" if gone == "all" else f"{gone}: expected") in told
    assert f"flowspec view SPECTRA --rows {path} --model 'my model'" in told
    assert not (night / "page").exists()


def test_a_folder_that_is_gone_is_named(night, capsys):
    (night / "a" / "b").mkdir(parents=True)
    table = Table({"name": ["row 1"]})
    table.meta[KEY] = json.dumps({"folder": "../gone", "spectra": ["x"], "options": {"model": "m"}})
    table.write("a/t.ecsv")
    assert main(["view", "a/t.ecsv", "-o", "page"]) == 2
    assert f"got a folder that is not there, {night / 'gone'}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["results.csv", "results.vot", "night/mocks.h5", "none.fits"])
def test_other_files_need_a_model(name, night, capsys):
    """Also tables of formats without a place for such words."""
    table = Table.read("out/results.fits")["name", "z_best"]
    table.write("results.csv")
    table.write("results.vot", format="votable")
    assert main(["view", name, "-o", "page"]) == 2
    assert f"that tells its spectra and model; got {name}" in capsys.readouterr().err


def test_long_lists_of_files_are_kept_and_longer_ones_told(night, capsys):
    """In FITS over many cards, in HDF5 as one attribute."""
    files = [f"spec-0488-51914-{i:04d} 'ä'.fits" for i in range(MANY)]
    text = record("t.fits", files, {"model": "sdss"})
    Table({"name": ["a"]}, meta={KEY: text}).write("t.fits")
    with h5py.File("t.h5", "w") as file:
        file.attrs[KEY] = text
    for name in ("t.fits", "t.h5"):
        assert recorded(name).spectra == files and recorded(name).folder == night
    Table({"name": ["a"]}, meta={KEY: record("t.ecsv", [*files, "b"], {"model": "sdss"})}).write(
        "t.ecsv")
    assert main(["view", "t.ecsv", "-o", "page"]) == 2
    assert "too many files to record" in capsys.readouterr().err


def test_rows_may_be_named_by_hdf5_too(night):
    words = ["view", "night", "--rows", "out/results.h5", "--model", "my model", "-o", "page"]
    assert main(words) == 0 and len(shown()[1]) == 6


def test_a_bar_tells_the_rate_and_the_time_left_on_a_terminal_only(night, monkeypatch):
    """Of HDF5 the rows are known, of other files it is one each."""
    (night / "one.fits").write_bytes(b"")
    frame = argparse.Namespace(kind="pixels")
    for terminal, quiet in ((True, False), (False, False), (True, True)):
        stream = io.StringIO()
        stream.isatty = lambda terminal=terminal: terminal
        monkeypatch.setattr("sys.stderr", stream)
        args = argparse.Namespace(spectra=["night", "one.fits"], quiet=quiet)
        with rows_bar(args, frame) as bar:
            time.sleep(0.2)
            bar.update(3)
        told = stream.getvalue()
        assert bool(told) == (terminal and not quiet)
        if told:
            assert bar.total == 7 and "3/7 [00:00<" in told and "rows/s" in told
