"""Grids of photoionisation models: cutting, summing and ordering them."""

import numpy as np
import pytest

from flowspec.data.line_grid import LineGrid, line_grid
from flowspec.sim.galaxy.nebula import line_ratios, load_nebula
from flowspec.sim.nebula.grid import mappings

LINES = ("Hbeta", "[OIII]5007", "[OIII]4959", "[SII]6717,6731")


def small(order=None) -> LineGrid:
    """2 x 3 models whose [OIII]5007 is 10 oh + log_u."""
    points = np.array([[oh, u] for oh in (8.0, 9.0) for u in (-3.0, -2.0, -1.0)])
    bright = 10 * points[:, 0] + points[:, 1]
    flux = np.stack([np.ones(6), bright, bright / 3, np.full(6, 0.2)], axis=1)
    order = np.arange(6) if order is None else order
    return line_grid(points[order], flux[order], ("oh", "log_u"), LINES, source="test")


def test_a_cube_has_every_model_at_its_node_in_any_order():
    grid = small(np.array([4, 1, 5, 0, 3, 2]))
    oh, log_u = grid.axes
    want = 10 * oh[:, None] + log_u
    np.testing.assert_allclose(grid.cube()[..., 1], want)


def test_scattered_models_have_no_axes():
    grid = small(np.array([0, 1, 2, 3, 4]))
    assert grid.axes is None
    with pytest.raises(ValueError, match="expected 2 x 3 models, one at each node; got 5"):
        grid.cube()
    assert small(np.array([0, 1, 2, 3, 4, 4])).axes is None  # one twice


def test_lines_are_selected_and_summed():
    grid = small().select(["oiii_5007", "[OIII]4959,5007", "SII_6717,31"])
    assert grid.lines == ("[OIII]5007", "[OIII]4959,5007", "[SII]6717,6731")
    np.testing.assert_allclose(grid.flux[:, 1], 4 / 3 * grid.flux[:, 0])
    np.testing.assert_allclose(grid.wave[0], 5008.24, atol=0.01)


def test_a_line_that_is_only_in_a_sum_is_refused():
    with pytest.raises(ValueError, match=r"holds only \[SII\]6717,6731"):
        small().select(["[SII]6717"])
    with pytest.raises(ValueError, match="Halpha: not in the grid"):
        small().select(["Ha"])


def test_models_between_limits_and_at_a_node():
    grid = small().between(log_u=(-2, 0))
    assert grid.points.min(axis=0).tolist() == [8, -2]
    fixed = small().fixed(log_u=-1.9)
    assert fixed.names == ("oh",)
    np.testing.assert_allclose(fixed.flux[:, 1], [78, 88])


@pytest.mark.parametrize(
    ("do", "cause"),
    [(lambda g: g.between(age=(1, 2)), "expected a parameter of oh, log_u; got age"),
     (lambda g: g.between(oh=(1, 2)), "oh 8 to 9"),
     (lambda g: g.fixed(oh=7.0), "expected oh 8 to 9; got oh = 7"),
     (lambda g: g.fixed(oh=8.0, log_u=-1.0), "parameters to be left")],
)  # fmt: skip
def test_errors_name_the_cause(do, cause):
    with pytest.raises(ValueError, match=cause):
        do(small())


def test_a_table_is_made_relative_and_cleaned():
    points = [[1, 5, 0], [2, 5, 0], [3, 5, 0]]
    flux = [[4, 1, 2, np.nan, 0], [2, 1, 1, np.nan, 0], [0, 1, 1, np.nan, 0]]
    lines = ("Hbeta", "oii7318", "oii7320", "Ha", "[OI]6300")
    grid = line_grid(points, flux, ("a", "b", "c"), lines, source="test")
    assert grid.names == ("a",) and grid.lines == ("Hbeta", "[OII]7320")
    np.testing.assert_allclose(grid.flux, [[1, 0.75], [1, 1]])  # two columns summed; no H-beta, out
    assert grid.floor == 0.75


@pytest.mark.parametrize(
    ("flux", "lines", "cause"),
    [([[1, -1]] * 2, ("Hbeta", "Ha"), "fluxes >= 0"), ([[1, 1]] * 2, ("Hg", "Ha"), "Hbeta"),
     ([[0, 1]] * 2, ("Hbeta", "Ha"), "got none"), ([[1, 1]] * 2, ("Hbeta", "x"), "'x'")],
)  # fmt: skip
def test_a_table_that_makes_no_sense_is_refused(flux, lines, cause):
    with pytest.raises(ValueError, match=cause):
        line_grid([[1], [2]], flux, ("a",), lines, source="test")


def test_the_shipped_grid_is_that_of_the_simulator():
    grid, table = mappings(), load_nebula()
    assert grid.names == ("log_u", "log_pk", "oh") and len(grid.points) == 9 * 6 * 12
    row = 200
    u, pk, oh = grid.points[row]
    want = dict(zip(table.names, 10 ** np.array(line_ratios(table, u, oh, pk)), strict=True))
    for line, name in {"Halpha": "Halpha", "[NII]6584": "NII6583", "[SII]6731": "SII6731"}.items():
        got = grid.flux[row, grid.lines.index(line)]
        # the table is single precision, relative to H-beta
        np.testing.assert_allclose(got, want[name], atol=1e-5)
    pair = grid.flux[row, grid.lines.index("[OII]7330")]
    np.testing.assert_allclose(pair, want["OII7330"] + want["OII7331"], atol=1e-6)
    assert grid.axes is not None and (grid.flux >= 0).all()


def almost(drop, twice=(), misplaced=()) -> LineGrid:
    """10 x 8 models, log10 of one line a plane, some left out, repeated or at a wrong node."""
    axes = np.linspace(7, 9, 10), np.linspace(-4, -2, 8)
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    flux = np.stack([np.ones(80), 10 ** (points[:, 0] - 8 + 0.5 * points[:, 1])], axis=1)
    points[list(misplaced), 1] += 0.01
    rows = np.r_[np.setdiff1d(np.arange(80), drop), np.array(twice, int)]
    return LineGrid(points[rows], flux[rows], ("oh", "log_u"), LINES[:2], 1e-6, "test")


def test_a_grid_with_few_faults_is_completed():
    grid = almost([33], twice=[5, 5], misplaced=[47])
    assert grid.axes is None
    whole = grid.completed()
    assert [len(a) for a in whole.axes] == [10, 8]
    # a plane in log10 is what linear filling-in gets exactly
    want = whole.points[:, 0] - 8 + 0.5 * whole.points[:, 1]
    np.testing.assert_allclose(np.log10(whole.flux[:, 1]), want, atol=1e-10)


def test_copies_of_one_node_do_not_outvote_the_others():
    """As in a HII-CHI-mistry grid, whose log U = -1.5 stands three times and -1.25 once."""
    copies = np.tile(np.arange(3, 80, 8), 2)
    whole = almost([12], twice=copies, misplaced=[47]).completed()
    assert [len(a) for a in whole.axes] == [10, 8]


def test_a_grid_with_many_holes_is_not():
    with pytest.raises(ValueError, match=r"expected almost all of \(10, 8\) models; 6 are missing"):
        almost([3, 12, 33, 47, 55, 71]).completed()
