"""What observations taught a simulator, as its model's file keeps it."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import flowspec as fs
from flowspec.prior.parameters import broad_prior
from flowspec.sim.instrument.instrument import Instrument
from flowspec.sim.instrument.varied import Varied
from flowspec.sim.residual import Residual
from flowspec.sim.template import Templates
from tests.problems import untrained

WAVE = np.geomspace(5000.0, 7000.0, 96)


def simulator(**options) -> fs.GalaxySimulator:
    lsf = np.full(96, 300.0)
    return fs.GalaxySimulator(Instrument("coarse", WAVE, lsf, np.ones(96), (2.0, 20.0),
                                         prior=broad_prior()), **options)  # fmt: skip


def taught() -> fs.GalaxySimulator:
    """With noise three times as large, a template, and a learned mean and factor."""
    sim = simulator()
    rest = jnp.sin(jnp.linspace(0, 9, 300))[None]
    sim = sim.with_templates(Templates(rest, jnp.zeros((0, 96)), 8.0, 0.004))
    noise = Residual(jnp.full(96, 3.0), jnp.ones(1), *map(jnp.float32, (0.1, 0.01, 8.0)))
    size = sim.layout.size
    learned = eqx.tree_at(lambda k: (k.mean, k.factor), sim.learned,
                          (jnp.linspace(-1, 1, size), 0.5 * jnp.eye(size)))
    return eqx.tree_at(lambda s: (s.learned, s.residual), sim, (learned, noise),
                       is_leaf=lambda x: x is None)


@pytest.mark.slow
def test_a_model_file_gives_back_the_simulator_it_was_trained_on(tmp_path):
    sizes = fs.Architecture(templates=3, aligned=4, window=21, learned=0, condition=12, layers=2,
                            width=12, knots=4)  # fmt: skip
    sim = taught()
    post = untrained(sim.priors, sim.sources, sim.frame, sizes)
    assert post.lesson is None and simulator().lesson is None
    replace(post, lesson=Varied(sim).lesson).save(tmp_path / "model")
    again = fs.load(tmp_path / "model").lesson.taught(simulator())
    theta, key = sim.prior.sample(jr.key(0)), jr.key(1)
    draw = eqx.filter_jit(lambda sim: sim.add_noise(key, sim.flux(key, theta), jnp.ones(96)))
    np.testing.assert_array_equal(draw(again), draw(sim))
    assert not np.allclose(draw(simulator()), draw(sim))


def test_other_nuisances_are_refused():
    with pytest.raises(ValueError, match="of the nuisances"):
        taught().lesson.taught(simulator(nuisances=("lsf",)))
