"""Noise of observed catalogues and its injection: patterns, no word about parameters, sizes."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from flowspec.adaptation.gap import area
from flowspec.adaptation.line_injection import AMOUNT, InjectedLines
from flowspec.data.lines import LIMIT_SIGMA, Lines, State
from flowspec.sim.nebula.catalogues import NebulaSimulator
from flowspec.sim.simulator import Simulated, draw_many
from tests.test_nebula_lines import HII, LINES, grid

SIGNAL = np.array([20.0, 10.0, 60.0, 15.0, 4.0])  # of a row of flux 1, over its error
UNIT = 1e-17  # erg/s/cm2: no unit may matter


def catalogue(rows: int, seed: int = 0) -> Lines:
    """Rows of one spectrum, with errors of 0.3 dex, gaps of [N II] in a third and of the reference
    in a tenth, and limits where [S II] is faint."""
    rng = np.random.default_rng(seed)
    flux = UNIT * 10 ** rng.normal(size=(rows, 1)) * np.array([1.0, 0.5, 3.0, 1.0, 0.2])
    err = flux / SIGNAL * 10 ** (0.3 * rng.normal(size=(rows, 1)))
    absent = np.zeros(flux.shape, bool)
    absent[:, 3] = rng.uniform(size=rows) < 1 / 3
    absent[:, 0] = rng.uniform(size=rows) < 0.1
    faint = flux < LIMIT_SIGMA * err
    limit = np.where(faint & ~absent, LIMIT_SIGMA * err, np.nan)
    return Lines(LINES, np.where(absent | faint, np.nan, flux), err, limit)


@pytest.fixture(scope="module")
def simulator() -> NebulaSimulator:
    return NebulaSimulator(grid(*HII), error=0.1, av=(0.0, 0.3))


@pytest.fixture(scope="module")
def drawn(simulator):
    sim = simulator.with_noise(catalogue(400))
    return draw_many(sim, jr.key(0), 4000)


def test_gaps_and_errors_are_those_of_the_catalogue(drawn):
    _, _, _, err, state, dereddened = drawn
    obs = catalogue(400)
    seen, there = (s != State.ABSENT for s in (state, obs.state))
    # 4 standard errors of a share of one half among 4000
    np.testing.assert_allclose(seen.mean(0), there.mean(0), atol=0.032)
    # all pairs: gaps come by rows
    pairs = seen.astype(float).T @ seen / len(seen)
    np.testing.assert_allclose(pairs, there.astype(float).T @ there / len(there), atol=0.032)
    # errors over the flux of the reference line, by rows that have it
    rows = there[:, 0]
    wanted = np.log10(obs.err[rows, 2] / obs.flux[rows, 0])
    found = np.log10(err[seen[:, 0], 2])
    for of, near in ((np.mean, 0.03), (np.std, 0.02)):  # dex: 4 standard errors of 0.3 dex
        assert of(found) == pytest.approx(of(wanted), abs=near)
    assert (dereddened == 0).all()


def test_faint_lines_are_limits_where_the_catalogue_says_so(drawn, simulator):
    _, _, flux, err, state, _ = drawn
    assert (state == State.LIMIT).any()
    measured = state == State.MEASURED
    assert (flux[measured] >= LIMIT_SIGMA * err[measured]).all()
    obs = catalogue(400)
    value = np.where(obs.state == State.LIMIT, 0.1 * obs.flux, obs.flux)
    plain = Lines(LINES, np.where(obs.state == State.ABSENT, np.nan, value), obs.err)
    sim = simulator.with_noise(plain, dereddened=True)
    _, _, _, _, state, bit = draw_many(sim, jr.key(1), 500)
    assert not (state == int(State.LIMIT)).any() and (bit == 1).all()


def test_the_unit_of_the_catalogue_does_not_matter(simulator):
    obs = catalogue(50)
    other = Lines(LINES, np.where(obs.state == State.MEASURED, obs.flux / UNIT, np.nan),
                  obs.err / UNIT, np.where(obs.state == State.LIMIT, obs.flux / UNIT, np.nan))
    one, two = (simulator.with_noise(o).noise for o in (obs, other))
    np.testing.assert_allclose(one.err, two.err, rtol=1e-5)
    np.testing.assert_array_equal(one.limited, two.limited)


def test_errors_and_gaps_alone_say_nothing_of_the_parameters(drawn):
    """A linear classifier of hot against cool nebulae by what there is but fluxes is at chance; by
    the fluxes it is not."""
    theta, _, flux, err, state, _ = drawn
    hot = theta[:, 0] > np.median(theta[:, 0])
    there = state != State.ABSENT
    logs = np.where(there, np.log10(np.maximum(err, 1e-9)), 0)
    known = np.concatenate([there, logs, logs**2, logs * logs[:, [2]]], axis=1)
    # 3.5 standard errors of an area of one half by 2,000 rows
    assert _held_out_area(known, hot) == pytest.approx(0.5, abs=0.045)
    signal = np.arcsinh(flux / np.maximum(err, 1e-9))
    assert _held_out_area(np.concatenate([known, there * signal], axis=1), hot) > 0.9


def _held_out_area(x: np.ndarray, side: np.ndarray) -> float:
    """Of a linear discriminant, trained on the first half of the rows."""
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1).astype(float)
    half = len(x) // 2
    weight = np.linalg.lstsq(x[:half], side[:half].astype(float), rcond=None)[0]
    score, side = x[half:] @ weight, side[half:]
    return area(score[~side], score[side])


def test_a_catalogue_without_any_line_of_the_simulator_is_refused(simulator):
    with pytest.raises(ValueError, match="expected rows with fluxes or limits of Hbeta"):
        simulator.with_noise(Lines(("[OI]6300",), [[1.0]], [[0.1]]))


def test_injected_lines_scatter_by_the_amount_that_each_row_draws(simulator):
    sim = InjectedLines.measured(simulator, (), ())
    count = 6000
    flux, state = jnp.ones((count, 5)), jnp.full((count, 5), int(State.MEASURED)).at[:, 4].set(2)
    zero = jnp.zeros(count)
    rows = Simulated(zero[:, None], zero.astype(int), (flux, flux, state, zero))
    seen, err, _, _ = sim.perturbed(jr.key(0), rows).data
    dex = np.log10(np.asarray(seen))
    np.testing.assert_array_equal(dex[:, [0, 4]], 0)  # the reference line; limits
    np.testing.assert_array_equal(err, flux)
    # a mixture of normals: variance and fourth moment by the moments of the log-uniform amount
    low, high = AMOUNT
    moments = [(high**k - low**k) / (k * np.log(high / low)) for k in (2, 4)]
    assert dex[:, 1:4].var() == pytest.approx(moments[0], rel=0.06)  # 4 standard errors
    assert (dex[:, 1:4] ** 4).mean() == pytest.approx(3 * moments[1], rel=0.2)
    # lines of one row share the amount, not the factor
    squares = np.corrcoef(dex[:, 1] ** 2, dex[:, 2] ** 2)[0, 1]
    assert squares > 0.1 and abs(np.corrcoef(dex[:, 1], dex[:, 2])[0, 1]) < 0.06
    assert sim.frame == simulator.frame and sim.frame.lines == LINES
    assert (sim.sources, sim.priors) == (simulator.sources, simulator.priors)
