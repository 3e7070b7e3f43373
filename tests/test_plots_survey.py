"""What the figures of a survey carry."""

import numpy as np
import pytest
from astropy.table import Table

from flowspec import plots
from flowspec.check.survey import PUBLISHED
from flowspec.plots import survey as plots_survey

MIDDLES = [22.5, 23.5, 24.5]


@pytest.fixture
def ax():
    _, axes = plots.canvas()
    return axes[0, 0]


def report(group="2 h", share=(0.9, 0.8, 0.5)):
    share = np.array(share)
    return Table({
        "group": [group] * 3, "quantity": ["m_h"] * 3, "middle": MIDDLES, "success": share,
        "n": [100] * 3, "success_low": share - 0.02, "success_high": share + 0.01,
        "log_sfr_nmad": [0.1, 0.2, 0.3], "log_sfr_inside_68": [0.6, 0.7, 0.68],
        "log_sfr_inside_95": [0.9, 0.95, 0.97],
    })  # fmt: skip


def lines(ax, name):
    """Data [2, points] of the curve that the legend calls `name`."""
    handles, labels = ax.get_legend_handles_labels()
    (found,) = [h for h, n in zip(handles, labels, strict=True) if n == name]
    return np.array((found[0] if isinstance(found, tuple) else found).get_data(), float)


def test_success_has_the_rows_of_its_group_and_their_errors(ax):
    plots_survey.success(ax, report(), ["2 h"], "m_h")
    np.testing.assert_array_equal(lines(ax, "2 h"), [MIDDLES, [0.9, 0.8, 0.5]])
    (bars,) = ax.collections
    ends = np.array([path.vertices[:, 1] for path in bars.get_paths()])
    np.testing.assert_allclose(ends, [[0.88, 0.91], [0.78, 0.81], [0.48, 0.51]])
    limits = ax.get_xlim()
    plots_survey.published(ax)
    np.testing.assert_array_equal(lines(ax, "M-TOPnet, development version"), PUBLISHED.T)
    assert ax.get_xlim() == limits and "AB" in ax.get_xlabel()


def test_labels_are_drawn_per_type(ax):
    plots_survey.label_error(ax, report("passive"), "log_sfr", "nmad")
    np.testing.assert_array_equal(lines(ax, "passive")[1], [0.1, 0.2, 0.3])
    bars = ax.collections[-1]  # the scatter of 100 normal errors is known to 1.1664 / sqrt(100)
    assert np.ptp(bars.get_paths()[1].vertices[:, 1]) == pytest.approx(2 * 0.2 * 0.11664)
    assert "dex" in ax.get_ylabel() and ax.get_ylim()[0] == 0
    _, axes = plots.canvas()
    plots_survey.label_coverage(axes[0, 0], report("passive"), "log_sfr")
    np.testing.assert_array_equal(lines(axes[0, 0], "passive, 95 %")[1], [0.9, 0.95, 0.97])


def test_limits_of_hours_are_arrows_at_the_ends(ax):
    table = Table({
        "type": ["passive"] * 3, "low": [22.0, 23.0, 24.0], "high": [23.0, 24.0, 25.0],
        "n": [9] * 3, "threshold": [0.0] * 3, "wanted": [0.9] * 3, "hours": [np.nan, 5.0, np.nan],
        "hours_low": [0.0, 4.0, np.inf], "hours_high": [0.0, np.inf, np.inf],
        "limit": ["<= 2", "", "> 8"],
    }, meta={"t_exp": [2.0, 4.0, 8.0]})  # fmt: skip
    plots_survey.hours(ax, table, "passive")
    marks = {line.get_marker(): np.array(line.get_data(), float) for line in ax.lines}
    np.testing.assert_array_equal(marks["v"], [[22.5], [2.0]])
    np.testing.assert_array_equal(marks["^"], [[24.5], [8.0]])
    np.testing.assert_array_equal(lines(ax, "90 %")[:, 1], [23.5, 5.0])
    assert "hours" in ax.get_ylabel() and ax.get_title() == "passive"
