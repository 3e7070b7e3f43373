"""`flowspec diagnose --survey`, on a few spectra."""

import jax.random as jr
import numpy as np
import pytest
from astropy.table import QTable
from scipy.special import ndtri

import flowspec as fs
from flowspec.cli import main
from flowspec.data.frame import Pixels
from flowspec.prior.galaxies import moons_prior
from flowspec.sim.survey.survey import EXTRA
from tests.problems import untrained

N, WAVE = 20, np.geomspace(6500.0, 17900.0, 256)


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """A file like that of a survey, with noise for spectra; its parameters and their names."""
    rng, columns = np.random.default_rng(0), (*moons_prior().names, *EXTRA)
    theta = np.asarray(moons_prior().sample(jr.key(0), (N + 4,)))
    extra = np.stack([rng.choice([2, 4, 8], N + 4), rng.uniform(21.1, 25.4, N + 4),
                      np.full(N + 4, 0.3), np.arange(N + 4) % 2], axis=1)  # fmt: skip
    theta = np.concatenate([theta, extra], axis=1)
    flux = rng.normal(size=(N + 4, len(WAVE)))
    path = tmp_path_factory.mktemp("survey") / "survey.h5"
    fs.write(path, fs.Spectra(WAVE, flux, np.ones_like(flux)), theta, columns)
    return path, theta, columns


class Known:
    """In the place of a posterior: every other redshift right, the mass too high by 0.1 +- 0.2."""

    names = ("z", "log_mstar", "log_sfr")
    wave = WAVE

    def __init__(self, theta):
        self.theta, self.asked = theta, []

    def summarize(self, obs, *, n, seed, first, with_samples):
        self.asked.append((len(obs), n, seed, first))
        theta = self.theta[first : first + len(obs)]
        error = np.stack([0 * ndtri(grid(n)), 0.1 + 0.2 * ndtri(grid(n)), 0.2 * ndtri(grid(n))], 1)
        z = theta[:, 0] + 0.02 * (np.arange(first, first + len(obs)) % 2)
        table = QTable({"z_best": z, "z_prob": np.full(len(obs), 0.95)})
        return table, theta[None, :, :3] + error[:, None]


def grid(n):
    return (np.arange(n) + 0.5) / n


def diagnose(path, folder, *words):
    words = ["diagnose", "--model", "m", "--survey", path, *words, "-o", folder]
    return main([str(word) for word in words])


def test_a_survey_is_streamed_and_reported(survey, tmp_path, capsys, monkeypatch):
    path, theta, columns = survey
    posterior = Known(theta)
    monkeypatch.setattr("flowspec.cli.survey.load", lambda name: posterior)
    monkeypatch.setattr("flowspec.cli.survey._ROWS", 10)
    assert diagnose(path, tmp_path / "report", "--n", N, "--num-samples", 400, "--seed", 3) == 0
    assert posterior.asked == [(10, 400, 3, 0), (10, 400, 3, 10)]  # --n leaves out the last four
    assert f"{N} spectra" in capsys.readouterr().out
    names = ("success", "labels", "hours", "confidence")
    figures = {f"survey_{name}.png" for name in names}
    written = {file.name for file in (tmp_path / "report").iterdir()}
    assert written == {"survey.ecsv", "hours.ecsv"} | figures
    table = QTable.read(tmp_path / "report" / "survey.ecsv")
    (whole,) = table[(table["group"] == "all") & (table["quantity"] == "all")]
    assert (whole["n"], whole["success"], whole["purity_90"]) == (N, 0.5, 0.5)
    assert whole["log_mstar_offset"] == pytest.approx(0.1, abs=1e-3)  # of 400 draws
    assert (whole["log_mstar_inside_68"], whole["log_sfr_nmad"]) == (1, pytest.approx(0, abs=1e-6))
    hours = QTable.read(tmp_path / "report" / "hours.ecsv")
    counted = hours[(hours["threshold"] == 0) & (hours["wanted"] == 0.9)]
    assert counted["n"].sum() == N and hours.meta["t_exp"] == [2, 4, 8]


@pytest.mark.slow
def test_a_model_reports_on_a_survey(survey, tmp_path):
    path, theta, columns = survey
    sizes = fs.Architecture(templates=2, aligned=4, window=21, condition=8, layers=1, width=8)
    untrained((moons_prior(),), ("a",), Pixels(WAVE), sizes).save(tmp_path / "model")
    assert diagnose(path, tmp_path / "report", "--model", tmp_path / "model") == 0
    table = QTable.read(tmp_path / "report" / "survey.ecsv")
    (whole,) = table[(table["group"] == "all") & (table["quantity"] == "all")]
    _, _, spectra = fs.io.read_simulations(path)
    answer = fs.load(tmp_path / "model").summarize(spectra, n=300)
    offset = np.median(answer["log_mstar_p50"] - theta[:, columns.index("log_mstar")])
    assert whole["n"] == N + 4
    assert whole["log_mstar_offset"] == pytest.approx(offset, abs=1e-4)  # single precision


def test_what_is_no_survey_is_one_line(survey, tmp_path, capsys, monkeypatch):
    path, theta, columns = survey
    monkeypatch.setattr("flowspec.cli.survey.load", lambda name: Known(theta))
    keep = [i for i, name in enumerate(columns) if name not in ("m_h", "t_exp")]
    flux, bare = np.ones((N, 9)), tmp_path / "bare.h5"
    spectra = fs.Spectra(np.linspace(6500.0, 17000, 9), flux, flux)
    fs.write(bare, spectra, theta[:N, keep], [columns[i] for i in keep])
    for words, naming, saying in (
        ([bare], "bare.h5", "no column m_h, t_exp"),
        ([tmp_path / "none.h5"], "none.h5", "does not exist"),
    ):
        assert diagnose(*words, tmp_path / "report") == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and naming in err and saying in err, err
    assert diagnose(path, tmp_path / "report", "--noise-from", "a.fits") == 2
    assert "--noise-from" in capsys.readouterr().err
    monkeypatch.setattr(Known, "names", ("z", "log_mstar"))
    assert diagnose(path, tmp_path / "report") == 2
    assert "m: expected a model of log_sfr" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()
