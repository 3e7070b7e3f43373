"""Figures of one object each: what sets their scales, what they carry, and where it stands."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.markers import CARETLEFTBASE

from flowspec import plots
from flowspec.data.line_ratios import ratios
from flowspec.data.lines import Lines
from flowspec.data.spectra import Spectra
from flowspec.plots.limits import flux_limits, tell_beyond
from flowspec.plots.pages import Answer, Model
from flowspec.plots.windows import WINDOWS, windows_in_view
from tests.test_plots_fitted import WAVE, fitted

NAMES = ("z", "log_mstar", "log_sfr", "av", "oh")


@pytest.fixture
def ax():
    return plots.canvas()[1][0, 0]


def answer(best=0.1, truth=None):
    rng = np.random.default_rng(0)
    middle, sigma = [best, 10.0, 0.5, 0.3, 8.6], [1e-4, 0.1, 0.2, 0.1, 0.05]
    edges = np.linspace(0, 0.5, 251)
    density = np.zeros(250)
    density[[50, 200]] = 0.99 / 0.002, 0.01 / 0.002
    draws = rng.normal(middle, sigma, (500, 5))
    return Answer("name\nz = 0.1    no flag", NAMES, draws, best, edges, density, truth)


def test_a_noisy_end_and_bad_pixels_do_not_set_the_scale(ax):
    rng = np.random.default_rng(1)
    error = np.where(np.arange(4000) < 1500, 30.0, 0.1)
    flux = 2 + error * rng.normal(size=4000)
    flux[3000] = 1e4
    low, high = flux_limits(flux, error**-2)
    assert 1.5 < low < 2 < high < 3  # percentiles of 2500 pixels with an error of 0.1
    assert flux_limits(flux, error**-2, np.full(4000, 2.9))[1] == pytest.approx(2.9)
    assert flux_limits(flux, 0 * flux) == (-1, 1)
    ax.set_ylim(low, high)
    tell_beyond(ax, flux, error**-2)
    beyond = 100 * np.mean((flux < low) | (flux > high))
    assert ax.texts[0].get_text() == f"{beyond:.1f} % of 4000 pixels beyond the axis"


def test_a_line_stands_out_but_not_alone():
    flux = np.ones(1000)
    flux[500:510] = 1000.0
    assert flux_limits(flux, np.ones(1000)) == (1.0, 2.5)


def test_a_second_redshift_of_a_hundredth_is_seen_and_the_first_resolved(ax):
    a = answer()
    plots.redshift_peaks(ax, a.edges, a.density, a.draws[:, 0], 0.1, truth=0.1001)
    values, edges, _ = ax.patches[0].get_data()
    np.testing.assert_allclose(values[values > 1e-4], [0.99, 0.01])
    assert set(edges) <= set(a.edges) and len(values) <= 100  # no bin is cut
    (inset,) = ax.child_axes
    low, high = inset.get_xlim()
    sigma = 299792.458 * 1e-4 / 1.1
    assert 6 * sigma < high - low < 10 * sigma
    drawn = sum(p.get_height() for p in inset.patches[:24])
    assert 0.97 * 500 < drawn <= 500
    assert inset.lines[-1].get_xdata()[0] == pytest.approx(sigma, rel=1e-6)  # the truth


def test_windows_are_those_with_data_at_the_redshift():
    wave = np.linspace(3800, 9200, 4000)
    ivar = np.ones(4000)
    names = windows_in_view(wave, ivar, 0.1)
    assert [n.split(",")[0] for n in names] == ["[O II]", "Ca II K", r"H$\beta$", r"H$\alpha$"]
    ivar[(wave > 6500 * 1.1) & (wave < 6770 * 1.1)] = 0
    assert names[-1] not in windows_in_view(wave, ivar, 0.1)
    assert windows_in_view(wave, ivar, 9.0) == []
    for low, high, lines in WINDOWS.values():
        assert low < min(lines.values()) and max(lines.values()) < high


def overlapping(figure):
    """Pairs of Axes of a figure that share a part of it, insets and ends apart."""
    boxes = [ax.get_position() for ax in figure.axes]
    boxes = [ax.figure.transSubfigure.transform_bbox(b) if ax.figure is not figure else
             figure.transFigure.transform_bbox(b) for ax, b in zip(figure.axes, boxes, strict=True)]
    return [(a, b) for a, b in combinations(boxes, 2)
            if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1]


@pytest.mark.parametrize("with_model", [True, False])
def test_a_page_of_a_spectrum_has_everything_once_and_nothing_overlaps(with_model):
    fit = fitted()
    flux = fit.model[0] + fit.residual[0] / np.sqrt(np.maximum(fit.ivar[0], 1e-9))
    obs = Spectra(WAVE, flux[None], fit.ivar)
    model = Model(fit, 0, np.full(500, 0.1), {"stars": np.full(500, 5.0)}) if with_model else None
    page = plots.spectrum_page(obs, answer(), NAMES[1:], model)
    labels = [ax.get_ylabel() for ax in page.axes]
    assert sum("probability in bins" in text for text in labels) == 1
    assert sum("residual" in text for text in labels) == with_model
    assert sum("rest wavelength" in ax.get_xlabel() for ax in page.axes) == 4
    assert len(page.subfigs[0].axes) == 16  # the corner
    assert not overlapping(page)
    assert [text.get_text() for text in page.texts] == ["name", "z = 0.1    no flag"]


def test_an_object_stands_at_its_ratios_and_what_lacks_is_named():
    names = "Hbeta", "[OIII]5007", "Halpha", "[NII]6584"
    obs = Lines(names, [[10, 100, 30, 3], [10, 100, 30, np.nan], [10, 100, np.nan, np.nan]],
                np.ones((3, 4)), limit=[[np.nan] * 4, [np.nan] * 3 + [6.0], [np.nan] * 4])
    ax = plots.canvas()[1][0, 0]
    plots.excitation(ax, obs, 0)
    assert ax.containers[0].lines[0].get_xydata().tolist() == [[-1.0, 1.0]]
    ax = plots.canvas()[1][0, 0]
    plots.excitation(ax, obs, 2)
    assert "Hα" in ax.texts[-1].get_text() and "Hβ" not in ax.texts[-1].get_text()


def test_a_faint_line_is_a_limit_in_figures_as_on_pages():
    """One rule: below two standard deviations, of the flux and two more."""
    names = "Hbeta", "[OIII]5007", "Halpha", "[NII]6584"
    obs = Lines(names, [[10, 100, 30, 1.5], [10, 100, 30, -3.0]], np.ones((2, 4)))
    for row, flux in ((0, 3.5), (1, 2.0)):
        ax = plots.canvas()[1][0, 0]
        plots.excitation(ax, obs, row)
        (bars,) = ax.containers
        assert bars.lines[0].get_xydata()[0] == pytest.approx([np.log10(flux / 30), 1.0])
        assert [line.get_marker() for line in bars.lines[1]] == [CARETLEFTBASE]
        assert ratios(obs, "[NII]6584", "Halpha").value[row] == pytest.approx(np.log10(flux / 30))


def test_a_page_of_lines_names_them_and_nothing_overlaps():
    names = "Hbeta", "[OIII]5007", "Halpha", "[NII]6584"
    obs = Lines(names, [[10, 100, 30, 3]], np.ones((1, 4)))
    told = answer()._replace(best=None, edges=None, density=None)
    page = plots.lines_page(obs, 0, told, NAMES[1:], (np.array([10.0, 90, 31, 3]), np.ones(4)))
    ticks = [t.get_text() for ax in page.axes for t in ax.get_xticklabels()]
    assert {"Hβ", "[O III] 5007"} <= set(ticks) and not overlapping(page)


def test_departures_show_an_offset_and_a_width():
    """Of exact, shifted and too narrow posteriors of a unit normal truth."""
    n = 20_000
    exact = (np.arange(n) + 0.5) / n
    narrow = np.abs(exact - 0.5) ** 0.5 * np.sign(exact - 0.5) * 0.5**0.5 + 0.5
    u = np.stack([exact, exact**2, narrow], axis=1)
    axes = plots.canvas(1, 3)[1][0]
    plots.departures(axes, u, ["z", "low", "narrow"])
    below, inside = ([next(a for a in ax.lines if word in a.get_label()).get_ydata()
                      for ax in axes] for word in ("offset", "width"))
    assert np.abs(below[0]).max() < 1e-3 and np.abs(inside[0]).max() < 1e-3
    assert below[1].max() == pytest.approx(0.25, abs=1e-3)  # x^(1/2) - x
    assert inside[2].min() == pytest.approx(-0.25, abs=1e-3)  # y^2 - y
    assert np.abs(below[2]).max() == pytest.approx(0.125, abs=2e-3)
    assert axes[0].get_ylim() == axes[2].get_ylim()
