"""What users write, as a type checker must accept it (`tests/test_package.py`); it is not run."""

from pathlib import Path

import jax
import numpy as np
import numpyro.distributions as dist
from astropy.table import Table

import flowspec as fs
from flowspec.plots import fit as plot_fit


def predict(path: Path) -> Table:
    spectra: fs.Spectra = fs.read([path], wave_unit="nm", keep=["ra"], resolving_power=2000)
    good = spectra[spectra.usable & (spectra.snr > 3)].resample(np.geomspace(4e3, 9e3, 500))
    posterior: fs.Posterior = fs.load("sdss")
    samples: np.ndarray = posterior.sample(good, 500, seed=1)
    edges, density = posterior.redshift_pdf(good, np.linspace(0, 1, 101))
    column: int = posterior.names.index("z")
    print(samples[:, :, column].std(), (density * np.diff(edges)).sum(1), posterior.sources)
    table = posterior.given(z=0.1).summarize(good, n=100, evidence=None)
    assert isinstance(table, Table)  # and not with the draws
    flagged = np.asarray(table["flags"]) & fs.Flag.UNLIKE_DATA
    print(flagged.any(), fs.Flag.NO_DATA.name, sorted(fs.shipped()))
    return table


def many(paths: list[Path]) -> Path:
    for part in fs.stream(paths[0], 100, start=200, stop=400):
        print(len(part))
    print(fs.predict_frame(None, "sdss", n=200, wave_unit="nm"))
    return fs.predict(paths, "sdss", "results", n=200, total={"sdss_i": "PETRO_I"}, progress=True)


def lines(path: str) -> np.ndarray:
    rows: fs.Lines = fs.read_lines(path, dereddened=True)
    own = fs.Lines(["Halpha", "Hbeta"], [[2.9, 1.0]], [[0.1, 0.1]], names=["mine"])
    posterior: fs.LinePosterior = fs.load(Path("nebula.safetensors"))
    return posterior.source_probabilities(fs.Lines.concatenate([rows, own]))


def maps(path: Path) -> None:
    table = fs.load("nebula").summarize(fs.read_lines(path))
    assert isinstance(table, Table)
    fs.io.write_maps("out.fits", table, path, suffix="EMLINE_SFLUX")
    print([len(rows) for rows in fs.io.stream_lines(path, 8192)])


def clouds(grid: str) -> fs.Simulator:
    sim = fs.MixtureSimulator(fs.read_grid(grid), ["Hbeta", "[OIII]5007"])
    errors: fs.LineErrors = fs.LineErrors.alike(sim.lines, 0.1)
    return sim.with_errors(errors._replace(spread=0.5 * errors.spread))


def measure(obs: fs.Spectra) -> Table:
    measured: fs.Lines = fs.measure_lines(obs, np.full(len(obs), 0.1), ["Hbeta", "[OIII]5007"])
    table = fs.load("nebula").summarize(fs.measure_lines(obs, 0.1))
    print(measured.flux / measured.err)
    assert isinstance(table, Table)
    return table


def train(obs: fs.Spectra) -> fs.Posterior:
    sim = fs.GalaxySimulator("sdss", nuisances=("flux",)).with_noise(obs)
    brief = fs.Training(steps=100, optimiser="muon")
    posterior = fs.fit(sim, obs, seed=2, training=brief, architecture=fs.Architecture(width=32))
    posterior = fs.adapt(posterior, sim, obs, adaptation=fs.Adaptation(fits=64))
    posterior.calibrate(obs, {"z": np.zeros(len(obs))}).save("mine", half=True)
    return posterior


def kinds_of_objects(obs: fs.Spectra) -> Table:
    prior = fs.QuasarSimulator("sdss").prior.replace(z=dist.Uniform(0.5, 4.0))
    kinds = fs.Classes({"QSO": fs.QuasarSimulator("sdss", prior=prior),
                        "STAR": fs.StarSimulator("desi"), "NOTHING": fs.SkySimulator(noise=obs)})
    posterior = fs.fit(kinds.with_noise(obs, exact=True))
    table = posterior.summarize(obs)
    assert isinstance(table, Table)
    return table


def own_function() -> fs.Posterior:
    def straight(key: jax.Array, theta: jax.Array) -> jax.Array:
        return theta[0] + theta[1] * jax.numpy.arange(3.0)

    prior = fs.Prior({"a": dist.Normal(0, 1), "b": dist.Uniform(0, 1)}).replace(a=dist.Normal(0, 2))
    sim: fs.Simulator = fs.CallableSimulator(straight, prior, columns=["x", "y", "w"])
    seen = fs.Vectors(np.ones((5, 3)), 0.1, columns=["x", "y", "w"])
    return fs.fit(sim, seen, architecture=fs.VectorArchitecture(), progress=False)


def own_numpy(theta: np.ndarray, names: list[str]) -> fs.Posterior:
    def twice(theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return 2 * theta + rng.normal(size=theta.shape)

    prior = fs.Prior({("a", "b"): dist.MultivariateNormal(np.zeros(2), np.eye(2))})
    made = fs.simulate(twice, prior, 1000, workers=2, path=Path("run.h5"), progress=False)
    given = fs.Prior.from_samples(theta, names)
    stored = fs.Simulations(theta, 2 * theta, prior=given, noise=np.abs, columns=["x", "y"])
    print(made.failed, stored.redshift, fs.Simulations.from_file("run.h5", prior, noise=0.1))
    return fs.fit(stored)


def draw(obs: fs.Spectra) -> None:
    posterior = fs.load("sdss")
    sim = fs.GalaxySimulator("sdss", prior=fs.load("sdss").model.space.priors[0])
    exact = posterior.refine(obs, sim.log_likelihood, 100)
    print(exact, plot_fit)
    fs.write("all.h5", obs)
    for part in fs.stream("all.h5", 10):
        print(len(part))
