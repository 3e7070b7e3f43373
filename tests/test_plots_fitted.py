"""What the figure of a fitted spectrum carries: data, model, band, parts and residuals as given."""

import numpy as np
import pytest

from flowspec import plots
from flowspec.plots.fitted import ABSORBED, EMISSION, REACH
from flowspec.sim.explicit import Fitted

WAVE = np.linspace(4000.0, 9000.0, 500)


def fitted():
    """A flat model with a line, noise of 0.5, 20 pixels without data and one far off."""
    model = 5 + 8 * np.exp(-0.5 * ((WAVE - 7221.0) / 10) ** 2)
    ivar = np.full(500, 4.0)
    ivar[100:120] = 0
    residual = np.random.default_rng(0).normal(size=500) * (ivar > 0)
    residual[300] = 40.0
    none = np.zeros((1, 1))
    return Fitted(
        theta=none, latent=none, model=model[None], ivar=ivar[None], residual=residual[None],
        chi2=np.array([0.97]), unknowns=none, information=none[None], gradient=none,
        log_evidence=np.zeros(1),
    )  # fmt: skip


@pytest.fixture
def drawn():
    _, axes = plots.canvas(2, heights=(3, 1))
    fit = fitted()
    parts = {"stars": np.full(500, 5.0), "gas": fit.model[0] - 5.0}
    plots.fit(axes[:, 0], WAVE, fit, 0, band=np.full(500, 0.1), parts=parts, z=0.1)
    return fit, parts, axes[0, 0], axes[1, 0]


def line(ax, name):
    (found,) = [artist for artist in ax.lines if artist.get_label() == name]
    return found.get_ydata()


def test_data_and_model_and_parts_are_drawn_as_they_are(drawn):
    fit, parts, top, _ = drawn
    good = fit.ivar[0] > 0
    data = line(top, "data ± σ")
    np.testing.assert_array_equal(np.isnan(data), ~good)
    np.testing.assert_allclose((data - fit.model[0])[good], 0.5 * fit.residual[0][good])
    np.testing.assert_array_equal(line(top, "best model"), fit.model[0])
    for name, part in parts.items():
        np.testing.assert_array_equal(line(top, name), part)


def test_the_band_is_about_the_model_and_about_zero_in_units_of_the_errors(drawn):
    fit, _, top, bottom = drawn
    (band,) = [a for a in top.collections if a.get_label() == "68 % given the data"]
    held = band.get_paths()[0].vertices[:, 1]
    assert held.max() == pytest.approx(fit.model.max() + 0.1)
    assert held.min() == pytest.approx(fit.model.min() - 0.1)
    below = np.concatenate([p.vertices[:, 1] for a in bottom.collections for p in a.get_paths()])
    assert np.abs(below).max() == pytest.approx(0.1 / 0.5)


def test_residuals_beyond_the_edge_are_marked(drawn):
    _, _, top, bottom = drawn
    (up,) = [a for a in bottom.lines if a.get_marker() == "^"]
    np.testing.assert_array_equal(up.get_xdata(), WAVE[300])
    assert bottom.get_ylim() == (-REACH, REACH)
    assert 13 < top.get_ylim()[1] < 20  # the lone pixel, 20 above the model, does not set it
    assert "0.97" in bottom.texts[0].get_text()


def test_lines_in_view_are_named_once_and_absorption_has_its_colour(drawn):
    top = drawn[2]
    colours = {text.get_text(): text.get_color() for text in top.texts}
    assert colours["K"] == plots.BLUE != colours["Hα"]
    assert "Lyα" not in colours
    assert not set(EMISSION) & set(ABSORBED)


def test_one_axis_is_refused():
    _, axes = plots.canvas()
    with pytest.raises(ValueError, match="two axes"):
        plots.fit(axes[0], WAVE, fitted(), 0)


def test_a_spectrum_without_data_says_so():
    _, axes = plots.canvas(2, heights=(3, 1))
    fit = fitted()
    fit = fit._replace(ivar=0 * fit.ivar, residual=0 * fit.residual)
    plots.fit(axes[:, 0], WAVE, fit, 0)
    assert "no data" in [text.get_text() for text in axes[0, 0].texts]
