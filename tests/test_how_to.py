"""The how-tos of CONTRIBUTING.md, followed to the letter: each adds something from outside."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from astropy.io import fits

import flowspec as fs
from flowspec.io.fits import FITS_FORMATS
from flowspec.model.registry import DENSITIES
from flowspec.networks.registry import NETWORKS
from flowspec.prior.parameters import PARAMETERS, label
from flowspec.sim.instrument.shipped import INSTRUMENTS
from tests.documentation import ROOT, blocks
from tests.problems import VECTOR_SIGMA, vector_posterior, vector_simulator

PAGE = ROOT / "CONTRIBUTING.md"


@pytest.fixture(autouse=True)
def as_before():
    """What a how-to adds goes again."""
    tables = INSTRUMENTS, PARAMETERS, DENSITIES, NETWORKS
    kept, formats = [dict(t) for t in tables], list(FITS_FORMATS)
    yield
    for table, before in zip(tables, kept, strict=True):
        table.clear()
        table.update(before)
    FITS_FORMATS[:] = formats


def follow(what: str) -> dict:
    """Run the code of a how-to; returns what it defines."""
    found: dict = {}
    exec(next(b.code for b in blocks(PAGE) if b.heading == f"How to add {what}"), found)
    return found


@pytest.mark.slow
def test_an_instrument_is_one_file():
    sim = follow("an instrument")["sim"]
    theta, flux, ivar = sim.draw(jr.key(0), 4)
    assert flux.shape == (4, 160) and np.isfinite(flux).all() and (ivar > 0).all()
    assert sim.prior.names[0] == "z" and sim.description == "GalaxySimulator"


@pytest.mark.slow
def test_a_parameter_changes_nothing_without_it():
    follow("an instrument")
    found = follow("a parameter")
    sim, without = found["sim"], found["without"]
    theta = without.prior.sample(jr.key(1))
    plain = np.asarray(without.flux(jr.key(2), theta))
    for grey in (0.0, 1.5):
        dimmed = np.asarray(sim.flux(jr.key(2), jnp.append(theta, grey)))
        np.testing.assert_allclose(dimmed, plain * 10 ** (-0.4 * grey), rtol=1e-5, atol=1e-9)
    assert label("grey") == r"$A_\mathrm{grey}$"
    # the file has a mixture with a population of nine parameters in its prior
    assert len(found["old"].names) == 9
    assert fs.Population(sim.prior.replace(z=found["old"].model.space.priors[0].distributions["z"]))


def test_a_fits_format_is_one_entry(tmp_path):
    follow("a FITS format")
    data = np.stack([np.linspace(1, 2, 50), np.full(50, 0.1)])
    data[1, 10] = 0
    hdu = fits.PrimaryHDU(data)
    hdu.header["TOYWAVE"], hdu.header["TOYSTEP"] = 5000.0, 2.0
    hdu.writeto(tmp_path / "toy.fits")
    spectra = fs.read(tmp_path / "toy.fits")
    np.testing.assert_allclose(spectra.wave, 5000 + 2 * np.arange(50))
    np.testing.assert_allclose(spectra.flux[0], np.where(data[1] > 0, data[0], spectra.flux[0]))
    assert spectra.ivar[0, 10] == 0 and spectra.ivar[0, 11] == pytest.approx(100, rel=1e-5)
    assert spectra.names == ("toy.fits",)


@pytest.mark.parametrize(
    "what", ["a density", pytest.param("a network", marks=pytest.mark.slow)]
)
@pytest.mark.slow
def test_a_density_and_a_network_are_one_file_and_a_row(what, tmp_path):
    """Trained for seconds on a Gaussian problem, of which the exact answer is known."""
    architecture = follow(what)["architecture"]
    training = fs.Training(steps=400, batch=128, evaluate=200, validation=256)
    sim = vector_simulator()
    posterior = fs.fit(sim, training=training, architecture=architecture, progress=False)
    values = np.array([[0.8, -0.5, 0.3], [-1.0, 0.2, 0.6]])
    obs = fs.Vectors(values, VECTOR_SIGMA, sim.frame.names)
    samples = posterior.sample(obs, 4000)
    for row in range(2):
        mean, covariance = vector_posterior(values[row], np.ones(3))
        sigma = np.sqrt(np.diag(covariance))
        # of a training of seconds: a quarter of a standard deviation
        np.testing.assert_array_less(np.abs(samples[:, row].mean(0) - mean), 0.25 * sigma)
        np.testing.assert_allclose(samples[:, row].std(0), sigma, rtol=0.25)
    posterior.save(tmp_path / "model")
    np.testing.assert_array_equal(fs.load(tmp_path / "model").sample(obs, 50),
                                  posterior.sample(obs, 50))  # fmt: skip
