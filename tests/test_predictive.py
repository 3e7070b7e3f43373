"""Predicted lines: exact posteriors give standard residuals, and a wrong line stands out."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtr

from flowspec.check.calibration import ks_critical, ks_distance
from flowspec.check.predictive import left_out, predict, report, without
from flowspec.data.lines import Lines, State, of_states
from flowspec.posterior.load import load
from flowspec.sim.nebula.catalogues import NebulaSimulator
from flowspec.sim.nebula.grid import mappings
from flowspec.sim.nebula.likelihood import log_likelihood

LINES = ("Hbeta", "[OIII]5007", "[NII]6584", "[SII]6717,6731")
ROWS, DRAWS = 240, 300


@pytest.fixture(scope="module")
def sim() -> NebulaSimulator:
    """Parameters log U, O/H and A_V; the fluxes below are all free of dust."""
    return NebulaSimulator(mappings().fixed(log_pk=6.0), LINES)


@pytest.fixture(scope="module")
def nodes(sim):
    """A prior of 600 equally probable models: theta [600, 3], their ratios and errors."""
    low, high = (np.asarray(b) for b in sim.priors[0].bounds(np.zeros(3)))
    axes = [np.linspace(a, b, n) for a, b, n in zip(low, high, (20, 30, 1), strict=True)]
    theta = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3).astype(np.float32)
    ratios = jax.vmap(sim.ratios, (0, None, None))
    return theta, *map(np.asarray, ratios(jnp.asarray(theta), jnp.array(0), jnp.array(1.0)))


@pytest.fixture(scope="module")
def exact(nodes):
    """From rows to draws of their posterior over the nodes, which is known exactly."""
    theta, ratio, model_err = nodes
    of_nodes = jax.vmap(log_likelihood, (None, None, None, 0, 0))
    likelihood = jax.jit(jax.vmap(of_nodes, (0, 0, 0, None, None)))

    def draw(obs):
        rows = np.minimum(np.arange(ROWS), len(obs) - 1)  # of one size, compiled once
        data = (a[rows] for a in (obs.flux, obs.err, obs.state))
        log_like = np.asarray(likelihood(*data, ratio, model_err), float)[: len(obs)]
        total = np.cumsum(np.exp(log_like - log_like.max(1, keepdims=True)), axis=1)
        levels = np.random.default_rng(1).uniform(size=(DRAWS, len(obs))) * total[:, -1]
        found = [np.searchsorted(t, level) for t, level in zip(total, levels.T, strict=True)]
        which = np.stack(found, axis=1)
        return theta[which], np.zeros(which.shape, int)

    return draw


def measured(ratio, model_err, seed):
    """Flux and err [rows, lines] of models, some lines faint, none cut."""
    rng = np.random.default_rng(seed)
    # away from the ends of the scale's prior, which the likelihood does not have
    amplitude = 10 ** rng.uniform(0.8, 2.5, (len(ratio), 1))
    err = 10 ** rng.normal(0, 0.2, ratio.shape)
    sigma = np.hypot(err, amplitude * model_err)
    return amplitude * ratio + sigma * rng.normal(size=sigma.shape), err


@pytest.fixture(scope="module")
def mocks(nodes):
    """Objects of these models."""
    which = np.random.default_rng(2).integers(600, size=ROWS)
    return measured(nodes[1][which], nodes[2][which], seed=2)


@pytest.fixture(scope="module")
def predicted(sim, exact, mocks):
    """The mocks, with each line predicted from the others."""
    obs = Lines(LINES, *mocks)
    return obs, left_out(exact, sim, obs, dereddened=True)


def without_models_error(sim):
    parts = lambda s: (s.error, s.interpolation, s.floor)  # noqa: E731
    return eqx.tree_at(parts, sim, replace_fn=jnp.zeros_like)


@pytest.mark.slow
def test_a_line_left_out_has_standard_residuals(sim, predicted):
    obs, found = predicted
    assert np.isfinite(found.residual).all()
    # the mean residual is 0 and that of its square 1 whatever the shape of the predictions; 4
    # standard errors of each, as the residuals have them
    for power, expected in ((1, 0), (2, 1)):
        moment = found.residual**power
        error = moment.std(0) / np.sqrt(ROWS)
        assert (np.abs(moment.mean(0) - expected) < 4 * error + 1 / DRAWS).all()
    # 1 in 1,000 exceeds it by chance, for each of four lines
    assert (ks_distance(found.p_value) < ks_critical(ROWS, 0.999)).all()
    table = report(found, obs, sim.lines)
    assert (np.abs(table["extreme"] - 0.05) < 4 * (0.05 * 0.95 / ROWS) ** 0.5).all()
    assert (table["n"] == ROWS).all()
    # of a median of 240, with predictions of [O III] as wide as half a dex
    assert (np.abs(table["offset"]) < 4 * 1.25 * 0.5 / ROWS**0.5).all()


def test_a_line_that_was_used_has_smaller_ones(sim, exact, predicted):
    obs, others = predicted
    found = predict(sim, *exact(obs), obs, dereddened=True)
    assert (report(found, obs, sim.lines)["nmad"] < 0.95).all()
    # more data leave less room; not for each object, whose line may have been a surprise
    assert (found.sigma < others.sigma).mean() > 0.8


@pytest.mark.slow
def test_a_limit_is_a_censored_measurement(sim, exact, mocks):
    flux, err = mocks
    faint = flux < 3 * err
    obs = Lines(LINES, np.where(faint, np.nan, flux), err, np.where(faint, 3 * err, np.nan))
    found = left_out(exact, sim, obs, dereddened=True)
    assert 0.02 < faint.mean() < 0.4
    limit = obs.state == State.LIMIT
    assert np.isnan(found.residual[limit]).all() and np.isfinite(found.residual[~limit]).any()
    u = np.random.default_rng(3).uniform(size=flux.shape)
    p_value = np.where(limit, u, 1) * found.p_value
    # as above; some rows have no other measured line
    assert np.isfinite(p_value).mean() > 0.9
    assert (ks_distance(p_value) < ks_critical(int(0.9 * ROWS), 0.999)).all()
    table = report(found, obs, sim.lines)
    assert table["limits"].sum() == np.isfinite(found.p_value[limit]).sum()
    told = np.isfinite(table["p_limit"])
    assert (table["p_limit"][told] > 0.5).all()


@pytest.mark.slow
def test_a_line_twice_as_bright_stands_out(sim, exact, mocks):
    flux, err = mocks
    bright = np.where(np.array(LINES) == "[NII]6584", 2, 1)
    obs = Lines(LINES, flux * bright, err * bright)
    kept = obs[obs.snr > 10]
    table = report(left_out(exact, sim, kept, dereddened=True), kept, sim.lines)
    table.add_index("line")
    assert np.abs(table["median"]).argmax() == LINES.index("[NII]6584")
    assert table.loc["[NII]6584"]["median"] > 1.5
    # the others predict [N II] within some 0.2 dex of each of about 150 objects
    assert table.loc["[NII]6584"]["offset"] == pytest.approx(np.log10(2), abs=0.08)
    used = report(predict(sim, *exact(kept), kept, dereddened=True), kept, sim.lines)
    assert np.abs(used["median"]).argmax() == LINES.index("[NII]6584")


@pytest.mark.parametrize("unit", [1.0, 1e-19])
def test_the_scale_alone_is_least_squares(sim, nodes, unit):
    """Known ratios without error: the scale is normal, and so is the prediction."""
    rng = np.random.default_rng(4)
    theta = nodes[0][[250]]
    ratio = nodes[1][250]
    err = np.array([[2.0, 1.0, 3.0, 1.5]])
    flux = 400 * ratio + err * rng.normal(size=(1, 4))
    state = np.array([[1, 1, 1, 1]])
    obs = of_states(LINES, unit * flux, unit * err, state)
    rest = without(obs, "[NII]6584")
    weight = np.where(np.array(LINES) == "[NII]6584", 0, err**-2.0)
    square = (weight * ratio**2).sum()
    best = (weight * flux * ratio).sum() / square
    sigma = np.sqrt(err**2 + ratio**2 / square)
    exact_sim = without_models_error(sim)
    found = predict(exact_sim, theta[None], np.zeros((1, 1), int), obs, used=rest, dereddened=True)
    # the prior dA / A moves a scale of some 400 sigma by 1 / 400 sigma
    residual = (flux - best * ratio) / sigma
    np.testing.assert_allclose(found.flux / unit, best * ratio[None], rtol=1e-4)
    np.testing.assert_allclose(found.sigma / unit, sigma, rtol=1e-3)
    np.testing.assert_allclose(found.residual, residual, atol=0.01)
    np.testing.assert_allclose(found.p_value, ndtr(residual), atol=0.005)
    np.testing.assert_allclose(found.median, found.flux, rtol=1e-6)  # of one draw


def test_draws_are_a_mixture_and_absent_lines_stay_absent(sim, nodes, mocks):
    flux, err = (a[:3] for a in mocks)
    state = np.array([[1, 1, 0, 1], [1, 2, 1, 0], [2, 0, 0, 2]])
    obs = of_states(LINES, np.where(state == 2, 3 * err, flux), err, state)
    theta = np.stack([nodes[0][[100, 300, 500]], nodes[0][[120, 350, 480]]])
    source = np.zeros((2, 3), int)
    both = predict(sim, theta, source, obs, dereddened=True)
    one, two = (predict(sim, theta[[i]], source[[i]], obs, dereddened=True) for i in (0, 1))
    mean = (one.flux + two.flux) / 2
    square = (one.sigma**2 + one.flux**2 + two.sigma**2 + two.flux**2) / 2
    np.testing.assert_allclose(both.flux, mean, rtol=1e-5)
    np.testing.assert_allclose(both.sigma, np.sqrt(square - mean**2), rtol=1e-4)
    np.testing.assert_allclose(both.p_value, (one.p_value + two.p_value) / 2, rtol=1e-5)
    known = (state > 0) & np.array([[True], [True], [False]])  # limits alone tell no scale
    np.testing.assert_array_equal(np.isfinite(both.flux), known)
    np.testing.assert_array_equal(np.isfinite(both.p_value), known)
    np.testing.assert_array_equal(np.isfinite(both.residual), known & (state == 1))
    with pytest.raises(ValueError, match="expected draws"):
        predict(sim, theta[:, :2], source[:, :2], obs)


@pytest.mark.parametrize("how", ["used", "left out"])
def test_rows_say_themselves_that_they_are_corrected_for_dust(how, sim, nodes, mocks):
    flux, err = (a[:3] for a in mocks)
    bits, plain = np.array([1, 0, 1]), Lines(LINES, flux, err)
    draws = nodes[0][[[100, 300, 500]]] + np.float32([0, 0, 1.5]), np.zeros((1, 3), int)

    def predicted(obs, **options):
        if how == "used":
            return predict(sim, *draws, obs, **options)
        return left_out(lambda rest: draws, sim, obs, **options)

    both = [predicted(plain, dereddened=bool(bit)) for bit in (0, 1)]
    found = predicted(plain.corrected(bits > 0))
    for values, *each in zip(found, *both, strict=True):
        np.testing.assert_allclose(values, np.stack(each)[bits, np.arange(3)], rtol=1e-5)
    assert not np.allclose(both[0].flux, both[1].flux, rtol=0.1)


def test_a_sum_goes_with_its_lines():
    names = ("Hbeta", "[SII]6717,6731", "[SII]6717", "[NII]6584")
    obs = Lines(names, np.ones((2, 4)), np.full((2, 4), 0.1))
    np.testing.assert_array_equal(without(obs, "[SII]6717").state, [[1, 0, 0, 1]] * 2)
    np.testing.assert_array_equal(without(obs, "[SII]6717,6731").state, [[1, 0, 0, 1]] * 2)
    np.testing.assert_array_equal(without(obs, "[NII]6584").state, [[1, 1, 1, 0]] * 2)


@pytest.mark.slow
def test_the_shipped_model_predicts_mocks():
    """[O III] 5007 from the three others, with dust."""
    posterior, sim = load("nebula"), NebulaSimulator(mappings(), LINES)
    low, high = (np.asarray(b) for b in sim.priors[0].bounds(np.zeros(4)))
    theta = np.random.default_rng(7).uniform(low, high, (256, 4)).astype(np.float32)
    ratios = jax.jit(jax.vmap(sim.ratios, (0, None, None)))
    obs = Lines(LINES, *measured(*ratios(theta, jnp.array(0), jnp.array(0.0)), seed=8))
    rest = without(obs, "[OIII]5007")
    found = predict(sim, *posterior.sample_sources(rest, 100, seed=5), obs, used=rest)
    p_value = found.p_value[:, LINES.index("[OIII]5007")]
    # as above, and the flow's own error, up to 0.04 in the calibration of its parameters
    assert ks_distance(p_value) < ks_critical(256, 0.999) + 0.04
