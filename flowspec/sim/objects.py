"""What a survey's fibres point at: galaxies, quasars, stars and nothing, as one simulator."""

from collections.abc import Sequence

from flowspec.prior.mixture import MixedPrior
from flowspec.sim.classes import Classes
from flowspec.sim.galaxy.simulator import GalaxySimulator
from flowspec.sim.instrument.instrument import Instrument
from flowspec.sim.instrument.shipped import instrument_of
from flowspec.sim.quasar.simulator import QuasarSimulator
from flowspec.sim.sky import SkySimulator
from flowspec.sim.star.simulator import KNOWN, StarSimulator

# Of each kind in training: most of what surveys ask of a spectrum is asked of galaxies, and what is
# common in training is learned best.
SHARES = {"GALAXY": 0.47, "QSO": 0.22, "STAR": 0.16, "NOTHING": 0.15}
POPULATION = 0.5  # share of the galaxies that are as a population has them; the others are flat


def objects(
    instrument: str | Instrument = "optical", shares: Sequence[float] = tuple(SHARES.values())
) -> Classes:
    """Galaxies, quasars, stars and nothing, seen by one instrument.

    Args:
        instrument: Of which galaxies there is a prior.
        shares: How likely each is before the data; empty where all are alike.

    Raises:
        ValueError: On an unknown instrument, or one without a prior.
    """
    instrument = instrument_of(instrument)
    if instrument.prior is None:
        raise ValueError(f"expected an instrument that has a prior of galaxies; got "
                         f"{instrument.name!r}")
    kinds = {
        "GALAXY": GalaxySimulator(instrument, prior=MixedPrior(instrument.prior, POPULATION)),
        "QSO": QuasarSimulator(instrument),
        "STAR": StarSimulator(instrument, nuisances=KNOWN),  # with white dwarfs
        "NOTHING": SkySimulator(instrument),
    }
    return Classes(kinds, shares)
