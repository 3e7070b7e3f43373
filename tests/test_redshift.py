"""Screening of redshifts: the search for the best window, its calibration, purity."""

import numpy as np
import pytest
from scipy.special import expit, logit

from flowspec.check.redshift import purity_completeness, reliability, wilson
from flowspec.posterior.redshift import LIMIT, Recalibration, best_redshift, peaks


def densities(rng, edges, rows):
    """Random histograms [rows, bins], spiky enough for the best window to be anywhere."""
    mass = rng.gamma(0.05, size=(rows, len(edges) - 1)) + 1e-9
    return mass / mass.sum(1, keepdims=True) / np.diff(edges)


@pytest.mark.parametrize("width", [0.0015, 0.013, 0.05], ids=["narrow", "like it", "wider"])
def test_the_best_window_is_that_of_a_search_on_a_fine_grid(width):
    """Bins narrower than the window, and wider: those are shared out evenly."""
    rng = np.random.default_rng(0)
    edges = np.expm1(np.arange(np.log(1.5), np.log(2.0), width / 1.7))
    pdf = densities(rng, edges, 5)
    fine = np.linspace(edges[0], edges[-1], 100001)
    centre = 0.5 * (fine[1:] + fine[:-1])
    own = np.clip(np.digitize(centre, edges) - 1, 0, len(edges) - 2)
    found = peaks(edges, pdf)
    for row, (z, share, second) in enumerate(zip(*found, strict=True)):
        mass = np.append(0, np.cumsum(pdf[row, own])) * (fine[1] - fine[0])
        low, high = (np.interp(fine + d, fine, mass) for d in (-LIMIT, LIMIT))
        held = high - low
        assert share == pytest.approx(held.max(), abs=2e-3)  # a step of the grid is 5e-6
        ties = fine[held > held.max() - 1e-6][[0, -1]]  # windows in one bin are all as good
        near = np.abs(centre - ties[:, None]) < LIMIT
        means = [np.average(centre[n], weights=pdf[row, own][n]) for n in near]
        assert means[0] - 1e-4 < z < means[1] + 1e-4
        sides = held[held.argmax() :], held[held.argmax() :: -1]
        rise = max((side - np.minimum.accumulate(side)).max() for side in sides)
        assert second == pytest.approx(rise, abs=2e-3)


def test_the_best_window_is_that_of_most_probability():
    """A narrow peak of 0.4 against a broad one of 0.6, of which a window holds a fifth."""
    edges = np.linspace(0.6, 3.0, 4801)
    z = 0.5 * (edges[1:] + edges[:-1])
    narrow = np.exp(-0.5 * ((z - 1.2345) / 0.002) ** 2) / (0.002 * np.sqrt(2 * np.pi))
    broad = (np.abs(z - 2.0) < 0.05) / 0.1
    best = peaks(edges, (0.4 * narrow + 0.6 * broad)[None])
    assert best.z[0] == pytest.approx(1.2345, abs=1e-4)  # its mean, not just a window around it
    assert best.share[0] == pytest.approx(0.4, abs=2e-3)
    assert best.second[0] == pytest.approx(0.12, abs=2e-3)
    best = peaks(edges, (0.1 * narrow + 0.9 * broad)[None])
    assert abs(best.z[0] - 2) < 0.042 and best.share[0] == pytest.approx(0.18, abs=5e-3)


def test_draws_give_what_a_bin_cannot():
    rng = np.random.default_rng(1)
    z = np.concatenate([rng.normal(0.2, 0.02, 400), rng.normal(0.6, 1e-4, 600)])
    best = best_redshift(np.stack([z, z], axis=1), np.array([0.603, 0.9]))
    assert best[0] == pytest.approx(0.6, abs=2e-5)  # 1e-4 / sqrt(600), five times
    assert best[1] == 0.9  # no draw is near


@pytest.mark.parametrize(
    ("offset", "slope"),
    [(0.0, 1.0), (0.0, 0.4), (0.0, 2.5), (1.0, 1.0)],
    ids=["exact", "too sure", "not sure enough", "too low"],
)
def test_recalibration_undoes_a_known_distortion(offset, slope):
    """Truth is drawn with ``logit p = offset + slope logit q`` where q is what is stated."""
    rng = np.random.default_rng(2)
    stated = rng.beta(1.5, 0.4, 20000)
    true = expit(offset + slope * logit(stated))
    right = rng.uniform(size=len(true)) < true
    recalibration = Recalibration.fit(stated, right, 0 * stated)
    # errors are of 0.02 to 0.05, by the information in 20,000 rows
    np.testing.assert_allclose(recalibration.coefficients, [offset, slope, 0, 0], atol=0.12)
    np.testing.assert_allclose(recalibration(stated, 0 * stated), true, atol=0.025)
    assert (np.diff(recalibration(np.sort(stated), 0 * stated)) >= 0).all()  # the order stays


def test_recalibration_knows_what_is_missing():
    """Truth as stated of whole spectra, less and less so the more is missing."""
    rng = np.random.default_rng(3)
    stated, missing = rng.beta(1.5, 0.4, 40000), rng.uniform(size=40000)
    true = expit((1 - 0.7 * missing) * logit(stated) - missing)
    recalibration = Recalibration.fit(stated, rng.uniform(size=40000) < true, missing)
    # errors are of 0.04 to 0.09, by the information in 40,000 rows
    np.testing.assert_allclose(recalibration.coefficients, [0, 1, -1, -0.7], atol=0.25)


def test_recalibration_is_tame_where_all_are_right():
    """No map is steep enough for these; the prior holds it."""
    sure = Recalibration.fit(np.array([0.9, 1.0, 1.0 + 1e-7]), np.ones(3, bool), np.zeros(3))
    assert np.isfinite(sure.coefficients).all()
    assert 0.9 < sure(np.array([0.9]), np.zeros(1))[0] < 0.99
    same = Recalibration.identity()(np.array([0.3, 0.9]), np.array([0.0, 0.8]))
    np.testing.assert_allclose(same, [0.3, 0.9])


def test_reliability_of_exact_and_too_sure_probabilities():
    rng = np.random.default_rng(3)
    p = rng.uniform(size=40000)
    right = rng.uniform(size=40000) < p
    exact, sure = reliability(p, right), reliability(np.sqrt(p), right)
    assert exact.error < 0.012  # 2,000 rows a bin: sqrt(p (1 - p) / 2000)
    assert sure.error == pytest.approx(1 / 6, abs=0.01)  # the integral of sqrt(p) - p
    inside = (exact.low < exact.probability) & (exact.probability < exact.high)
    even = reliability(p, right, np.linspace(0, 1, 11))
    np.testing.assert_allclose(even.probability, np.arange(0.05, 1, 0.1), atol=0.005)
    assert len(reliability(p, right, np.linspace(-1, 1, 21)).n) == 10
    assert 0.45 < inside.mean() < 0.9 and exact.n.sum() == 40000  # 68 % of 20


def test_wilson_interval_is_where_the_normal_test_turns():
    share, n = np.array([0.0, 0.2, 1.0]), np.array([10, 50, 4])
    for end in wilson(share, n):
        distance = np.abs(share - end)
        np.testing.assert_allclose(distance, np.sqrt(end * (1 - end) / n), atol=1e-12)


def test_purity_keeps_all_or_none_of_a_tie():
    curve = purity_completeness(np.array([0.9, 0.8, 0.8, 0.5]), np.array([True, True, False, True]))
    np.testing.assert_allclose(curve.threshold, [0.9, 0.8, 0.5])
    np.testing.assert_allclose(curve.kept, [0.25, 0.75, 1])
    np.testing.assert_allclose(curve.purity, [1, 2 / 3, 0.75])
    np.testing.assert_allclose(curve.completeness, [1 / 3, 2 / 3, 1])
    assert [curve.kept_at(p) for p in (0.7, 0.9, 1.0)] == [1.0, 0.25, 0.25]


def test_purity_of_uniform_probabilities_is_the_mean_above_the_threshold():
    p = (np.arange(10000) + 0.5) / 10000
    expected = purity_completeness(p, p)  # of probabilities that are exact
    np.testing.assert_allclose(expected.purity, (1 + expected.threshold) / 2, atol=1e-3)
    np.testing.assert_allclose(expected.completeness, 1 - expected.threshold**2, atol=1e-3)
    right = np.random.default_rng(0).uniform(size=10000) < p
    assert purity_completeness(p, right).kept_at(0.9) == pytest.approx(0.2, abs=0.05)


def test_a_perfect_ranking_removes_the_least_possible():
    right = np.arange(1000) < 800
    curve = purity_completeness(1.0 * right, right)
    assert curve.kept_at(0.97) == pytest.approx(0.8)  # all ties of 0 stay out
    assert curve.removal_ratio(0.8) != curve.removal_ratio(0.8)  # nothing to remove
    half = purity_completeness(np.arange(1000) % 4 / 4, np.arange(1000) % 4 > 0)
    assert half.removal_ratio(1.0) == pytest.approx(1)


def test_nothing_to_judge_is_an_error():
    for judge in (reliability, purity_completeness):
        with pytest.raises(ValueError, match="at least one row"):
            judge(np.zeros(0), np.zeros(0, bool))
