"""Densities integrate to one and agree with automatic differentiation."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from flowspec.model.flow import ConditionalAffine, Flow
from flowspec.model.flow_matching import FlowMatching, runge_kutta
from flowspec.model.redshift_bins import RedshiftBins
from flowspec.networks.vector import VectorArchitecture

Z = RedshiftBins(0.1, 0.7, 0.013)


def test_bins_cover_the_range_and_the_last_one_ends_at_its_end():
    edges = Z.all_edges()
    assert len(edges) == Z.bins + 1 and edges[0] == pytest.approx(0.1) and edges[-1] == 0.7
    np.testing.assert_allclose(np.diff(np.log1p(edges))[:-1], 0.013, rtol=1e-9)
    assert 0 < np.log1p(edges[-1]) - np.log1p(edges[-2]) <= 0.013


def test_split_and_join_are_inverse():
    z = jnp.linspace(0.1001, 0.6999, 999)
    bins, free, _ = Z.split(z, Z.whole)
    np.testing.assert_allclose(Z.join(bins, free, Z.whole), z, rtol=2e-6)
    edges = Z.all_edges()
    assert ((z >= edges[bins] - 1e-6) & (z <= edges[bins + 1] + 1e-6)).all()


def test_slope_is_the_derivative():
    z = jnp.array([0.1234, 0.3456, 0.6543])
    slope = jax.vmap(jax.grad(lambda z: Z.split(z, Z.whole)[1]))(z)
    np.testing.assert_allclose(Z.split(z, Z.whole)[2], jnp.log(slope), rtol=1e-4)


def test_no_draw_leaves_the_range():
    free = jnp.array([-1e3, -8.0, 8.0, 1e3])
    z = Z.join(jnp.array([0, 0, Z.bins - 1, Z.bins - 1]), free, Z.whole)
    assert (z >= 0.1).all() and (z <= 0.7).all()


def affine(dim=3, cond=2):
    bijection = ConditionalAffine(jr.key(0), dim=dim, cond_dim=cond, width=8)
    last = bijection.conditioner.layers[-1].weight
    return eqx.tree_at(lambda b: b.conditioner.layers[-1].weight, bijection, 20 * last)


def test_conditional_affine_inverts_and_knows_its_jacobian():
    bijection, c, x = affine(), jnp.array([0.5, -1.0]), jnp.array([0.3, -0.2, 1.1])
    y, log_det = bijection.transform_and_log_det(x, c)
    back, inverse_log_det = bijection.inverse_and_log_det(y, c)
    np.testing.assert_allclose(back, x, atol=1e-5)
    jacobian = jax.jacfwd(lambda x: bijection.transform(x, c))(x)
    np.testing.assert_allclose(log_det, jnp.linalg.slogdet(jacobian)[1], atol=1e-5)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("dim", [1, 2])
def test_flow_integrates_to_one_and_its_draws_follow_it(dim):
    flow = Flow(jr.key(1), dim=dim, cond_dim=2, layers=2, width=8, knots=4)
    c = jnp.array([1.0, -0.5])
    axis = jnp.linspace(-8, 8, 401)
    grid = jnp.stack(jnp.meshgrid(*[axis] * dim, indexing="ij"), -1)
    density = jnp.exp(flow.log_prob(grid, jnp.broadcast_to(c, (*grid.shape[:-1], 2))))
    cell = (axis[1] - axis[0]) ** dim
    # trapezoids of width 0.04 on splines with kinks in their second derivative
    assert float(density.sum() * cell) == pytest.approx(1, abs=2e-3)
    draws = flow.push(jr.normal(jr.key(2), (20000, dim)), jnp.broadcast_to(c, (20000, 2)))
    mean = (density[..., None] * grid).reshape(-1, dim).sum(0) * cell
    # the standard error of a mean of 20,000 draws of unit variance is 0.007
    np.testing.assert_allclose(draws.mean(0), mean, atol=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("dim", [1, 2, 5])
@pytest.mark.parametrize("classes", [1, 3])
def test_many_draws_of_few_conditions_are_what_flowjax_makes_of_each(dim, classes):
    flow = Flow(jr.key(3), dim=dim, cond_dim=4, layers=3, width=16, knots=5)
    arrays, rest = eqx.partition(flow, eqx.is_inexact_array)
    flow = eqx.combine(jax.tree.map(lambda a: 2 * a, arrays), rest)  # far from the identity
    keys = jr.split(jr.key(4), 3)
    base, conditions = 2 * jr.normal(keys[0], (200, dim)), jr.normal(keys[1], (classes, 4))
    k = jr.randint(keys[2], (200,), 0, classes)
    want = flow.push(base, conditions[k])
    assert np.abs(want - base).max() > 0.1
    # single precision through steep splines: some of the last digits
    np.testing.assert_allclose(flow.push_many(base, conditions, k), want, rtol=1e-3, atol=1e-3)


def field(dim=2):
    """A flow-matching density whose velocity is far from zero."""
    made = FlowMatching.made(jr.key(0), dim, 3, VectorArchitecture(width=8))
    last = lambda d: d.velocity.layers[-1].weight  # noqa: E731
    return eqx.tree_at(last, made, replace_fn=lambda w: 30 * w)


@pytest.mark.slow
def test_flow_matching_has_the_density_of_its_draws():
    """By the change of variables of `push`, differentiated as a whole."""
    density, c = field(), jnp.array([0.5, -1.0, 0.2])
    base = jr.normal(jr.key(1), (40, 2))
    condition = jnp.broadcast_to(c, (40, 3))
    draws = density.push(base, condition)
    jacobian = jax.vmap(jax.jacfwd(lambda b: density.push(b, c)))(base)
    expected = jax.scipy.stats.norm.logpdf(base).sum(-1) - jnp.linalg.slogdet(jacobian)[1]
    # the way there and the way back take the same eight steps: an error of fourth order
    np.testing.assert_allclose(density.log_prob(draws, condition), expected, atol=1e-3)


@pytest.mark.slow
def test_the_field_of_straight_paths_has_the_least_loss():
    """Between two standard normals ``E[x1 - x0 | x_t] = (2 t - 1) x_t / (t^2 + (1 - t)^2)``: its
    mean squared error over t is the integral of ``1 / (t^2 + (1 - t)^2)``, pi / 2."""
    density, n = field(1), 40_000
    exact = eqx.tree_at(lambda d: d.velocity, density, Straight())
    none = jax.tree.map(lambda a: 0 * a if eqx.is_array(a) else a, density.affine)
    exact = eqx.tree_at(lambda d: d.affine, exact, none)  # the identity
    free, condition = jr.normal(jr.key(2), (n, 1)), jnp.zeros((n, 3))
    gaussian = -jax.scipy.stats.norm.logpdf(free[:, 0])
    found = exact.loss(jr.key(3), free, condition) - gaussian
    assert float(found.mean()) == pytest.approx(np.pi / 2, abs=5 * float(found.std()) / n**0.5)
    other = eqx.tree_at(lambda d: d.velocity, exact, Straight(1.3))
    assert (other.loss(jr.key(3), free, condition) - gaussian).mean() > found.mean()


class Straight(eqx.Module):
    """The exact field, from what the field is given: x, cosines and sines of time, a condition."""

    size: float = 1.0

    def __call__(self, inputs):
        x, cosine, sine = inputs[:1], inputs[1], inputs[1 + 4]
        t = jnp.arctan2(sine, cosine) / jnp.pi
        return self.size * (2 * t - 1) * x / (t**2 + (1 - t) ** 2)


def test_runge_kutta_is_of_fourth_order():
    errors = []
    for steps in (4, 8):
        x = jnp.ones(())
        for i in range(steps):
            x = runge_kutta(lambda x, t: -2 * t * x, x, jnp.float32(i / steps), 1 / steps)
        errors.append(abs(float(x) - np.exp(-1)))
    assert errors[1] < 1e-5 and errors[0] / errors[1] > 8
