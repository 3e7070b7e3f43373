"""What the artists of each figure carry: the data given, at the place and in the unit labelled."""

import numpy as np
import pytest
from matplotlib import colors

from flowspec import plots
from flowspec.check.calibration import Tarp, ks_critical
from flowspec.check.redshift import purity_completeness, reliability


@pytest.fixture
def ax():
    _, axes = plots.canvas()
    return axes[0, 0]


def line(ax, name):
    (found,) = [artist for artist in ax.lines if artist.get_label() == name]
    return found


def mock_spectrum():
    wave = np.linspace(4000.0, 9000.0, 500)
    ivar = np.ones(500)
    ivar[100:120] = 0
    return wave, np.where(ivar > 0, 5 + np.sin(wave / 300), 1e9), ivar


def test_spectrum_leaves_gaps_and_is_scaled_by_good_pixels(ax):
    wave, flux, ivar = mock_spectrum()
    plots.spectrum(ax, wave, flux, ivar)
    drawn = line(ax, "observed").get_ydata()
    np.testing.assert_array_equal(np.isnan(drawn), ivar == 0)
    np.testing.assert_array_equal(drawn[ivar > 0], flux[ivar > 0])
    low, high = ax.get_ylim()
    assert 0 < low < 4 and 6 < high < 10
    assert "Å" in ax.get_xlabel() and "10^{-17}" in ax.get_ylabel()


def test_spectrum_band_holds_the_quantiles_of_the_prediction(ax):
    wave, flux, ivar = mock_spectrum()
    predicted = np.random.default_rng(0).normal(5, 1, (200, len(wave)))
    plots.spectrum(ax, wave, flux, ivar, predicted=predicted)
    np.testing.assert_array_equal(line(ax, "model median").get_ydata(), np.median(predicted, 0))
    wide, narrow = (band.get_paths()[0].vertices[:, 1] for band in ax.collections)
    q = np.percentile(predicted, [2.5, 16, 84, 97.5], axis=0)
    assert wide.min() == q[0].min() and wide.max() == q[3].max()
    assert narrow.min() == q[1].min() and narrow.max() == q[2].max()


def test_a_spectrum_without_data_says_so(ax):
    wave, flux, ivar = mock_spectrum()
    plots.spectrum(ax, wave, flux, 0 * ivar, z=0.1)
    assert "no data" in [text.get_text() for text in ax.texts]


def test_lines_are_marked_at_their_observed_wavelength(ax):
    plots.spectrum(ax, *mock_spectrum(), z=0.1, lines={"Ha": 6564.6, "blue": 3000.0, "N": 6585.3})
    marks = [artist.get_xdata()[0] for artist in ax.lines if artist.get_linestyle() == ":"]
    np.testing.assert_allclose(marks, [6564.6 * 1.1, 6585.3 * 1.1])
    assert [text.get_text() for text in ax.texts] == ["Ha", "N"]
    first, second = (text.get_position()[0] for text in ax.texts)
    assert second - first > 100 > marks[1] - marks[0]  # names moved apart, marks not


@pytest.mark.parametrize(
    ("x", "want"),
    [([], []), ([1.0, 5.0], [1.0, 5.0]), ([2.0, 2.0], [1.5, 2.5]),
     ([0.0, 0.2, 0.4, 9.0], [-0.8, 0.2, 1.2, 9.0]), ([0.0, 1.1, 1.1], [-0.2667, 0.7333, 1.7333])],
)
def test_spread_keeps_order_centre_and_gap(x, want):
    np.testing.assert_allclose(plots.spread(np.array(x), 1.0), want, atol=1e-4)


def test_redshift_posteriors_are_stacked_first_on_top(ax):
    edges = np.linspace(0, 1, 101)
    density = np.zeros((2, 100))
    density[0, 30], density[1, [60, 70]] = 100.0, 50.0
    plots.redshift_pdf(ax, edges, density, truth=np.array([0.305, 0.9]), names=["a", "b"])
    top, bottom = (patch.get_data() for patch in ax.patches)
    assert top.baseline == 1 and bottom.baseline == 0
    np.testing.assert_allclose(np.flatnonzero(top.values > 1), [30])
    np.testing.assert_allclose(bottom.values[[60, 70]], 0.85)
    assert [artist.get_xdata()[0] for artist in ax.lines] == [0.305, 0.9]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "b"]
    low, high = ax.get_xlim()
    assert 0.2 < low < 0.3 and 0.9 < high < 1.0  # the truth is in view, empty redshifts are not


def test_corner_shows_truth_labels_and_quantiles():
    samples = np.random.default_rng(0).normal([0.08, 10.4], [3e-5, 0.1], (2000, 2))
    figure = plots.corner(samples, ["z", "log_mstar"], truth=np.array([0.08003, 10.5]))
    z, _, _, mass = figure.axes
    reds = [artist.get_xdata()[0] for artist in mass.lines if artist.get_color() == plots.RED]
    assert reds == [10.5]
    assert mass.get_xlabel() == plots.label("log_mstar")
    assert mass.get_title().startswith("$10.") and z.get_title().startswith("$0.07999")


@pytest.mark.parametrize(
    ("values", "text"),
    [((0.07997, 0.08, 0.08003), "$0.080000^{+0.000030}_{-0.000030}$"),
     ((138.0, 150.0, 165.0), "$150^{+15}_{-12}$"), ((1.0, 1.5, 2.5), "$1.50^{+1.00}_{-0.50}$")],
)
def test_interval_has_two_digits(values, text):
    assert plots.interval(*values) == text


def test_pit_curves_and_band(ax):
    u = np.random.default_rng(0).random((400, 2))
    u[:10, 1] = np.nan
    plots.pit_ecdf(ax, u, ["z", "unnamed"])
    grid, difference = line(ax, plots.label("z")).get_data()
    want = [np.mean(u[:, 0] <= x) - x for x in grid]
    np.testing.assert_allclose(difference, want, atol=1e-12)
    assert line(ax, "unnamed").get_ydata()[-1] == 0  # NaN rows are not counted
    band = ax.patches[0].get_height()
    np.testing.assert_allclose(band, 2 * ks_critical(390))


def test_coverage_and_tarp_lie_on_the_unit_square(ax):
    levels = np.linspace(0, 1, 11)
    plots.coverage(ax, levels, np.stack([levels, levels**2], axis=1), ["z", "av"])
    np.testing.assert_array_equal(line(ax, plots.label("av")).get_ydata(), levels**2)
    assert ax.get_xlim() == ax.get_ylim() == (0, 1)
    other = plots.canvas()[1][0, 0]
    plots.tarp(other, Tarp(levels, levels**2, levels**2 - 0.1, levels**2 + 0.1))
    np.testing.assert_array_equal(line(other, "TARP, off by 0.250").get_ydata(), levels**2)
    np.testing.assert_allclose(other.collections[0].get_paths()[0].vertices[:, 1].max(), 1.1)


def test_reliability_has_binomial_error_bars(ax):
    points = reliability(np.repeat([0.2, 0.9], 100), np.arange(200) % 10 < 5, bins=2)
    plots.reliability(ax, points)
    bars = ax.collections[0].get_segments()
    np.testing.assert_allclose(bars[0], [[0.2, points.low[0]], [0.2, points.high[0]]])
    np.testing.assert_allclose(np.ptp(bars[1][:, 1]), 0.1, rtol=0.02)  # 2 sqrt(0.25 / 100)
    (drawn,) = [a for a in ax.containers if a.get_label() == "calibration error 0.350"]
    np.testing.assert_allclose(drawn.lines[0].get_xydata(), [[0.2, 0.5], [0.9, 0.5]])


def test_purity_completeness_is_drawn_with_what_is_expected(ax):
    p = (np.arange(1000) + 0.5) / 1000
    curve, expected = purity_completeness(p, p > 0.3), purity_completeness(p, p)
    plots.purity_completeness(ax, curve, len(p), expected=expected, marks=(0.5, 0.9, 1.0))
    np.testing.assert_array_equal(line(ax, "measured").get_ydata(), curve.purity)
    drawn = line(ax, "expected of the probabilities")
    np.testing.assert_array_equal(drawn.get_xdata(), expected.completeness)
    dots = line(ax, "least probability kept").get_xdata()
    np.testing.assert_allclose(dots, [5 / 7, 1 / 7], atol=0.002)
    assert [text.get_text() for text in ax.texts] == ["0.5", "0.9"]


def test_recovered_values_with_error_bars_and_scatter(ax):
    truth = np.arange(10.0)
    median = truth + 0.3
    plots.recovered(ax, truth, np.stack([median - 1, median, median + 2]), "log_mstar")
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), np.stack([truth, median], axis=1))
    bar = ax.collections[0].get_segments()[4]
    np.testing.assert_allclose(bar, [[4, 3.3], [4, 6.3]])
    assert "offset +0.3" in ax.texts[0].get_text()
    assert ax.get_xlim() == ax.get_ylim() and "M}_" in ax.get_ylabel()


def test_training_marks_the_best_validation(ax):
    steps = np.arange(6)
    validation = np.array([np.nan, 5.0, np.nan, 2.0, np.nan, 3.0])
    plots.training(ax, steps, 6.0 - steps, validation)
    np.testing.assert_array_equal(line(ax, "training").get_ydata(), 6.0 - steps)
    np.testing.assert_array_equal(line(ax, "validation").get_xydata(), [[1, 5], [3, 2], [5, 3]])
    assert line(ax, "best: 2.000").get_xdata()[0] == 3


def test_curves_stay_distinct_and_readable_without_colour_vision(ax):
    plots.curves(ax, np.arange(2.0), np.zeros((2, 9)), [f"p{i}" for i in range(9)])
    looks = {(colors.to_hex(artist.get_color()), artist.get_linestyle()) for artist in ax.lines}
    assert len(looks) == 9
    # Okabe & Ito with grey for black and without yellow, which white swallows
    assert set(plots.COLOURS[:-1]) == {
        "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"
    }


def test_a_figure_is_written_without_a_display(tmp_path):
    figure, axes = plots.canvas(1, 2)
    plots.diagonal(axes[0, 1])
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes()[:4] == b"\x89PNG"
