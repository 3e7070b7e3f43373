"""The space of answers: a class, such as a redshift bin or a source, and unconstrained reals.

``(theta, source) <-> (k, free)`` with ``k = source * bins + bin``, one to one: so a density over
``(k, free)`` is one over parameters and source, and nothing that it returns is outside the prior.
"""

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Int

from flowspec.data.frame import Frame
from flowspec.model.redshift_bins import Reach, RedshiftBins
from flowspec.prior.mixture import read_prior
from flowspec.prior.prior import Prior

if TYPE_CHECKING:
    import distrax


def class_of(source: str) -> str:
    """Kind of a source: ``AGN`` of ``AGN-1.2``."""
    return source.partition("-")[0]


class Coded(NamedTuple):
    """Parameters and source in the space of the densities.

    Attributes:
        k: Number of the class, ``source * bins + bin``.
        free: Unconstrained reals.
        log_det: Log of the absolute Jacobian, ``ln |d free / d theta|``.
    """

    k: Int[Array, "*batch"]
    free: Float[Array, "*batch params"]
    log_det: Float[Array, "*batch"]


@dataclass(frozen=True)
class Space:
    """Parameters of one or several sources, and the bins of the redshift if there is one.

    Attributes:
        priors: Of the parameters, for each source, all of the same names.
        sources: Names of the sources.
        redshift: Bins of the parameter ``z``, or None.
        shares: How likely each source is before the data; empty where all are alike.
    """

    priors: tuple[Prior, ...]
    sources: tuple[str, ...]
    redshift: RedshiftBins | None = None
    shares: tuple[float, ...] = ()

    def __post_init__(self):
        if len(self.priors) != len(self.sources) or not self.sources:
            raise ValueError(f"expected a prior for each source; got {len(self.priors)} and "
                             f"{self.sources}")
        if len({prior.names for prior in self.priors}) > 1:
            raise ValueError("expected priors of the same parameters; got "
                             f"{sorted({prior.names for prior in self.priors})}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return self.priors[0].names

    @property
    def own(self) -> Bool[np.ndarray, "sources params"]:
        """Which parameters each source has; the others are unused (`Prior.unused`)."""
        return np.array([[n not in prior.unused for n in self.names] for prior in self.priors])

    @property
    def of_objects(self) -> bool:
        """Whether sources are kinds of objects (`flowspec.sim.classes`), with parameters of their
        own."""
        return not self.own.all()

    def has(self, name: str) -> Bool[np.ndarray, " sources"]:
        """Which sources have a parameter."""
        return self.own[:, self.names.index(name)]

    @property
    def bins(self) -> int:
        """Redshift bins; 1 without a redshift."""
        return self.redshift.bins if self.redshift else 1

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.sources) * self.bins

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of sources: what their names begin with, up to a hyphen."""
        return tuple(dict.fromkeys(map(class_of, self.sources)))

    def only(self, source: str) -> Float[np.ndarray, " classes"]:
        """What to add to logits for the classes of one source, or kind of sources, alone.

        Raises:
            ValueError: If there is no such source.
        """
        chosen = [source in (name, class_of(name)) for name in self.sources]
        if not any(chosen):
            raise ValueError(f"expected a source among {self.sources} or a class among "
                             f"{self.kinds}; got {source!r}")
        return np.where(np.repeat(chosen, self.bins), 0.0, -np.inf).astype(np.float32)

    def by_source(
        self, share: Float[ArrayLike, "*batch classes"]
    ) -> Float[ArrayLike, "*batch sources bins"]:
        """What there is of each class, such as its probability, source by source."""
        return share.reshape(*share.shape[:-1], len(self.sources), -1)

    def source_of(self, k: Int[ArrayLike, "*batch"]) -> Int[ArrayLike, "*batch"]:
        """Number of the source of a class."""
        return k // self.bins

    def encode(
        self, theta: Float[ArrayLike, "*batch params"], source: Int[ArrayLike, "*batch"]
    ) -> Coded:
        """Parameters inside the prior of their source, to class and unconstrained reals."""
        theta, source = jnp.asarray(theta), jnp.asarray(source)
        both = zip(*(prior.to_unconstrained(theta) for prior in self.priors), strict=True)
        free, log_det = (self._chosen(x, source[..., None]) for x in both)
        if self.redshift is None:
            return Coded(source, free, log_det.sum(-1))
        i = self.names.index("z")
        bins, inside, slope = self.redshift.split(theta[..., i], self._reach(source))
        free, log_det = free.at[..., i].set(inside), log_det.at[..., i].set(slope)
        return Coded(source * self.bins + bins, free, log_det.sum(-1))

    def decode(
        self, k: Int[ArrayLike, "*batch"], free: Float[ArrayLike, "*batch params"]
    ) -> Float[Array, "*batch params"]:
        """Inverse of `encode`: parameters, always inside the prior of the source."""
        k, free = jnp.asarray(k), jnp.asarray(free)
        of_each = [prior.to_constrained(free) for prior in self.priors]
        theta = self._chosen(of_each, self.source_of(k)[..., None])
        if self.redshift is None:
            return theta
        i = self.names.index("z")
        reach = self._reach(self.source_of(k))
        return theta.at[..., i].set(self.redshift.join(k % self.bins, free[..., i], reach))

    @property
    def reaches(self) -> tuple[Reach, ...]:
        """Where the redshifts of each source are; none where all have the same."""
        ends = [] if self.redshift is None else [prior.limits("z") for prior in self.priors]
        return tuple(self.redshift.reach(*e) for e in ends) if len(set(ends)) > 1 else ()

    @property
    def possible(self) -> Bool[np.ndarray, " classes"] | None:
        """Which classes have redshifts that their source can have; None where all have."""
        bins = np.arange(self.bins)
        inside = [(bins >= own.first) & (bins <= own.last) for own in self.reaches]
        return np.concatenate(inside) if inside else None

    def _reach(self, source: Int[ArrayLike, "*batch"]) -> Reach:
        """Of each row's source."""
        if not self.reaches:
            return self.redshift.whole
        columns = zip(*self.reaches, strict=True)
        return Reach(*(jnp.asarray(np.array(column))[source] for column in columns))

    def log_prior(
        self, theta: Float[ArrayLike, "*batch params"], source: Int[ArrayLike, "*batch"]
    ) -> Float[Array, "*batch"]:
        """Log density of parameters and source before the data."""
        source = jnp.asarray(source)
        given = self._chosen([prior.log_prob(theta) for prior in self.priors], source)
        return given + self.log_share(source)

    def log_share(self, source: Int[ArrayLike, "*batch"]) -> Float[Array, "*batch"]:
        """Log of how likely a source is before the data."""
        alike = (1 / len(self.sources),) * len(self.sources)
        return jnp.log(jnp.array(self.shares or alike))[jnp.asarray(source)]

    @staticmethod
    def distribution(logits: Float[Array, "*batch classes"]) -> "distrax.Categorical":
        """The discrete factor of a posterior, ``P(k | x)``."""
        import distrax  # half a second, and only training asks for it

        return distrax.Categorical(logits=logits)

    def _chosen(self, values, source: Int[ArrayLike, "*batch"]) -> Array:
        """Of the values for each source [*batch] that of `source`."""
        if len(self.priors) == 1:
            return next(iter(values))
        return jnp.take_along_axis(jnp.stack(list(values)), source[None], axis=0)[0]

    def config(self) -> dict:
        """JSON-ready description, read back by `from_config`."""
        bins = None if self.redshift is None else asdict(self.redshift)
        priors = [prior.config() for prior in self.priors]
        shares = {"shares": list(self.shares)} if self.shares else {}
        return {"priors": priors, "sources": list(self.sources), "redshift": bins} | shares

    @classmethod
    def from_config(cls, config: dict) -> "Space":
        """The space that `config` describes."""
        bins = config["redshift"]
        priors = tuple(read_prior(c) for c in config["priors"])
        shares = tuple(config.get("shares", ()))
        return cls(priors, tuple(config["sources"]), bins and RedshiftBins(**bins), shares)


def space_of(
    priors: tuple[Prior, ...], sources: tuple[str, ...], frame: Frame, sizes,
    shares: tuple[float, ...] = (), redshift: str | None = "z",
) -> Space:  # fmt: skip
    """The space of a simulator: with redshift bins where a parameter of a spectrum is its redshift.

    Args:
        priors: Of each source.
        sources: Their names.
        frame: Of the data.
        sizes: Of an architecture: of spectra with ``bin_pixels``, pixels per redshift bin.
        shares: How likely each source is before the data.
        redshift: Name of the parameter that is the redshift, if the priors have it
            (`Simulator.redshift`); None where none is.

    Raises:
        ValueError: If the grid is not logarithmic, or the redshift not bounded, where it must be.
    """
    space = Space(tuple(priors), tuple(sources), shares=tuple(shares))
    if frame.kind != "pixels" or redshift not in space.names:
        return space
    step = np.diff(np.log(frame.wave))
    if not np.allclose(step, step[0], rtol=1e-3):
        raise ValueError(
            "expected wavelengths uniform in ln(wavelength), on which redshift is a shift; got "
            f"steps from {step.min():.3g} to {step.max():.3g}. Resample with Spectra.resample"
        )
    lowest, highest = zip(*(prior.limits("z") for prior in priors), strict=True)
    low, high = min(lowest), max(highest)
    if not (-1 < low < high < math.inf):
        raise ValueError(f"expected a bounded prior on z; got limits {low} and {high}")
    bins = RedshiftBins(low, high, float(step.mean() * sizes.bin_pixels))
    return replace(space, redshift=bins)
