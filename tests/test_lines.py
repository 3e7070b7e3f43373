"""`Lines`: states from arrays, rows, the lines of a model, sums, notes."""

import logging

import numpy as np
import pytest

from flowspec.data.lines import LIMIT_SIGMA, Lines, State

NAN = np.nan
NAMES = ("Hbeta", "[OIII]5007", "[SII]6717", "[SII]6731")
A, M, L = State.ABSENT, State.MEASURED, State.LIMIT


def make():
    """Four objects: all measured; absent lines; limits; nothing at all."""
    flux = [[10, 30, 2, -1], [5, NAN, 3, NAN], [8, NAN, NAN, NAN], [NAN] * 4]
    err = [[1, 2, 0.3, 0.4], [1, 2, NAN, 1], [2, NAN, 5, NAN], [NAN] * 4]
    limit = [[NAN] * 4, [NAN] * 4, [99, NAN, 6, 9], [NAN, 0, -1, np.inf]]
    return Lines(NAMES, flux, err, limit, names="abcd")


def equal(a, b):
    assert (a.lines, a.names, a.notes) == (b.lines, b.names, b.notes)
    for name in ("flux", "err", "state", "dereddened"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_states_of_every_combination():
    lines = make()
    np.testing.assert_array_equal(lines.state, [[M] * 4, [M, A, A, A], [M, A, L, L], [A] * 4])
    np.testing.assert_array_equal(lines.flux[0], [10, 30, 2, -1])  # negative: still a measurement
    np.testing.assert_array_equal(lines.err[0], [1, 2, 0.3, 0.4])
    np.testing.assert_array_equal(lines.flux[1:], [[5, 0, 0, 0], [8, 0, 6, 9], [0] * 4])
    np.testing.assert_array_equal(lines.err[1:], [[1, 0, 0, 0], [2, 0, 2, 3], [0] * 4])
    assert LIMIT_SIGMA == 3.0
    assert lines.notes[:3] == ("", "", "") and "no measured flux or upper limit" in lines.notes[3]
    np.testing.assert_array_equal(lines.usable, [True, True, True, False])


def test_masked_arrays_and_infinite_errors_are_absent():
    flux = np.ma.masked_array([[1, 2, 3]], mask=[[False, True, False]])
    lines = Lines(("Ha", "Hb", "OIII5006"), flux, [[1.0, 1.0, np.inf]])
    np.testing.assert_array_equal(lines.state, [[M, A, A]])
    assert lines.lines == ("Halpha", "Hbeta", "[OIII]5007") and len(lines) == 1


def test_errors_that_are_not_positive_are_told_in_the_row():
    limit = [[5.0, NAN], [NAN, NAN]]
    lines = Lines(("Ha", "Hb"), [[1.0, 2], [3, 4]], [[-1, 0.5], [1, 0]], limit, notes=["far", ""])
    np.testing.assert_array_equal(lines.state, [[A, M], [M, A]])
    assert lines.notes == ("far; error not positive: Halpha", "error not positive: Hbeta")
    equal(lines[:], lines)  # said once
    with pytest.raises(ValueError, match=r"errors > 0; got -2 and no usable line"):
        Lines(("Ha", "Hb"), [[1.0, 2], [3, NAN]], [[-1, 0], [-2, 1]])


def test_rows_and_concatenation():
    lines = make()
    equal(lines[:], lines)
    assert lines[3].names == ("d",) and not lines[3].usable.any()
    assert lines[np.array([True, False, True, False])].names == ("a", "c")
    equal(Lines.concatenate([lines[[0, 1]], lines[2:]]), lines)
    with pytest.raises(ValueError, match="same lines"):
        Lines.concatenate([lines, lines.select(NAMES[:2])])
    with pytest.raises(ValueError, match="at least one"):
        Lines.concatenate([])


def test_rows_stay_corrected_for_dust_whatever_becomes_of_them():
    plain = make()
    assert plain.dereddened.tolist() == [False] * 4
    said = plain.corrected([True, False, True, False])
    assert said.dereddened.tolist() == [True, False, True, False]
    equal(said.corrected(False), plain)
    equal(Lines(NAMES, [[1.0] * 4], [[1.0] * 4], dereddened=True),
          Lines(NAMES, [[1.0] * 4], [[1.0] * 4], dereddened=[True]))  # fmt: skip
    assert said[[2, 3, 0]].dereddened.tolist() == [True, False, True]
    assert said.select(["[SII]6717,6731", "Hb"]).dereddened.tolist() == [True, False, True, False]
    equal(Lines.concatenate([said[:1], said[1:]]), said)


def test_snr_is_the_median_of_measured_lines():
    # 10, 15, 2/0.3, -2.5 by hand; limits and absent lines do not count
    np.testing.assert_allclose(make().snr, [(10 + 2 / 0.3) / 2, 5, 4, 0])


def test_select_orders_and_fills():
    lines = make()
    model = lines.select(["OIII_5007", "[NII]6584", "Hb"])
    assert model.lines == ("[OIII]5007", "[NII]6584", "Hbeta") and model.names == lines.names
    np.testing.assert_array_equal(model.flux[0], [30, 0, 10])
    np.testing.assert_array_equal(model.err[0], [2, 0, 1])
    np.testing.assert_array_equal(model.state[:, 1], [A] * 4)
    equal(lines.select(NAMES), lines)
    none = lines[:2].select(["[NII]6584"])
    assert all("[NII]6584" in note for note in none.notes)


def test_select_sums_lines_and_their_variances():
    model = make().select(["[SII]6717,6731"])
    assert model.flux[0, 0] == 2 - 1 and model.err[0, 0] == pytest.approx(0.5)  # 0.3² + 0.4²
    # One absent: absent. Two limits: m1 < 6 and m2 < 9 say that the sum is below 15.
    np.testing.assert_array_equal(model.state[:, 0], [M, A, L, A])
    assert model.flux[2, 0] == 15 and model.err[2, 0] == 5
    mixed = Lines(NAMES[2:], [[4.0, NAN]], [[1.0, NAN]], [[NAN, 3.0]])
    assert mixed.select(["[SII]6717,6731"]).state[0, 0] == A


def test_sums_of_noise_scatter_as_their_error_says():
    rng = np.random.default_rng(0)
    err = np.broadcast_to([0.3, 0.4], (20_000, 2))
    lines = Lines(NAMES[2:], 5 + err * rng.normal(size=err.shape), err)
    total = lines.select(["[SII]6717,6731"])
    pull = (total.flux - 10) / total.err
    assert abs(pull.std() - 1) < 0.02  # 4 standard errors of a standard deviation, 1/sqrt(2n)


def test_dropped_sums_are_logged(caplog):
    lines = Lines(("[OII]3727", "Hb", "Ha"), [[3.0, 1, 3]], [[1.0, 1, 1]])
    assert lines.lines[0] == "[OII]3726,3729"
    with caplog.at_level(logging.INFO, "flowspec"):
        model = lines.select(["[OII]3726", "[OII]3729", "Hb"])
    np.testing.assert_array_equal(model.state, [[A, A, M]])
    warning, info = caplog.records
    assert warning.levelname == "WARNING" and "[OII]3726,3729" in warning.getMessage()
    assert info.levelname == "INFO" and "Halpha" in info.getMessage()
    caplog.clear()
    equal(lines.select(lines.lines), lines)
    assert not caplog.records


@pytest.mark.parametrize(
    "lines, flux, err, options, words",
    [
        (["Ha"], [[1.0, 2]], [[1.0, 2]], {}, r"shape \[batch, 1\]"),
        (["Ha", "Hb"], [[1.0, 2]], [[1.0]], {}, "shape"),
        (["Ha"], [[1.0]], [[1.0]], {"limit": [[1.0, 2]]}, "shape"),
        (["Ha", "H_alpha"], [[1.0, 2]], [[1.0, 2]], {}, "Halpha as 'Ha' and 'H_alpha'"),
        (["velocity"], [[1.0]], [[1.0]], {}, "velocity"),
        ("Ha", [[1.0]], [[1.0]], {}, "sequence"),
        ([], np.zeros((1, 0)), np.zeros((1, 0)), {}, "sequence"),
        (["Ha"], [[1.0]], [[1.0]], {"names": ["a", "b"]}, "1 names, one per row; got 2"),
        (["Ha"], [[1.0]], [[1.0]], {"dereddened": [True] * 2}, r"per row of 1; got shape \(2,\)"),
    ],
)
def test_wrong_arguments(lines, flux, err, options, words):
    with pytest.raises(ValueError, match=words):
        Lines(lines, flux, err, **options)


def test_a_sum_is_not_counted_beside_its_lines():
    apart = Lines(("[SII]6717", "[SII]6731"), [[1.0, 0.8]], [[0.1, 0.1]])
    wanted = ("[SII]6717,6731", "[SII]6717", "[SII]6731")
    assert apart.select(wanted).state.tolist() == [[State.ABSENT, 1, 1]]
    blended = Lines(("[SII]6717,6731",), [[1.8]], [[0.1]])
    assert blended.select(wanted).state.tolist() == [[1, State.ABSENT, State.ABSENT]]
