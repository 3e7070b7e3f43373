"""Catalogues of emission lines of nebulae that are many clouds."""

import re
from collections.abc import Mapping, Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float

from flowspec.data.line_grid import LineGrid
from flowspec.prior.relations import nitrogen
from flowspec.sim.nebula.catalogues import NebulaSimulator
from flowspec.sim.nebula.clouds import Clouds, shape_names
from flowspec.sim.nebula.errors import LineErrors

WIDTH = {"log_u": (0.02, 1.0), "log_pk": (0.02, 0.7), "log_n": (0.02, 0.7)}  # dex, limits
SKEW = (-0.9, 0.9)
NITROGEN = (-2.0, 0.0)  # limits of log N/O where the grid has it tied to O/H
SULPHUR = -1.57  # log S/O of the grids: the Sun (Asplund et al. 2009, ARA&A 47, 481)
SULPHUR_SCATTER, SULPHUR_REACH = 0.1, 0.4  # dex about it, and limits: assumed
ELEMENTS = {"no": "N", "so": "S"}  # over oxygen
_LN10 = float(np.log(10.0))


class MixtureSimulator(NebulaSimulator):
    """Line fluxes of nebulae, each of them a weighted sum of clouds of one composition.

    The clouds differ in the ionisation parameter and, where the grid has it, in the pressure or
    density. Beyond the parameters of `NebulaSimulator`, of which ``log_u``, ``log_pk`` and
    ``log_n`` are means over the clouds by their share of H-beta:

    - ``log_u_width``, ``log_u_skew``, ``log_pk_width`` or ``log_n_width``: of the distribution of
      the clouds (`flowspec.sim.nebula.clouds.shares`).
    - ``no``: log N/O, also where the grid ties it to O/H; flat for half of the nebulae.
    - ``so``: log S/O, normal about that of the Sun.

    Lines go linearly with an abundance that the grid has not. With more nitrogen gas cools better
    and the true dependence is shallower: in the Cloudy grids of HII-CHI-mistry, which have N/O,
    [N II] goes with its power 0.98 at 12 + log O/H = 8.0, 0.9 at 8.7 and 0.8 at 9.0, and [O II]
    with -0.02, -0.2 and -0.3 (`benchmarks.mixtures`): grids with N/O are better where it matters.

    The parameters of the distribution are part of theta: the likelihood is explicit, and what
    `refine`, evidence and NUTS need is there.

    Args:
        grids: As of `NebulaSimulator`, on regular grids (`LineGrid.completed`) over ``oh`` and
            at least one of ``log_u``, ``log_pk`` and ``log_n``.
        lines: Names of the lines to keep; by default those that all grids have.
        av: Limits of the attenuation.
        law: "cardelli" (R_V = 3.1) or "calzetti".
        error: Of the models, as of `NebulaSimulator`; by default `LineErrors.usual`.
        mixed: A second grid, of clouds of their own, with the same abundances.
        tied: Share of the nebulae whose N/O goes with O/H.

    Raises:
        ValueError: As of `NebulaSimulator`, or on grids without ``oh`` or a parameter to spread.
    """

    def __init__(
        self,
        grids: LineGrid | Mapping[str, LineGrid],
        lines: Sequence[str] | None = None,
        *,
        av: tuple[float, float] = (0.0, 4.0),
        law: str = "cardelli",
        error: float | LineErrors | None = None,
        mixed: LineGrid | None = None,
        tied: float = 0.5,
    ):
        every = [grids] if isinstance(grids, LineGrid) else [*grids.values()]
        for grid in (*every, *([] if mixed is None else [mixed])):
            if "oh" not in grid.names:
                raise ValueError(f"expected a grid over oh; got {', '.join(grid.names)}")
        super().__init__(grids, lines, av=av, law=law, error=0.0, mixed=mixed, tied=tied)
        self._take(LineErrors.usual(self.lines) if error is None else error)

    @property
    def slopes(self) -> dict[str, Float[Array, " lines"]]:
        """As of `NebulaSimulator`, with those of the abundances."""
        own = {name: _LN10 * of_element(element, self.lines) for name, element in ELEMENTS.items()}
        return super().slopes | own

    def beyond(self, grid: LineGrid) -> dict[str, dist.Distribution]:
        """Distributions of the parameters of the clouds, and of the abundances."""
        own = {}
        for name in shape_names(grid.names):
            parameter, _, kind = name.rpartition("_")
            own[name] = dist.Uniform(*(WIDTH[parameter] if kind == "width" else SKEW))
        if "no" not in grid.names:
            own["no"] = dist.Uniform(*NITROGEN)
        ends = {"low": SULPHUR - SULPHUR_REACH, "high": SULPHUR + SULPHUR_REACH}
        return own | {"so": dist.TruncatedNormal(SULPHUR, SULPHUR_SCATTER, **ends)}

    def gas(self, grid: LineGrid, columns: dict[str, int]) -> "Enriched":
        """Many clouds, with the abundances that their grid has not."""
        oh, own = columns["oh"], [n for n in ELEMENTS if n not in grid.names]
        lines = {n: of_element(ELEMENTS[n], grid.lines) for n in own}
        return Enriched(Clouds(grid, columns), lines, {n: columns[n] for n in own}, oh)


CLOUDS = {"single": NebulaSimulator, "mixture": MixtureSimulator}  # what a nebula is made of


class Enriched(eqx.Module):
    """Gas some of whose lines go with abundances that its grid has not.

    Args:
        gas: What gives fluxes over H-beta for theta.
        lines: Powers of the lines, by the name of the abundance.
        columns: Of theta, that are the abundances.
        oh: Column of O/H.
    """

    gas: eqx.Module
    lines: dict[str, Float[Array, " lines"]]
    columns: dict[str, int] = eqx.field(static=True)
    oh: int = eqx.field(static=True)

    def __call__(self, theta: Float[Array, " params"]) -> Float[Array, " lines"]:
        """Flux of every line over H-beta."""
        usual = {"no": nitrogen(theta[self.oh]), "so": SULPHUR}
        more = (p * (theta[self.columns[n]] - usual[n]) for n, p in self.lines.items())
        return 10 ** sum(more) * self.gas(theta)


def of_element(element: str, lines: Sequence[str]) -> Float[Array, " lines"]:
    """1 for the lines of an element, 0 for the others."""
    pattern = re.compile(rf"\[?{element}[IVX]+\]?\d")
    return jnp.array([float(pattern.match(line) is not None) for line in lines], jnp.float32)
