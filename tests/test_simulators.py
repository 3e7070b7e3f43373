"""Table test: every simulator × what training and prediction rely on."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest

import flowspec as fs
from flowspec.adaptation.injection import Injected
from flowspec.adaptation.line_injection import InjectedLines
from flowspec.prior.parameters import broad_prior
from flowspec.prior.prior import Prior
from flowspec.sim.instrument.instrument import Instrument
from flowspec.sim.instrument.varied import Varied
from flowspec.sim.marginal import Marginal
from flowspec.sim.nebula.grid import mappings
from flowspec.sim.simulator import Simulated, Simulator, simulate_many
from flowspec.sim.spectrum import SpectrumSimulator
from flowspec.sim.user import CallableSimulator
from tests.problems import (
    LINES,
    NAMES,
    WAVE,
    TwoSources,
    line_simulator,
    linear_simulator,
    vector_simulator,
)

ROWS = 16


def coarse() -> Instrument:
    """A spectrograph of few pixels, which compile fast."""
    wave = np.geomspace(5000.0, 7000.0, 96)
    lsf = np.full(96, 300.0)
    return Instrument("coarse", wave, lsf, np.ones(96), (2.0, 20.0), prior=broad_prior())


def stored() -> fs.Simulations:
    """Sixty rows of `line_simulator`."""
    return fs.Simulations(*jax.jit(lambda k: line_simulator().draw(k, 60))(jr.key(1)), WAVE,
                          line_simulator().prior, extra_noise=0.5, redshift="z")  # fmt: skip


def stored_vectors() -> fs.Simulations:
    """Sixty rows of `vector_simulator`."""
    theta, values, err, present = vector_simulator().draw(jr.key(1), 60)
    values = np.where(present, values, np.nan)
    return fs.Simulations(theta, fs.Vectors(values, err, NAMES), prior=vector_simulator().prior)


def nebulae(names=("a",)) -> fs.NebulaSimulator:
    """Three lines of MAPPINGS."""
    return fs.NebulaSimulator({name: mappings() for name in names}, LINES)


def injected() -> Injected:
    """Noise, and a wave of calibration."""
    wave = jnp.cos(jnp.linspace(0, 3, len(WAVE)))[None]
    return Injected(line_simulator(), jnp.full(len(WAVE), 0.5), jnp.ones(1), 0.1 * wave,
                    jnp.float32(1))


CASES = {
    "galaxies": lambda: fs.GalaxySimulator(coarse()),
    "spectra of nebulae": lambda: fs.NebulaSpectra(nebulae(), coarse(), z=(0.0, 0.05)),
    "single stars": lambda: fs.StarSimulator(coarse()),
    "quasars": lambda: fs.QuasarSimulator(coarse()),
    "nebulae": nebulae,
    "nebulae of many clouds": lambda: fs.MixtureSimulator(mappings(), LINES),
    "nebulae of two sources": lambda: nebulae(("a", "b")),
    "a function": linear_simulator,
    "a function with a redshift": line_simulator,
    "a function of numbers": vector_simulator,
    "two sources": TwoSources,
    "stored spectra": stored,
    "stored numbers": stored_vectors,
    "varied": lambda: Varied(line_simulator()),
    "varied, stored": lambda: Varied(stored()),
    "injected": injected,
    "injected lines": lambda: InjectedLines(nebulae(), jnp.float32(1)),
}


# Of parts that other cases and tests have too.
_LONG = {"spectra of nebulae", "quasars", "varied, stored", "nebulae", "injected lines",
         "nebulae of many clouds"}


@pytest.fixture(
    scope="module",
    params=[pytest.param(c, marks=pytest.mark.slow if c in _LONG else ()) for c in CASES],
)
def case(request):
    """A simulator, and its jitted `simulate` and `batch`."""
    sim = CASES[request.param]()
    simulate = eqx.filter_jit(lambda sim, key: sim.simulate(key, ROWS))
    batch = eqx.filter_jit(lambda sim, key, step: sim.batch(key, step, ROWS))
    return sim, lambda key: simulate(sim, key), lambda key, step: batch(sim, key, jnp.int32(step))


def flat(simulated: Simulated) -> list[np.ndarray]:
    return [np.asarray(a) for a in (simulated.theta, simulated.source, *simulated.data)]


def assert_same(one: Simulated, other: Simulated) -> None:
    for a, b in zip(flat(one), flat(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_rows_are_a_function_of_the_key(case):
    _, simulate, _ = case
    assert_same(simulate(jr.key(3)), simulate(jr.key(3)))
    assert not np.array_equal(simulate(jr.key(3)).theta, simulate(jr.key(4)).theta)


def test_batches_are_a_function_of_key_and_step(case):
    sim, _, batch = case
    if type(sim).batch is Simulator.batch and type(sim) is not CallableSimulator:
        pytest.skip("it has that of the base class, as functions do")
    first, second = batch(jr.key(5), 0), batch(jr.key(5), 1)
    assert_same(first, batch(jr.key(5), 0))  # whatever was drawn in between
    assert not np.array_equal(first.theta, second.theta)


def test_rows_are_finite_and_of_the_frame(case):
    sim, simulate, _ = case
    found = simulate(jr.key(6))
    assert found.theta.shape == (ROWS, len(sim.priors[0].names))
    assert all(np.isfinite(a).all() for a in flat(found))
    blank = sim.frame.blank()
    assert [a.shape[1:] for a in found.data] == [b.shape[1:] for b in blank]


def test_parameters_are_inside_the_prior_of_their_source(case):
    sim, simulate, _ = case
    theta, source, _ = simulate(jr.key(7))
    assert ((source >= 0) & (source < len(sim.sources))).all()
    for k, prior in enumerate(sim.priors):
        rows = np.asarray(theta)[np.asarray(source) == k]
        assert np.isfinite(prior.log_prob(rows)).all()


def test_a_draw_is_the_same_in_one_tuple(case):
    sim, simulate, _ = case
    if len(sim.sources) > 1 or sim.frame.kind == "lines":
        pytest.skip("with the source in between")
    theta, *data = eqx.filter_jit(lambda s, k: s.draw(k, ROWS))(sim, jr.key(3))
    found = simulate(jr.key(3))
    for a, b in zip([theta, *data], [found.theta, *found.data], strict=True):
        np.testing.assert_array_equal(a, b)


def test_noise_of_observations_brings_their_gaps(case):
    sim, _, _ = case
    obs = {"pixels": _spectra, "lines": _lines, "columns": _vectors}[sim.frame.kind](sim)
    if not sim.takes_noise:
        with pytest.raises(ValueError, match="that can take the noise of observations"):
            sim.with_noise(obs)
        return
    seen = simulate_many(sim.with_noise(obs, exact=True), jr.key(8), ROWS)
    given = sim.frame.arrays(obs)
    if sim.frame.kind == "pixels":
        # the middle of the gap, which the coarsest pixels of another spectrograph do not reach
        assert (given[1][:, 14:16] == 0).all() and (seen.data[1][:, 14:16] == 0).all()
        assert (seen.data[1][:, 30:] > 0).any(1).all()
    else:
        absent = (given[2] == 0).all(0)
        assert absent.any() and (seen.data[2][:, absent] == 0).all()
        assert (seen.data[2][:, ~absent] > 0).all()


def _spectra(sim) -> fs.Spectra:
    ivar = np.ones((4, sim.frame.size))
    ivar[:, 10:20] = 0
    return fs.Spectra(sim.frame.wave, 5 + 0 * ivar, ivar)


def _lines(sim) -> fs.Lines:
    flux = np.tile([1.0, 2.0, np.nan], (4, 1))
    return fs.Lines(LINES, flux, 0.1 + 0 * flux)


def _vectors(sim) -> fs.Vectors:
    return fs.Vectors(np.tile([1.0, np.nan, 0.5], (4, 1)), 0.1, NAMES)


def test_a_set_is_split_without_overlap(case):
    sim, _, _ = case
    rest, held = sim.held_out(20)
    if held is None:
        assert rest is sim
        with pytest.raises(ValueError, match="expected a set of simulations"):
            sim.rows()
        return
    parts = [np.asarray(part.rows().theta) for part in (rest, held)]
    assert len(parts[1]) == 20 and len(parts[0]) == 40
    together = np.unique(np.concatenate(parts), axis=0)
    assert len(together) == 60


def test_a_simulator_without_a_likelihood_says_so(case):
    sim, simulate, _ = case
    if isinstance(sim, SpectrumSimulator):  # what it is is tested in test_marginal
        assert isinstance(sim.log_likelihood, Marginal)
        return
    row = simulate(jr.key(9))
    one = row.theta[0], row.source[0], *(a[0] for a in row.data)
    if type(sim) is fs.NebulaSimulator:
        assert np.isfinite(sim.log_likelihood(*one))
        return
    with pytest.raises(ValueError, match="explicit likelihood"):
        sim.log_likelihood(*one)


def test_an_instrument_without_a_prior_wants_one():
    bare = Instrument("bare", WAVE, np.full(128, 300.0), np.ones(128), (2.0, 20.0))
    with pytest.raises(ValueError, match="'bare'"):
        fs.GalaxySimulator(bare)
    assert fs.GalaxySimulator(bare, prior=broad_prior()).prior == broad_prior()


def test_what_is_wrong_with_a_frame_is_said_before_the_training():
    prior = Prior({"z": dist.Uniform(0.1, 0.5)})
    flux = lambda key, theta: jnp.ones(50) * theta[0]  # noqa: E731
    linear = fs.CallableSimulator(flux, prior, np.linspace(4000, 5000, 50), 0.1, redshift="z")
    with pytest.raises(ValueError, match="uniform in ln"):
        fs.fit(linear)
    with pytest.raises(ValueError, match="both"):
        fs.CallableSimulator(flux, prior, WAVE[:50], columns=["x"] * 50)
    with pytest.raises(ValueError, match="different names"):
        fs.CallableSimulator(flux, prior, columns=["x"] * 50)
    falling = np.linspace(5000, 4000, 50)
    with pytest.raises(ValueError, match="increasing"):
        fs.CallableSimulator(flux, prior, falling)
    with pytest.raises(ValueError, match="for pixels; got 'lines'"):
        fs.fit(line_simulator(), architecture=fs.LineArchitecture())
