"""Densities integrate to one and agree with automatic differentiation."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from flowspec.model.flow import ConditionalAffine, Flow

Z = BinnedRedshift(0.1, 0.7, 0.013)


def test_bins_cover_the_range_and_the_last_one_ends_at_its_end():
    edges = Z.all_edges()
    assert len(edges) == Z.bins + 1 and edges[0] == pytest.approx(0.1) and edges[-1] == 0.7
    np.testing.assert_allclose(np.diff(np.log1p(edges))[:-1], 0.013, rtol=1e-9)
    assert 0 < np.log1p(edges[-1]) - np.log1p(edges[-2]) <= 0.013


def test_split_and_join_are_inverse():
    z = jnp.linspace(0.1001, 0.6999, 999)
    bins, free, _ = Z.split(z)
    np.testing.assert_allclose(Z.join(bins, free), z, rtol=2e-6)
    edges = Z.all_edges()
    assert ((z >= edges[bins] - 1e-6) & (z <= edges[bins + 1] + 1e-6)).all()


def test_slope_is_the_derivative():
    z = jnp.array([0.1234, 0.3456, 0.6543])
    slope = jax.vmap(jax.grad(lambda z: Z.split(z)[1]))(z)
    np.testing.assert_allclose(Z.split(z)[2], jnp.log(slope), rtol=1e-4)


def test_no_draw_leaves_the_range():
    free = jnp.array([-1e3, -8.0, 8.0, 1e3])
    z = Z.join(jnp.array([0, 0, Z.bins - 1, Z.bins - 1]), free)
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


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_many_draws_of_one_condition_are_what_flowjax_makes_of_each(dim):
    """The last column of the condition differs from draw to draw."""
    flow = Flow(jr.key(3), dim=dim, cond_dim=4, layers=3, width=16, knots=5)
    arrays, rest = eqx.partition(flow, eqx.is_inexact_array)
    flow = eqx.combine(jax.tree.map(lambda a: 2 * a, arrays), rest)  # far from the identity
    keys = jr.split(jr.key(4), 3)
    base, fixed = 2 * jr.normal(keys[0], (200, dim)), jr.normal(keys[1], (3,))
    varying = jr.normal(keys[2], (200, 1))
    condition = jnp.concatenate([jnp.broadcast_to(fixed, (200, 3)), varying], axis=1)
    want = flow.push(base, condition)
    assert np.abs(want - base).max() > 0.3
    # single precision through steep splines: some of the last digits
    np.testing.assert_allclose(flow.push_many(base, fixed, varying), want, rtol=1e-3, atol=1e-3)
