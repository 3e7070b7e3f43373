"""Named priors: what the simulator draws its parameters from and the posterior may never leave."""

from collections.abc import Iterable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import ndtr, ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

# The edges of the unit interval at which single precision can no longer tell 1 - x from 1.
_EDGE = 1e-7
_ROUNDING = 1e-5  # of a difference of logarithms of masses and rates in single precision


class Prior:
    """Independent named distributions, some of them relative to another parameter.

    A *relative* distribution is that of a difference: with ``relative={"log_sfr": "log_mstar"}``
    the one given for ``log_sfr`` is that of ``log_sfr - log_mstar``, the log specific
    star-formation rate. This is a unit-Jacobian shear, so densities need no correction, and it
    keeps a joint prior like "10^8 to 10^12 solar masses, every sSFR alike" free of
    forbidden corners.

    Args:
        distributions: Name to univariate numpyro distribution, in the order of the columns of
            every ``theta`` in the package.
        relative: Name to the name of the parameter it is measured from, which must not be
            relative itself.
        unused: Names of parameters that mean nothing here and only keep a place, for those of
            another kind of object (`flowspec.sim.classes`).

    Raises:
        ValueError: If a relative name or its reference is unknown or itself relative, or a
            distribution is not continuous, of one number and of some width, with a cumulative
            distribution function and its inverse.
    """

    def __init__(
        self,
        distributions: Mapping[str, dist.Distribution],
        relative: Mapping[str, str] | None = None,
        unused: Iterable[str] = (),
    ):
        self.distributions = dict(distributions)
        self.relative = dict(relative or {})
        self.unused = frozenset(unused)
        if not self.distributions:
            raise ValueError("expected at least one parameter; got none")
        for name, distribution in self.distributions.items():
            _check(name, distribution)
        for name, reference in self.relative.items():
            if {name, reference} - set(self.names) or reference in self.relative:
                raise ValueError(
                    f"expected relative parameters among {self.names}, measured from one that is "
                    f"not relative; got {name!r} relative to {reference!r}"
                )

    @property
    def names(self) -> tuple[str, ...]:
        """Parameter names, in column order."""
        return tuple(self.distributions)

    def limits(self, name: str) -> tuple[float, float]:
        """Lowest and highest value of a parameter, of a relative one of the difference; infinite
        where there is none."""
        low, high = map(float, _ends(self.distributions[name]))
        return low, high

    def replace(self, **distributions: dist.Distribution) -> "Prior":
        """The same prior with some distributions exchanged, as in ``replace(z=Uniform(0, 1))``.

        Raises:
            ValueError: If a name is not a parameter of this prior.
        """
        unknown = set(distributions) - set(self.names)
        if unknown:
            raise ValueError(f"expected parameters among {self.names}; got {sorted(unknown)}")
        return Prior(self.distributions | distributions, self.relative, self.unused)

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
        return Prior({name: every[name] for name in names}, self.relative, unused)

    def sample(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = ()
    ) -> Float[Array, "*shape params"]:
        """Draw parameters of shape ``[*shape, params]``."""
        keys = jax.random.split(key, len(self.names))
        draws = [
            d.sample(k, shape) for k, d in zip(keys, self.distributions.values(), strict=True)
        ]
        return self._shear(jnp.stack(draws, axis=-1), 1.0)

    def log_prob(self, theta: Float[ArrayLike, "*shape params"]) -> Float[Array, "*shape"]:
        """Natural log density of ``theta`` (``-inf`` outside the support)."""
        return self.log_probs(theta).sum(-1)

    def log_probs(
        self, theta: Float[ArrayLike, "*shape params"]
    ) -> Float[Array, "*shape params"]:
        """Natural log density of each parameter, of a relative one that of the difference."""
        offsets = self._offsets(theta)
        terms = []
        for i, d in enumerate(self.distributions.values()):
            inside = d.support(offsets[..., i])
            safe = jnp.where(inside, offsets[..., i], d.icdf(0.5))  # numpyro warns outside
            terms.append(jnp.where(inside, d.log_prob(safe), -jnp.inf))
        return jnp.stack(terms, axis=-1)

    def _offsets(self, theta: ArrayLike) -> Array:
        """Parameters as their distributions have them: relative ones as differences.

        A difference of rounded numbers may be as little beyond a limit as they are rounded: it is
        taken at the limit.
        """
        offsets = self._shear(theta, -1.0)
        for name in self.relative:
            i = self.names.index(name)
            x = offsets[..., i]
            near = jnp.clip(x, *_ends(self.distributions[name]))
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
        offsets = self._shear(theta, -1.0)
        levels = [d.cdf(offsets[..., i]) for i, d in enumerate(self.distributions.values())]
        free = ndtri(jnp.clip(jnp.stack(levels, axis=-1), _EDGE, 1 - _EDGE))
        return free, self.log_probs(theta) - norm.logpdf(free)

    def to_constrained(
        self, free: Float[ArrayLike, "*shape params"]
    ) -> Float[Array, "*shape params"]:
        """Inverse of `to_unconstrained`: reals ``[*shape, params]`` to the prior's support."""
        levels = jnp.clip(ndtr(jnp.asarray(free)), _EDGE, 1 - _EDGE)
        offsets = [  # of a logarithmic one the exponential may round across the limit
            jnp.clip(d.icdf(levels[..., i]), *_ends(d))
            for i, d in enumerate(self.distributions.values())
        ]
        return self._shear(jnp.stack(offsets, axis=-1), 1.0)

    def bounds(self, theta: Float[ArrayLike, "*shape params"]) -> tuple[Array, Array]:
        """Lower and upper limits ``[*shape, params]`` of each parameter of ``theta``.

        They are constants except for relative parameters, whose limits move with their reference.
        """
        both = zip(*map(_ends, self.distributions.values()), strict=True)
        ends = [jnp.stack([jnp.asarray(end, float) for end in side]) for side in both]
        shift = _native(theta) - self._shear(theta, -1.0)
        return ends[0] + shift, ends[1] + shift

    def config(self) -> dict:
        """JSON-ready description, read back by `Prior.from_config`.

        Raises:
            ValueError: If a distribution is not given by its class and arguments alone.
        """
        described = {}
        for name, d in self.distributions.items():
            kind, arguments = _described(d)
            try:
                getattr(dist, kind)(**arguments)
            except (AttributeError, TypeError):
                raise ValueError(
                    f"expected a distribution that its name and numbers describe for {name!r}; "
                    f"got {kind}"
                ) from None
            described[name] = {"distribution": kind, **arguments}
        config = {"distributions": described, "relative": self.relative}
        return config | ({"unused": sorted(self.unused)} if self.unused else {})

    @classmethod
    def from_config(cls, config: Mapping) -> "Prior":
        """Rebuild a prior from `config`; only numpyro distributions are looked up, nothing run.

        Raises:
            ValueError: If a distribution is not one of numpyro's.
        """
        distributions = {}
        for name, described in config["distributions"].items():
            arguments = dict(described)
            kind = getattr(dist, arguments.pop("distribution"), None)
            known = isinstance(kind, type) and issubclass(kind, dist.Distribution)
            if not known and kind is not dist.TruncatedNormal:  # a function, not a class
                raise ValueError(
                    f"expected a numpyro distribution for {name!r}; got {described!r}"
                )
            distributions[name] = kind(**arguments)
        return cls(distributions, config["relative"], config.get("unused", ()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Prior) and self._identity() == other._identity()

    def __hash__(self) -> int:
        # Equal priors are one static argument: a model loaded twice is compiled once.
        return hash(self._identity())

    def _identity(self) -> tuple:
        parts = [
            (n, type(d), *_described(d)[1].values()) for n, d in self.distributions.items()
        ]
        return tuple(parts), tuple(self.relative.items()), self.unused

    def _shear(self, theta: ArrayLike, sign: float) -> Array:
        """Add (or take away) the reference of every relative parameter."""
        theta = _native(theta)
        for name, reference in self.relative.items():
            i, j = self.names.index(name), self.names.index(reference)
            theta = theta.at[..., i].add(sign * theta[..., j])
        return theta


def _check(name: str, distribution) -> None:
    """Refuse what cannot be Gaussianised; nothing is compiled, as priors are made at every start.

    Raises:
        ValueError: naming the parameter.
    """
    kind = type(distribution).__name__
    if not isinstance(distribution, dist.Distribution):
        raise ValueError(f"expected a numpyro distribution for {name!r}; got {kind}")
    if distribution.is_discrete or distribution.batch_shape or distribution.event_shape:
        what = "a discrete" if distribution.is_discrete else "an array of"
        raise ValueError(f"expected a continuous distribution of one number for {name!r}; got "
                         f"{what} {kind}")
    try:
        jax.eval_shape(lambda level: distribution.cdf(distribution.icdf(level)), 0.5)
    except Exception as error:  # of any kind: of numpyro, or of a package that it lacks
        raise ValueError(
            f"expected a distribution with a cumulative distribution and its inverse, such as "
            f"Uniform or Normal, for {name!r}; got {kind} ({type(error).__name__})"
        ) from None
    low, high = (np.float32(end) for end in _ends(distribution))
    endless = isinstance(distribution, dist.Uniform) and not np.isfinite(high - low)
    if not low < high or endless:
        raise ValueError(f"expected finite limits, the lower below the upper in single precision, "
                         f"for {name!r}; got {kind} from {low:g} to {high:g}")


def _described(d: dist.Distribution) -> tuple[str, dict[str, float]]:
    """Name of a distribution and its numbers; of a truncated normal those of the normal too."""
    parts = (d,)
    kind = type(d).__name__
    if isinstance(d, dist.TwoSidedTruncatedDistribution) and isinstance(d.base_dist, dist.Normal):
        parts, kind = (d.base_dist, d), "TruncatedNormal"
    return kind, {a: float(getattr(part, a)) for part in parts for a in part.arg_constraints}


def _native(theta: ArrayLike) -> Array:
    """As a JAX array, which is never of the byte order that FITS has."""
    if isinstance(theta, np.ndarray):
        theta = theta.astype(theta.dtype.newbyteorder("="), copy=False)
    return jnp.asarray(theta)


def _ends(distribution: dist.Distribution) -> tuple:
    """Limits of a distribution, infinite where it has none."""
    support = distribution.support
    return tuple(getattr(support, f"{side}_bound", limit)
                 for side, limit in (("lower", -jnp.inf), ("upper", jnp.inf)))
