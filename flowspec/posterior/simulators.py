"""The simulator that a model was trained on, where that is known."""

import numpy as np

from flowspec.data.line_grid import LineGrid
from flowspec.posterior.posterior import Posterior
from flowspec.sim.galaxy.simulator import GalaxySimulator
from flowspec.sim.instrument.shipped import INSTRUMENTS
from flowspec.sim.nebula.catalogues import NebulaSimulator
from flowspec.sim.nebula.grid import mappings
from flowspec.sim.nebula.mixture import CLOUDS


def simulator_of(posterior: Posterior, name: str) -> GalaxySimulator:
    """The galaxy simulator that a model was trained on: known by its grid, with the model's prior
    and what observations had taught it.

    Raises:
        ValueError: If it was trained on another one.
    """
    described = str(posterior.provenance.get("simulator"))
    if posterior.model.frame.kind != "pixels":
        raise ValueError(f"{name}: expected a model of galaxy spectra; got one of {described}")
    for instrument, make in INSTRUMENTS.items():
        wave = make().wave
        same = wave.shape == posterior.wave.shape and np.allclose(wave, posterior.wave, rtol=1e-6)
        if same and "GalaxySimulator" in described:
            sim = GalaxySimulator(instrument, prior=posterior.model.space.priors[0])
            return sim if posterior.lesson is None else posterior.lesson.taught(sim)
    raise ValueError(
        f"{name}: expected a model of GalaxySimulator on the grid of {' or '.join(INSTRUMENTS)}; "
        f"got one of {described}: give simulations with known truth (--simulations)"
    )


def nebulae_of(posterior: Posterior, name: str, grids: dict[str, LineGrid]) -> NebulaSimulator:
    """The simulator of line catalogues that a model was trained on, of its grids by source.

    With none it is that of the shipped grid.

    Raises:
        ValueError: If grids are missing, or others than the model's.
    """
    if not grids and posterior.sources != ("nebula",):
        raise ValueError(f"{name}: expected the grids of {', '.join(posterior.sources)} (--grid)")
    space = posterior.model.space
    kind = CLOUDS["mixture" if "so" in space.names else "single"]
    sim = kind(grids or {"nebula": mappings()}, posterior.lines)
    if sim.sources != space.sources or sim.priors != space.priors:
        raise ValueError(f"{name}: expected grids of the model's sources and limits; got those of "
                         f"{', '.join(sim.sources)} (--grid)")
    return sim
