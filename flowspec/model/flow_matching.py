"""Flow matching (experimental): a velocity field, from a standard normal to a conditional density.

Lipman et al. (2023, arXiv:2210.02747), with straight paths, as Wildberger et al. (2023,
arXiv:2305.17161) use it for posteriors. A conditional Gaussian goes first: posteriors far narrower
than the prior would otherwise leave most of the field to learn where nothing is.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.scipy.stats import norm
from jaxtyping import Array, Float, PRNGKeyArray

from flowspec.model.density import Density, numbered
from flowspec.model.flow import ConditionalAffine

STEPS = 8  # of the Runge-Kutta integration from 0 to 1
_WAVES = 4  # cosines and sines of time that the field is given


class FlowMatching(Density):
    """Density of ``affine(x(1))`` where ``dx / dt = v(x, t, condition)`` and ``x(0)`` is normal.

    Attributes:
        affine: Location and covariance given the condition, trained by their likelihood.
        velocity: The field, trained to be the mean of straight paths, in units of `affine`.
    """

    affine: ConditionalAffine
    velocity: eqx.nn.MLP

    @classmethod
    def made(cls, key: PRNGKeyArray, dim: int, condition: int, sizes) -> "FlowMatching":
        """A field of three hidden layers, twice as wide as ``width`` of an architecture."""
        first, second = jr.split(key)
        affine = ConditionalAffine(first, dim=dim, cond_dim=condition, width=sizes.width)
        inputs = dim + condition + 2 * _WAVES
        field = eqx.nn.MLP(inputs, dim, 2 * sizes.width, 3, jax.nn.gelu, key=second)
        last = lambda m: (m.layers[-1].weight, m.layers[-1].bias)  # noqa: E731
        return cls(affine, eqx.tree_at(last, field, replace_fn=lambda w: 0.1 * w))

    def log_prob(
        self, free: Float[Array, "*batch dim"], condition: Float[Array, "*batch condition"]
    ) -> Float[Array, "*batch"]:
        """Log density, the divergence of the field exact, its integral by Runge-Kutta."""
        return jnp.vectorize(self._log_prob, signature="(d),(c)->()")(free, condition)

    def push(
        self, base: Float[Array, "*batch dim"], condition: Float[Array, "*batch condition"]
    ) -> Float[Array, "*batch dim"]:
        """Standard normal draws to draws of the density."""
        return jnp.vectorize(self._push, signature="(d),(c)->(d)")(base, condition)

    def loss(
        self,
        key: PRNGKeyArray,
        free: Float[Array, "batch dim"],
        condition: Float[Array, "batch condition"],
    ) -> Float[Array, " batch"]:
        """Negative log likelihood of the Gaussian, and the squared error of the field in its units.

        No gradient of the latter reaches the Gaussian, which it would shrink.
        """
        place, at = jr.split(key)
        x, log_det = jax.vmap(self.affine.inverse_and_log_det)(free, condition)
        gaussian = -norm.logpdf(x).sum(-1) - log_det
        x = jax.lax.stop_gradient(x)
        start, time = jr.normal(place, x.shape), jr.uniform(at, (len(x), 1))
        field = jax.vmap(self._field)(start + time * (x - start), time[:, 0], condition)
        return gaussian + ((field - (x - start)) ** 2).mean(-1)

    def named(self) -> dict:
        """``affine.*`` and ``velocity.*``: layers of the two perceptrons."""
        conditioner = numbered(self.affine.conditioner.layers, "affine")
        return conditioner | numbered(self.velocity.layers, "velocity")

    def _field(self, x, time, condition):
        angle = jnp.pi * time * jnp.arange(1, _WAVES + 1)
        waves = jnp.concatenate([jnp.cos(angle), jnp.sin(angle)])
        return self.velocity(jnp.concatenate([x, waves, condition]))

    def _push(self, base, condition):
        def step(x, time):
            return runge_kutta(lambda x, t: self._field(x, t, condition), x, time, 1 / STEPS), None

        x, _ = jax.lax.scan(step, base, jnp.arange(STEPS) / STEPS)
        return self.affine.transform_and_log_det(x, condition)[0]

    def _log_prob(self, free, condition):
        x, log_det = self.affine.inverse_and_log_det(free, condition)

        def flow(state, time):
            field, jacobian = _value_and_jacobian(lambda x: self._field(x, time, condition),
                                                  state[0])
            return field, jnp.trace(jacobian)

        def step(state, time):
            return runge_kutta(flow, state, time, -1 / STEPS), None

        (start, volume), _ = jax.lax.scan(step, (x, 0.0), 1 - jnp.arange(STEPS) / STEPS)
        return norm.logpdf(start).sum() + volume + log_det


def _value_and_jacobian(f, x):
    """``f(x)`` and its Jacobian, by one product for each of a few dimensions."""
    push = lambda v: jax.jvp(f, (x,), (v,))  # noqa: E731
    values, columns = jax.vmap(push)(jnp.eye(len(x)))
    return values[0], columns.T


def runge_kutta(f, state, time: Float[Array, ""], step: float):
    """One step of the classical fourth-order method on any PyTree.

    Args:
        f: ``(state, time) -> d state / d time``.
        state: At `time`.
        time: Where the step begins.
        step: Its length.
    """

    def ahead(slope, share):
        return jax.tree.map(lambda x, d: x + share * step * d, state, slope)

    first = f(state, time)
    second = f(ahead(first, 0.5), time + 0.5 * step)
    third = f(ahead(second, 0.5), time + 0.5 * step)
    fourth = f(ahead(third, 1.0), time + step)
    return jax.tree.map(lambda x, a, b, c, d: x + step / 6 * (a + 2 * b + 2 * c + d),
                        state, first, second, third, fourth)
