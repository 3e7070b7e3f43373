"""Pages in a real browser: every key, slider and button, verdicts that stay, a page of 1,000."""

import csv
import os
import time

import numpy as np
import pytest

from flowspec.data.lines import Lines
from flowspec.data.spectra import Spectra
from flowspec.pages import view
from flowspec.posterior.load import load
from tests.browser import VARIABLE, Browser
from tests.test_pages import NASTY, mocks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.environ.get(VARIABLE), reason=f"no browser: {VARIABLE} names none"),
]


@pytest.fixture(scope="module")
def spectra_page(tiny_model, tmp_path_factory):
    """Six spectra, the last without data."""
    return view(mocks(), tiny_model, tmp_path_factory.mktemp("spectra"), n=100)


@pytest.fixture(scope="module")
def lines_page(tmp_path_factory):
    """Thirty objects of random lines, one of them without [N II]."""
    model = load("cloudy")
    rng = np.random.default_rng(3)
    names = ("Hbeta", "Halpha", "[OIII]5007", "[NII]6584", "[SII]6717,6731")
    flux = np.array([1, 2.9, 2, 0.6, 0.5]) * 10 ** rng.normal(0, 0.15, (30, 5))
    err = 0.05 * flux
    err[3, 3] = np.nan
    limit = np.where(np.isnan(err), 0.1, np.nan)
    obs = Lines(names, flux, err, limit, names=[NASTY, *map(str, range(1, 30))])
    return view(obs, model, tmp_path_factory.mktemp("lines"), n=100)


@pytest.fixture
def at(tmp_path):
    """What opens a page and closes its browser after the test; which must not complain."""
    opened = []

    def open_page(path, **options):
        folder = tmp_path / str(len(opened)) if opened else tmp_path  # a browser to a profile
        folder.mkdir(exist_ok=True)
        opened.append(Browser(folder, **options))
        opened[-1].open(path)
        opened[-1].settle()
        return opened[-1]

    yield open_page
    for browser in opened:
        complaints, requests = browser.complaints, browser.requests
        browser.__exit__()
        assert not complaints and not requests


def text(browser, selector) -> str:
    return browser.run(f"document.querySelector({selector!r}).innerText")


def test_keys_go_from_object_to_object_and_judge_them(at, spectra_page):
    b = at(spectra_page)
    assert text(b, "#name") == NASTY
    b.press("n")
    assert text(b, "#name") == "row 1"
    b.press("p", "p")  # there is none before the first
    assert text(b, "#name") == NASTY
    for quality in "1234":
        b.press(quality)
        chosen = b.run("document.querySelector('#quality [aria-checked=true]').dataset.quality")
        assert chosen == quality and text(b, "tr[aria-selected] td") == quality
    b.press("4")  # again: taken back
    assert "0 of 6 judged" in text(b, "#progress")
    b.press("c", *"n4?")  # these are words of a comment now
    assert b.run("document.querySelector('#comment').value") == "n4?"
    b.press("Escape", "2")
    assert text(b, "#name") == NASTY and "1 of 6 judged" in text(b, "#progress")
    b.press("?")
    assert b.run("document.querySelector('#about').open")
    keys = b.run("document.querySelectorAll('#keys dt').length")
    assert keys == b.run("Object.keys(KEYS).length") >= 16
    b.press("Escape")
    assert not b.run("document.querySelector('#about').open")


def test_verdicts_stay_in_the_browser_and_leave_as_csv(at, spectra_page, tmp_path):
    b = at(spectra_page)
    b.press("3", "c", *'a, "b"', "Escape", "n", "1")
    b.slide("#z", "0.25")
    b.press("t")
    b.open(spectra_page)
    b.settle()
    assert "2 of 6 judged" in text(b, "#progress")
    assert b.run("document.querySelector('#comment').value") == 'a, "b"'
    b.press("e")
    for _ in range(50):
        files = list(tmp_path.glob("verdicts-*.csv"))
        if files:
            break
        time.sleep(0.1)
    rows = list(csv.DictReader(files[0].read_text().splitlines()))
    assert [row["quality"] for row in rows] == ["3", "1", "", "", "", ""]
    assert rows[0]["name"] == NASTY and rows[0]["comment"] == 'a, "b"'
    assert rows[1]["quality_words"] == "wrong or unknown" and float(rows[1]["z_kept"]) == 0.25
    assert rows[5]["z_best"] == "" and rows[0]["z_best"]


def test_sliders_move_lines_smooth_and_leave_the_data_alone(at, spectra_page):
    b = at(spectra_page)
    lines = "spectrum.marks([1000, 20000]).shapes.filter((s) => s.type === 'line').map((s) => s.x0)"
    before = b.run(lines)
    b.slide("#z", "0.4")
    moved = np.array(b.run(lines)) / np.array(before)
    np.testing.assert_allclose(moved, 1.4 / (1 + b.run("state.row.peaks[0].z")), rtol=1e-6)
    assert "Dotted" in text(b, "#model-words")
    b.slide("#z-fine", "50")
    assert b.run("state.z") == pytest.approx(0.4 + 0.5 * 0.4 / 100, abs=1e-9)
    b.slide("#z-number", "0.3")
    assert b.run("state.z") == 0.3 and b.run("Number(document.querySelector('#z').value)") == 0.3
    raw = b.run("Array.from(document.querySelector('#spectrum').data[2].y)")
    scatter = "quantile(document.querySelector('#spectrum').data[3].y.slice(0, 70), 0.84)"
    b.press("]", "]", "]", "]")
    assert b.run("document.querySelector('#smooth').value") == "2" and b.run(scatter) < 1.35
    assert b.run("Array.from(document.querySelector('#spectrum').data[2].y)") == raw
    b.press("[", "[", "[", "[")
    assert text(b, "#smooth-value") == "off"
    traces = "document.querySelector('#spectrum').data.length"
    shown = b.run(traces)
    b.press("m")
    assert b.run(traces) < shown and text(b, "#model-words") == "No model shown."
    b.press("m", "l")
    assert b.run(traces) == shown and b.run(lines) == []
    b.press("l", "r")
    assert b.run(lines)


def test_smoothing_weights_by_inverse_variance_and_residuals_keep_their_scale(at, spectra_page):
    b = at(spectra_page)
    assert b.run("Array.from(smoothed([1, 3, NaN, 5], [1, 1, NaN, 1], 0.01))")[:2] == [1, 3]
    assert b.run("smoothed([0, 10], [1, 1e6], 3)[1]") == pytest.approx(0, abs=1e-6)
    assert b.run("smoothed([0, NaN, 10], [1, NaN, 1], 3)[1]") is None  # JSON has no NaN
    noise = "Array.from({ length: 4000 }, (_, i) => Math.sqrt(2) * Math.sin(i * i * 0.7))"
    many = "new Array(4000)"
    left = f"residuals({{ flux: {noise}, error: {many}.fill(1) }}, {many}.fill(0), 3)"
    square = b.run(f"{left}.reduce((sum, x) => sum + x * x, 0) / 4000")
    assert square == pytest.approx(1, abs=0.25)
    assert b.run("runs(5, (i) => i !== 2)") == [[0, 1], [3, 4]]


def test_peaks_are_clicked_and_cycled(at, spectra_page):
    b = at(spectra_page)
    b.run("state.row.peaks.push({ z: 0.2, sigma: 0.01, prob: null }); redshift.draw()")
    b.click("#peaks button:last-child")
    assert b.run("state.z") == 0.2 and "not told" in text(b, "#peaks button:last-child")
    b.press("z")
    assert b.run("state.z") == b.run("state.row.peaks[0].z")
    assert b.run("document.querySelector('#peaks button').getAttribute('aria-pressed')") == "true"


def test_the_table_sorts_and_filters(at, spectra_page):
    b = at(spectra_page)
    names = ("[...document.querySelectorAll('#table tbody tr td:nth-child(2)')]"
             ".map((cell) => cell.innerText)")
    assert len(b.run(names)) == 6
    b.press("/", *"snr>0 row")
    assert b.run(names) == [f"row {i}" for i in range(1, 5)]  # nothing known: fulfils nothing
    b.slide("#filter", "no_data")
    assert b.run(names) == ["row 5"]
    b.slide("#filter", "nonsense<3")
    assert text(b, "#filter-note") == "There is no column nonsense." and len(b.run(names)) == 6
    b.slide("#filter", "")
    b.click("#table th:nth-child(5) button")  # snr
    place = "document.querySelector('#table th:nth-child(5)').getAttribute('aria-sort')"
    values = "table.order.map((i) => table.value(i, 'snr'))"
    up = b.run(values)
    assert b.run(place) == "ascending" and up[:-1] == sorted(up[:-1]) and up[-1] is None
    b.click("#table th:nth-child(5) button")
    down = b.run(values)
    assert down[:-1] == up[:-1][::-1] and down[-1] is None  # what is not known stays last
    b.click("#table tbody tr:nth-child(3)")
    assert text(b, "#name") == b.run(f"{names}[2]")
    b.slide("#add-column", "coverage")
    assert "coverage" in text(b, "#table thead")


def test_a_row_without_data_says_why_and_shows_no_plot(at, spectra_page):
    b = at(spectra_page)
    b.run("show(5)")
    assert "no good pixels" in text(b, "#no-data") and "no_data" in text(b, "#flags")
    assert b.run("document.querySelector('#spectrum').offsetHeight") == 0
    assert "snr –" in text(b, "#numbers")
    b.press("p")
    assert b.run("document.querySelector('#spectrum').offsetHeight") > 200


def test_dark_and_light_follow_the_system_and_the_reader(at, spectra_page):
    b = at(spectra_page, dark=True)
    paper = "getComputedStyle(document.body).backgroundColor"
    plot = "document.querySelector('#spectrum').layout.paper_bgcolor"
    assert b.run(paper) == "rgb(20, 23, 26)" and b.run(plot) == "#14171a"
    b.press("d")
    assert b.run(paper) == "rgb(255, 255, 255)" and b.run(plot) == "#ffffff"
    b.open(spectra_page)
    assert b.run(paper) == "rgb(255, 255, 255)"  # as it was left


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_nothing_is_wider_than_the_window(at, spectra_page, lines_page, size):
    for path in (spectra_page, lines_page):
        b = at(path, width=size[0], height=size[1], phone=size[0] < 800)
        assert b.run("document.documentElement.scrollWidth") <= size[0]
        if size[0] < 800:
            b.click("#list-toggle")
            assert b.run("document.querySelector('#table').offsetHeight") > 50
        b.click("#corner-large")
        assert b.run("document.querySelector('#corner').offsetWidth") > 0.8 * size[0]
        b.press("Escape")


def test_everything_that_can_be_used_has_a_name(at, spectra_page, lines_page):
    for path in (spectra_page, lines_page):
        b = at(path)
        nameless = b.run("[...document.querySelectorAll('button, input, select, textarea, .plot')]"
                         ".filter((e) => !e.innerText.trim() && !e.getAttribute('aria-label') && "
                         "!e.labels?.length).map((e) => e.outerHTML.slice(0, 80))")
        assert nameless == []


def test_a_page_of_lines_shows_diagrams_limits_and_sources(at, lines_page):
    b = at(lines_page)
    assert text(b, "#name") == NASTY
    assert b.run("document.querySelectorAll('#diagrams .plot').length") == 2
    b.run("show(3)")
    b.settle()
    assert b.run("document.querySelector('#diagram-0').layout.annotations[0].text") == "←"
    b.press("f")
    assert "< 0.100" in text(b, "#fluxes")
    shares = b.run("state.row.shares.reduce((sum, s) => sum + s.share, 0)")
    assert shares == pytest.approx(1, abs=0.01)
    b.press("f", "4", "n")
    assert text(b, "#name") == "4" and "1 of 30 judged" in text(b, "#progress")


def test_a_page_of_a_thousand_is_small_and_opens_soon(at, tmp_path):
    model = load("sdss")
    rng = np.random.default_rng(2)
    flux = 10 + np.sin(model.wave / 300) + rng.normal(size=(1000, len(model.wave)))
    path = view(Spectra(model.wave, flux, np.ones(flux.shape)), model, tmp_path / "page", n=100)
    assert path.stat().st_size < 50e6
    b = at(path)
    assert b.run("document.querySelectorAll('#table tbody tr').length") == 1000
    before = b.seconds()
    wall = b.open(path)
    used = b.seconds() - before
    print(f"{path.stat().st_size / 1e6:.1f} MB, {used:.2f} s of processor, {wall:.2f} s")
    assert used < 4
    b.press("n", "4")
    assert "1 of 1000 judged" in text(b, "#progress")
