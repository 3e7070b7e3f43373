"""Widths recalibrated with labels, on posteriors that are wrong in a known way.

`Narrow` is a model whose density is a normal one of known centre and width. What it should have
been is known too: labels are drawn from that.
"""

from functools import partial

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from astropy.table import Table
from jax.scipy.stats import norm

import flowspec as fs
from flowspec.data.frame import Columns
from flowspec.model.density import Density
from flowspec.posterior.labelled import LEAST, fitted
from flowspec.posterior.landmarks import DRAWS, Landmarks, Limits
from flowspec.posterior.stretch import Fitted, Stretch, backward, forward
from flowspec.prior.prior import Prior
from tests.problems import NAMES, untrained

WIDTH = 0.15  # of the prior's
SIZES = fs.VectorArchitecture(hidden=8, blocks=1, condition=8, layers=1, width=8, knots=4)
PRIOR = Prior({"a": dist.Normal(0.0, 1.0), "b": dist.Uniform(-3.0, 3.0)})


class Narrow(Density):
    """A normal density of width `WIDTH` about what the first features say."""

    @classmethod
    def made(cls, key, dim, condition, sizes):
        return cls()

    def centre(self, condition, dim):
        return jnp.tanh(3 * condition[..., :dim])

    def log_prob(self, free, condition):
        return norm.logpdf(free, self.centre(condition, free.shape[-1]), WIDTH).sum(-1)

    def push(self, base, condition):
        return self.centre(condition, base.shape[-1]) + WIDTH * base

    def named(self):
        return {}


def narrow(*priors: Prior) -> fs.Posterior:
    sources = tuple("abc"[: len(priors)])
    posterior = untrained(priors, sources, Columns(NAMES), SIZES)
    return eqx.tree_at(lambda p: p.model.density, posterior, Narrow())


def rows(n: int, seed: int = 0) -> fs.Vectors:
    values = np.random.default_rng(seed).normal(size=(n, 3))
    return fs.Vectors(values, 0.1, NAMES)


def truths(posterior: fs.Posterior, obs: fs.Vectors, shift: float, stretch: float):
    """Parameters of each row, from the density with its widths stretched and its middle moved."""
    space, samples = posterior.model.space, posterior.sample(obs, 400, seed=5)
    source = np.zeros(samples.shape[:2], int)
    free = np.array(space.encode(samples, source).free)
    # the median of 400 draws, and one of them
    moved = np.median(free, axis=0) + WIDTH * shift + stretch * (free[0] - np.median(free, axis=0))
    return np.array(space.decode(source[0], moved))


def covered(samples, theta, share: float):
    """Share of rows whose truth is in the central interval, of each parameter."""
    return (np.abs((samples < theta).mean(0) - 0.5) < share / 2).mean(0)


@pytest.fixture(scope="module")
def model() -> fs.Posterior:
    return narrow(PRIOR)


@pytest.mark.parametrize("shift, stretch", [
    (0.6, 2.0), pytest.param(0.0, 1.0, marks=pytest.mark.slow),
    pytest.param(-0.5, 0.5, marks=pytest.mark.slow),
])  # fmt: skip
@pytest.mark.slow
def test_a_hundred_labels_mend_widths(model, shift, stretch):
    few, many = rows(100), rows(1500, seed=1)
    labels, theta = truths(model, few, shift, stretch), truths(model, many, shift, stretch)
    mended = model.calibrate(few, dict(zip(model.names, labels.T, strict=True)))
    for fit in mended.stretch.fits(model.names).values():
        # four standard errors, and 2 of the 8 % to which 256 draws know the middle, the same in all
        # rows, which the shift makes up for; nearly all of the width is the data's: WIDTH^2 is 0.02
        assert abs(fit.shift - shift) < 4 * fit.shift_error + 0.16 * abs(1 - stretch)
        assert abs(fit.log_stretch - np.log(stretch)) < 4 * fit.log_stretch_error + 0.03
        assert fit.log_stretch_error == pytest.approx(0.5**0.5 / 10, rel=0.6)  # of a normal one
    for share in (0.68, 0.95):
        # 3 of: a stretch known to 7 %, at most 0.48 each, and the binomial error of 1,500 rows
        found = covered(mended.sample(many, 500), theta, share)
        np.testing.assert_allclose(found, share, atol=3 * np.hypot(0.48 * 0.07, 0.012))
    if stretch == 2:
        assert (covered(model.sample(many, 500), theta, 0.68) < 0.42).all()


@pytest.mark.slow
def test_errors_of_labels_are_allowed_for(model):
    obs, rng = rows(300), np.random.default_rng(2)
    theta = truths(model, obs, 0.0, 1.0)[:, 0]
    labels, error = theta + rng.normal(0, WIDTH, len(obs)), np.full(len(obs), WIDTH)
    fit = model.calibrate(obs, {"a": labels, "a_err": error}).stretch.fits(("a", "b"))["a"]
    assert abs(fit.log_stretch) < 3 * fit.log_stretch_error
    without = model.calibrate(obs, {"a": labels}).stretch.fits(("a", "b"))["a"]
    # three standard errors of a log stretch of 300 labels, 0.5**0.5 / 300**0.5, and 2 % of bias
    assert np.exp(without.log_stretch) == pytest.approx(2**0.5, rel=0.14)


@pytest.mark.slow
def test_stated_errors_are_those_of_repeated_labels():
    """Of 40 sets of 100 labels each: a scatter known to 11 %."""
    rng, fits = np.random.default_rng(0), []
    marks = marks_of(100)
    for _ in range(40):
        draws, label = rng.standard_normal((DRAWS, 100)), 0.5 + 1.5 * rng.standard_normal(100)
        fits.append(fitted(draws, marks, label, np.zeros(100)))
    for name in ("shift", "log_stretch"):
        stated = np.mean([getattr(f, f"{name}_error") for f in fits])
        assert np.std([getattr(f, name) for f in fits]) == pytest.approx(stated, rel=0.35)
    assert np.mean([f.shift for f in fits]) == pytest.approx(0.5, abs=0.08)
    assert np.exp(np.mean([f.log_stretch for f in fits])) == pytest.approx(1.5, rel=0.05)


def test_a_stretch_may_go_with_the_noise():
    rng = np.random.default_rng(1)
    log_snr = rng.uniform(0, 2, 400)
    draws = rng.standard_normal((DRAWS, 400))
    label = np.exp(0.7 * (log_snr - 1)) * rng.standard_normal(400)
    marks = marks_of(400)._replace(log_snr=log_snr)
    fit = fitted(draws, marks, label, np.zeros(400), local=True)
    assert abs(fit.slope - 0.7) < 4 * fit.slope_error and fit.slope_error < 0.1
    far = fit.of_rows(marks_of(2)._replace(log_snr=np.array([-5.0, 9.0])))[1]
    np.testing.assert_allclose(far, np.exp([-0.7, 0.7]), rtol=0.2)  # no further than the labels


def marks_of(n: int, limits=(-np.inf, np.inf), share: float = 0.0, reach: float = np.inf):
    """Landmarks of rows of middle 0 and width 1."""
    each = (np.full(n, float(x)) for x in (*limits, 0.0, 1.0, share, reach, 0.0))
    low, high, *rest = each
    return Landmarks(Limits(low, high), *rest)


@pytest.mark.parametrize("limits", [(-np.inf, np.inf), (-1.0, 3.0), (-2.0, np.inf), (-np.inf, 2.0)])
@pytest.mark.parametrize("reach", [np.inf, 3.0])
def test_the_map_is_one_to_one(limits, reach):
    fit = Fitted(100.0, 0.4, log_stretch=np.log(2.5))
    marks = marks_of(1, limits, reach=reach)
    x = marks.limits.bound(np.linspace(-4, 4, 801)[:, None])
    there = forward(x, fit, marks)
    assert (np.diff(there, axis=0) >= 0).all()
    if np.isinf(limits).all() and np.isfinite(reach):
        np.testing.assert_array_equal(there[np.abs(x) > reach], x[np.abs(x) > reach])
    free = marks.limits.free(there)[:, 0]
    there, x = there[np.abs(free) < 4.5], x[np.abs(free) < 4.5]  # not where limits cut
    back, log_slope = backward(there, fit, marks)
    np.testing.assert_allclose(back, x, atol=1e-6)
    step = 1e-8
    slope = (backward(there + step, fit, marks)[0] - backward(there - step, fit, marks)[0])
    right = np.isclose(slope / (2 * step), np.exp(log_slope), rtol=1e-3)
    assert right.mean() > 0.99  # all but at a knot


def test_the_width_of_the_prior_is_no_ones_to_stretch():
    fit, x = Fitted(100.0, 0.4, log_stretch=np.log(3.0)), np.linspace(-2, 2, 8)[:, None]
    np.testing.assert_allclose(forward(x, fit, marks_of(1, share=1.0)), x, atol=1e-12)
    # a likelihood of width 1 on a prior of width 1: stretched by 3, 1 / (1 + 1/9) instead of 1/2
    half = forward(x, fit._replace(shift=0.0), marks_of(1, share=0.5))
    np.testing.assert_allclose(half / x, (0.9 / 0.5) ** 0.5)


WRONG = {"a": Fitted(100.0, 0.5, log_stretch=0.6), "b": Fitted(100.0, -0.7, log_stretch=1.2)}
UPPER = Prior({"a": dist.HalfNormal(1.0), "b": dist.Uniform(-3.0, 1.0)})
RELATIVE = Prior({"a": dist.Uniform(0.0, 1.0), "b": dist.Uniform(-3.0, 1.0)}, {"b": "a"})


@pytest.mark.parametrize("priors", [(PRIOR,), (UPPER,), (PRIOR, RELATIVE)])
def test_no_draw_leaves_the_prior_and_the_density_follows(priors):
    """The mean of p / q over draws of q is one, for a normal p well inside of q."""
    plain = narrow(*priors)
    posterior = eqx.tree_at(lambda p: p.stretch, plain, Stretch.of(WRONG, ("a", "b")),
                            is_leaf=lambda x: x is None)
    obs = rows(3)
    samples, source = posterior.sample_sources(obs, 4000, seed=1)
    assert np.isfinite(posterior.model.space.log_prior(samples, source)).all()
    assert not np.allclose(samples, plain.sample(obs, 4000, seed=1))
    if priors == (PRIOR,):
        log_q = posterior.log_prob(samples, obs, source)
        known = norm.logpdf(samples, samples.mean(0), 0.5 * samples.std(0)).sum(-1)
        ratio = np.exp(known - log_q)
        np.testing.assert_allclose(ratio.mean(0), 1, atol=5 * ratio.std(0).max() / 4000**0.5 + 0.02)


@pytest.mark.slow
def test_draws_depend_on_the_row_and_the_seed_only(model):
    obs = rows(60)
    posterior = model.calibrate(obs, {"a": truths(model, obs, 0.0, 2.0)[:, 0]})
    whole = posterior.sample(obs, 40, seed=3)
    part = posterior.sample(obs[50:], 40, seed=3, first=50)
    np.testing.assert_allclose(whole[:, 50:], part, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(whole[..., 1], model.sample(obs, 40, seed=3)[..., 1])
    # a row's own few draws are not what its middle is measured by
    one = posterior.sample(obs, 1, seed=3)[0, :, 0] - model.sample(obs, 1, seed=3)[0, :, 0]
    assert np.abs(one).max() > 0.3 * WIDTH


def test_the_order_of_labels_does_not_matter(model):
    obs, order = rows(80), np.random.default_rng(0).permutation(80)
    labels = truths(model, obs, 0.3, 1.5)[:, 0]
    labels[7] = np.nan
    first, second = (model.calibrate(obs[i], {"a": labels[i]}).stretch.table
                     for i in (np.arange(80), order))
    np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-4)
    assert first[0, 0] == 79 and (first[1] == 0).all()


@pytest.mark.slow
def test_the_table_says_so_and_files_keep_it(tmp_path):
    posterior = untrained((PRIOR,), ("a",), Columns(NAMES), SIZES)
    obs = rows(60)
    theta = posterior.sample(obs, 1, seed=8)[0]
    labels = Table({"name": list(obs.names), "b": theta[:, 1], "b_err": np.full(60, 0.1)})
    made = posterior.calibrate(obs, labels)
    table = made.summarize(obs, n=50)
    fit = made.stretch.fits(posterior.names)["b"]
    text = f"widths recalibrated with 60 labels: stretch {np.exp(fit.log_stretch):.2f} +- "
    assert text in table["b_p16"].description and text in table.meta["WIDTHS"]
    assert "widths" not in table["a_p16"].description
    assert "WIDTHS" not in posterior.summarize(obs, n=50).meta
    table.write(tmp_path / "table.fits")
    made.save(tmp_path / "model", half=True)
    posterior.save(tmp_path / "plain", half=True)
    again, plain = fs.load(tmp_path / "model"), fs.load(tmp_path / "plain")
    assert plain.stretch is None
    np.testing.assert_array_equal(again.stretch.table, made.stretch.table)
    assert again.provenance["calibrate"]["b"] == pytest.approx(fit._asdict())
    np.testing.assert_allclose(again.sample(obs, 20), made.sample(obs, 20), atol=0.02)  # half
    with pytest.raises(ValueError, match="expected a stretch of shape"):
        Stretch.restored({"stretch": np.zeros((3, 2))}, 2)


def test_labels_that_say_nothing_are_refused(model):
    obs = rows(40)
    good, calibrate = np.zeros(40), partial(model.calibrate, obs)
    few = np.where(np.arange(40) < LEAST - 1, 0.0, np.nan)
    for labels, said in [
        ({"a": few}, "expected at least 30 labels of a; got 29"),
        ({"mass": good}, "expected labels of parameters among a, b.*got mass"),
        ({"a_err": good}, "got a_err"),
        ({}, "got none"),
        ({"a": good[:5]}, "expected labels of a, 40 numbers"),
        ({"a": good, "a_err": good - 1}, "not negative; got -1"),
    ]:
        with pytest.raises(ValueError, match=said):
            calibrate(labels)
