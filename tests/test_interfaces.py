"""What other packages are given and give back; the blocks of the how-to run as they stand."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest

import flowspec as fs
from tests.problems import WAVE

PAGE = Path(__file__).resolve().parents[1] / "docs" / "howto" / "interfaces.md"
FIRST, *BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
NEEDS = {"specutils": "specutils", "spectrum_list": "specutils", "arviz": "arviz",
         "pandas": "pandas", "jdaviz": "jdaviz"}  # fmt: skip


def observed() -> fs.Spectra:
    """Two spectra of the tiny model's kind, with a gap and an end without data."""
    flux = np.ones((2, len(WAVE))) + 3 * np.exp(-0.5 * ((WAVE - 6500) / 60) ** 2)
    ivar = np.full(flux.shape, 4.0)
    ivar[0, 30:40] = ivar[1, :8] = 0
    return fs.Spectra(WAVE, flux, ivar, ["a", "b"], extra={"ra": [10.0, 20.0]})


@pytest.fixture(scope="module")
def answer(tiny_model):
    return tiny_model.summarize(observed(), n=100, with_samples=True)


SAMP = "pyvo.samp" if find_spec("pyvo") and find_spec("pyvo.samp") else "astropy.samp"


@pytest.fixture
def told(tmp_path, monkeypatch):
    """What a client of a SAMP hub in this process is told of tables."""
    samp = pytest.importorskip(SAMP)
    hub = samp.SAMPHubServer(web_profile=False, lockfile=str(tmp_path / "hub"), mode="single")
    hub.start()
    monkeypatch.setenv("SAMP_HUB", "std-lockurl:" + (tmp_path / "hub").as_uri())
    topcat, messages = samp.SAMPIntegratedClient(name="TOPCAT"), []
    topcat.connect()

    def loaded(private_key, sender, number, mtype, params, extra):
        messages.append(params)
        topcat.ereply(number, samp.SAMP_STATUS_OK)

    topcat.bind_receive_call("table.load.votable", loaded)
    yield messages
    topcat.disconnect()
    hub.stop()


@pytest.mark.filterwarnings("ignore:astropy.samp was deprecated")
def test_a_table_goes_to_topcat_by_samp(told, tmp_path, monkeypatch):
    (block,) = [block for block in BLOCKS if "SAMP" in block]
    monkeypatch.chdir(tmp_path)
    exec(block.replace("pyvo.samp", SAMP), {})
    assert [message["url"] for message in told] == [(tmp_path / "results.vot").as_uri()]


@pytest.mark.parametrize("number", [i for i, b in enumerate(BLOCKS) if "SAMP" not in b])
def test_blocks_of_the_how_to(number, answer, tiny_model, tmp_path, monkeypatch):
    block = BLOCKS[number]
    for word, package in NEEDS.items():
        if word in block:
            pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    obs, (table, samples) = observed(), answer
    scope = {"fs": fs, "obs": obs, "post": tiny_model, "tab": table, "samples": samples}
    assert set(scope) == {"fs", *re.findall(r"^(\w+) = ", FIRST, re.M)}
    exec(block, scope)
    if "again" in scope:
        again = scope["again"]
        assert again.names == obs.names
        np.testing.assert_allclose(again.ivar, obs.ivar, rtol=1e-6)
        good = obs.ivar > 0
        np.testing.assert_allclose(again.flux[good], obs.flux[good], rtol=1e-6)
    if "frame" in scope:
        assert len(scope["frame"]) == 2 and "z_p50" in scope["frame"]
    if "q" in scope:
        assert list(scope["q"]["name"]) == ["a", "b"]
    if "data" in scope:
        assert scope["data"].posterior["z"].shape == (1, 100)
    if "specviz" in scope:
        assert list(scope["specviz"].get_spectra()) == ["a"]
    if "results.vot" in block:
        assert (tmp_path / "results.vot").stat().st_size > 0


def test_collections_of_unlike_spectra():
    """Kinds of uncertainty, units and grids of their own; a row that lacks one is named."""
    specutils = pytest.importorskip("specutils")
    from astropy.nddata import StdDevUncertainty, VarianceUncertainty

    kind = type(observed().to_specutils())
    unit = u.Unit("1e-17 erg / (s cm2 AA)")
    grids = WAVE[:100] * u.AA, (WAVE[20:] * u.AA).to(u.nm)
    errors = StdDevUncertainty(np.full(100, 0.5)), VarianceUncertainty(np.full(108, 0.25))
    both = specutils.SpectrumList([
        kind(flux=np.ones(len(g)) * unit, spectral_axis=g, uncertainty=e)
        for g, e in zip(grids, errors, strict=True)
    ])
    obs = fs.io.from_spectrum_list(both)
    assert obs.names == ("0", "1") and len(obs.wave) == len(WAVE)
    np.testing.assert_array_equal(obs.ivar[:, [0, 50, -1]] > 0, [[1, 1, 0], [0, 1, 1]])
    np.testing.assert_allclose(obs.ivar[:, 50], 4.0, rtol=1e-5)
    both.append(kind(flux=np.ones(100) * unit, spectral_axis=grids[0]))
    with pytest.raises(ValueError, match="row 2 of the collection: .*uncertainty"):
        fs.io.from_spectrum_list(both)
    with pytest.raises(ValueError, match="at least one"):
        fs.io.from_spectrum_list([])


@pytest.mark.slow
def test_columns_are_quantities_of_the_right_unit():
    """Of a model of galaxies: a table with its units is a QTable."""
    from astropy.table import QTable, Table

    from flowspec.posterior.columns import described

    post = fs.load("sdss")
    names = ["log_mstar_p50", "log_sfr_p50", "av_p50", "dispersion_p50", "z_best"]
    table = described(Table({name: np.ones(2, np.float32) for name in names}), post.model.space)
    q = QTable(table)
    assert q["log_mstar_p50"][0].physical.to_value(u.M_sun) == pytest.approx(10.0)
    assert q["log_sfr_p50"].physical.unit.is_equivalent(u.M_sun / u.yr)
    assert q["av_p50"].unit == u.mag and q["dispersion_p50"].to_value("m/s")[0] == 1000
    assert not getattr(q["z_best"], "unit", None)


def test_the_shell_completes_commands_and_options():
    pytest.importorskip("argcomplete")
    line = "flowspec pl"
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)),
             "_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_STDOUT_FILENAME": os.devnull}
    code = ("import os, sys; os.environ['_ARGCOMPLETE_STDOUT_FILENAME'] = sys.argv[1];"
            "from flowspec.cli import main; main([])")
    found = Path(os.environ.get("TMPDIR", "/tmp")) / f"completion-{os.getpid()}"
    try:
        subprocess.run([sys.executable, "-c", code, str(found)], env=os.environ | asked,
                       capture_output=True, check=True)
        assert found.read_text().split() == ["plot"]
    finally:
        found.unlink(missing_ok=True)
