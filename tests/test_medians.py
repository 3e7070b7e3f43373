"""Medians of rows against NumPy's, row by row."""

import numpy as np

from flowspec.data.medians import row_medians


def test_medians_are_those_of_the_good_numbers():
    rng = np.random.default_rng(0)
    for columns in (1, 2, 7, 8):
        values = rng.standard_normal((50, columns))
        good = rng.uniform(size=values.shape) < np.linspace(0, 1, 50)[:, None]
        expected = [np.median(v[g]) if g.any() else 0.0 for v, g in zip(values, good, strict=True)]
        np.testing.assert_allclose(row_medians(values, good), expected, atol=1e-15)


def test_bad_numbers_may_be_anything_and_rows_may_be_none():
    values = np.array([[np.nan, 3.0, np.inf, 1.0]], np.float32)
    assert row_medians(values, np.array([[False, True, False, True]])).tolist() == [2.0]
    assert row_medians(np.zeros((0, 4)), np.zeros((0, 4), bool)).shape == (0,)
    assert row_medians(np.zeros((2, 0)), np.zeros((2, 0), bool)).tolist() == [0.0, 0.0]
