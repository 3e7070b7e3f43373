"""Named priors: what the simulator draws its parameters from and the posterior may never leave."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.stats import norm
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from flowspec.prior.kinds import described, ends, joint, restored, univariate
from flowspec.prior.samples import of_samples
from flowspec.prior.scores import Correlations, score_of, value_of

_ROUNDING = 1e-5  # of a difference of logarithms of masses and rates in single precision


class Prior:
    """Named distributions, some of them relative to another parameter or correlated.

    A *relative* distribution is that of a difference: with ``relative={"log_sfr": "log_mstar"}``
    the one given for ``log_sfr`` is that of ``log_sfr - log_mstar``, the log specific
    star-formation rate. This is a unit-Jacobian shear, so densities need no correction, and it
    keeps a joint prior like "10^8 to 10^12 solar masses, every sSFR alike" free of
    forbidden corners.

    Args:
        distributions: Name to distribution of numpyro or SciPy (frozen), in the order of the
            columns of every ``theta`` in the package; or a tuple of names to a joint one, such as
            ``{("a", "b"): MultivariateNormal(...)}``.
        relative: Name to the name of the parameter it is measured from, which must not be
            relative itself.
        unused: Names of parameters that mean nothing here and only keep a place, for those of
            another kind of object (`flowspec.sim.classes`).
        correlations: Tuple of names to the correlation matrix of their normal scores ``Phi^-1(F)``
            (a Gaussian copula), of a relative parameter those of the difference.

    Raises:
        ValueError: If a relative name or its reference is unknown or itself relative, a
            distribution is discrete, of other numbers than its names or of no width, or
            correlations are none.
    """

    def __init__(
        self,
        distributions: Mapping,
        relative: Mapping[str, str] | None = None,
        unused: Iterable[str] = (),
        correlations: Mapping | None = None,
    ):
        given = dict(correlations or {})
        self.distributions: dict[str, dist.Distribution] = {}
        self.relative = dict(relative or {})
        self.unused = frozenset(unused)
        if not distributions:
            raise ValueError("expected at least one parameter; got none")
        for name, distribution in distributions.items():
            if isinstance(name, str):
                self._add([name], [univariate(name, distribution)])
                continue
            parts, correlation = joint(name, distribution)
            self._add(name, parts)
            given |= {} if correlation is None else {tuple(name): correlation}
        self._correlated = Correlations(given, self.names)
        for name, reference in self.relative.items():
            if {name, reference} - set(self.names) or reference in self.relative:
                raise ValueError(
                    f"expected relative parameters among {self.names}, measured from one that is "
                    f"not relative; got {name!r} relative to {reference!r}"
                )

    @classmethod
    def from_samples(cls, samples: Float[ArrayLike, "n params"], names: Sequence[str]) -> "Prior":
        """The prior that samples are from, such as the parameters of simulations already made.

        Each parameter has the distribution of its samples, between the least and the greatest and
        a little beyond; together they have the correlations of normal scores (a Gaussian copula).
        The log says where parameters depend on each other otherwise.

        Args:
            samples: Draws of the prior, 20 or more.
            names: Of the parameters.

        Raises:
            ValueError: If a parameter does not vary, or samples are too few or not finite.
        """
        parts, correlation = of_samples(samples, tuple(names))
        correlations = {} if correlation is None else {tuple(names): correlation}
        return Prior(dict(zip(names, parts, strict=True)), correlations=correlations)

    def _add(self, names: Sequence[str], distributions: Sequence[dist.Distribution]) -> None:
        if len(set(names)) < len(names) or set(names) & set(self.distributions):
            raise ValueError(f"expected parameters of different names; got {tuple(names)} besides "
                             f"{self.names}")
        self.distributions.update(zip(names, distributions, strict=True))

    @property
    def correlations(self) -> dict[tuple[str, ...], np.ndarray]:
        """Correlation matrices of normal scores, by the names of the parameters."""
        return self._correlated.given

    @property
    def names(self) -> tuple[str, ...]:
        """Parameter names, in column order."""
        return tuple(self.distributions)

    def limits(self, name: str) -> tuple[float, float]:
        """Lowest and highest value of a parameter, of a relative one of the difference; infinite
        where there is none."""
        low, high = map(float, ends(self.distributions[name]))
        return low, high

    def replace(self, **distributions: dist.Distribution) -> "Prior":
        """The same prior with some distributions exchanged, as in ``replace(z=Uniform(0, 1))``.

        Raises:
            ValueError: If a name is not a parameter of this prior.
        """
        unknown = set(distributions) - set(self.names)
        if unknown:
            raise ValueError(f"expected parameters among {self.names}; got {sorted(unknown)}")
        given = self.distributions | distributions
        return Prior(given, self.relative, self.unused, self.correlations)

    def among(self, names: Sequence[str]) -> "Prior":
        """The same prior among further parameters, in the order of `names`: unused ones, which are
        uniform from 0 to 1, so that they say nothing and cost no density.

        Raises:
            ValueError: If it is more than independent distributions.
        """
        if type(self) is not Prior:
            raise ValueError("expected a prior of independent parameters among those of other kinds"
                             f"; got {type(self).__name__}")
        missing = [name for name in names if name not in self.distributions]
        every = self.distributions | {name: dist.Uniform(0.0, 1.0) for name in missing}
        unused = self.unused | set(missing)
        every = {name: every[name] for name in names}
        return Prior(every, self.relative, unused, self.correlations)

    def sample(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = ()
    ) -> Float[Array, "*shape params"]:
        """Draw parameters of shape ``[*shape, params]``."""
        keys = jax.random.split(key, len(self.names))
        draws = [
            d.sample(k, shape) for k, d in zip(keys, self.distributions.values(), strict=True)
        ]
        if self._correlated.names:
            free = jnp.stack([jax.random.normal(k, shape) for k in keys], axis=-1)
            together = self._values(self._correlated.coloured(free))
            draws = [values if name in self._correlated.names else draw
                     for name, values, draw in zip(self.names, together, draws, strict=True)]
        return self._shear(jnp.stack(draws, axis=-1), 1.0)

    def log_prob(self, theta: Float[ArrayLike, "*shape params"]) -> Float[Array, "*shape"]:
        """Natural log density of ``theta`` (``-inf`` outside the support)."""
        return self.log_probs(theta).sum(-1)

    def log_probs(
        self, theta: Float[ArrayLike, "*shape params"]
    ) -> Float[Array, "*shape params"]:
        """Natural log density of each parameter, of a relative one that of the difference, of a
        correlated one given those before it."""
        offsets = self._offsets(theta)
        terms = []
        for i, d in enumerate(self.distributions.values()):
            inside = d.support(offsets[..., i])
            safe = jnp.where(inside, offsets[..., i], d.icdf(0.5))  # numpyro warns outside
            terms.append(jnp.where(inside, d.log_prob(safe), -jnp.inf))
        terms = jnp.stack(terms, axis=-1)
        if not self._correlated.names:
            return terms
        scores = self._scores(offsets)
        free = self._correlated.white(scores)
        return terms + norm.logpdf(free) - norm.logpdf(scores) - self._correlated.log_root

    def _offsets(self, theta: ArrayLike) -> Array:
        """Parameters as their distributions have them: relative ones as differences.

        A difference of rounded numbers may be as little beyond a limit as they are rounded: it is
        taken at the limit.
        """
        offsets = self._shear(theta, -1.0)
        for name in self.relative:
            i = self.names.index(name)
            x = offsets[..., i]
            near = jnp.clip(x, *ends(self.distributions[name]))
            offsets = offsets.at[..., i].set(jnp.where(jnp.abs(x - near) < _ROUNDING, near, x))
        return offsets

    def to_unconstrained(
        self, theta: Float[ArrayLike, "*shape params"]
    ) -> tuple[Float[Array, "*shape params"], Float[Array, "*shape params"]]:
        """Gaussianise: ``u = Phi^-1(F(theta))`` with F each parameter's cumulative distribution.

        The prior becomes a standard normal, so a flow that has learned nothing *is* the prior,
        and nothing that a flow returns can lie outside it.

        Args:
            theta: Parameters ``[*shape, params]`` inside the support.

        Returns:
            Unconstrained parameters and the log derivatives ``log |du / dtheta|``, both
            ``[*shape, params]`` (the shear adds nothing to the determinant).
        """
        free = self._correlated.white(self._scores(self._shear(theta, -1.0)))
        return free, self.log_probs(theta) - norm.logpdf(free)

    def to_constrained(
        self, free: Float[ArrayLike, "*shape params"]
    ) -> Float[Array, "*shape params"]:
        """Inverse of `to_unconstrained`: reals ``[*shape, params]`` to the prior's support."""
        values = self._values(self._correlated.coloured(jnp.asarray(free)))
        return self._shear(jnp.stack(values, axis=-1), 1.0)

    def _scores(self, offsets: Array) -> Array:
        """Normal score of each parameter, whatever the others are."""
        scores = [score_of(d, offsets[..., i], name in self._correlated.names)
                  for i, (name, d) in enumerate(self.distributions.items())]
        return jnp.stack(scores, axis=-1)

    def _values(self, scores: Array) -> list[Array]:
        """Inverse of `_scores`, parameter by parameter."""
        return [value_of(d, scores[..., i], name in self._correlated.names)
                for i, (name, d) in enumerate(self.distributions.items())]

    def bounds(self, theta: Float[ArrayLike, "*shape params"]) -> tuple[Array, Array]:
        """Lower and upper limits ``[*shape, params]`` of each parameter of ``theta``.

        They are constants except for relative parameters, whose limits move with their reference.
        """
        both = zip(*map(ends, self.distributions.values()), strict=True)
        low, high = (jnp.stack([jnp.asarray(end, float) for end in side]) for side in both)
        shift = _native(theta) - self._shear(theta, -1.0)
        return low + shift, high + shift

    def config(self) -> dict:
        """JSON-ready description, read back by `Prior.from_config`."""
        each = {name: described(d) for name, d in self.distributions.items()}
        correlations = [[list(n), c.tolist()] for n, c in self.correlations.items()]
        config = {"distributions": each, "relative": self.relative}
        config |= {"unused": sorted(self.unused)} if self.unused else {}
        return config | ({"correlations": correlations} if correlations else {})

    @classmethod
    def from_config(cls, config: Mapping) -> "Prior":
        """Rebuild a prior from `config`; only numpyro distributions are looked up, nothing run.

        Raises:
            ValueError: If a distribution is not one of numpyro's.
        """
        distributions = {n: restored(n, c) for n, c in config["distributions"].items()}
        correlations = {tuple(n): c for n, c in config.get("correlations", ())}
        return cls(distributions, config["relative"], config.get("unused", ()), correlations)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Prior) and self._identity() == other._identity()

    def __hash__(self) -> int:
        # Equal priors are one static argument: a model loaded twice is compiled once.
        return hash(self._identity())

    def _identity(self) -> tuple:
        return *self._described, tuple(self.relative.items()), self.unused, self._correlated.key

    @cached_property
    def _described(self) -> tuple:
        return tuple((n, type(d), str(described(d))) for n, d in self.distributions.items())

    def _shear(self, theta: ArrayLike, sign: float) -> Array:
        """Add (or take away) the reference of every relative parameter."""
        theta = _native(theta)
        for name, reference in self.relative.items():
            i, j = self.names.index(name), self.names.index(reference)
            theta = theta.at[..., i].add(sign * theta[..., j])
        return theta


def _native(theta: ArrayLike) -> Array:
    """As a JAX array, which is never of the byte order that FITS has."""
    if isinstance(theta, np.ndarray):
        theta = theta.astype(theta.dtype.newbyteorder("="), copy=False)
    return jnp.asarray(theta)
