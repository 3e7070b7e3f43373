"""The command line: what it writes, and that bad input is one line, exit code 2, and no file."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import astropy.units as u
import h5py
import jax.random as jr
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable, Table
from safetensors.numpy import load_file, save_file

import flowspec as fs
from flowspec.cli import main
from flowspec.cli.arguments import parser
from flowspec.data.flags import Flag
from flowspec.posterior.files import read_model, write_model
from flowspec.sim.simulator import draw_many
from tests.problems import WAVE, line_simulator

ROOT = Path(__file__).resolve().parents[1]
UNIT = u.Unit("1e-17 erg / (s cm2 AA)")
N = len(WAVE)


def table(path, wave=WAVE, flux=1.0, ivar=4.0, unit=UNIT):
    """A FITS table of one spectrum, good unless told otherwise."""
    columns = {"wave": wave * u.AA, "flux": np.broadcast_to(flux, N) * unit,
               "ivar": np.broadcast_to(ivar, N) / unit**2}  # fmt: skip
    Table(columns).write(path, format="fits")


def at(pixel, value, other):
    """`other` but for one pixel."""
    return np.where(np.arange(N) == pixel, value, other)


def truncated(path):
    table(path)
    path.write_bytes(path.read_bytes()[:4000])


BAD_SPECTRA = {
    "missing": (lambda path: None, "does not exist"),
    "empty": (lambda path: path.write_bytes(b""), "empty"),
    "truncated": (truncated, "truncated"),
    "image": (lambda path: fits.PrimaryHDU(np.ones((9, 9))).writeto(path), "image"),
    "text": (lambda path: path.write_text("wave flux\n1 2\n"), "FITS or HDF5"),
    "units": (lambda path: table(path, unit=u.K), "got unit"),
    "decreasing": (lambda path: table(path, wave=WAVE[::-1]), "decreasing"),
    "repeated": (lambda path: table(path, wave=at(9, WAVE[8], WAVE)), "repeated"),
    "masked": (lambda path: table(path, ivar=0.0), "no good pixels"),
    "nan": (lambda path: table(path, flux=np.nan), "no good pixels"),
    "inf": (lambda path: table(path, flux=np.inf), "no good pixels"),
    "negative": (lambda path: table(path, ivar=at(9, -2.0, 1.0)), "ivar >= 0; got -2"),
    "outside": (lambda path: table(path, wave=2 * WAVE), "8000-16000"),
}


def bad_models(folder, good) -> dict[str, str]:
    """File name -> what the message must say; the files are written to `folder`."""
    whole = good.read_bytes()
    (folder / "empty").write_bytes(b"")
    (folder / "cut").write_bytes(whole[: len(whole) // 2])
    (folder / "pickle").write_bytes(b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00}\x94.")
    (folder / "flipped").write_bytes(b"\xff" * 64 + whole[64:])
    arrays = load_file(good)
    header = {"format": "flowspec-model", "version": "1", "config": "{}"}
    save_file(arrays, folder / "future", header | {"version": "99"})
    save_file(arrays, folder / "bare", header)
    config, _ = read_model(good)
    config["architecture"]["network"] = "later"
    write_model(folder / "unknown", config, arrays)
    save_file(arrays, folder / "other", {"format": "pt"})
    return {"empty": "model", "cut": "model", "pickle": "model", "flipped": "model",
            "future": "99", "bare": "complete model", "unknown": "'later'", "other": "model",
            "none": "model file"}


def fails(capsys, *words, naming, saying):
    """The command ends with code 2 and one line that has `naming` and `saying`."""
    assert main([str(word) for word in words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("error: "), err
    assert str(naming) in err and saying in err, err


@pytest.mark.parametrize("name", BAD_SPECTRA)
def test_a_bad_spectrum_alone_is_one_line_and_no_output(name, tmp_path, tiny_model_file, capsys):
    make, cause = BAD_SPECTRA[name]
    make(tmp_path / f"{name}.fits")
    before = set(tmp_path.iterdir())
    outputs = ["-o", tmp_path / "out.ecsv", "--samples", tmp_path / "samples.h5"]
    words = ["predict", tmp_path / f"{name}.fits", "--model", tiny_model_file, *outputs]
    fails(capsys, *words, naming=f"{name}.fits", saying=cause)
    assert set(tmp_path.iterdir()) == before


def test_bad_spectra_are_no_table_in_hdf5_either(tmp_path, tiny_model_file, capsys):
    """Whose rows are written a block at a time: an error comes after the last of them."""
    for name in ("empty", "nan"):
        BAD_SPECTRA[name][0](tmp_path / f"{name}.fits")
    files, out = [str(tmp_path / f"{name}.fits") for name in ("empty", "nan")], tmp_path / "out.h5"
    rest = ["--model", str(tiny_model_file), "-o", str(out)]
    more = "(and 1 more without usable data)"
    fails(capsys, "predict", *files, *rest, naming="empty.fits", saying=more)
    assert not out.exists()
    table(tmp_path / "good.fits")
    assert main(["predict", *files, str(tmp_path / "good.fits"), *rest]) == 0
    assert "2 of 3 spectra have no usable data, such as" in capsys.readouterr().err
    with h5py.File(out) as file:
        assert len(file["z_best"]) == 3 and file.attrs["samples"] == 500


def test_bad_spectra_among_many_are_flagged_rows(tmp_path, tiny_model_file, capsys):
    for name, (make, _) in BAD_SPECTRA.items():
        make(tmp_path / f"{name}.fits")
    table(tmp_path / "good.fits")
    names = [*list(BAD_SPECTRA)[:5], "good", *list(BAD_SPECTRA)[5:]]
    files = [str(tmp_path / f"{name}.fits") for name in names]
    out = tmp_path / "out.fits"
    assert main(["predict", *files, "--model", str(tiny_model_file), "-o", str(out)]) == 0
    err = capsys.readouterr().err
    assert f"{len(BAD_SPECTRA)} of {len(names)} spectra" in err and "missing.fits" in err
    result = QTable.read(out)
    assert list(result["name"]) == [f"{name}.fits" for name in names]
    empty = (result["flags"] & int(Flag.NO_DATA)) > 0
    np.testing.assert_array_equal(~empty, [name == "good" for name in names])
    for row in result[empty]:
        assert BAD_SPECTRA[row["name"].removesuffix(".fits")][1] in row["notes"]
    alone = fs.load(tiny_model_file).summarize(fs.read(tmp_path / "good.fits"), first=5)
    np.testing.assert_allclose(result["z_p50"][5], alone["z_p50"][0], atol=5e-6)


def test_a_bad_model_is_one_line_and_no_output(tmp_path, tiny_model_file, capsys):
    table(tmp_path / "good.fits")
    models = bad_models(tmp_path, tiny_model_file)
    before = set(tmp_path.iterdir())
    for name, cause in models.items():
        for words in (["predict", tmp_path / "good.fits", "-o", tmp_path / "out.ecsv"],
                      ["diagnose", "-o", tmp_path / "report"]):  # fmt: skip
            model = ["--model", tmp_path / name]
            fails(capsys, *words, *model, naming=name, saying=cause)
    fails(capsys, "models", tmp_path / "pickle", naming="pickle", saying="model")
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(("words", "cause"), [
    (["predict", "good.fits", "--model", "M", "-o", "out.txt"], "out.txt: expected a name"),
    (["predict", "good.fits", "--model", "M", "-o", "good.fits/out.ecsv"], "a folder to write to"),
    (["predict", "good.fits", "--model", "M", "-o", "good.fits"], "not an input"),
    (["predict", "*.nothing", "--model", "M", "-o", "out.ecsv"], "matches none"),
    (["predict", "good.fits", "--flux-unit", "furlongs", "--model", "M", "-o", "out.ecsv"], "furl"),
    (["predict", "good.fits", "--dereddened", "--model", "M", "-o", "out.ecsv"], "model of lines"),
    (["predict", "good.fits", "--suffix", "_X", "--model", "M", "-o", "out.h5"], "model of lines"),
    (["simulate", "hubble", "-o", "out.h5"], "'hubble'"),
    (["fit", "--instrument", "hubble", "-o", "model"], "'hubble'"),
    (["fit", "--simulations", "good.fits", "-o", "model"], "good.fits: expected an HDF5 file"),
    (["fit", "--instrument", "sdss", "--adapt", "auto", "-o", "model"], "observations to adapt to"),
    (["fit", "--instrument", "sdss", "--adapt", "auto", "-o", "model", "--start", "sdss", "--steps",
      "0"], "observations to adapt to"),
    (["diagnose", "--model", "M", "-o", "good.fits"], "--simulations"),
    (["diagnose", "--model", "M", "--gap", "good.fits", "-o", "report"], "of GalaxySimulator"),
    (["diagnose", "--model", "nebula", "--gap", "good.fits", "-o", "report"], "model of spectra"),
    (["demo", "-o", "good.fits"], "good.fits: expected a folder"),
])  # fmt: skip
def test_bad_arguments_are_one_line(words, cause, tmp_path, tiny_model_file, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table(tmp_path / "good.fits")
    words = [tiny_model_file if word == "M" else word for word in words]
    fails(capsys, *words, naming="", saying=cause)
    assert os.listdir(tmp_path) == ["good.fits"]


@pytest.mark.parametrize("words", [
    [], ["nothing"], ["predict"], ["simulate", "sdss", "--n", "0", "-o", "x"],
    ["fit", "-o", "model"], ["fit", "--instrument", "sdss", "--learning-rate", "-1", "-o", "m"],
    ["predict", "a.fits", "--model", "m", "-o", "o.fits", "--column", "flux"],
])  # fmt: skip
def test_words_that_make_no_command_are_one_line_too(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    err = capsys.readouterr().err
    assert caught.value.code == 2 and err.count("\n") == 1 and err.startswith("error: ")


def test_every_command_has_help_with_an_example(capsys):
    (commands,) = [a.choices for a in parser()._actions if isinstance(a.choices, dict)]
    names = {"simulate", "fit", "predict", "plot", "view", "inspect", "diagnose", "models", "demo"}
    assert names == set(commands)
    for name in commands:
        with pytest.raises(SystemExit) as caught:
            main([name, "--help"])
        assert caught.value.code == 0
        assert f"  flowspec {name}" in capsys.readouterr().out


def test_predict_streams_files_in_order_and_writes_samples(tmp_path, tiny_model, tiny_model_file):
    _, flux, ivar = draw_many(line_simulator(), jr.key(1), 1030)  # more than one block
    many = fs.Spectra(WAVE, flux, ivar)
    fs.write(tmp_path / "many.h5", many)
    table(tmp_path / "one.fits")
    files = [str(tmp_path / "one.fits"), str(tmp_path / "many.h5")]
    out, samples = tmp_path / "out.ecsv", tmp_path / "samples.h5"
    options = ["--num-samples", "100", "--seed", "3", "--samples", str(samples)]
    words = ["predict", *files, "--model", str(tiny_model_file), "-o", str(out), *options]
    assert main(words) == 0
    result = QTable.read(out)
    assert len(result) == 1031 and list(result["name"][:2]) == ["one.fits", "0"]
    assert result.meta["seed"] == 3
    with h5py.File(samples) as file:
        assert list(file["samples"].attrs["param_names"]) == ["z", "strength"]
        drawn, names = file["samples"][...], file["names"].asstr()[...]
    assert drawn.shape == (100, 1031, 2) and list(names) == list(result["name"])
    np.testing.assert_allclose(np.median(drawn[..., 0], axis=0), result["z_p50"], atol=1e-6)
    last = tiny_model.sample(many[-256:], 100, seed=3, first=1031 - 256)  # as many as at once
    np.testing.assert_allclose(drawn[:, -256:], last, rtol=1e-3, atol=1e-5)


@pytest.fixture
def sims(tmp_path):
    """A file of 200 simulations with their prior."""
    sim = line_simulator()
    theta, flux, ivar = draw_many(sim, jr.key(2), 200)
    prior = {"prior": json.dumps(sim.prior.config())}
    fs.write(tmp_path / "sims.h5", fs.Spectra(WAVE, flux, ivar), theta, sim.prior.names, prior)
    return tmp_path / "sims.h5"


SHORT = ["--steps", "4", "--batch", "16", "--validation", "40", "--evaluate", "2"]


def test_what_a_file_of_simulations_is_fitted_with(sims, tmp_path, tiny_model, monkeypatch):
    """All but the training itself."""
    given = {}

    def fitted(sim, **words):
        given.update(words, sim=sim)
        return tiny_model

    monkeypatch.setattr("flowspec.cli.fit.fit", fitted)
    model = tmp_path / "model"
    assert main(["fit", "--simulations", str(sims), "-o", str(model), "--seed", "7", *SHORT]) == 0
    assert given["sim"].prior == line_simulator().prior and given["seed"] == 7
    _, _, spectra = fs.io.read_simulations(sims)
    np.testing.assert_array_equal(given["sim"].spectra, spectra.flux)
    expected = fs.Training(steps=4, batch=16, validation=40, evaluate=2)
    assert given["training"] == expected and given["start"] is None
    assert fs.load(model).model.space.priors == (line_simulator().prior,)


def test_look_at_a_model(sims, tmp_path, tiny_model_file, capsys):
    report = tmp_path / "report"
    assert main(["models", str(tiny_model_file)]) == 0
    out = capsys.readouterr().out
    assert "4000-8000 A" in out and "Uniform(0.1, 0.5)" in out and "400 steps of 64" in out
    words = ["diagnose", "--model", str(tiny_model_file), "--simulations", str(sims), "--n", "60"]
    assert main([*words, "-o", str(report)]) == 0
    assert "strength" in capsys.readouterr().out
    written = {path.name for path in report.iterdir()}
    assert written == {"calibration.ecsv", "calibration.png", "recovered.png"}
    assert list(Table.read(report / "calibration.ecsv")["parameter"]) == ["z", "strength"]


@pytest.mark.slow
def test_fit_a_file_of_simulations(sims, tmp_path, tiny_model, monkeypatch):
    small = partial(fs.fit, architecture=tiny_model.architecture)
    monkeypatch.setattr("flowspec.cli.fit.fit", small)
    model = tmp_path / "model"
    assert main(["fit", "--simulations", str(sims), "-o", str(model), *SHORT]) == 0
    posterior = fs.load(model)
    assert posterior.model.space.priors == (line_simulator().prior,)
    assert len(posterior.provenance["history"]) == 2


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_no_file(tmp_path):
    words = ["flowspec", "simulate", "sdss", "--n", "10", "-o", "out.h5"]  # ten are 320,000 bytes
    code = f"""import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
sys.argv = {words}
runpy.run_module("flowspec", run_name="__main__", alter_sys=True)"""
    # Nor would programs fit, of which other tests would find the halves.
    environment = os.environ | {"PYTHONPATH": str(ROOT), "FLOWSPEC_CACHE": "off"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines() == ["error: out.h5: File too large"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_simulations_can_be_read_back(tmp_path):
    words = ["simulate", "sdss", "--n", "5", "--seed", "4", "-o", str(tmp_path / "sims.h5")]
    assert main(words) == 0
    theta, names, spectra = fs.io.read_simulations(tmp_path / "sims.h5")
    assert theta.shape == (5, len(names)) and names[0] == "z" and len(spectra.wave) == 4002
    assert spectra.usable.all() and len(np.unique(theta[:, 0])) == 5


@pytest.mark.slow
def test_demo(tmp_path, capsys):
    if "sdss" not in fs.shipped():
        pytest.skip("there is no shipped model 'sdss' yet")
    folder = tmp_path / "demo"
    assert main(["demo", "-o", str(folder)]) == 0
    said = capsys.readouterr().out
    written = {str(path.relative_to(folder)) for path in folder.glob("*")}
    pages = {f"galaxy-{kind}.png" for kind in ("passive-0000", "star-forming-0001",
                                               "starburst-0002")}
    assert written == {"spectra", "results.ecsv", "recovered.png", *pages}
    assert f"flowspec predict {folder}/spectra" in said  # which works, as its files are read
    table, spectra = Table.read(folder / "results.ecsv"), fs.read(folder / "spectra")
    assert list(table["name"]) == list(spectra.names) and len(table) == 60
    assert 0.5 < np.median(spectra.flux[:, 1500:2500]) < 500  # as bright as galaxies of the SDSS
    broad = np.char.find(np.array(table["name"], str), "Seyfert1") > 0
    unlike = np.char.find(np.array(table["flag_names"].filled(""), str), "unlike_data") >= 0
    assert unlike[broad].mean() > 0.8 and unlike[~broad].mean() < 0.2
