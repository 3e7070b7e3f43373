"""The benchmark from one cosmological simulation to another: its arithmetic and its data."""

import numpy as np
import pytest

from benchmarks import shift_photometry, shift_scores
from benchmarks.simba_tng import ANCHORS, ERROR, NAMES, TYPICAL, galaxies, observe, simulations


def test_scores_of_gaussian_posteriors_off_by_one_sigma():
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 2.0, (4000, 3))
    centre = truth + 0.5 * rng.standard_normal(truth.shape) + [0.5, 0.0, 0.0]
    result = shift_photometry.against(centre + 0.5 * rng.standard_normal((400, 4000, 3)), truth)
    # sampling: 4,000 rows and 400 draws leave 0.02 of each
    assert result["nrmse log_sfr"] == pytest.approx(0.25, abs=0.01)
    assert result["nrmse log_mstar"] == pytest.approx(0.25 * np.sqrt(2), abs=0.015)
    assert result["beta log_mstar"] == pytest.approx(1.0, abs=0.05)
    assert result["covered_68 log_z"] == pytest.approx(0.68, abs=0.03)
    assert result["covered_95 log_mstar"] == pytest.approx(0.83, abs=0.03)  # Phi(.96) - Phi(-2.96)


def test_spread_is_mean_and_deviation():
    rows = [{"a": {"x": 1.0}, "chosen": "none"}, {"a": {"x": 3.0}, "chosen": "mmd"}]
    assert shift_scores.summary(rows) == {
        "a": {"x": 2.0, "x +-": pytest.approx(2**0.5)}, "chosen": "none, mmd",
    }  # fmt: skip


def test_photometry_is_what_the_files_have(data):
    folder = data / "uda/simba_tng"
    if not folder.is_dir():
        pytest.skip(f"galaxies not found at {folder}")
    theta, log_flux = galaxies(folder, "simba")
    assert theta.shape == (1688, len(NAMES)) and log_flux.shape == (1688, len(TYPICAL))
    obs = observe(log_flux, 1)
    departure = (obs.flux - 1)[:, : len(TYPICAL)] + TYPICAL - log_flux
    assert departure.std() == pytest.approx(ERROR, rel=0.02)
    assert np.abs(np.median(log_flux, axis=0) - TYPICAL).max() < 1
    assert (obs.flux[:, -ANCHORS:] == 1).all()
    assert (obs.ivar < 30 * np.median(obs.ivar)).all()  # beyond it `on_grid` drops them
    assert len(simulations(theta, log_flux, 0)) == 1688


@pytest.mark.slow  # its compilation takes half a minute
def test_benchmark_runs(data):
    if not (data / "uda/simba_tng").is_dir():
        pytest.skip("galaxies not found")
    result = shift_photometry.run(
        seeds=1, steps=2, adapt_steps=2, targets="tng", rows=64, draws=16
    )
    for method in ("source", "none", "coral"):
        assert np.isfinite(result["tng"][method]["nrmse"])
        assert 0 <= result["tng"][method]["reweighted"]["covered_68"] <= 1
