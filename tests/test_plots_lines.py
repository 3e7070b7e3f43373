"""Figures of lines carry the percentiles of their values, at the place of their line."""

import numpy as np
import pytest

from flowspec import plots
from flowspec.plots import lines as plots_lines


@pytest.fixture
def ax():
    _, axes = plots.canvas()
    return axes[0, 0]


@pytest.mark.parametrize(
    "name, label",
    [("Halpha", "Hα"), ("[OIII]5007", "[O III] 5007"), ("HeI5876", "He I 5876"),
     ("[OII]3726,3729", "[O II] 3726+3729"), ("CIII]1909", "C III] 1909"),
     ("[SIII]18.7um", "[S III] 18.7um"), ("H8", "H8")],
)  # fmt: skip
def test_names_are_printed_as_the_field_does(name, label):
    assert plots_lines.line_label(name) == label


def test_boxes_are_percentiles_in_order_of_wavelength(ax):
    lines = ("Halpha", "[OII]3726,3729", "Hbeta")
    values = np.stack([np.arange(101.0) - 50, np.linspace(-1, 1, 101), np.full(101, np.nan)], 1)
    some = np.where(np.arange(101)[:, None] < 40, values, np.nan)
    plots_lines.residuals(ax, lines, {"used": values, "left out": some})
    boxes = [patch.get_path().vertices for patch in ax.patches if len(patch.get_path()) > 4]
    boxes = [box for box in boxes if np.ptp(box[:, 0]) < 0.5]  # not the band of one sigma
    ends = [(box[:4, 1].min(), box[:4, 1].max()) for box in boxes]
    np.testing.assert_allclose(
        ends, [[-0.68, 0.68], [-34, 34], [-0.8752, -0.3448], [-43.76, -17.24]]
    )
    assert [box[:4, 0].mean() for box in boxes] == pytest.approx([-0.175, 0.825, 0.175, 1.175])
    ticks = [tick.get_text() for tick in ax.get_xticklabels()]
    assert ticks == ["[O II] 3726+3729\nn = 101", "Hα\nn = 101"]  # Hβ has none
    whiskers = np.concatenate([line.get_ydata() for line in ax.lines])
    assert whiskers.min() == pytest.approx(-49.025) and whiskers.max() == pytest.approx(47.5)
    assert ax.get_ylim()[1] > 49 and "σ" in ax.get_ylabel()
