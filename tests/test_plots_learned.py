"""Figures of attributions and maps carry the numbers given, at their place."""

import numpy as np
import pytest
from matplotlib import colors

from flowspec import plots
from flowspec.check.attribution import ELSEWHERE, by_line
from flowspec.data.line_names import GALAXY_LINES
from flowspec.plots import learned as plots_learned


@pytest.fixture
def ax():
    _, axes = plots.canvas()
    return axes[0, 0]


def mock():
    """A spectrum at z = 1 with a gap, whose attribution is all on Hα, [O III] and one pixel."""
    wave = np.geomspace(6400.0, 18000.0, 1200)
    flux, ivar = np.full(1200, 2.0), np.full(1200, 4.0)
    ivar[500:520], flux[500:520] = 0, 1e9
    shares = np.zeros(1200)
    places = GALAXY_LINES["Halpha"], GALAXY_LINES["OIII5007"], 5600.0
    for rest, value in zip(places, (6.0, -2.0, 0.5), strict=True):
        shares[np.argmin(np.abs(wave - 2 * rest))] = value
    sums = by_line(shares[None], wave, np.array([1.0]))
    return wave, flux, ivar, shares, {name: total[0] for name, total in sums.items()}


def test_smoothing_is_the_weighted_mean_of_good_pixels():
    rng = np.random.default_rng(0)
    flux, ivar = rng.normal(size=60), rng.uniform(0.5, 2, 60)
    ivar[20:30] = 0
    mean, sigma = plots_learned.smoothed(flux, ivar, 5)
    np.testing.assert_array_equal(np.isnan(mean), ivar == 0)
    window = slice(16, 21)  # about pixel 18, whose last neighbour has no data
    assert mean[18] == pytest.approx(np.average(flux[window], weights=ivar[window]))
    assert sigma[18] == pytest.approx(ivar[window].sum() ** -0.5)


def test_stripes_hold_the_attribution_and_lines_are_marked(ax):
    wave, flux, ivar, shares, sums = mock()
    plots_learned.attributed(ax, wave, flux, ivar, shares, 1.0, sums, stripe=12)
    stripes = ax.collections[0]
    np.testing.assert_allclose(stripes.get_array().ravel(), shares.reshape(-1, 12).sum(1))
    assert stripes.get_clim() == (-6, 6)
    mean = next(line for line in ax.lines if line.get_label() == "mean of 7 pixels")
    np.testing.assert_allclose(mean.get_ydata()[ivar > 0], 2)
    marks = [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":"]
    np.testing.assert_allclose(marks, [2 * GALAXY_LINES["OIII5007"], 2 * GALAXY_LINES["Halpha"]])
    assert {text.get_text() for text in ax.texts} == {"O III 5007", r"H$\alpha$"}


def test_bars_add_up_to_all_pixels(ax):
    *_, shares, sums = mock()
    plots_learned.line_shares(ax, sums, count=1)
    heights = [bar.get_height() for bar in ax.patches]
    assert heights == [6.0, -2.0, 0.5]
    names = [tick.get_text() for tick in ax.get_xticklabels()]
    assert names == [r"H$\alpha$", "other lines", ELSEWHERE]
    assert ax.get_title(loc="right") == f"all pixels: {shares.sum():+.1f}"


@pytest.mark.parametrize(
    ("name", "want"),
    [("Halpha", r"H$\alpha$"), ("OIII5007", "O III 5007"), ("ArIII7136", "Ar III 7136"),
     ("HeI5876", "He I 5876"), ("CaK", "CaK"), ("H9", "H9"), ("CaT8498", "CaT8498")],
)
def test_names_of_lines(name, want):
    assert plots_learned.line_name(name) == want


def test_maps_are_coloured_by_numbers_or_by_yes_and_no(ax):
    points = np.random.default_rng(0).normal(size=(50, 2))
    values = np.arange(50.0)
    values[7] = np.nan
    plots_learned.embedding(ax, points, values, "m_h")
    unknown, known = ax.collections
    np.testing.assert_array_equal(unknown.get_offsets(), points[[7]])
    order = known.get_array().astype(int)
    np.testing.assert_array_equal(known.get_offsets(), points[order])
    other = plots.canvas()[1][0, 0]
    plots_learned.embedding(other, points, values > 30, "quiescent")
    drawn = {colors.to_hex(c.get_facecolor()[0]).upper(): len(c.get_offsets())
             for c in other.collections if len(c.get_offsets())}
    assert drawn == {plots.BLUE: 31, plots.RED: 19}
