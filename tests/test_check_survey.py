"""Scores of a survey on made-up truths and answers whose scores are known."""

import numpy as np
import pytest
from astropy.table import Table
from scipy.special import ndtr, ndtri

from flowspec.check import survey
from flowspec.check.hours import crossing, hours_needed, hours_table, rising

ALL = ("all", -np.inf)


def made_up(n=1200, seed=0):
    """A survey of `n` galaxies, right with certainty where the expected line S/N is above 2."""
    rng = np.random.default_rng(seed)
    truth = Table({
        "z": rng.uniform(0.6, 3, n), "log_mstar": rng.normal(10, 0.5, n),
        "log_sfr": rng.normal(1, 0.5, n), "m_h": rng.uniform(21, 25.5, n),
        "t_exp": rng.choice([2.0, 4.0, 8.0], n), "quiescent": 1.0 * (rng.random(n) < 0.2),
        "line_snr": rng.lognormal(1, 1, n),
    })  # fmt: skip
    right = truth["line_snr"] > 2
    answer = Table({"z_best": truth["z"] + np.where(right, 0.009, -0.011)})
    answer["z_prob"] = np.where(right, 0.95, 0.4)
    for name in survey.LABELS:
        width = ndtri(np.array(survey.LEVELS) / 100)
        answer[name] = np.asarray(truth[name])[:, None] + 0.1 * width
    return truth, answer


def row_of(table, group, quantity, low):
    (row,) = [r for r in table if (r["group"], r["quantity"], r["low"]) == (group, quantity, low)]
    return row


def test_each_row_scores_the_galaxies_of_its_bin():
    truth, answer = made_up()
    table, right = survey.report(truth, answer), np.asarray(truth["line_snr"] > 2)
    hours, passive, m_h = (np.asarray(truth[c]) for c in ("t_exp", "quiescent", "m_h"))
    faint = (m_h >= 24.5) & (m_h < 25)
    for row, member in (
        (("all", *ALL), m_h > 0), (("8 h", "m_h", 24.5), (hours == 8) & faint),
        (("passive", "t_exp", 2.0), (passive == 1) & (hours == 2)),
        (("all", "quiescent", 0.0), passive == 0),
    ):  # fmt: skip
        found = row_of(table, *row)
        assert found["n"] == member.sum() > 20
        np.testing.assert_allclose(found["success"], right[member].mean())
    assert row_of(table, "all", "line_snr", 3.0)["success"] == 1
    assert row_of(table, "all", "line_snr", 1.0)["success"] == 0
    assert row_of(table, "all", "m_h", 24.5)["middle"] == np.median(m_h[faint])
    for quantity in ("m_h", "z", "line_snr", "t_exp", "quiescent"):
        own = table[(table["group"] == "all") & (table["quantity"] == quantity)]
        assert own["n"].sum() == len(truth), quantity


def test_purity_and_completeness_count_what_is_kept():
    truth, _ = made_up(10)
    z = np.asarray(truth["z"])
    wrong = np.arange(10) >= 6  # six right, of which four are kept at 0.9 with one wrong
    prob = np.array([0.99, 0.98, 0.95, 0.92, 0.6, 0.3, 0.91, 0.6, 0.4, 0.9])
    answer = Table({"z_best": z + 0.02 * wrong, "z_prob": prob})
    for name in survey.LABELS:
        answer[name] = np.zeros((10, 5))
    found = survey.scores(truth, answer)
    want = {"n": 10, "success": 0.6, "purity_90": 4 / 5, "completeness_90": 0.4,
            "purity_50": 5 / 8, "completeness_50": 0.5, "purity_97": 1.0,
            "completeness_97": 0.2}  # fmt: skip
    assert {name: found[name] for name in want} == pytest.approx(want)
    answer["z_prob"] = 0.1
    found = survey.scores(truth, answer)
    assert np.isnan(found["purity_50"]) and found["completeness_50"] == 0


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_label_scores_of_gaussian_posteriors(factor):
    """Errors of 0.2 about an offset, intervals of `factor` times that width about the medians."""
    n, sigma, offset = 2000, 0.2, 0.05
    error = sigma * ndtri((np.arange(n) + 0.5) / n)
    width = factor * sigma * ndtri(np.array(survey.LEVELS) / 100)
    found = survey.label_scores((offset + error)[:, None] + width, np.zeros(n))
    want = {"offset": offset, "nmad": sigma}
    for name, level in (("inside_68", 0.84), ("inside_95", 0.975)):
        ends = factor * ndtri(level) + offset / sigma * np.array([1, -1])
        want[name] = ndtr(ends[0]) - ndtr(-ends[1])
    assert found == pytest.approx(want, abs=2e-3)  # 1 / n of each share, and 1.4826 is rounded


def test_moonrise_keeps_long_passive_and_short_star_forming():
    rows = [(24.9, 2.5, 8, 1, True), (24.9, 2.5, 2, 0, True), (24.9, 2.5, 2, 1, False),
            (24.9, 2.5, 8, 0, False), (25.1, 2.5, 2, 0, False), (24.0, 2.7, 8, 1, False),
            (24.0, 1.0, 4, 0, False)]  # fmt: skip
    m_h, z, t_exp, quiescent, wanted = zip(*rows, strict=True)
    truth = Table({"m_h": m_h, "z": z, "t_exp": t_exp, "quiescent": quiescent})
    assert survey.moonrise(truth).tolist() == list(wanted)


def test_hours_of_a_share_that_grows_with_the_logarithm():
    """share = 0.5 + 0.2 log2(t / 2): 0.8 is reached at 2^2.5 hours, 0.6 at 2^1.5."""
    times, n = np.array([2.0, 4.0, 8.0]), np.full(3, 10_000)
    right = np.array([5000, 7000, 9000])
    for wanted, hours in ((0.8, 2**2.5), (0.6, 2**1.5), (0.9, 8.0)):
        found = hours_needed(times, right, n, wanted)
        assert found.hours == pytest.approx(hours) and found.limit == ""
    found = hours_needed(times, right, n, 0.8, draws=4000)
    # d ln t = ln 2 / 0.2 d share; half way between two independent binomial shares
    sigma = np.log(2) / 0.2 * np.sqrt((0.7 * 0.3 + 0.9 * 0.1) / 4 / 10_000)
    width = np.log(found.hours_high / found.hours_low) / 2
    assert width == pytest.approx(0.9945 * sigma, rel=0.06)  # 4,000 draws give 2 to 3 %
    for wanted, limit in ((0.5, "<= 2"), (0.4, "<= 2"), (0.95, "> 8")):
        found = hours_needed(times, right, n, wanted)
        assert np.isnan(found.hours) and found.limit == limit
    assert (found.hours_low, found.hours_high) == (np.inf, np.inf)


def test_hours_leave_out_times_without_galaxies():
    times, right = np.array([2.0, 4.0, 8.0]), np.array([50, 0, 90])
    found = hours_needed(times, right, np.array([100, 0, 100]), 0.7)
    assert found.hours == pytest.approx(4.0) and found.hours_low < 4 < found.hours_high
    assert hours_needed(times, right, np.array([100, 0, 0]), 0.7).limit == "> 2"
    assert hours_needed(times, right * 0, np.zeros(3, int), 0.7).limit == "no data"


@pytest.mark.parametrize(("share", "weight", "want"), [
    ([0.1, 0.3, 0.2], [1, 1, 1], [0.1, 0.25, 0.25]), ([0.1, 0.2, 0.3], [9, 1, 5], [0.1, 0.2, 0.3]),
    ([0.6, 0.3, 0.2], [1, 1, 2], [0.325] * 3), ([0.5, 0.2, 0.4], [1, 2, 1], [0.3, 0.3, 0.4]),
])  # fmt: skip
def test_rising_pools_neighbours_that_fall(share, weight, want):
    share = np.array([share, want])  # and what rises already stays
    np.testing.assert_allclose(rising(share, np.array(weight)), [want, want], atol=1e-12)


def test_crossing_of_many_draws():
    share = np.array([[0.2, 0.4], [0.6, 0.7], [0.1, 0.2]])
    found = crossing(np.array([1.0, 100.0]), share, 0.3)
    np.testing.assert_allclose(found, [10.0, 0.0, np.inf])


def test_hours_by_type_and_magnitude():
    truth, answer = made_up()
    right = np.asarray(truth["line_snr"] > 2)
    table = hours_table(truth, answer)
    assert table.meta["t_exp"] == [2, 4, 8] and len(table) == 2 * 7 * 2 * 2
    cell = (truth["quiescent"] == 0) & (truth["m_h"] >= 22) & (truth["m_h"] < 23)
    (row,) = [r for r in table if (r["type"], r["low"], r["threshold"], r["wanted"])
              == ("star-forming", 22, 0.9, 0.8)]  # fmt: skip
    shares = [right[cell & (truth["t_exp"] == t)].mean() for t in (2, 4, 8)]
    assert row["n"] == cell.sum()
    np.testing.assert_allclose(row["shares"], shares)
    assert max(shares) < 0.8 and row["limit"] == "> 8" and np.isnan(row["hours"])


def test_answers_hold_the_percentiles_of_the_draws():
    samples = np.random.default_rng(0).normal(size=(200, 3, 4)).astype(np.float32)
    names = ("z", "log_sfr", "av", "log_mstar")
    table = survey.answers(samples, names, samples[0, :, 0], samples[0, :, 1])
    want = [np.percentile(samples[:, row, 3], survey.LEVELS) for row in range(3)]
    np.testing.assert_allclose(table["log_mstar"], want, rtol=1e-6)
    np.testing.assert_array_equal(table["z_best"], samples[0, :, 0])
