"""The optical spectrographs as one: resolution, ranges and arms as they are drawn."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest
from jax.scipy.special import ndtri

import flowspec as fs
from flowspec.prior.prior import Prior
from flowspec.sim.instrument.lattice import C_KMS
from flowspec.sim.instrument.optical import COARSEST, FINEST, optical
from flowspec.sim.instrument.surveyed import LEAST, view
from flowspec.sim.objects import SHARES, objects

FWHM = np.sqrt(8 * np.log(2))
ROWS = 4000


@pytest.fixture(scope="module")
def lines_only():
    """A galaxy at redshift 0.05 whose stars and gas continuum are dark."""
    prior = Prior({"z": dist.Uniform(0.0, 0.1), "dispersion": dist.Uniform(40.0, 60.0)})
    sim = fs.GalaxySimulator("optical", prior=prior, nuisances=("lsf",))
    dark = jnp.zeros_like(sim.star_table), jnp.zeros_like(sim.gas_table)
    return eqx.tree_at(lambda s: (s.star_table, s.gas_table), sim, dark)


@pytest.mark.parametrize("power", [5500.0, 2000.0, 1000.0])
def test_lines_have_the_width_of_any_resolving_power(lines_only, power):
    """H-beta of a galaxy of 50 km/s: quadratic sum with the line-spread function and the pixel."""
    level = np.clip(np.log(FINEST / power) / np.log(FINEST / COARSEST), 1e-6, 1 - 1e-6)
    theta = jnp.array([0.05, 50.0])
    flux = np.asarray(lines_only.spectrum_of(theta, ndtri(jnp.array([level]))), float)
    v = np.log(lines_only.wave / (4862.69 * 1.05)) * C_KMS
    near = np.abs(v) < 1200  # the next line is at 3,700
    mean = np.average(v[near], weights=flux[near])
    found = np.sqrt(np.average((v[near] - mean) ** 2, weights=flux[near]))
    pixel = C_KMS * 1e-4 * np.log(10)
    expected = np.sqrt(50.0**2 + (C_KMS / power / FWHM) ** 2 + pixel**2 / 12)
    assert found == pytest.approx(expected, rel=0.01)


def test_ranges_are_cut_at_both_ends_and_keep_a_third():
    kept, factor = jax.vmap(lambda key: view(key, 3000, 1.0, 0.0))(jr.split(jr.key(0), ROWS))
    share = np.asarray(kept).mean(1)
    assert share.min() >= LEAST - 1e-3 and (np.asarray(factor) == 1).all()
    # lost = (1 - LEAST) u^2: mean a third of that, within 4 standard errors
    expected, spread = (1 - LEAST) / 3, (1 - LEAST) * np.sqrt(1 / 5 - 1 / 9)
    assert 1 - share.mean() == pytest.approx(expected, abs=4 * spread / ROWS**0.5)
    ends = ~np.asarray(kept)[:, 0], ~np.asarray(kept)[:, -1]
    one = (ends[0] ^ ends[1])[share < 0.95].mean()
    assert one == pytest.approx(1 / 3, abs=0.04)  # of some 3000: 4 standard errors
    # what is kept is of one piece
    assert (np.abs(np.diff(np.asarray(kept).astype(int), axis=1)).sum(1) <= 2).all()


def test_arms_differ_by_a_tenth_where_they_do_not_join():
    kept, factor = jax.vmap(lambda key: view(key, 500, 0.0, 1.0))(jr.split(jr.key(1), ROWS))
    assert np.asarray(kept).all()
    step = np.log(np.asarray(factor)[:, 0])
    assert step.std() == pytest.approx(0.1, rel=4 / np.sqrt(2 * ROWS))
    # the red arm is as it was, but for the few whose arms meet in the last pixel
    assert (np.asarray(factor)[:, -1] == 1).mean() > 0.99


def test_kinds_come_in_their_shares_with_their_own_redshifts():
    sim = objects()
    assert sim.sources == tuple(SHARES) and sim.source_shares == tuple(SHARES.values())
    z = {name: prior.limits("z") for name, prior in zip(sim.sources, sim.priors, strict=True)}
    assert z["GALAXY"] == (0.0, pytest.approx(1.7)) and z["QSO"][1] == pytest.approx(6.0)
    assert z["STAR"][0] == pytest.approx(-600 / C_KMS) and z["NOTHING"][1] <= 1e-4
    bare = replace(optical(), prior=None)
    with pytest.raises(ValueError, match="has a prior of galaxies"):
        objects(bare)
