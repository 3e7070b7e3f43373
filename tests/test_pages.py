"""Pages to look at observations: what is in them is exact, absent, escaped, and told."""

import base64
import json
import re
import sys

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from flowspec.cli import main
from flowspec.data.flags import Flag
from flowspec.data.line_marks import MARKS
from flowspec.data.line_ratios import ratios
from flowspec.data.lines import Lines
from flowspec.data.spectra import Spectra
from flowspec.io import write
from flowspec.io.named import named_in
from flowspec.pages import page, view
from flowspec.pages.cells import cell, cells
from flowspec.pages.models import reconstructions
from flowspec.pages.packed import exact, packed, packed_columns
from flowspec.pages.reasons import reasons
from flowspec.pages.spectra import coarser, window
from tests.problems import SIGMA, WAVE

pytest.importorskip("plotly", reason="pages need plotly: pip install plotly")
NASTY = "<script>alert(1)</script>&\"'"


def mocks(rows: int = 6, z: float = 0.3) -> Spectra:
    """Spectra of `tests.problems.line_simulator` with one strong line; the last has no data."""
    x = (np.log(WAVE / 5000) - np.log1p(z)) / 0.01
    clean = 1 + 8 * np.exp(-0.5 * x**2)
    flux = clean + SIGMA * np.random.default_rng(1).normal(size=(rows, len(WAVE)))
    ivar = np.full(flux.shape, SIGMA**-2)
    ivar[0, 40:50] = 0
    ivar[-1] = 0
    names = [NASTY, *(f"row {i}" for i in range(1, rows))]
    return Spectra(WAVE, flux, ivar, names=names)


def unpacked(stored: dict) -> np.ndarray:
    """What the page makes of packed numbers."""
    raw = base64.b64decode(stored.get("half") or stored["double"])
    if "double" in stored:
        return np.frombuffer(raw, "<f8").reshape(stored["shape"])
    values = np.frombuffer(raw, "<f2").astype(float).reshape(stored["shape"])
    return values * stored["scale"] + stored.get("middle", 0.0)


def contents(path) -> tuple[dict, list[dict]]:
    """What a page holds, read back from its HTML."""
    text = path.read_text()
    found = re.findall(r'<script type="application/json" id="([\w-]+)">(.*?)</script>', text)
    return json.loads(found[0][1]), [json.loads(row) for _, row in found[1:]]


@pytest.fixture(scope="module")
def made(tiny_model_file, tmp_path_factory):
    """A page of mocks, of the command, in the order of a table: the last row first."""
    folder = tmp_path_factory.mktemp("page")
    obs = mocks()
    write(folder / "mocks.h5", obs)
    Table({"name": obs.names[::-1]}).write(folder / "some.ecsv")
    assert main(command(folder, tiny_model_file)) == 0
    return folder / "page" / "index.html"


def command(folder, model) -> list[str]:
    """What makes the page."""
    words = ["view", folder / "mocks.h5", "--model", model, "-o", folder / "page",
             "--rows", folder / "some.ecsv", "--num-samples", 100, "--title", NASTY]  # fmt: skip
    return [str(word) for word in words]


def test_numbers_are_kept_to_one_part_in_two_thousand_and_absent_ones_stay_absent():
    values = np.array([[0.0, 1.0, -3.7e-17], [np.nan, 2.5e4, np.inf]])
    back = unpacked(packed(values))
    np.testing.assert_allclose(back[0], [0, 1, 0], rtol=2**-11, atol=1e-4)
    assert np.isnan(back[1, [0, 2]]).all() and back[1, 1] == pytest.approx(2.5e4, rel=2**-11)
    assert np.isnan(unpacked(packed(np.full(2, np.nan)))).all()


def test_columns_are_kept_about_their_middle():
    rng = np.random.default_rng(0)
    draws = np.stack([rng.normal(0.03, 1e-5, 200), rng.normal(10, 0.1, 200)], 1)
    back = unpacked(packed_columns(draws))
    assert np.abs(back - draws).max(0) == pytest.approx([0, 0], abs=1e-4)
    assert np.abs(back - draws)[:, 0].max() < 1e-7
    wave = np.geomspace(3800, 9200, 50)
    assert (unpacked(exact(wave)) == wave).all()


def test_a_cell_without_a_number_is_empty_and_never_zero():
    masked = MaskedColumn([1.5, 2.5], mask=[False, True], description="about", unit="mag")
    table = Table({"a": masked, "b": [np.nan, 0.0], "c": ["x", ""], "d": np.zeros((2, 5))})
    columns, rows = cells(table)
    assert [c["name"] for c in columns] == ["a", "b", "c"]
    assert rows == [[1.5, None, "x"], [None, 0.0, ""]]
    assert columns[0]["about"] == "about" and columns[0]["unit"] == "mag"
    assert cell(np.float32(0.1)) == 0.1 and cell(np.int64(3)) == 3


@pytest.mark.parametrize("flag", Flag)
def test_every_flag_is_told_in_words_with_what_to_do(flag):
    (found,) = reasons({"flags": flag.value, "notes": "why", "misfit": 0.004, "z_prob": np.nan})
    assert found["flag"] == flag.name.lower()
    assert len(found["why"].split()) > 4 and found["what"].endswith(".")


def test_words_of_flags_have_the_numbers_of_the_row():
    row = {"flags": Flag.UNLIKE_DATA | Flag.MULTIMODAL_REDSHIFT, "misfit": 0.004,
           "unlike_at": "5007 A", "z_peaks": [0.1, 0.4, np.nan],
           "z_peak_probs": [0.7, 0.3, np.nan]}  # fmt: skip
    several, unlike = reasons(row)
    assert "z = 0.4, with a probability of 0.3" in several["why"]
    assert "p = 0.004" in unlike["why"] and "5007 A" in unlike["why"]


def test_coarser_pixels_keep_the_weighted_mean_and_lose_no_end():
    obs = mocks(2)
    coarse = coarser(obs, 3)
    weight = obs.ivar[0, 60:63]
    mean = (weight * obs.flux[0, 60:63]).sum() / weight.sum()
    assert len(coarse.wave) == -(-len(WAVE) // 3)
    assert coarse.flux[0, 20] == pytest.approx(mean, abs=0.05)
    assert coarse.wave[-1] <= WAVE[-1] < coarse.wave[-1] + 1.5 * np.diff(coarse.wave)[-1]


@pytest.mark.parametrize("words, want", [
    ("5007 A", [5007, 5007]), ("4800 A to 4990 A", [4800, 4990]), ("", None),
    ("the size of the noise", None), ("the shape of the whole", None)])  # fmt: skip
def test_the_worst_window_is_read_from_the_words_of_the_table(words, want):
    assert window(words) == want


def test_lines_are_named_at_their_wavelengths_in_vacuum():
    where = {mark.label: mark for mark in MARKS}
    assert where["Hα"].wave == pytest.approx(6564.6, abs=0.1) and where["Hα"].emitted
    assert where["K"].wave == pytest.approx(3934.8, abs=0.1) and not where["K"].emitted


def test_ratios_of_lines_have_errors_limits_and_gaps():
    flux = [[10, 100], [np.nan, 100], [np.nan, 100], [-1, 100]]
    err = [[1, 10], [np.nan, 10], [np.nan, 10], [5, 10]]
    limit = [[np.nan, np.nan], [10, np.nan], [np.nan, np.nan], [np.nan, np.nan]]
    found = ratios(Lines(["[NII]6584", "Halpha"], flux, err, limit), "[NII]6584", "Halpha")
    np.testing.assert_allclose(found.value, [-1, -1, np.nan, -1], atol=1e-12)
    assert found.error[0] == pytest.approx(np.hypot(0.1, 0.1) / np.log(10))
    assert found.limit.tolist() == [0, -1, 0, -1] and found.error[1] == 0
    apart = Lines(["[SII]6717,6731", "[SII]6717", "[SII]6731", "Halpha"],
                  [[np.nan, 4, 6, 100]], [[np.nan, 0.3, 0.4, 10]])  # fmt: skip
    summed = ratios(apart, "[SII]6717,6731", "Halpha")
    assert summed.value[0] == pytest.approx(-1)
    assert summed.error[0] == pytest.approx(np.hypot(0.05, 0.1) / np.log(10))


def test_a_reconstruction_leaves_noise_where_the_redshift_is_right(tiny_model):
    obs = mocks(5)[:4]
    z = np.array([[0.3, 0.15]] * 4)
    probs = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.001], [0.9, np.nan]])
    shown = reconstructions(tiny_model, obs, z, probs)
    assert [len(models) for models in shown] == [2, 2, 1, 1]
    assert [m.z for m in shown[0]] == pytest.approx([0.3, 0.15])
    left = [np.nanmean((obs.flux[i] - shown[i][0].flux) ** 2 * obs.ivar[i]) for i in range(4)]
    wrong = np.nanmean((obs.flux[1] - shown[1][1].flux) ** 2 * obs.ivar[1])
    assert np.mean(left) == pytest.approx(1, abs=0.2) and wrong > 1.5 * left[1]
    assert np.isnan(shown[0][0].flux[40:50]).all()


def test_the_page_holds_what_the_table_says(made, tiny_model):
    about, rows = contents(made)
    obs = mocks()[::-1]
    table = tiny_model.summarize(obs, n=100)
    names = [c["name"] for c in about["columns"]]
    assert [row[names.index("name")] for row in about["table"]] == list(obs.names)
    z_best = [row[names.index("z_best")] for row in about["table"]]
    assert z_best[1:] == pytest.approx(list(table["z_best"][1:]), rel=1e-6) and z_best[0] is None
    flux, error = (unpacked(rows[-1][name]) for name in ("flux", "error"))
    good = obs.ivar[-1] > 0
    assert (np.isfinite(flux) == good).all() and (np.isfinite(error) == good).all()
    np.testing.assert_allclose(flux[good], obs.flux[-1, good], rtol=1e-3, atol=1e-3)
    assert rows[-1]["peaks"][0]["z"] == pytest.approx(0.3, abs=0.01)
    assert "No forward model is known" in " ".join(about["notes"])


def test_a_row_without_data_is_there_with_its_reason(made):
    about, (row, *_) = contents(made)
    assert row["reasons"][0]["flag"] == "no_data"
    assert "no good pixels" in row["reasons"][0]["why"]
    assert row["models"] == [] and row["peaks"] == [] and len(about["table"]) == 6
    assert np.isnan(unpacked(row["flux"])).all()


def test_names_are_text_and_nothing_is_fetched(made):
    text = made.read_text()
    own = text.replace(page.plotly_source().replace("</script", r"<\/script"), "")
    assert "<script>alert" not in own and contents(made)[0]["table"][-1][0] == NASTY
    assert "&lt;script&gt;alert(1)" in own  # the title
    assert "default-src 'none'" in own
    assert not re.findall(r"""<[^>]*\s(?:src|href)=(?!["']?data:)""", own)
    assert "NaN," not in own.split('id="contents">')[1].split("<script>")[0]


def test_verdicts_are_kept_by_names_and_data():
    obs = mocks()
    first = page.identity(obs.names, (obs.flux, obs.ivar))
    assert first == page.identity(obs.names, (obs.flux.copy(), obs.ivar))
    assert first != page.identity(obs.names[::-1], (obs.flux, obs.ivar))
    assert first != page.identity(obs.names, (obs.flux + 1, obs.ivar))


def test_a_page_without_plotly_is_refused_in_one_line(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(ImportError, match=r"expected plotly .* pip install plotly"):
        view(mocks(), tiny_model, tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_more_rows_than_a_page_holds_are_refused(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "MOST", 5)
    with pytest.raises(ValueError, match="at most 5 rows for one page; got 6"):
        view(mocks(), tiny_model, tmp_path / "page")


def test_a_row_of_the_table_that_is_in_no_file_is_an_error(tiny_model_file, tmp_path, capsys):
    write(tmp_path / "mocks.h5", mocks())
    Table({"name": ["row 1", "elsewhere"]}).write(tmp_path / "some.ecsv")
    assert main(command(tmp_path, tiny_model_file)) == 2
    assert "'elsewhere', which is in none (1 such rows)" in capsys.readouterr().err
    assert not (tmp_path / "page").exists()


def test_a_table_without_names_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="t.csv: expected a table of results with a column 'name'"):
        named_in(str(tmp_path / "t.csv"))
