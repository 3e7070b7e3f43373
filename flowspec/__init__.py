"""flowspec: calibrated posteriors from galaxy spectra, by simulation-based inference.

Every public name is loaded at its first use (PEP 562), so that ``import flowspec`` costs nothing.
"""

import ast
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

# The one list of public names: type checkers and IDEs read it as it stands, `_ORIGINS` is made
# from it. A new name is one more line here.
if TYPE_CHECKING:
    from flowspec.adaptation.settings import Adaptation as Adaptation
    from flowspec.cluster.frame import predict_frame as predict_frame
    from flowspec.cluster.predict import predict as predict
    from flowspec.data.flags import Flag as Flag
    from flowspec.data.lines import Lines as Lines
    from flowspec.data.spectra import Spectra as Spectra
    from flowspec.data.vectors import Vectors as Vectors
    from flowspec.fitting import adapt as adapt
    from flowspec.fitting import fit as fit
    from flowspec.fitting import fit_lines as fit_lines
    from flowspec.io import read as read
    from flowspec.io import read_grid as read_grid
    from flowspec.io import read_lines as read_lines
    from flowspec.io import stream as stream
    from flowspec.io import write as write
    from flowspec.measure.spectra import measure_lines as measure_lines
    from flowspec.networks.aligned import Architecture as Architecture
    from flowspec.networks.lines import LineArchitecture as LineArchitecture
    from flowspec.networks.vector import VectorArchitecture as VectorArchitecture
    from flowspec.posterior.goodness import Goodness as Goodness
    from flowspec.posterior.gradient import gradient as gradient
    from flowspec.posterior.load import load as load
    from flowspec.posterior.load import shipped as shipped
    from flowspec.posterior.posterior import LinePosterior as LinePosterior
    from flowspec.posterior.posterior import Posterior as Posterior
    from flowspec.prior.galaxies import Population as Population
    from flowspec.prior.prior import Prior as Prior
    from flowspec.sim.classes import Classes as Classes
    from flowspec.sim.galaxy.simulator import GalaxySimulator as GalaxySimulator
    from flowspec.sim.nebula.catalogues import NebulaSimulator as NebulaSimulator
    from flowspec.sim.nebula.errors import LineErrors as LineErrors
    from flowspec.sim.nebula.mixture import MixtureSimulator as MixtureSimulator
    from flowspec.sim.nebula.spectra import NebulaSpectra as NebulaSpectra
    from flowspec.sim.processes import simulate as simulate
    from flowspec.sim.quasar.simulator import QuasarSimulator as QuasarSimulator
    from flowspec.sim.simulator import Simulated as Simulated
    from flowspec.sim.simulator import Simulator as Simulator
    from flowspec.sim.sky import SkySimulator as SkySimulator
    from flowspec.sim.star.simulator import StarSimulator as StarSimulator
    from flowspec.sim.stored import Simulations as Simulations
    from flowspec.sim.user import CallableSimulator as CallableSimulator
    from flowspec.train.settings import Training as Training


def _origins(source: str) -> dict[str, str]:
    """Public name -> the module it comes from, as the imports in `source` say."""
    nodes = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ImportFrom)]
    own = [n for n in nodes if (n.module or "").startswith("flowspec.")]
    return {alias.name: node.module for node in own for alias in node.names}


_ORIGINS = _origins(__spec__.loader.get_source(__name__))
__all__ = sorted(_ORIGINS)


if not TYPE_CHECKING:  # for which every name would exist

    def __getattr__(name: str):
        """A public name or a package of flowspec, such as `io`, at its first use."""
        if name in _ORIGINS:
            value = getattr(import_module(_ORIGINS[name]), name)
        elif any(name == module.name for module in iter_modules(__path__)):
            value = import_module(f"{__name__}.{name}")
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value  # found there from now on
        return value


def __dir__() -> list[str]:
    return __all__
