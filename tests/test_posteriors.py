"""Table test: every kind of posterior × what a posterior must do, whatever it was trained on."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import flowspec as fs
from flowspec.data.frame import Columns, LineSet, Pixels
from flowspec.posterior.weights import OVERSAMPLE
from flowspec.prior.prior import Prior
from tests import problems
from tests.problems import LINES, WAVE, TwoSources, line_simulator, untrained, vector_simulator

N = 2000  # draws of every test: another number is another program to compile
SMALL = {"condition": 12, "layers": 2, "width": 12, "knots": 4}
SPECTRA = fs.Architecture(templates=3, aligned=4, window=21, learned=0, **SMALL)
ROWS = fs.LineArchitecture(hidden=16, blocks=1, **SMALL)
NUMBERS = fs.VectorArchitecture(hidden=16, blocks=1, **SMALL)
WIDE = Prior({"oh": dist.Uniform(7.0, 9.0), "av": dist.Uniform(0.0, 4.0)})
NARROW = Prior({"oh": dist.Uniform(8.0, 8.5), "av": dist.Uniform(0.0, 1.0)})


def mock_spectra() -> fs.Spectra:
    rng = np.random.default_rng(3)
    bump = np.exp(-0.5 * ((np.log(WAVE / 5000) - np.log(1.27)) / 0.01) ** 2)
    ivar = np.full((3, len(WAVE)), 4.0)
    ivar[2, :30] = 0
    return fs.Spectra(WAVE, 1 + 5 * bump + 0.5 * rng.standard_normal(ivar.shape), ivar)


def mock_lines() -> fs.Lines:
    nan = np.nan
    limit = [[nan] * 3, [nan] * 3, [nan, nan, 0.3]]
    flux = [[1.0, 3.0, 0.2], [1.0, nan, 0.4], [2.0, 1.0, nan]]
    return fs.Lines(LINES, flux, 0.1 + 0 * np.array(flux), limit)


def mock_vectors() -> fs.Vectors:
    values = [[0.5, -0.2, 1.0], [np.nan, 0.3, -0.4], [2.0, 0.0, 0.0]]
    return fs.Vectors(values, problems.VECTOR_SIGMA, problems.NAMES)


def two_sources():
    sim = TwoSources()
    return untrained(sim.priors, sim.sources, sim.frame, SPECTRA)


CASES = {
    "spectra": lambda: (untrained(line_simulator().priors, ("a",), Pixels(WAVE), SPECTRA),
                        mock_spectra()),
    "spectra, two sources": lambda: (two_sources(), mock_spectra()),
    "spectra, no redshift": lambda: (
        untrained((Prior({"a": dist.Uniform(0.0, 1.0), "b": dist.Uniform(0.0, 1.0)}),), ("a",),
                  Pixels(WAVE), SPECTRA), mock_spectra()),
    "lines, two sources": lambda: (untrained((WIDE, NARROW), ("HII", "AGN"), LineSet(LINES), ROWS),
                                   mock_lines()),
    "vectors": lambda: (untrained(vector_simulator().priors, ("a",), Columns(problems.NAMES),
                                  NUMBERS), mock_vectors()),
    "flow matching": lambda: (
        untrained(vector_simulator().priors, ("a",), Columns(problems.NAMES),
                  fs.VectorArchitecture(hidden=16, blocks=1, density="flow-matching", **SMALL)),
        mock_vectors()),
    "transformer": lambda: (
        untrained(line_simulator().priors, ("a",), Pixels(WAVE),
                  fs.Architecture(templates=3, aligned=4, window=21, learned=0,
                                  network="transformer", **SMALL)), mock_spectra()),
}  # fmt: skip


# As good as the others, and longer to compile than they tell of anything new: of redshifts of one
# source `test_posterior` has a trained model.
_LONG = {"spectra", "spectra, no redshift", "transformer", "flow matching", "vectors"}


@pytest.fixture(
    scope="module",
    params=[pytest.param(c, marks=pytest.mark.slow if c in _LONG else ()) for c in CASES],
)
def case(request):
    """A posterior, three observations, `N` draws of each and their sources."""
    posterior, obs = CASES[request.param]()
    samples, source = posterior.sample_sources(obs, N, seed=1)
    return SimpleNamespace(posterior=posterior, obs=obs, samples=samples, source=source)


def test_the_density_integrates_to_one(case):
    """The mean of q / p over the prior p, summed over sources with their share of it."""
    space, n, total = case.posterior.model.space, N, np.zeros(3)
    for k, prior in enumerate(space.priors):
        theta = np.asarray(prior.sample(problems.jr.key(k), (n, 3)))
        log_q = case.posterior.log_prob(theta, case.obs, np.full((n, 3), k))
        ratio = np.exp(log_q - np.asarray(prior.log_prob(theta)))
        total += ratio.mean(0)
        error = ratio.std(0) / n**0.5
    np.testing.assert_allclose(total, 1, atol=5 * error.max() + 0.01)


def test_draws_follow_the_density(case):
    """The mean of p / q over draws of q is one, p the prior of parameters and source."""
    space = case.posterior.model.space
    log_q = case.posterior.log_prob(case.samples, case.obs, case.source)
    ratio = np.exp(np.asarray(space.log_prior(case.samples, case.source)) - log_q)
    np.testing.assert_allclose(ratio.mean(0), 1, atol=5 * ratio.std(0).max() / N**0.5 + 0.01)
    share = case.posterior.source_probabilities(case.obs)
    for k in range(len(space.sources)):
        # 4 binomial errors
        found = (case.source == k).mean(0)
        np.testing.assert_allclose(found, share[:, k], atol=4 * 0.5 / N**0.5)


def test_no_draw_leaves_the_prior(case):
    space = case.posterior.model.space
    assert np.isfinite(space.log_prior(case.samples, case.source)).all()
    outside = case.samples[:1].copy()
    outside[..., 0] = 99.0
    bounded = np.isinf(np.asarray(space.log_prior(outside, case.source[:1]))).all()
    assert not bounded or (case.posterior.log_prob(outside, case.obs) == -np.inf).all()


def test_the_sum_over_sources_is_the_default(case):
    theta = case.samples
    each = [case.posterior.log_prob(theta, case.obs, np.full((N, 3), k))
            for k in range(len(case.posterior.sources))]
    whole = case.posterior.log_prob(theta, case.obs)
    np.testing.assert_allclose(whole, np.logaddexp.reduce(each), rtol=1e-5, atol=1e-4)


def test_draws_depend_on_the_row_and_the_seed_only(case):
    apart = [case.posterior.sample(case.obs[i], N, seed=3, first=i) for i in range(3)]
    together = case.posterior.sample(case.obs, N, seed=3)[:50]  # rounding may move one in 10,000
    np.testing.assert_allclose(together, np.concatenate(apart, 1)[:50], rtol=1e-4, atol=1e-4)
    assert not np.allclose(together, case.posterior.sample(case.obs, N, seed=4)[:50])


def test_a_saved_model_gives_the_same_draws(case, tmp_path):
    case.posterior.save(tmp_path / "model")
    again = fs.load(tmp_path / "model")
    assert again.names == case.posterior.names and again.sources == case.posterior.sources
    assert again.model.architecture == case.posterior.model.architecture
    np.testing.assert_array_equal(again.sample(case.obs, N, seed=1), case.samples)
    ours, theirs = (p.log_prob(case.samples, case.obs) for p in (case.posterior, again))
    np.testing.assert_array_equal(ours, theirs)


def test_refined_by_no_data_it_is_the_prior(case):
    """A likelihood of one everywhere: the evidence is one, and every source as likely."""
    flat = lambda theta, source, *data: jnp.zeros(())  # noqa: E731
    found = case.posterior.refine(case.obs, flat, 1000, draws=8000, seed=2)
    error = 5 / np.sqrt(found.ess.min())
    np.testing.assert_allclose(found.log_evidence, 0, atol=error)
    count = len(case.posterior.sources)
    np.testing.assert_allclose((found.source == 0).mean(0), 1 / count, atol=error)
    prior = case.posterior.model.space.priors[0]
    column = len(case.posterior.names) - 1
    drawn = np.asarray(prior.sample(problems.jr.key(9), (4000,)))[:, column]
    of_first = found.samples[..., column][found.source == 0]
    assert of_first.mean() == pytest.approx(drawn.mean(), abs=error * drawn.std())


def test_its_own_prior_as_population_changes_nothing(case):
    space = case.posterior.model.space
    if len(space.sources) > 1:
        pytest.skip("a population is one density, where sources have priors of their own")
    n = N // OVERSAMPLE
    same = case.posterior.summarize(case.obs, n=n, population=space.priors[0])
    np.testing.assert_allclose(same["ess"], N, rtol=1e-4)
    middle = np.median(case.samples[..., -1])
    half = SimpleNamespace(log_prob=lambda theta: np.where(theta[..., -1] < middle, 0, -np.inf))
    _, samples = case.posterior.summarize(case.obs, n=n, population=half, with_samples=True)
    assert (samples[..., -1] < middle).all()


def test_the_table_has_a_row_per_object(case):
    table = case.posterior.summarize(case.obs, n=N)
    assert len(table) == 3 and list(table["name"]) == list(case.obs.names)
    for i, name in enumerate(case.posterior.names):
        median = np.median(case.samples[..., i], axis=0)
        spread = case.samples[..., i].std(0)
        # medians of other draws: 5 sigma, each 1.25 sigma / N^(1/2) of a normal density; more where
        # it has several peaks
        assert (np.abs(table[f"{name}_p50"] - median) < 0.4 * spread + 1e-3).all()
    if len(case.posterior.sources) > 1:
        total = sum(table[f"p_{s}"] for s in case.posterior.sources)
        np.testing.assert_allclose(total, 1, rtol=1e-5)


def test_observations_of_another_kind_are_refused(case):
    others = {"Spectra": mock_spectra, "Lines": mock_lines, "Vectors": mock_vectors}
    del others[type(case.obs).__name__]
    for make in others.values():
        with pytest.raises(ValueError, match=f"expected {type(case.obs).__name__}"):
            case.posterior.sample(make(), 10)
