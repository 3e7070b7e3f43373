"""Catalogues of emission lines, from grids of photoionisation models."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float, Int, PRNGKeyArray

from flowspec.data.frame import LineSet
from flowspec.data.line_grid import LineGrid
from flowspec.data.line_names import canonical
from flowspec.data.line_waves import WAVES
from flowspec.data.lines import Lines
from flowspec.prior.nitrogen import NitrogenPrior
from flowspec.prior.prior import Prior
from flowspec.sim.galaxy import dust
from flowspec.sim.nebula.errors import REFERENCE, LineErrors
from flowspec.sim.nebula.gas import Cloud, Mixed
from flowspec.sim.nebula.interpolate import interpolator, leave_one_out
from flowspec.sim.nebula.likelihood import log_likelihood
from flowspec.sim.nebula.noise import ObservedNoise, draw_noise, observe
from flowspec.sim.simulator import Simulated, Simulator

DEREDDENED = 0.3  # share of the simulated catalogues that are corrected for dust
LAWS = {"cardelli": dust.cardelli, "calzetti": dust.calzetti}
COMMON = ("oh", "no", "so")  # parameters that two gases of one nebula share
_LN_MAG = 0.4 * float(np.log(10.0))
_TYPICAL = 1024  # nebulae behind the ratios of a typical one


class Catalogue(NamedTuple):
    """Simulated rows of a catalogue; fluxes are as in `flowspec.data.lines.Lines`.

    Attributes:
        theta: Parameters [n, params].
        source: Number of the grid that each row comes from [n].
        flux: Measured, or limit [n, lines].
        err: 1 sigma [n, lines].
        state: `flowspec.data.lines.State` [n, lines].
        dereddened: Whether the fluxes are corrected for dust, 0 or 1 [n].
    """

    theta: Float[Array, "n params"]
    source: Int[Array, " n"]
    flux: Float[Array, "n lines"]
    err: Float[Array, "n lines"]
    state: Int[Array, "n lines"]
    dereddened: Float[Array, " n"]


class NebulaSimulator(Simulator):
    """Line fluxes of nebulae with gaps, limits and errors of catalogues.

    Parameters are those of the grids, then ``av``, the attenuation at 5500 angstrom in magnitudes
    by a screen; flat within the grids, but for N/O. Only ratios of lines count: the scale is free.

    Args:
        grids: Of models, by the name of the source that ionises each; or one grid. Several need
            the same parameters.
        lines: Names of the lines to keep; by default those that all grids have.
        av: Limits of the attenuation.
        law: "cardelli" (R_V = 3.1) or "calzetti".
        error: Of the models as a share of the flux, one for all lines but the reference line,
            H-beta; or `LineErrors`, one for each line. That of their interpolation
            (`leave_one_out`) is added in quadrature, and the least flux that the grid can tell.
        mixed: A second grid whose gas shines along the same line of sight: it adds the parameters
            ``mixing``, the share of H-beta (of the lines' reference) that comes from it, and its
            own ones but O/H and N/O under names that begin with ``mix_``. O/H and N/O stay within
            both grids. With one grid only.
        tied: Share of the nebulae whose N/O goes with O/H (`flowspec.prior.nitrogen`), where the
            grids have both; 0 for a flat prior.

    Raises:
        ValueError: On grids of different parameters, unknown lines or laws; where a mixed one has
            an O/H or N/O that the first has not, or none of its range.
    """

    gases: tuple[eqx.Module, ...]
    offset: Float[Array, " lines"]
    error: Float[Array, " lines"]
    interpolation: Float[Array, "sources lines"]
    floor: Float[Array, " sources"]
    curve: Float[Array, " lines"]
    dereddened: Float[Array, ""]
    noise: ObservedNoise | None
    priors: tuple[Prior, ...] = eqx.field(static=True)
    sources: tuple[str, ...] = eqx.field(static=True)
    lines: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        grids: LineGrid | Mapping[str, LineGrid],
        lines: Sequence[str] | None = None,
        *,
        av: tuple[float, float] = (0.0, 4.0),
        law: str = "cardelli",
        error: float | LineErrors = 0.1,
        mixed: LineGrid | None = None,
        tied: float = 0.5,
    ):
        grids = {"nebula": grids} if isinstance(grids, LineGrid) else dict(grids)
        if law not in LAWS:
            raise ValueError(f"expected a law among {sorted(LAWS)}; got {law!r}")
        if mixed is not None and len(grids) > 1:
            raise ValueError("expected one grid to mix another with; got " + ", ".join(grids))
        every = [*grids.values(), *([] if mixed is None else [mixed])]
        names = [g.names for g in grids.values()]
        if len(set(names)) > 1:
            raise ValueError(f"expected grids of the same parameters; got {sorted(set(names))}")
        shared = [n for n in every[0].lines if all(n in g.lines for g in every)]
        self.lines = tuple(canonical(line) for line in (shared if lines is None else lines))
        self._take(error)
        every = [g.select(self.lines) for g in every]
        self.sources = tuple(grids)
        apart = np.stack([leave_one_out(g) for g in every])
        floors = np.array([g.floor for g in every])
        if mixed is not None:
            apart, floors = apart.max(0, keepdims=True), floors.max(keepdims=True)
        self.interpolation, self.floor = (jnp.asarray(a, jnp.float32) for a in (apart, floors))
        curve = np.asarray(LAWS[law](np.append(every[0].wave, WAVES[REFERENCE])))
        self.curve = jnp.asarray(curve[:-1] - curve[-1], jnp.float32)
        self.dereddened, self.noise = jnp.float32(DEREDDENED), None
        second = None if mixed is None else every[-1]
        self.priors = tuple(self._prior(g, second, av, tied) for g in every[: len(grids)])
        self.gases = tuple(self._gas(g, second) for g in every[: len(grids)])

    def beyond(self, grid: LineGrid) -> dict[str, dist.Distribution]:
        """Distributions of parameters of a gas that its grid has not, by name: here none."""
        del grid
        return {}

    def gas(self, grid: LineGrid, columns: dict[str, int]) -> eqx.Module:
        """What maps theta to the fluxes over H-beta of a grid, given the columns of its parameters:
        here one cloud."""
        return Cloud(interpolator(grid), tuple(columns[name] for name in grid.names))

    def _gas(self, grid: LineGrid, mixed: LineGrid | None) -> eqx.Module:
        """That of a grid, with that of the second one if there is one."""
        at = {name: i for i, name in enumerate(self.names)}
        first = self.gas(grid, at)
        if mixed is None:
            return first
        own = {name.removeprefix("mix_"): i for name, i in at.items() if name.startswith("mix_")}
        second = self.gas(mixed, {name: at[name] for name in COMMON if name in at} | own)
        return Mixed(first, second, at["mixing"])

    def _prior(self, grid: LineGrid, mixed: LineGrid | None, av, tied: float) -> Prior:
        """Flat within a grid and the second one's own parameters, but for a share of N/O."""
        ends = dict(zip(grid.names, _ends(grid), strict=True))
        if mixed is not None:
            for name, (low, high) in zip(mixed.names, _ends(mixed), strict=True):
                if name not in COMMON:
                    continue
                if name not in ends or not low < ends[name][1] or not ends[name][0] < high:
                    raise ValueError(f"expected a first grid with {name} from {low:g} to {high:g}")
                ends[name] = (max(low, ends[name][0]), min(high, ends[name][1]))
        flat = {name: _uniform(*pair) for name, pair in (ends | {"av": av}).items()}
        flat |= self.beyond(grid)
        if mixed is not None:
            own = {name: _uniform(*pair) for name, pair in zip(mixed.names, _ends(mixed),
                                                               strict=True)} | self.beyond(mixed)
            flat |= {"mixing": _uniform(0.0, 1.0)}
            flat |= {f"mix_{name}": d for name, d in own.items() if name not in COMMON}
        prior = Prior(flat)
        return NitrogenPrior(prior, tied) if tied and {"oh", "no"} <= set(flat) else prior

    @property
    def frame(self) -> LineSet:
        """The lines, with errors, gaps and limits."""
        return LineSet(self.lines)

    @property
    def takes_noise(self) -> bool:
        """Yes."""
        return True

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return self.priors[0].names

    @property
    def errors(self) -> LineErrors:
        """How wrong the models are."""
        return LineErrors(self.lines, np.asarray(self.offset), np.asarray(self.error))

    def with_errors(self, errors: LineErrors) -> "NebulaSimulator":
        """The same nebulae of models that are otherwise wrong, such as those that
        `flowspec.check.line_errors` learned.

        Raises:
            ValueError: If a line has none.
        """
        own = errors.of(self.lines)
        values = tuple(jnp.asarray(a, jnp.float32) for a in (own.offset, own.spread))
        return eqx.tree_at(lambda s: (s.offset, s.error), self, values)

    def with_prior(self, **distributions: dist.Distribution) -> "NebulaSimulator":
        """The same nebulae with other distributions of some parameters, such as those that
        `flowspec.check.population` learned; limits are to be within the grids'."""
        new = object.__new__(type(self))
        priors = tuple(prior.replace(**distributions) for prior in self.priors)
        for name, value in (vars(self) | {"priors": priors}).items():
            object.__setattr__(new, name, value)
        return new

    def _take(self, error: float | LineErrors) -> None:
        alike = not isinstance(error, LineErrors)
        own = (LineErrors.alike(self.lines, error) if alike else error).of(self.lines)
        self.offset, self.error = (jnp.asarray(a, jnp.float32) for a in (own.offset, own.spread))

    @property
    def slopes(self) -> dict[str, Float[Array, " lines"]]:
        """Derivatives of ln(flux) [lines], by the parameters that it is linear in."""
        return {"av": -_LN_MAG * self.curve}

    @property
    def model_err(self) -> Float[Array, "sources lines"]:
        """Standard deviation of each line as a share of its flux: of models and interpolation."""
        other = np.array([name != REFERENCE for name in self.lines])
        return jnp.where(other, jnp.hypot(self.error, self.interpolation), 0.0)

    def ratios(
        self, theta: Float[Array, " params"], source: Int[Array, ""], dereddened: Float[Array, ""]
    ) -> tuple[Float[Array, " lines"], Float[Array, " lines"]]:
        """Fluxes relative to the reference line, and their standard deviation [lines] each."""
        flux = jnp.stack([gas(theta) for gas in self.gases])[source] * jnp.exp(self.offset)
        err = jnp.hypot(self.model_err[source] * flux, self.floor[source])
        av = theta[self.names.index("av")] * (1 - dereddened)
        dimmed = jnp.exp(-_LN_MAG * av * self.curve)
        return dimmed * flux, dimmed * err

    def log_likelihood(self, theta, source, flux, err, state, dereddened) -> Float[Array, ""]:
        """``ln p(fluxes | parameters)`` of one object (`flowspec.sim.nebula.likelihood`)."""
        ratio, model_err = self.ratios(theta, source, dereddened)
        return log_likelihood(flux, err, state, ratio, model_err)

    def with_noise(
        self, obs: Lines, *, exact: bool = False, dereddened: bool = False
    ) -> "NebulaSimulator":
        """The same nebulae with the errors, gaps and limits of random rows of a catalogue
        (`flowspec.sim.nebula.noise.ObservedNoise`), as many corrected for dust as of these.

        Args:
            obs: Rows of a catalogue, without labels.
            exact: Whether the errors are those of the catalogue alone: they always are.
            dereddened: Whether all fluxes are corrected for dust, whatever the rows say.

        Raises:
            ValueError: If no row has a line that the simulator knows.
        """
        del exact
        bit = jnp.float32(1.0 if dereddened else obs.dereddened.mean())
        theta, source, _ = self.nebulae(jr.key(0), _TYPICAL)
        flux, _ = jax.vmap(self.ratios, (0, 0, None))(theta, source, jnp.round(bit))
        typical = np.median(np.asarray(flux), axis=0)
        noise = ObservedNoise.of(obs.select(self.lines), typical, REFERENCE)
        return eqx.tree_at(
            lambda s: (s.dereddened, s.noise), self, (bit, noise), is_leaf=lambda x: x is None
        )

    def flat(self, simulated: Simulated) -> Catalogue:
        """Nebulae as `draw` has them, one column after the other."""
        return Catalogue(simulated.theta, simulated.source, *simulated.data)

    def simulate(self, key: PRNGKeyArray, n: int) -> Simulated:
        """Draw `n` nebulae, every source as likely, and what a catalogue says of each."""
        theta, source, (dust_key, noise, pixel) = self.nebulae(key, n)
        dereddened = jr.bernoulli(dust_key, self.dereddened, (n,)).astype(theta.dtype)
        flux, err = jax.vmap(self.ratios)(theta, source, dereddened)
        of_object = draw_noise if self.noise is None else self.noise.draw
        others = jax.vmap(of_object)(jr.split(noise, n), jnp.roll(flux, 1, axis=0))
        seen = jax.vmap(observe)(jr.split(pixel, n), flux, err, others)
        return Simulated(theta, source, (*seen, dereddened))

    def nebulae(self, key: PRNGKeyArray, n: int):
        """Parameters, sources, and the keys of dust, noise and fluxes."""
        which, prior, *others = jr.split(key, 5)
        source = jr.randint(which, (n,), 0, len(self.sources))
        drawn = jnp.stack([p.sample(prior, (n,)) for p in self.priors])
        return drawn[source, jnp.arange(n)], source, others


def _ends(grid: LineGrid) -> list[tuple[float, float]]:
    return list(zip(grid.points.min(0), grid.points.max(0), strict=True))


def _uniform(low, high) -> dist.Uniform:
    return dist.Uniform(float(low), float(high))
