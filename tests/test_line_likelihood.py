"""The likelihood of fluxes of unknown scale against its integral on a fine grid."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_ndtr

from flowspec.data.lines import State
from flowspec.sim.nebula.likelihood import log_likelihood
from flowspec.sim.nebula.noise import AMPLITUDE

RATIO = np.array([1.0, 2.86, 0.02, 0.4, 3.1])


def rows(seed: int, scale: float, states):
    rng = np.random.default_rng(seed)
    err = 10 ** rng.normal(0, 0.3, 5)
    flux = scale * RATIO * 10 ** rng.normal(0, 0.05, 5) + err * rng.normal(size=5)
    states = np.asarray(states)
    flux = np.where(states == State.LIMIT, 3 * err, np.where(states, flux, 0))
    return flux, np.where(states, err, 0), states


def integral(flux, err, state, model_err):
    """By the trapezoidal rule, with 40,000 nodes in ln A."""
    present = state > 0
    scale = np.geomspace(AMPLITUDE[0] * err[present].min(), 1e5, 40001)[:, None]
    sigma = np.sqrt(np.where(present, err, 1) ** 2 + (scale * model_err) ** 2)
    away = (flux - scale * RATIO) / sigma
    normal = -0.5 * away**2 - np.log(sigma * np.sqrt(2 * np.pi))
    terms = np.where(state == State.MEASURED, normal, 0)
    terms += np.where(state == State.LIMIT, log_ndtr(away), 0)
    total = terms.sum(1)
    top = total.max()
    return top + np.log(np.trapezoid(np.exp(total - top), np.log(scale[:, 0])))


CASES = {
    "all measured well": (300.0, [1, 1, 1, 1, 1]),
    "a limit": (60.0, [1, 1, 2, 1, 1]),
    "faint": (4.0, [1, 1, 2, 2, 1]),
    "two lines": (30.0, [0, 1, 0, 0, 1]),
    "one line, one limit": (20.0, [1, 0, 2, 0, 0]),
}


@pytest.mark.parametrize("error", [0.0, 0.1])
@pytest.mark.parametrize("case", CASES)
def test_it_is_the_integral_over_the_scale(case, error):
    flux, err, state = rows(3, *CASES[case])
    model_err = error * RATIO * np.array([0, 1, 1, 1, 1]) + 1e-5
    found = jax.jit(log_likelihood)(*map(jnp.asarray, (flux, err, state, RATIO, model_err)))
    # 24 nodes, each at most 1.5 sigma from the next; rounding, three times in single precision
    expected = integral(flux, err, state, model_err)
    assert float(found) == pytest.approx(expected, abs=0.02, rel=2e-7)


def test_units_and_absent_lines_do_not_matter():
    flux, err, state = rows(5, 50.0, [1, 1, 0, 2, 1])
    other = RATIO * np.array([1, 1, 50, 1.3, 0.8])
    model = 0.1 * RATIO

    def between(flux, err):
        of = [log_likelihood(*map(jnp.asarray, (flux, err, state, r, model)))
              for r in (RATIO, other)]
        return float(of[0] - of[1])

    expected = between(flux, err)
    junk = np.where(state == State.ABSENT, 7.0, flux)
    # single precision of sums of some hundred; fluxes may be in erg/s/cm2
    for unit in (1e3, 1e-20, 1e18):
        assert between(unit * flux, unit * err) == pytest.approx(expected, abs=1e-3)
    assert between(junk, err) == pytest.approx(expected, abs=1e-5)


def test_its_derivative_is_that_of_the_integral():
    flux, err, state = rows(6, 80.0, [1, 1, 2, 0, 1])

    def of(x):
        ratio = jnp.asarray(RATIO) * jnp.array([1, 1, 1, 1, 10**x])
        return log_likelihood(*map(jnp.asarray, (flux, err, state)), ratio, 0.1 * ratio)

    step = 0.01
    chord = float(of(step) - of(-step)) / (2 * step)
    # rounding of two values near ten over a step of 0.02, and the nodes that move with it
    assert float(jax.grad(of)(0.0)) == pytest.approx(chord, abs=0.05, rel=0.01)
