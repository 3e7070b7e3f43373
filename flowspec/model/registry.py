"""Densities by name: what an architecture or a model file may ask for."""

from flowspec.model.density import Density
from flowspec.model.flow import Flow
from flowspec.model.flow_matching import FlowMatching

DENSITIES: dict[str, type[Density]] = {"flow": Flow, "flow-matching": FlowMatching}


def density_of(name: str) -> type[Density]:
    """The density of a name in `DENSITIES`.

    Raises:
        ValueError: On an unknown name.
    """
    if name not in DENSITIES:
        raise ValueError(f"expected a density among {sorted(DENSITIES)}; got {name!r}")
    return DENSITIES[name]
