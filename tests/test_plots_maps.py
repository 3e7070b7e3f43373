"""A map is drawn with the values given, the right way up, within its limits."""

import numpy as np
import pytest

from flowspec import plots


def test_a_map_has_the_values_at_their_pixels():
    _, axes = plots.canvas()
    values = np.arange(12.0).reshape(3, 4)
    values[1, 2] = np.nan
    ax = plots.sky_map(axes[0, 0], values, "12 + log O/H", limits=(0.5, 10.0))
    image = ax.images[0]
    assert image.origin == "lower" and image.get_clim() == (0.5, 10.0)
    np.testing.assert_array_equal(np.ma.filled(image.get_array(), np.nan), values)
    nothing = image.to_rgba(image.get_array())[1, 2, :3]
    assert nothing == pytest.approx(0.9)  # grey, and no other pixel is
    bar = image.colorbar
    assert bar.extend == "both" and bar.ax.get_ylabel() == "12 + log O/H"


def test_limits_leave_single_odd_spaxels_out():
    _, axes = plots.canvas()
    values = np.linspace(0, 1, 401).reshape(1, 401).copy()
    values[0, 200] = 1e6
    image = plots.sky_map(axes[0, 0], values).images[0]
    assert image.get_clim() == pytest.approx((0.02, 0.98), abs=0.005)  # one value of 401 moved


def test_a_map_without_values_is_drawn():
    _, axes = plots.canvas()
    image = plots.sky_map(axes[0, 0], np.full((2, 2), np.nan)).images[0]
    assert image.get_array().mask.all() and image.get_clim() == (0.0, 1.0)
