"""Files of simulations of any kind, numpyro models, and redshift where it is asked for."""

import logging

import h5py
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro
import numpyro.distributions as dist
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import flowspec as fs
from flowspec.model.model import model_for
from tests.problems import WAVE, line_simulator

PRIOR = fs.Prior({"a": dist.Normal(0.0, 1.0), "b": dist.Normal(0.0, 1.0)})
THETA = np.asarray(PRIOR.sample(jr.key(0), (30,)))
VALUES = (THETA @ np.array([[1.0, 0.5, 2.0], [0.3, 1.0, -1.0]])).astype(np.float32)


def as_npz(path):
    np.savez(path, theta=THETA[:, ::-1], x=VALUES, param_names=np.array(["b", "a"]))


def as_hdf5(path):
    with h5py.File(path, "w") as file:
        file["theta"], file["x"] = THETA, VALUES


def as_parquet(path):
    columns = {"b": THETA[:, 1], "x": list(VALUES), "a": THETA[:, 0]}
    pq.write_table(pa.table(columns), path)


def as_columns(path):
    columns = {"a": THETA[:, 0], "b": THETA[:, 1], **dict(zip("uvw", VALUES.T, strict=True))}
    pq.write_table(pa.table(columns), path)


@pytest.mark.parametrize(
    ("write", "name"),
    [(as_npz, "s.npz"), (as_hdf5, "s.h5"), (as_parquet, "s.parquet"), (as_columns, "s.parquet")],
)
def test_files_of_numbers_are_read(write, name, tmp_path):
    write(tmp_path / name)
    sims = fs.Simulations.from_file(tmp_path / name, PRIOR, noise=0.1)
    np.testing.assert_array_equal(sims.theta, THETA)
    np.testing.assert_array_equal(sims.data[0], VALUES)
    assert sims.frame.names == (tuple("uvw") if write is as_columns else ("x0", "x1", "x2"))
    with pytest.raises(ValueError, match=f"{name}: expected .*param"):
        fs.Simulations.from_file(tmp_path / name, PRIOR.among(["a", "b", "c"]))


def test_spectra_in_npz_have_their_wavelengths(tmp_path):
    wave = np.array([4000.0, 4500.0, 5000.0])
    np.savez(tmp_path / "s.npz", theta=THETA, flux=VALUES, ivar=np.ones((30, 3)), wave=wave)
    sims = fs.Simulations.from_file(tmp_path / "s.npz", PRIOR)
    np.testing.assert_array_equal(sims.wave, wave)
    np.testing.assert_array_equal(sims.spectra, VALUES)
    np.savez(tmp_path / "bare.npz", theta=THETA, flux=VALUES, wave=wave)
    again = fs.Simulations.from_file(tmp_path / "bare.npz", PRIOR, noise=0.5)
    np.testing.assert_allclose(again.ivar, 4.0)


def straight(x, obs=None):
    """A numpyro model: a line through points with errors."""
    a = numpyro.sample("a", dist.Normal(0.0, 1.0))
    b = numpyro.sample("b", dist.Normal(jnp.zeros(2), 1.0))
    with numpyro.plate("points", 4):
        numpyro.sample("y", dist.Normal(a + b[0] * x + b[1] * x**2, 0.1), obs=obs)


def test_a_numpyro_model_is_a_simulator():
    x = jnp.linspace(0.0, 2.0, 4)
    sim = fs.CallableSimulator.from_numpyro(straight, "y", x)
    assert sim.prior.names == ("a", "b_0", "b_1")
    assert sim.frame.names == ("y_0", "y_1", "y_2", "y_3")
    theta, values, _, _ = jax.jit(lambda k: sim.draw(k, 2000))(jr.key(0))
    theta = np.asarray(theta)
    away = values - (theta[:, :1] + theta[:, 1:2] * x + theta[:, 2:] * x**2)
    assert np.std(away) == pytest.approx(0.1, abs=4 * 0.1 / 16_000**0.5)
    np.testing.assert_allclose(np.cov(theta.T), np.eye(3), atol=0.13)  # four standard errors


def nested(obs=None):
    a = numpyro.sample("a", dist.Normal(0.0, 1.0))
    b = numpyro.sample("b", dist.Normal(a, 1.0))
    numpyro.sample("y", dist.Normal(b, 0.1), obs=obs)


@pytest.mark.parametrize(
    ("observed", "message"),
    [("y", "depend on no other; got 'b'.*from_samples"), ("w", "site 'w' without data.*got a, b")],
)
def test_a_numpyro_model_that_is_no_simulator_is_refused(observed, message):
    with pytest.raises(ValueError, match=message):
        fs.CallableSimulator.from_numpyro(nested, observed)


def test_a_parameter_called_z_is_a_redshift_where_that_is_said(caplog):
    """And needs no logarithmic wavelengths, limits or bins where it is not."""
    prior = fs.Prior({"z": dist.Normal(0.0, 1.0)})
    theta = np.asarray(prior.sample(jr.key(0), (30,)))
    linear = np.linspace(4000.0, 5000.0, 8)
    with caplog.at_level(logging.WARNING, "flowspec"):
        sims = fs.Simulations(theta, theta + np.zeros(8), np.ones((30, 8)), linear, prior)
    assert "redshift=" in caplog.text and sims.redshift is None
    lines = line_simulator()
    with_bins = {}
    for asked in (None, "z"):
        sim = fs.CallableSimulator(lines.function, lines.prior, WAVE, 0.5, redshift=asked)
        model = model_for(jr.key(0), sim.priors, sim.sources, sim.frame, fs.Architecture(), (),
                          sim.redshift)  # fmt: skip
        with_bins[asked] = model.space.redshift is not None
    assert with_bins == {None: False, "z": True}
    for options in ({"columns": ["x"]}, {"wave": WAVE[:1], "noise": 1.0}):
        name = "z" if "columns" in options else "v"
        with pytest.raises(ValueError, match="redshift='z' of spectra"):
            fs.CallableSimulator(lambda k, t: t, prior, redshift=name, **options)
    with pytest.raises(ValueError, match="redshift='z' of spectra"):
        fs.Simulations(theta, theta, prior=prior, redshift="z")
