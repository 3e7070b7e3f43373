"""Catalogues of emission lines of nebulae that are many clouds."""

import re
from collections.abc import Callable, Mapping, Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float

from flowspec.data.line_grid import LineGrid
from flowspec.prior.relations import nitrogen
from flowspec.sim.nebula.catalogues import NebulaSimulator
from flowspec.sim.nebula.clouds import Clouds, shape_names

NO_LIMITS = (-2.0, 0.0)
SO = -1.57
SO_LIMITS = (-0.3, 0.3)
WIDTH = {"log_u": (0.02, 1.0), "log_pk": (0.02, 0.7), "log_n": (0.02, 0.7)}
SKEW = 0.9


class Scaled(eqx.Module):
    """Gas whose lines of some elements go with abundances that its grid has not."""

    gas: eqx.Module
    of_nitrogen: Float[Array, " lines"]
    of_sulphur: Float[Array, " lines"]
    oh: int = eqx.field(static=True)
    no: int | None = eqx.field(static=True)
    so: int | None = eqx.field(static=True)

    def __call__(self, theta):
        log = 0.0
        if self.no is not None:
            log += self.of_nitrogen * (theta[self.no] - nitrogen(theta[self.oh]))
        if self.so is not None:
            log += self.of_sulphur * (theta[self.so] - SO)
        return 10**log * self.gas(theta)


class MixtureSimulator(NebulaSimulator):
    def beyond(self, grid):
        ends = {}
        for name in shape_names(grid.names):
            base, _, kind = name.rpartition("_")
            ends[name] = WIDTH[base] if kind == "width" else (-SKEW, SKEW)
        if "no" not in grid.names:
            ends["no"] = NO_LIMITS
        ends["so"] = (SO + SO_LIMITS[0], SO + SO_LIMITS[1])
        return ends

    def gas(self, grid, columns):
        own = Clouds(grid, columns)
        n, s = (lines_of(el, grid.lines) for el in "NS")
        no = None if "no" in grid.names else columns["no"]
        return Scaled(own, n, s, columns["oh"], no, columns["so"])


def lines_of(element, lines):
    """1 for lines of an element, else 0."""
    return jnp.array([bool(re.match(rf"\[?{element}[IV]+\]?\d", line)) for line in lines], jnp.float32)
