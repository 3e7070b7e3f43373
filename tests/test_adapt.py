"""Adaptation: what it finds where the answer is known, when it stands aside, what it never sees."""

import ast
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import flowspec
from flowspec import Spectra, Training, adapt, fit
from flowspec.adaptation.align import Adapted, Paired, population_weight, ramp
from flowspec.adaptation.choose import Candidate, pick
from flowspec.adaptation.gap import Gap
from flowspec.adaptation.judge import Judgement
from flowspec.adaptation.population import PopulationRatio
from flowspec.adaptation.settings import Adaptation
from flowspec.sim.simulator import Simulated
from tests.problems import SIGMA, WAVE, linear_simulator, shapes, spectral_model
from tests.test_train import SIZES

TRAINING = Training(steps=500, batch=64, evaluate=250, validation=256, learning_rate=5e-3)
ADAPTATION = Adaptation(steps=40, injected=800, stages=1, learning_rate=5e-3)


def observations(rows: int, noise: float, seed: int = 0) -> tuple[np.ndarray, Spectra]:
    """Of the linear problem, their noise so many times what their errors say."""
    rng = np.random.default_rng(seed)
    theta = rng.standard_normal((rows, 2))
    flux = theta @ np.asarray(shapes()) + noise * SIGMA * rng.standard_normal((rows, len(WAVE)))
    return theta, Spectra(WAVE, flux, np.full(flux.shape, SIGMA**-2))


def leaves(post) -> list[np.ndarray]:
    return [np.asarray(a) for a in jax.tree.leaves(post.model) if hasattr(a, "shape")]


@pytest.fixture(scope="module")
def plain():
    """Briefly trained, on simulations alone."""
    brief = replace(TRAINING, steps=200, evaluate=100)
    return fit(linear_simulator(), training=brief, architecture=SIZES, progress=False)


def adapted_to(plain, obs, method, adaptation=ADAPTATION):
    return adapt(plain, linear_simulator(), obs, method, adaptation=adaptation,
                 training=replace(TRAINING, steps=0), progress=False)  # fmt: skip


@pytest.mark.slow
def test_unknown_noise_gives_the_posterior_of_the_noisier_problem():
    """Twice the noise: the exact covariance is (1 + S S^T / 4 sigma^2)^-1."""
    plain = fit(linear_simulator(), training=TRAINING, architecture=SIZES, progress=False)
    _, obs = observations(400, 2.0)
    theta, test = observations(400, 2.0, seed=1)
    post = adapted_to(plain, obs, "auto")
    record = post.provenance["adaptation"]
    assert record["before"]["auc"] > 0.7 and record["injected"] and record["closed"]
    s = np.asarray(shapes())
    exact = np.sqrt(np.diag(np.linalg.inv(np.eye(2) + s @ s.T / (2 * SIGMA) ** 2)))
    samples = post.sample(test, 300)
    # a short training: widths to a fifth, coverage to 0.08; ignorant of the noise: a half and 0.40
    np.testing.assert_allclose(np.median(samples.std(0), axis=0), exact, rtol=0.2)
    low, high = np.percentile(samples, [16, 84], axis=0)
    assert ((low < theta) & (theta < high)).mean() == pytest.approx(0.68, abs=0.08)


@pytest.mark.slow
def test_it_stands_aside_where_there_is_no_gap(plain, tmp_path):
    """Observations that are the simulations: the same model, bit for bit; and a record of it."""
    post = adapted_to(plain, observations(300, 1.0)[1], "auto")
    record = post.provenance["adaptation"]
    assert (record["method"], record["injected"]) == ("none", False)
    assert record["reason"] == "no gap beyond the population"
    for a, b in zip(leaves(post), leaves(plain), strict=True):
        np.testing.assert_array_equal(a, b)
    post.save(tmp_path / "model")
    assert flowspec.load(tmp_path / "model").provenance["adaptation"] == record


def labelled(obs: Spectra) -> Spectra:
    """The only way for labels to come with spectra: what `Spectra` has beside numbers."""
    rows = range(len(obs))
    return Spectra(obs.wave, obs.flux, obs.ivar, names=[f"z={i}" for i in rows],
                   notes=[f"log_mstar={i}" for i in rows])  # fmt: skip


@pytest.mark.slow
def test_adaptation_is_given_numbers_alone(plain, monkeypatch):
    """Whatever adapts sees a `Task`: the same of spectra with and without labels."""
    seen = []

    def spy(task, method):
        seen.append((task, task.posterior.sample(task.obs, 8)))
        return task.posterior.model, task.simulator, {}

    monkeypatch.setattr(sys.modules["flowspec.fitting"], "chosen", spy)
    _, obs = observations(80, 2.0)
    for spectra in (obs, labelled(obs)):
        adapted_to(plain, spectra, "auto")
    (first, drawn), (second, others) = seen
    np.testing.assert_array_equal(drawn, others)
    for pair in ((first.observed, second.observed), (first.validation, second.validation)):
        for a, b in zip(*map(jax.tree.leaves, pair), strict=True):
            np.testing.assert_array_equal(a, b)
    for task in (first, second):
        assert set(task.obs.notes) == {""}
    noise = [task.simulator.observed.noise.ivar for task in (first, second)]
    np.testing.assert_array_equal(*noise)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["dann", "mmd", "coral"])
def test_names_and_notes_change_nothing(plain, method):
    _, obs = observations(80, 2.0)
    brief = Adaptation(steps=4, stages=1, weights=(1.0,), inject=False)
    pair = [adapted_to(plain, o, method, brief) for o in (obs, labelled(obs))]
    for a, b in zip(*map(leaves, pair), strict=True):
        np.testing.assert_array_equal(a, b)
    records = [post.provenance["adaptation"] for post in pair]
    assert records[0] == records[1] and records[0]["method"] == method


def test_nothing_that_adapts_reads_files_or_names():
    """Only arrays of data go in: no reader, no name and no note of a spectrum."""
    folder = Path(flowspec.__file__).parent
    files = sorted((folder / "adaptation").glob("*.py"))
    assert len(files) > 8
    for file in files:
        tree = ast.parse(file.read_text())
        used = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        assert not used & {"names", "notes", "table", "meta"}, file
        modules = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not {m for m in modules if m.startswith(("flowspec.io", "astropy", "h5py"))}, file


def test_requests_that_cannot_be_met():
    _, obs = observations(30, 1.0)
    with pytest.raises(ValueError, match="expected observations to adapt to; got none"):
        fit(linear_simulator(), adapt="auto")
    with pytest.raises(ValueError, match="at least 50 observations to adapt to; got 30"):
        fit(linear_simulator(), obs, adapt="mmd")
    with pytest.raises(ValueError, match="expected a method of adaptation among"):
        fit(linear_simulator(), obs, adapt="magic")
    elsewhere = Spectra(3 * WAVE, obs.flux, obs.ivar)
    with pytest.raises(ValueError, match="good pixels between 4000 and 8000"):
        fit(linear_simulator(), elsewhere, adapt="auto")


@pytest.mark.slow
def test_few_observations_are_left_alone(plain, caplog):
    post = adapted_to(plain, observations(30, 1.0)[1], "auto")
    assert post.provenance["adaptation"]["reason"] == "fewer than 50 observations"
    assert "30 observations, of which at least 50" in caplog.text


def paired(method: str):
    sim = linear_simulator()
    model = spectral_model(sim.prior, WAVE, SIZES)
    _, obs = observations(64, 2.0)
    observed = jnp.asarray(obs.flux, jnp.float32), jnp.asarray(obs.ivar, jnp.float32)
    state = Adapted.of(jr.key(1), model, method, observed)
    source = Paired(sim, observed, None, jnp.float32(1), jnp.int32(0), 0.5, 10)
    return state, source.batch(jr.key(2), jnp.int32(0), 32)


@pytest.mark.slow
def test_without_strength_the_model_learns_from_simulations_alone():
    state, pair = paired("dann")
    assert len(pair.observed[0]) == 16 and len(pair.simulated.theta) == 32
    strength, key = pair.strength, jr.key(3)

    @eqx.filter_jit
    def gradients(state, strength):
        weighed = eqx.tree_at(lambda p: p.strength, pair, strength)
        ours = eqx.filter_grad(lambda s: s.loss(key, weighed))(state)
        alone = eqx.filter_grad(lambda m: m.loss(key, pair.simulated))(state.model)
        return ours.model.variables, alone.variables

    ours, alone = gradients(state, 0 * strength)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    aligned, _ = gradients(state, strength)
    pairs = zip(jax.tree.leaves(aligned), jax.tree.leaves(alone), strict=True)
    assert max(float(jnp.abs(a - b).max()) for a, b in pairs) > 1e-3


def test_schedule():
    """Ganin et al. (2016): 0 at the start, 0.987 half way, 1 at the end."""
    np.testing.assert_allclose(ramp(jnp.array([0.0, 0.5, 1.0])), [0, 0.98661, 0.99991], atol=1e-5)


def test_weights_of_a_population_have_a_mean_of_one():
    """Two equal halves, of which the second is three times as common among observations."""
    labels = np.random.default_rng(0).uniform(size=(4000, 1))
    ratio = PopulationRatio.flat(labels)
    upper = jnp.where(jnp.arange(ratio.log_share.shape[1]) >= 4, jnp.log(3.0), 0.0)
    ratio = PopulationRatio(ratio.edges, upper[None] + 7.0)  # of any normalisation
    rows = Simulated(jnp.asarray(labels, jnp.float32), jnp.zeros(4000, int), ())
    weight = population_weight(ratio, rows)
    assert float(weight.mean()) == pytest.approx(1)
    expected = np.where(labels[:, 0] < float(ratio.edges[0, 3]), 0.5, 1.5)
    np.testing.assert_allclose(weight, expected, atol=0.01)


def candidate(method, auc, score, error=0.1, overlap=0.5):
    gap = Gap(auc, 0.01, np.zeros(2), overlap)
    judgement = Judgement(gap, 1.0, score, error, None, np.zeros((1, 8)))
    return Candidate({"method": method, "injected": False}, None, None, judgement)


def test_the_choice():
    none, mmd = candidate("none", 0.9, 1.0), candidate("mmd", 0.55, 2.0)
    dann, weak = candidate("dann", 0.7, 1.5), candidate("coral", 0.8, 1.1)
    open_, closed = Gap(0.9, 0.01, np.zeros(2), 0.5), Gap(0.55, 0.01, np.zeros(2), 0.9)
    assert pick([none, dann, mmd], open_, "auto")[0] is mmd
    assert pick([none, dann, mmd], open_, "dann")[0] is dann
    assert pick([none, weak], open_, "auto") == (none, "nothing significantly better")
    tried = ("none", 1.0), ("none", 2.0), ("mmd", 9.0)
    far = [candidate(method, 0.9, score, overlap=0.4) for method, score in tried]
    reason = "simulations cover too little of the observations"
    assert pick(far, open_, "auto") == (far[0], reason)
    alike = candidate("none", 0.55, 1.0)
    assert pick([alike, mmd], closed, "auto") == (alike, "no gap beyond the population")
    assert pick([none, alike, mmd], open_, "auto") == (alike, "closed without alignment")


RUN = """
import sys
import jax, jax.numpy as jnp, jax.random as jr, numpy as np
from flowspec.adaptation.align import aligned
from flowspec.adaptation.settings import Adaptation
from flowspec.train.settings import Training
from tests.problems import WAVE, linear_simulator, spectral_model
from tests.test_adapt import SIZES, observations

sim = linear_simulator()
_, obs = observations(64, 2.0)
data = jnp.asarray(obs.flux, jnp.float32), jnp.asarray(obs.ivar, jnp.float32)
model, = aligned(
    spectral_model(sim.prior, WAVE, SIZES), sim, data, sim.simulate(jr.key(1), 32), jr.key(2),
    method="mmd", weight=1.0, population=None, training=Training(batch=16),
    adaptation=Adaptation(steps=5, stages=1, share=0.5), progress=False,  # 8: on any devices
)
leaves = [np.asarray(a).ravel() for a in jax.tree.leaves(model) if hasattr(a, "shape")]
np.save(sys.argv[1], np.concatenate(leaves))
print(jax.device_count())
"""


@pytest.mark.slow
def test_four_devices_adapt_as_one(tmp_path):
    root, models = str(Path(__file__).resolve().parents[1]), []
    for count in "14":
        flags = f"--xla_force_host_platform_device_count={count}"
        out = tmp_path / f"{count}.npy"
        run = subprocess.run(
            [sys.executable, "-c", RUN, str(out)], capture_output=True, text=True, cwd=root,
            env=os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": root},
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        assert run.stdout.split()[-1] == count
        models.append(np.load(out))
    np.testing.assert_allclose(*models, rtol=0, atol=2e-5)
