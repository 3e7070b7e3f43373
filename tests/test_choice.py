"""`--model auto`: which model a spectrum is for, and the rows of several models in one table."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import numpyro.distributions as dist
import pytest
from astropy.table import Table

import flowspec as fs
from flowspec import Architecture
from flowspec.cli import main
from flowspec.data.frame import LineSet, Pixels
from flowspec.data.spectrographs import SPECTROGRAPHS
from flowspec.posterior.choice import choices, closest, fit_of, likeliest
from flowspec.posterior.headers import model_frame, shipped
from flowspec.prior.prior import Prior
from tests.problems import WAVE, untrained

SIZES = Architecture(templates=3, learned=0, aligned=6, window=21, condition=16, layers=2, width=16)


def grid(low, high, step):
    """Pixels of one width in ln(wavelength)."""
    return np.exp(np.arange(np.log(low), np.log(high), step))


def spectrum(wave, good=slice(None), rows=1):
    flux = 1 + 0.3 * np.random.default_rng(len(wave)).normal(size=(rows, len(wave)))
    ivar = np.zeros_like(flux)
    ivar[:, good] = 4.0
    return fs.Spectra(wave, flux, ivar)


def test_shares_and_widths_are_those_of_the_ranges():
    frame = Pixels(grid(4000, 8000, 1e-3))
    fit = fit_of(frame, spectrum(grid(5000, 12000, 2e-3)))
    # to a pixel at each end, 0.004 of these ranges
    assert fit.covered[0] == pytest.approx(np.log(8 / 5) / np.log(2), abs=6e-3)
    assert fit.used[0] == pytest.approx(np.log(8 / 5) / np.log(12 / 5), abs=6e-3)
    assert fit.width == pytest.approx(2, rel=1e-3) and fit.kept[0] == fit.used[0]
    fine = fit_of(frame, spectrum(grid(4000, 8000, 2e-4)))
    assert fine.kept[0] == pytest.approx(0.2, rel=1e-2)  # five of its pixels become one
    assert fit_of(frame, spectrum(grid(100, 200, 1e-3))).width == np.inf


def test_a_spectrum_goes_to_the_model_that_keeps_most_of_it():
    frames = {"lines": LineSet(["Hbeta"]), "blue": Pixels(grid(4000, 8000, 1e-3)),
              "coarse": Pixels(grid(4000, 8000, 5e-3)), "red": Pixels(grid(6000, 12000, 1e-3)),
              "any": Pixels(grid(3000, 12000, 1e-3), 0.3)}  # fmt: skip
    cases = [
        (grid(4000, 8000, 1e-3), slice(None), ("blue", "any")),
        (grid(4000, 8000, 5e-3), slice(None), ("coarse",)),  # too coarse for others
        (grid(4000, 7900, 3e-3), slice(None), ("blue", "any")),  # the coarse keeps 0.6 of it
        (grid(3000, 12000, 1e-3), slice(None), ("any",)),
        (grid(6000, 12000, 1e-3), slice(None), ("red", "any")),
        (grid(6000, 12000, 1e-3), slice(0, 500), ("any",)),  # what is good decides
        (grid(6000, 12000, 1e-3), slice(0, 0), ()),
        (grid(1000, 2000, 1e-3), slice(None), ()),
    ]
    for wave, good, expected in cases:
        assert choices(frames, spectrum(wave, good)) == [expected], (wave[[0, -1]], expected)


def test_no_model_is_chosen_whose_table_would_say_little_coverage():
    frame = Pixels(grid(4000, 8000, 1e-3))
    for share in (0.7, 0.74, 0.76, 0.8):
        obs = spectrum(frame.wave, slice(0, int(share * frame.size)))
        flagged = bool(frame.judged(obs)[0][0] & fs.Flag.LITTLE_COVERAGE)
        assert choices({"m": frame}, obs) == [() if flagged else ("m",)]


def test_no_model_is_chosen_whose_table_would_say_low_resolution():
    frame = Pixels(grid(4000, 8000, 1e-3), lsf=(30.0, 120.0))
    for lsf, expected in ((20.0, ("m",)), (130.0, ("m",)), (140.0, ()), (None, ("m",))):
        obs = replace(spectrum(frame.wave), lsf=lsf)
        assert choices({"m": frame}, obs) == [expected]
    (text,) = closest({"m": frame}, replace(obs, lsf=140.0))
    assert text.endswith("at a lower resolution than any that it knows")


def test_what_is_missing_is_said():
    frames = {"blue": Pixels(grid(4000, 8000, 1e-3)), "red": Pixels(grid(9000, 18000, 1e-3))}
    (text,) = closest(frames, spectrum(grid(4000, 5657, 1e-3)))  # half of it: a factor of sqrt(2)
    assert "got 4000-5654 A, which blue comes closest to: 50 % of its 4000-7999 A" in text
    assert text.endswith("of which it needs 75 %")
    (text,) = closest(frames, spectrum(grid(8000, 20000, 1e-2)))
    assert "red comes closest" in text and "pixels 10 times as wide as its own (at most 4)" in text


def test_evidence_decides_only_against_models_that_a_spectrum_is_unlike():
    first = Table({"p_value": [0.3, 0.4, 0.005, 0.002, np.nan], "misfit": [0.02, 0.003, 1, 1, 1]})
    other = Table({"p_value": [0.9, 0.8, 0.5, 0.001, 0.5]})
    assert list(likeliest([first, other])) == [0, 1, 1, 0, 1]


def test_real_files_go_to_the_model_made_for_them(data):
    """As their headers say: models later than these may be better, and are left out."""
    made = {name: model_frame(shipped()[name]) for name in ("moons", "sdss", "vandels")}
    spectra = data / "spectra"
    for path in [*sorted((spectra / "sdss" / "raw").glob("*.fits")),
                 *sorted((spectra / "boss").glob("spec-*.fits"))]:  # fmt: skip
        obs = fs.read(path)
        assert choices(made, obs)[0][:1] == ("sdss",), path
    assert set(choices(made, fs.read(spectra / "vandels" / "vandels.h5"))) == {("vandels",)}
    for path in sorted((spectra / "jades").glob("*prism*.fits")):
        obs = fs.read(path)
        assert choices(made, obs) == [()], path
        assert "moons comes closest to: 100 %" in closest(made, obs)[0]


def test_spectrographs_have_the_models_made_for_them():
    found = {}
    for one in SPECTROGRAPHS:
        obs = one.blank()
        assert obs.wave[0] == one.low and one.high <= obs.wave[-1] < 1.02 * one.high
        made = {name: model_frame(shipped()[name]) for name in ("moons", "sdss", "vandels")}
        found[one.name] = choices(made, obs)[0]
    assert found["SDSS"] == found["BOSS"] == found["DESI"] == ("sdss",)
    assert found["VANDELS (VIMOS)"] == ("vandels",) and found["MOONS LR"] == ("moons",)
    assert found["NIRSpec prism"] == ()


@pytest.fixture
def models(tmp_path, monkeypatch, tiny_model_file):
    """Shipped models for three ranges, two of them alike, each with a parameter of its own."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "blue.safetensors").write_bytes(tiny_model_file.read_bytes())
    for name, wave in (("red", 2 * WAVE), ("twin", WAVE)):
        prior = Prior({"z": dist.Uniform(0.1, 0.5), name: dist.Uniform(0.0, 1.0)})
        untrained((prior,), ("a",), Pixels(wave), SIZES).save(folder / f"{name}.safetensors")
    monkeypatch.setattr("flowspec.posterior.headers._MODELS", folder)
    return {name: fs.load(name) for name in ("blue", "red", "twin")}


def mixed(folder):
    """Files of both ranges, one of neither, one that is none."""
    folder.mkdir()
    for number, wave in enumerate([2 * WAVE, WAVE, WAVE / 4, 2 * WAVE, WAVE]):
        rows = 1 + number % 2
        names = [f"{number}-{k}" for k in range(rows)]
        fs.write(folder / f"{number}.h5", replace(spectrum(wave, rows=rows), names=names))
    (folder / "5.fits").write_bytes(b"SIMPLE  = nothing")
    return folder


@pytest.mark.parametrize("ending", ["ecsv", "h5"])
def test_rows_stay_in_order_and_are_as_by_their_own_model(models, tmp_path, ending, capsys):
    folder, out = mixed(tmp_path / "in"), tmp_path / f"out.{ending}"
    words = ["--num-samples", "100", "--seed", "3", "-o", str(out)]
    assert main(["predict", str(folder), "--model", "auto", *words]) == 0
    if ending == "h5":
        with h5py.File(out) as file:
            kinds = {name: column.asstr() if column.dtype.kind == "O" else column
                     for name, column in file.items()}  # fmt: skip
            table = Table({name: column[...] for name, column in kinds.items()})
    else:
        table = Table.read(out)
    names = ["0-0", "1-0", "1-1", "2-0", "3-0", "3-1", "4-0", "5.fits"]
    assert list(table["name"]) == names
    used = [str(name).replace("--", "") for name in np.ma.filled(table["model"], "")]
    assert [used[i] for i in (0, 3, 4, 5, 7)] == ["red", "", "red", "red", ""]
    assert {used[i] for i in (1, 2, 6)} <= {"blue", "twin"}
    assert "blue comes closest to" in table["notes"][3] and "truncated" in table["notes"][7]
    for row, name in enumerate(names):
        flags = fs.Flag(int(table["flags"][row]))
        assert bool(flags & fs.Flag.NO_DATA) == (not used[row])
        if not used[row]:
            continue
        obs = fs.read(folder / f"{name[0]}.h5")
        rows = {model: models[model].summarize(obs, n=100, seed=3, first=row - int(name[2]))
                for model in (["red"] if used[row] == "red" else ["blue", "twin"])}
        own = rows[used[row]][int(name[2])]
        for column in ("z_p50", "p_value"):  # to the precision of float32 in other blocks
            np.testing.assert_allclose(table[column][row], own[column], rtol=1e-4)
        for model, column in (("blue", "strength_p50"), ("red", "red_p50")):
            values = np.ma.filled(np.ma.asarray(table[column]).astype(float), np.nan)
            assert np.isfinite(values[row]) == (used[row] == model)


@pytest.mark.parametrize(
    ("words", "cause"),
    [(["--samples", "{}/s.h5"], "expected --samples with one model"),
     (["--redshift-pdf", "{}/z.h5"], "expected --redshift-pdf with one model"),
     (["--dereddened"], "only with a model of lines")],
)  # fmt: skip
def test_what_needs_one_model_is_refused(words, cause, models, tmp_path, capsys):
    folder = mixed(tmp_path / "in")
    words = [word.format(tmp_path) for word in words]
    out = ["-q", "-o", str(tmp_path / "t.ecsv")]
    assert main(["predict", str(folder), "--model", "auto", *words, *out]) == 2
    assert cause in capsys.readouterr().err and not (tmp_path / "t.ecsv").exists()


def test_spectra_that_no_model_covers_alone_are_one_line(models, tmp_path, capsys):
    path, out = str(mixed(tmp_path / "in") / "2.h5"), str(tmp_path / "t.fits")
    assert main(["predict", path, "--model", "auto", "-q", "-o", out]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "blue comes closest to: 0 %" in err


def test_figures_of_several_models_are_apart(models, tmp_path, capsys):
    folder = mixed(tmp_path / "in")
    words = ["--model", "auto", "--num-samples", "100", "-q", "-o", str(tmp_path / "figures")]
    files = [str(folder / name) for name in ("0.h5", "1.h5", "2.h5")]
    assert main(["plot", *files, *words, "--top", "1"]) == 0
    found = {path.parent.name for path in (tmp_path / "figures").glob("*/*.png")}
    assert "red" in found and found <= {"red", "blue", "twin"} and len(found) > 1


def test_catalogues_of_lines_are_for_the_model_of_nebulae(tmp_path):
    lines = {"name": ["a"], "Hbeta": [1.0], "Hbeta_err": [0.1], "Halpha": [3.0]}
    lines |= {"Halpha_err": [0.1], "[OIII]5007": [3.0], "[OIII]5007_err": [0.1]}
    Table(lines).write(tmp_path / "lines.csv")
    words = ["--num-samples", "100", "-q", "-o"]
    for model in ("auto", "nebula"):
        rest = ["--model", model, *words, str(tmp_path / f"{model}.ecsv")]
        assert main(["predict", str(tmp_path / "lines.csv"), *rest]) == 0
    chosen, named = (Table.read(tmp_path / f"{model}.ecsv") for model in ("auto", "nebula"))
    assert list(chosen["model"]) == ["nebula"] and "model" not in named.colnames
    assert chosen["oh_p50"][0] == named["oh_p50"][0]


def test_the_page_has_the_table_that_the_command_prints(capsys):
    assert main(["models"]) == 0
    printed = capsys.readouterr().out.partition("which model for which spectrograph")[2]
    page = (Path(__file__).resolve().parents[1] / "docs/models/index.md").read_text()
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in page.splitlines()}
    lines = printed.splitlines()[1:]
    for one, line in zip(SPECTROGRAPHS, lines, strict=True):
        assert line.split()[0] == one.name.split()[0]
        assert line.partition(" A ")[2].strip() in rows[one.name] and one.source in rows[one.name]
