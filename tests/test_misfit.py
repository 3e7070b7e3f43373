"""Misfit: exact for a linear-Gaussian model, calibrated, and awake to what simulations lack."""

import numpy as np
import pytest
from scipy.stats import kstest

from flowspec.data.frame import Columns, LineSet, Pixels
from flowspec.posterior.misfit import Misfit, Null
from flowspec.posterior.reconstruction import Reconstruction

WAVE = np.geomspace(4000.0, 8000.0, 300)
SIGMA = 0.1
SHAPES = np.stack([np.sin(k * np.pi * np.linspace(0, 1, 300)) for k in (1, 2, 3)])


def spectra(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Flux and inverse variance: a level of 3, three shapes of normal size, white noise."""
    rng = np.random.default_rng(seed)
    flux = 3 + rng.normal(size=(rows, 3)) @ SHAPES + SIGMA * rng.normal(size=(rows, 300))
    return flux.astype(np.float32), np.full((rows, 300), SIGMA**-2, np.float32)


def judged(data) -> tuple[np.ndarray, list[str]]:
    return LEARNED.compared(Pixels(WAVE), None, data, None)


LEARNED = Misfit.learned(Pixels(WAVE), None, spectra(3000, 1), None, None)


def test_p_values_of_simulations_are_uniform():
    p_value, _ = judged(spectra(2000, 2))
    assert kstest(p_value, "uniform").statistic < 0.055  # 99 % of samples of 2,000 and 1,500
    assert 0.001 < (p_value < 0.01).mean() < 0.022  # 0.01 +- 0.004: tails of 1,500


def spoilt(kind: str) -> np.ndarray:
    flux, _ = spectra(300, 3)
    rng, at = np.random.default_rng(4), np.linspace(0, 1, 300)
    if kind == "noise":
        return flux + np.sqrt(3) * SIGMA * rng.normal(size=flux.shape)
    if kind == "line":
        return flux + np.exp(-0.5 * ((WAVE - 6000) / 20) ** 2)
    if kind == "continuum":
        return flux + 0.2 * np.sin(13 * np.pi * at)
    flux[:, 50] += 10 * SIGMA
    return flux


@pytest.mark.parametrize("kind", ["noise", "line", "continuum", "pixel"])
def test_what_simulations_lack_is_seen_and_located(kind):
    """Each is of five sigma or far more in some statistic."""
    flux, ivar = spoilt(kind).astype(np.float32), spectra(300, 3)[1]
    p_value, where = judged((flux, ivar))
    assert (p_value < 0.01).mean() > 0.95
    if kind == "line":
        at = [np.mean([float(x) for x in w.replace(" A", "").split(" to ")])
              for w in where if " A" in w]  # fmt: skip
        assert len(at) > 250 and (np.abs(np.array(at) - 6000) < 100).mean() > 0.9
    if kind == "pixel":
        assert np.mean([w == f"{WAVE[50]:.0f} A" for w in where]) > 0.9


def test_a_statistic_that_never_varies_is_never_odd():
    """Such as that of a window without data, in a gap between two arms."""
    null = Null.of(np.stack([np.zeros(500), np.arange(500.0)], axis=1))
    tails = np.exp(null.tail(np.array([[0.0, 0.0], [0.0, 450.0]])))
    np.testing.assert_allclose(tails[:, 0], 1, atol=1e-3)
    np.testing.assert_allclose(tails[:, 1], [1, 0.1], atol=0.02)


def test_rows_without_data_have_none():
    flux, ivar = spectra(3, 5)
    ivar[1] = 0
    assert np.isnan(judged((flux, ivar)).p_value).tolist() == [False, True, False]


@pytest.mark.slow
def test_residuals_of_short_rows_are_of_values_left_out():
    """Against the conditional normal distribution of each number given all others."""
    rng = np.random.default_rng(6)
    mixing = rng.normal(size=(5, 5)) + 2 * np.eye(5)
    values = (rng.normal(size=(8000, 5)) @ mixing).astype(np.float32)
    weight = np.full(values.shape, 100.0, np.float32)
    first = np.zeros(len(values), int)
    model = Reconstruction.learned(values, weight, first, 5, 1)
    residual, distance = model.fitted(values, weight, first)
    covariance = mixing.T @ mixing
    precision = np.linalg.inv(covariance)
    exact = values @ precision / np.sqrt(np.diag(precision))
    scatter = np.std(residual - exact, axis=0)
    assert (scatter < 0.1).all()  # the covariance is that of 8,000 rows
    assert distance.mean() == pytest.approx(5 / 6, abs=0.06)  # five numbers, six components


def test_columns_of_any_scale():
    """One number that contradicts two others stands out, and is named."""
    rng = np.random.default_rng(7)
    a = rng.normal(size=(3000, 1))
    values = a * [1e12, 1e-12, 1.0] + rng.normal(size=(3000, 3)) * [1e11, 1e-13, 0.1]
    data = values, np.zeros_like(values), np.ones_like(values, bool)
    frame = Columns(("big", "small", "one"))
    misfit = Misfit.learned(frame, None, data, None, None)
    odd = values[:1] * [1, 1, 1] + [[0, 0, 5]]
    found = misfit.compared(frame, None, (odd, 0 * odd, odd == odd), None)
    assert found.p_value[0] < 0.01


def test_lines_are_judged_by_their_ratios():
    """Fluxes in any unit, some lines missing; one line far too bright."""
    rng = np.random.default_rng(8)
    names = ("Hbeta", "[OIII]5007", "[NII]6584", "Halpha")
    log = np.stack([np.zeros(3000), rng.normal(0, 1, 3000), rng.normal(-1, 0.5, 3000),
                    np.full(3000, np.log(2.86))], axis=1)  # fmt: skip
    flux = np.exp(log + 0.02 * rng.normal(size=log.shape))
    frame, state = LineSet(names), np.ones((3000, 4), np.int8)
    misfit = Misfit.learned(frame, None, (flux, 0.05 * flux, state, np.zeros(3000)), None, None)
    fresh = flux[:200] * 1e-17
    fresh[:100, 3] *= 3
    seen = state[:200].copy()
    seen[:, 1] = 0
    found = misfit.compared(frame, None, (fresh, 0.05 * fresh, seen, np.zeros(200)), None)
    assert (found.p_value[:100] < 0.01).mean() > 0.9 and (found.p_value[100:] < 0.01).mean() < 0.1
