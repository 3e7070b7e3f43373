"""Line catalogues on the command line: tables in and out, bad input, grids to models."""

import h5py
import numpy as np
import numpyro.distributions as dist
import pytest
from astropy.table import Table

from flowspec.cli import main
from flowspec.data.flags import Flag
from flowspec.data.frame import LineSet
from flowspec.data.lines import Lines
from flowspec.io import write_lines
from flowspec.networks.lines import LineArchitecture
from flowspec.posterior.load import load
from flowspec.prior.prior import Prior
from tests.problems import untrained

NAMES = ("Hbeta", "[OIII]5007", "[NII]6584")
SIZES = LineArchitecture(hidden=16, blocks=1, condition=8, layers=2, width=8, knots=4)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model file, untrained."""
    prior = Prior({"oh": dist.Uniform(7.0, 9.0), "av": dist.Uniform(0.0, 4.0)})
    path = tmp_path_factory.mktemp("model") / "lines"
    untrained((prior, prior), ("HII", "AGN"), LineSet(NAMES), SIZES).save(path)
    return path


def predict(model, source, target, *more) -> int:
    words = ["predict", source, "--model", model, "-o", target, "--num-samples", "100", *more]
    return main([str(w) for w in words])


GOOD = """\
name,HB4861_FLUX,HB4861_FLUX_ERR,OIII5006,OIII5006_ERR,[NII]6584_ul,[NII]6584,[NII]6584_err
a,1.0,0.1,3.0,0.2,,0.3,0.1
b,2.0,0.1,1.0,0.2,0.4,,
c,,,,,,,
d,1.0,-0.1,1.0,0.2,,0.3,0.1
"""


def test_one_row_per_object_and_nothing_lost(model, tmp_path):
    (tmp_path / "lines.csv").write_text(GOOD)
    assert predict(model, tmp_path / "lines.csv", tmp_path / "out.ecsv") == 0
    table = Table.read(tmp_path / "out.ecsv")
    assert list(table["name"]) == ["a", "b", "c", "d"]
    assert table["lines"].tolist() == [3, 3, 0, 2] and table["limits"].tolist() == [0, 1, 0, 0]
    assert [bool(f & Flag.NO_DATA) for f in table["flags"]] == [False, False, True, False]
    assert "Hbeta" in table["notes"][3] and table["notes"][2]
    np.testing.assert_allclose(table["p_HII"] + table["p_AGN"], 1, atol=1e-5)


def test_spaxels_from_hdf5_to_hdf5_are_the_same(model, tmp_path):
    rng = np.random.default_rng(1)
    obs = Lines(NAMES, rng.uniform(0.5, 2, (40, 3)), np.full((40, 3), 0.1))
    write_lines(tmp_path / "cube.h5", obs)
    assert predict(model, tmp_path / "cube.h5", tmp_path / "out.h5") == 0
    table = load(model).summarize(obs, n=100)
    with h5py.File(tmp_path / "out.h5") as file:
        assert set(file) == set(table.colnames) and file.attrs["samples"] == 100
        np.testing.assert_allclose(file["oh_p50"][:], table["oh_p50"], atol=5e-5)
        assert file["source"].asstr()[:].tolist() == list(table["source"])


@pytest.mark.parametrize("ending", ["h5", "ecsv"])
def test_rows_corrected_for_dust_have_no_attenuation(ending, model, tmp_path, monkeypatch):
    """Whole blocks of them and of others, and both in one: NaN, in one column."""
    monkeypatch.setattr("flowspec.io.blocks._LINE_ROWS", 20)
    flux = np.random.default_rng(1).uniform(0.5, 2, (60, 3))
    obs = Lines(NAMES, flux, np.full((60, 3), 0.1), dereddened=np.arange(60) < 30)
    write_lines(tmp_path / "cube.h5", obs)
    out = tmp_path / f"out.{ending}"
    assert predict(model, tmp_path / "cube.h5", out) == 0
    assert columns(out, "av_p50") == pytest.approx([np.nan] * 30 + [2.0] * 30, abs=2, nan_ok=True)
    assert np.isfinite(columns(out, "oh_p50")).all()
    told = tmp_path / f"told.{ending}"
    assert predict(model, tmp_path / "cube.h5", told, "--dereddened") == 0
    with pytest.raises(KeyError):
        columns(told, "av_p50")


def columns(path, name) -> np.ndarray:
    """A column of a table."""
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            return file[name][:]
    return np.ma.filled(Table.read(path)[name], np.nan)


BAD = {
    "no error column": ("Hbeta,[OIII]5007\n1,3\n", "Hbeta"),
    "no line": ("name,flux\na,1\n", "name"),
    "all missing": ("Hbeta,Hbeta_err\n,\n,\n", "none in 2 rows"),
    "two columns of one line": ("Hbeta,Hbeta_err,HB4861,HB4861_err\n1,1,1,1\n", "HB4861"),
    "empty": ("", "empty"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_catalogues_are_one_line_and_leave_nothing(case, model, tmp_path, capsys):
    text, said = BAD[case]
    (tmp_path / "bad.csv").write_text(text)
    assert predict(model, tmp_path / "bad.csv", tmp_path / "out.ecsv") == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and "bad.csv" in error[0] and said in error[0]
    assert not (tmp_path / "out.ecsv").exists()


@pytest.mark.parametrize(
    ("option", "said"),
    [(["--air"], "--air only with a model of spectra"),
     (["--flux-unit", "Jy"], "--flux-unit only with a model of spectra"),
     (["--resolving-power", "900"], "--resolving-power only with a model of spectra"),
     (["--wave-unit", "nm"], "--wave-unit only with a model of spectra"),
     (["--population"], "expected a prior of z")],
)
def test_options_of_spectra_are_refused(option, said, model, tmp_path, capsys):
    (tmp_path / "lines.csv").write_text(GOOD)
    assert predict(model, tmp_path / "lines.csv", tmp_path / "out.ecsv", *option) == 2
    assert said in capsys.readouterr().err


def test_samples_of_lines_are_written_too(model, tmp_path):
    (tmp_path / "lines.csv").write_text(GOOD)
    more = ["--samples", tmp_path / "s.h5"]
    assert predict(model, tmp_path / "lines.csv", tmp_path / "out.ecsv", *more) == 0
    with h5py.File(tmp_path / "s.h5") as file:
        assert file["samples"].shape == (100, 4, 2)
        median = np.median(file["samples"][..., 0], axis=0)
    np.testing.assert_allclose(Table.read(tmp_path / "out.ecsv")["oh_p50"], median, rtol=1e-5)


@pytest.mark.parametrize("how", [[], ["--adapt", "auto", "--adapt-steps", "7"]])
def test_catalogues_lend_their_noise_and_are_adapted_to(how, tmp_path, monkeypatch):
    given = {}

    def spy(sim, **options):
        given.update(options, sim=sim)
        return untrained(sim.priors, sim.sources, sim.frame, SIZES)

    monkeypatch.setattr("flowspec.cli.fit.fit", spy)
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("Hbeta,Hbeta_err,o3,OIII5007_err\n1,0.1,3,0.2\n")
    words = ["fit", str(tmp_path / "*.csv"), "--grid", "mappings", "--lines", "Hbeta", "OIII5007"]
    words += ["--column", "[OIII]5007=o3", "--column", "[OIII]5007_err=OIII5007_err"]
    assert main([*words, *how, "-o", str(tmp_path / "model")]) == 0
    assert given["obs"].lines == given["sim"].lines == ("Hbeta", "[OIII]5007")
    np.testing.assert_array_equal(given["obs"].flux, [[1, 3]] * 2)
    assert given.get("adapt", "none") == ("auto" if how else "none")
    assert not how or given["adaptation"].steps == 7


@pytest.mark.slow
def test_a_model_of_lines_is_diagnosed(tmp_path, capsys):
    words = ["fit", "--grid", "mappings", "--lines", "Hbeta", "Ha", "[OIII]5007", "[NII]6584"]
    words += ["--steps", "2", "--batch", "32", "--evaluate", "2", "--validation", "64"]
    model, report = str(tmp_path / "model"), tmp_path / "report"
    assert main([*words, "-o", model]) == 0
    assert main(["diagnose", "--model", model, "--n", "60", "-o", str(report)]) == 0
    assert "log_pk" in capsys.readouterr().out
    assert {p.name for p in report.iterdir()} == {
        "calibration.ecsv", "calibration.png", "recovered.png"}  # fmt: skip
    assert main(["diagnose", "--model", "cloudy", "-o", str(tmp_path / "no")]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert "expected the grids of HII" in error[-1]


@pytest.mark.slow
def test_a_grid_becomes_a_model(tmp_path, capsys):
    words = ["fit", "--grid", "mappings", "--lines", "Hbeta", "Ha", "[OIII]5007", "[NII]6584"]
    words += ["--steps", "4", "--batch", "32", "--evaluate", "2", "--validation", "64"]
    assert main([*words, "-o", str(tmp_path / "model")]) == 0
    made = load(tmp_path / "model")
    assert made.lines == ("Hbeta", "Halpha", "[OIII]5007", "[NII]6584")
    assert made.names == ("log_u", "log_pk", "oh", "av")
    capsys.readouterr()
    assert main(["models", str(tmp_path / "model")]) == 0
    shown = capsys.readouterr().out
    assert "[OIII]5007" in shown and "log_pk" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--lines", "Hbeta"], "one of the arguments"),
        (["--grid", "nowhere.dat"], "nowhere.dat"),
        (["--grid", "a=mappings", "mappings"], "a name of its own"),
        (["--grid", "mappings", "--lines", "Hbeta", "[FeX]6375"], "FeX"),
        (["--grid", "mappings", "--varied"], "no options of spectra"),
    ],
)
def test_bad_grids_are_one_line(words, said, tmp_path, capsys):
    try:
        status = main(["fit", *words, "-o", str(tmp_path / "model")])
    except SystemExit as stop:  # of the parser
        status = stop.code
    assert status == 2
    error = capsys.readouterr().err.strip()
    assert len(error.splitlines()) == 1 and said in error
    assert not (tmp_path / "model").exists()
