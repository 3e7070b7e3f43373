"""`flowspec plot` and `predict --plots`: which rows are drawn, where to, and what is refused."""

import numpy as np
import pytest

import flowspec as fs
from flowspec.cli import main
from flowspec.cli.figures import chosen, file_names
from flowspec.io import write
from tests.problems import WAVE


@pytest.fixture
def spectra(tmp_path):
    """Four rows of signal-to-noise ratios 2, 8, 4 and none."""
    flux = np.ones((4, len(WAVE))) + 5 * np.exp(-0.5 * ((WAVE - 6500) / 60) ** 2)
    ivar = np.ones_like(flux) * np.array([4.0, 64.0, 16.0, 0.0])[:, None]
    path = tmp_path / "spectra.h5"
    write(path, fs.Spectra(WAVE, flux, ivar, ["a", "b/1", "c", "none"]))
    return path


def drawn(folder):
    return {path.name for path in folder.glob("*.png")}


@pytest.mark.slow
def test_the_rows_of_highest_signal_to_noise_are_drawn(spectra, tmp_path, tiny_model_file, capsys):
    rest = ["--model", str(tiny_model_file), "--top", "2", "--num-samples", "100"]
    assert main(["plot", str(spectra), *rest, "-o", str(tmp_path / "figures")]) == 0
    said = capsys.readouterr()
    assert [line.split("/")[-1] for line in said.out.splitlines()] == ["b-1.png", "c.png"]
    assert "no best model in the figures" in said.err  # the simulator is not known
    out = ["-o", str(tmp_path / "t.ecsv"), "--plots", str(tmp_path / "again"), "-q"]
    assert main(["predict", str(spectra), *rest, *out, "--parameters", "strength"]) == 0
    assert drawn(tmp_path / "again") == drawn(tmp_path / "figures") == {"b-1.png", "c.png"}
    assert "note" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "cause"),
    [(["-o", "{}/one.png"], "or --top 1"), (["-o", "{}/f", "--parameters", "mass"], "got mass"),
     (["-o", "{}/spectra.h5"], "expected a folder; got a file"),
     (["-o", "{}/f", "--suffix", "_x"], "only with a model of lines")],
)  # fmt: skip
def test_what_cannot_be_drawn_is_one_line(words, cause, spectra, tmp_path, tiny_model_file, capsys):
    before = set(tmp_path.iterdir())
    words = [word.format(tmp_path) for word in words]
    assert main(["plot", str(spectra), "--model", str(tiny_model_file), "-q", *words]) == 2
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1 and cause in err, err
    assert set(tmp_path.iterdir()) == before


def test_names_of_files_and_parameters():
    names = ["spec-1.fits", "spec-1.fits#2", "a b/c.FITS.gz", "spec-1.fits", "..", "x.fits.gz#10"]
    assert file_names(names) == ["spec-1.png", "spec-1-2.png", "a-b-c.png", "spec-1-3.png",
                                 "row.png", "x-10.png"]
    assert len(set(file_names(["a", "A", "a"]))) == 3
    sdss = "z", "log_mstar", "log_sfr", "log_age", "av", "oh"
    assert chosen(sdss, []) == ("log_mstar", "log_sfr", "av", "oh")
    assert chosen(("z", "strength"), []) == ("strength", "z")
    assert chosen(sdss, ["oh", "z"]) == ("oh", "z")


def test_levels_of_what_is_told(spectra, tmp_path, tiny_model_file, capsys):
    """-q: warnings only; -v: every note with its time."""
    words = ["predict", str(spectra), "--model", str(tiny_model_file), "--num-samples", "100"]
    assert main([*words, "-q", "-o", str(tmp_path / "q.ecsv")]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "1 of 4 spectra have no usable data" in line
    assert main([*words, "-v", "-o", str(tmp_path / "v.ecsv")]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 2 and all(line.startswith("[") and " s] " in line for line in lines)
