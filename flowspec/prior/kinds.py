"""Distributions as users give them, of numpyro or SciPy, to those that a `Prior` is made of."""

import logging
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Float

from flowspec.prior.numerical import integrated
from flowspec.prior.samples import of_samples
from flowspec.prior.tabulated import Tabulated, tabulated

log = logging.getLogger("flowspec")
_TRUNCATED = (dist.TwoSidedTruncatedDistribution, dist.LeftTruncatedDistribution,
              dist.RightTruncatedDistribution)  # fmt: skip
_DRAWS = 20_000  # of a joint distribution that is none of correlated normal scores
Joint = tuple[list[dist.Distribution], Float[np.ndarray, "params params"] | None]


def univariate(name: str, distribution) -> dist.Distribution:
    """A distribution of one number, with a cumulative distribution and its inverse.

    Those of SciPy and those without an inverse become tables of quantiles.

    Raises:
        ValueError: Naming the parameter, if it is discrete, of several numbers, or of no width.
    """
    kind = type(distribution).__name__
    if of_scipy(distribution):
        return _of_scipy(name, distribution)
    if not isinstance(distribution, dist.Distribution):
        raise ValueError(f"expected a distribution of numpyro or SciPy for {name!r}; got {kind}")
    if distribution.is_discrete and not isinstance(distribution, dist.Delta):
        raise ValueError(
            f"expected a continuous distribution of one number for {name!r}; got a discrete {kind}:"
            " draw it inside the simulator, or make its values kinds of objects (fs.Classes)"
        )
    if distribution.batch_shape or distribution.event_shape:
        raise ValueError(
            f"expected a continuous distribution of one number for {name!r}; got an array of {kind}"
            f": several parameters have a tuple of names, as in {{({name!r}, ...): {kind}(...)}}"
        )
    if isinstance(distribution, dist.Delta):
        raise ValueError(f"expected a distribution of some width for {name!r}; got a constant, "
                         "Delta: leave it out and keep it in the simulator")
    if not _describable(distribution) or not _invertible(distribution):
        distribution = _tabulated(name, distribution)
    low, high = (np.float32(end) for end in ends(distribution))
    endless = isinstance(distribution, dist.Uniform) and not np.isfinite(high - low)
    if not low < high or endless:
        raise ValueError(f"expected finite limits, the lower below the upper in single precision, "
                         f"for {name!r}; got {kind} from {low:g} to {high:g}")
    return distribution


def joint(names: tuple[str, ...], distribution) -> Joint:
    """Marginal distributions of several parameters, and the correlations of their normal scores.

    Exact for normal distributions, transformed ones, Gaussian copulas, and independent ones. Of
    others 20,000 draws are taken (`of_samples`), which is told in the log.

    Raises:
        ValueError: If it is not of as many numbers, or those are not free of one another.
    """
    kind, count = type(distribution).__name__, len(names)
    if of_scipy(distribution):
        shape = np.shape(distribution.rvs(random_state=0))
    else:
        if not isinstance(distribution, dist.Distribution):
            raise ValueError(f"expected a distribution of numpyro or SciPy for {names}; got {kind}")
        shape = distribution.batch_shape + distribution.event_shape
    if shape != (count,):
        raise ValueError(f"expected a distribution of {count} numbers for {names}; got {kind} of "
                         f"shape {shape}")
    if of_scipy(distribution):
        if "multivariate_normal" not in kind:
            return _drawn(names, kind, distribution.rvs(_DRAWS, random_state=0))
        return _normal(names, distribution.mean, distribution.cov)
    parts, correlation = _parts(distribution, count)
    if parts is None:
        if distribution.is_discrete or distribution.support is dist.constraints.simplex:
            raise ValueError(f"expected continuous parameters that are free of one another for "
                             f"{names}; got {kind}")
        return _drawn(names, kind, distribution.sample(jax.random.key(0), (_DRAWS,)))
    return [univariate(n, part) for n, part in zip(names, parts, strict=True)], correlation


def of_scipy(distribution) -> bool:
    """Whether it is one of SciPy, which is not imported for that."""
    return type(distribution).__module__.startswith("scipy.stats")


def ends(distribution: dist.Distribution) -> tuple:
    """Limits of a distribution, infinite where it has none."""
    support = distribution.support
    return tuple(getattr(support, f"{side}_bound", limit)
                 for side, limit in (("lower", -jnp.inf), ("upper", jnp.inf)))


def described(d: dist.Distribution) -> dict:
    """Name of a distribution and its numbers, JSON-ready; `restored` reads it."""
    if isinstance(d, Tabulated):
        arrays = {a: getattr(d, a).tolist() for a in ("scores", "knots", "slopes")}
        numbers = {a: getattr(d, a) for a in ("loc", "scale", "low", "high", "logarithmic")}
        return {"distribution": "Tabulated", **arrays, **numbers}
    parts, kind = (d,), type(d).__name__
    if isinstance(d, _TRUNCATED):
        if not isinstance(d.base_dist, dist.Normal):
            limits = {a: float(getattr(d, a)) for a in ("low", "high") if a in d.arg_constraints}
            base = described(d.base_dist)
            return {"distribution": "TruncatedDistribution", "base_dist": base, **limits}
        parts, kind = (d.base_dist, d), "TruncatedNormal"
    numbers = {a: float(getattr(part, a)) for part in parts for a in part.arg_constraints}
    return {"distribution": kind, **numbers}


def restored(name: str, config: Mapping) -> dist.Distribution:
    """The distribution that `described` described; only those of numpyro are looked up.

    Raises:
        ValueError: If it is none of numpyro's.
    """
    arguments = dict(config)
    kind = arguments.pop("distribution")
    if kind == "Tabulated":
        return Tabulated(**arguments)
    if "base_dist" in arguments:
        arguments["base_dist"] = restored(name, arguments["base_dist"])
    made = getattr(dist, kind, None)
    known = isinstance(made, type) and issubclass(made, dist.Distribution)
    if not known and made not in (dist.TruncatedNormal, dist.TruncatedDistribution):  # functions
        raise ValueError(f"expected a numpyro distribution for {name!r}; got {config!r}")
    return made(**arguments)


def _describable(d: dist.Distribution) -> bool:
    try:
        restored("", described(d))
    except (AttributeError, TypeError, ValueError):
        return False
    return True


def _invertible(d: dist.Distribution) -> bool:
    """Whether it has a cumulative distribution and its inverse; nothing is compiled, as priors are
    made at every start."""
    try:
        jax.eval_shape(lambda level: d.cdf(d.icdf(level)), 0.5)
    except Exception:  # of any kind: of numpyro, or of a package that it lacks
        return False
    return True


def _of_scipy(name: str, d) -> Tabulated:
    """The table of a frozen distribution of SciPy."""
    quantile = getattr(d, "ppf", None) or getattr(d, "icdf", None)
    density = getattr(d, "logpdf", None)
    kind = getattr(getattr(d, "dist", d), "name", type(d).__name__)
    if quantile is None or density is None:
        raise ValueError(f"expected a continuous distribution of one number for {name!r}; got "
                         f"scipy.stats' {kind}")
    low, high = (float(x) for x in d.support())
    try:
        return tabulated(quantile, density, low, high)
    except ValueError as error:
        raise ValueError(f"expected a distribution of some width for {name!r}; got scipy.stats' "
                         f"{kind} ({error})") from None


def _tabulated(name: str, d: dist.Distribution) -> Tabulated:
    try:
        return integrated(d, *map(float, ends(d)))
    except (ValueError, NotImplementedError, ImportError) as error:
        raise ValueError(f"expected a distribution of one number with a density for {name!r}; got "
                         f"{type(d).__name__} ({error})") from None


def _parts(d: dist.Distribution, count: int):
    """Marginal distributions and correlations, or None and None where it is of another kind."""
    if isinstance(d, dist.MultivariateNormal | dist.LowRankMultivariateNormal):
        deviation = np.sqrt(np.diagonal(d.covariance_matrix))
        normal = [dist.Normal(float(m), float(s)) for m, s in zip(d.mean, deviation, strict=True)]
        return normal, _correlation(d.covariance_matrix)
    if isinstance(d, dist.GaussianCopula):
        return _single(d.marginal_dist, count), _correlation(d.base_dist.covariance_matrix)
    if isinstance(d, dist.Independent):
        return (_single(d.base_dist, count), None) if d.event_dim == 1 else (None, None)
    if isinstance(d, dist.TransformedDistribution) and d.event_dim == 1:
        if any(t.domain.event_dim for t in d.transforms):
            return None, None
        parts, correlation = _parts(d.base_dist, count)
        if parts is not None:
            parts = [dist.TransformedDistribution(p, d.transforms) for p in parts]
        return parts, correlation
    return (_single(d, count), None) if not d.event_shape else (None, None)


def _single(d: dist.Distribution, count: int) -> list[dist.Distribution]:
    """Each of an array of distributions."""
    numbers = {a: np.broadcast_to(np.asarray(getattr(d, a)), (count,)) for a in d.arg_constraints}
    return [type(d)(**{a: float(x[i]) for a, x in numbers.items()}) for i in range(count)]


def _normal(names: tuple[str, ...], mean, covariance) -> Joint:
    deviation = np.sqrt(np.diagonal(covariance))
    normal = [dist.Normal(float(m), float(s)) for m, s in zip(mean, deviation, strict=True)]
    return normal, _correlation(covariance)


def _correlation(covariance) -> Float[np.ndarray, "params params"]:
    covariance = np.asarray(covariance, float)
    deviation = np.sqrt(np.diagonal(covariance))
    return covariance / np.outer(deviation, deviation)


def _drawn(names: tuple[str, ...], kind: str, draws) -> Joint:
    log.warning("%s of %s is taken from %d of its draws: marginal distributions and correlations "
                "of their normal scores", kind, ", ".join(names), len(draws))  # fmt: skip
    return of_samples(np.asarray(draws), names)
