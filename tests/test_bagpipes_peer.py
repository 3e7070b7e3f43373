"""What the comparison with bagpipes does to spectra and answers; that package is not needed."""

import numpy as np
import pytest

from benchmarks.bagpipes_fit import resampled
from benchmarks.bagpipes_peer import PARAMETERS, agreement, compared, paired, shift


def test_resampling_keeps_the_light():
    wave = np.geomspace(4000.0, 8000.0, 900)
    flux = np.random.default_rng(0).normal(5, 1, 900)
    same = resampled(wave, wave, flux)
    np.testing.assert_allclose(same, flux, rtol=1e-9)
    middle = wave[1:-1].reshape(-1, 2).mean(1)  # pixels of half the number: means of pairs
    even = np.linspace(4000.0, 8000.0, 900)
    pairs = resampled(even[1:-1].reshape(-1, 2).mean(1), even, flux)
    np.testing.assert_allclose(pairs, flux[1:-1].reshape(-1, 2).mean(1), rtol=1e-9)
    assert (resampled(middle + 5000.0, wave, flux, fill=-1.0)[-1]) == -1.0


def test_pairs_are_weighted_by_their_inverse_variance():
    wave, flux, ivar = paired([1.0, 3, 5, 7, 9], [1.0, 4, 8, 0, 1], [1.0, 3, 2, 0, 1])
    np.testing.assert_array_equal(wave, [2.0, 6.0])
    np.testing.assert_allclose(flux, [3.25, 8.0])
    np.testing.assert_array_equal(ivar, [4.0, 2.0])
    assert paired([1.0, 2], [3.0, 4], [0.0, 0])[1] == 0.0


def test_answers_that_differ_by_a_constant():
    other = np.array([[1.0, 2, 3], [2.0, 3, 4], [3.0, 4, 5]])
    found = agreement(other + 0.5, other)
    assert found["offset"] == pytest.approx(0.5) and found["nmad"] == 0.0
    assert found["bagpipes width"] == 1.0 and found["within their joint 68 %"] == 1.0


def test_masses_are_brought_to_one_imf_and_cosmology():
    assert shift("av") == 0.0
    assert shift("log_mstar") == pytest.approx(-0.034 + 0.030, abs=1e-3)
    row = {"cpu_s": 60.0, "calls": 5000.0, "percentiles": dict.fromkeys(PARAMETERS, [1.0, 2, 3])}
    row["percentiles"]["noise"] = [0.9, 1.0, 1.1]
    table = {f"{n}_p{q}": np.array([v]) for n in PARAMETERS
             for q, v in ((16, 1.0), (50, 2.0), (84, 3.0))}
    out = compared(table | {"name": ["a"]}, [row])
    assert out["log_mstar"]["offset"] == pytest.approx(-shift("log_mstar"))
    assert out["bagpipes cpu_s per object"] == 60.0
