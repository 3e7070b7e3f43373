"""The check of class probabilities, fed right, too sure and too unsure ones."""

import numpy as np
import pytest

from benchmarks.class_calibration import confusion, reliability

RNG = np.random.default_rng(0)
SHARE = RNG.uniform(size=20_000)
TRUTH = RNG.uniform(size=20_000) < SHARE


def test_right_probabilities_are_off_by_chance_alone():
    """Ten bins of 2,000: standard errors of 0.01 at most, 0.006 in the mean size."""
    found = reliability(SHARE, TRUTH, 0)
    assert found["mean"] < 0.013 and found["by chance"] == pytest.approx(0.0066, abs=0.002)


def test_probabilities_that_are_off_are_found():
    """Squares of right ones are off by s - s^2, 1/6 in the mean; half of each by s/2, 1/4."""
    assert reliability(SHARE**2, TRUTH, 0)["mean"] == pytest.approx(1 / 6, abs=0.01)
    assert reliability(SHARE / 2, TRUTH, 0)["mean"] == pytest.approx(1 / 4, abs=0.01)


def test_confusion_counts_rows_of_each_kind():
    shares = np.eye(3)[[0, 0, 1, 2, 2, 2]]
    found = confusion(shares, np.array([0, 1, 1, 2, 2, 0]), ("A", "B", "C"))
    assert found["A"] == {"A": 0.5, "B": 0.0, "C": 0.5}
    assert found["B"] == {"A": 0.5, "B": 0.5, "C": 0.0} and found["C"]["C"] == 1.0
