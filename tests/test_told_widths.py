"""Line-spread functions as an input: what a simulator tells, a frame hands on, a network takes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest

import flowspec as fs
from flowspec.check.attribution import log_odds, redshift_attribution
from flowspec.cli import main
from flowspec.data.continuum import continuum
from flowspec.data.frame import Pixels
from flowspec.data.lsf import C_KMS
from flowspec.prior.prior import Prior
from flowspec.sim.instrument.optical import COARSEST, FINEST
from flowspec.sim.instrument.surveyed import UNKNOWN, Surveyed
from tests.problems import WAVE, line_simulator, untrained

SIZES = fs.Architecture(templates=3, aligned=4, window=21, learned=0, summary=8, condition=16,
                        layers=2, width=16)  # fmt: skip
NARROWEST, WIDEST = (C_KMS / power / np.sqrt(8 * np.log(2)) for power in (FINEST, COARSEST))


def test_the_width_told_is_that_of_the_lines():
    """H-beta of a galaxy of 50 km/s and no noise: variances of line, function and pixel add up."""
    prior = Prior({"z": dist.Uniform(0.05, 0.0501), "dispersion": dist.Uniform(50.0, 50.01)})
    sim = fs.GalaxySimulator("optical", prior=prior, nuisances=("lsf",))
    dark = jnp.zeros_like(sim.star_table), jnp.zeros_like(sim.gas_table)
    sim = eqx.tree_at(lambda s: (s.star_table, s.gas_table), sim, dark)
    made = sim.simulate(jr.key(0), 16)
    latent = jax.vmap(sim.draw_latent)(jr.split(jr.split(jr.key(0), 4)[1], 16), made.theta)
    flux = np.asarray(jax.vmap(sim.spectrum_of)(made.theta, latent), float)
    obs = sim.frame.observed(*made.data)
    v = np.log(sim.wave / (4862.69 * 1.05)) * C_KMS
    near = np.abs(v) < 1200  # the next line is at 3,700
    for row, told in zip(flux, obs.lsf[:, 0], strict=True):
        mean = np.average(v[near], weights=row[near])
        found = np.average((v[near] - mean) ** 2, weights=row[near])
        pixel = C_KMS * 1e-4 * np.log(10)
        assert found == pytest.approx(50.0**2 + told**2 + pixel**2 / 12, rel=0.02)
    assert NARROWEST * 0.999 < obs.lsf.min() < obs.lsf.max() < WIDEST * 1.001
    assert obs.lsf.max() > 2 * obs.lsf.min()


def test_nobody_says_the_width_of_a_share():
    sim = Surveyed(fs.SkySimulator("optical"))
    width = np.asarray(sim.simulate(jr.key(1), 2000).data[2])
    # binomial, 4 standard errors
    assert (width[:, 1] == 0).mean() == pytest.approx(UNKNOWN, abs=0.041)
    assert (width[width[:, 1] == 0] == 0).all()
    # of the rest it is uniform in the logarithm (Kolmogorov-Smirnov, 1 in 1000)
    told = np.sort(width[width[:, 1] == 1, 0]) / np.log(FINEST / COARSEST)
    distance = np.abs(told - (np.arange(len(told)) + 0.5) / len(told)).max()
    assert distance < 1.95 / len(told) ** 0.5


@pytest.fixture
def frame():
    return Pixels(WAVE, lsf=(30.0, 120.0))


def spectra(lsf) -> fs.Spectra:
    ivar = np.full((3, len(WAVE)), 4.0)
    ivar[1, :30] = 0
    flux = 1 + 0.5 * np.random.default_rng(3).standard_normal(ivar.shape)
    return fs.Spectra(WAVE, flux, ivar, lsf=lsf)


def test_of_a_curve_the_mean_of_its_logarithm_over_good_pixels(frame):
    curve = np.geomspace(40.0, 90.0, len(WAVE))
    obs = spectra([np.full(len(WAVE), 60.0), curve, np.full(len(WAVE), np.nan)])
    width = frame.arrays(obs)[2]
    good = np.log(curve)[obs.ivar[1] > 0].mean()
    np.testing.assert_allclose(width, [[np.log(2), 1], [good - np.log(30), 1], [0, 0]], rtol=1e-5)
    again = frame.observed(*frame.arrays(obs)).lsf[:, 0]
    np.testing.assert_allclose(again, [60, np.exp(good), np.nan], rtol=1e-5)


def test_spectra_without_one_are_not_known(frame):
    np.testing.assert_array_equal(frame.arrays(spectra(None))[2], np.zeros((3, 2)))


def test_beyond_the_widest_is_flagged_and_below_the_least_is_as_good(frame):
    obs = spectra([10.0, 125.0, 140.0])  # the flag allows for 10 %
    flags, _ = frame.judged(obs)
    assert [bool(flag & fs.Flag.LOW_RESOLUTION) for flag in flags] == [False, False, True]
    np.testing.assert_allclose(frame.arrays(obs)[2][:, 0], np.log([1, 4, 4]), rtol=1e-5)
    # a model that takes no width says nothing of it
    assert not (Pixels(WAVE).judged(obs)[0] & fs.Flag.LOW_RESOLUTION).any()


def test_a_model_heeds_the_width_and_keeps_that_in_its_file(frame, tmp_path):
    posterior = untrained(line_simulator().priors, ("a",), frame, SIZES)
    narrow, wide, unknown = (
        posterior.sample(spectra(lsf), 50, seed=3) for lsf in (30.0, 120.0, None)
    )
    assert not np.allclose(narrow, wide) and not np.allclose(narrow, unknown)
    posterior.save(tmp_path / "a.safetensors")
    again = fs.load(tmp_path / "a.safetensors")
    assert again.model.frame == frame
    np.testing.assert_array_equal(again.sample(spectra(30.0), 50, seed=3), narrow)


def test_simulated_files_say_the_width(tmp_path):
    main(["simulate", "optical", "--n", "8", "--seed", "1", "-q", "-o", str(tmp_path / "sims.h5")])
    lsf = fs.read(tmp_path / "sims.h5").lsf
    assert (NARROWEST * 0.999 < lsf).all() and (lsf < WIDEST * 1.001).all()
    assert (np.ptp(lsf, axis=1) < 1e-3).all() and len(np.unique(lsf[:, 0])) == 8


def test_attribution_takes_the_width_as_it_is(frame):
    """Shares of the pixels add up to the change of the log odds, at that width."""
    posterior = untrained(line_simulator().priors, ("a",), frame, SIZES)
    obs = spectra([35.0, 110.0, np.nan])
    data = [jnp.asarray(a) for a in frame.arrays(obs)]
    edges = posterior.model.space.redshift.all_edges()
    centre = 0.5 * (edges[1:] + edges[:-1])
    z = centre[np.asarray(posterior.model.embed(*data).logits.argmax(-1))]
    near = jnp.asarray(np.abs(centre - z[:, None]) <= 0.02)
    shares = redshift_attribution(posterior, obs, z, half=0.02, steps=64)
    flux, ivar, width = data
    baseline = continuum(flux, ivar, posterior.model.network.window)
    change = log_odds(posterior.model, flux, ivar, near, width)
    change -= log_odds(posterior.model, baseline, ivar, near, width)
    # the midpoint rule with 64 points along a path that bends at the noise
    np.testing.assert_allclose(shares.sum(1), change, rtol=0.02, atol=0.02)
