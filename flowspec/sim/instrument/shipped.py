"""The instruments that have a name: `INSTRUMENTS`, and `instrument_of`, which looks one up."""

from collections.abc import Callable
from functools import partial

from flowspec.sim.instrument.desi import desi
from flowspec.sim.instrument.fourmost import fourmost
from flowspec.sim.instrument.instrument import Instrument
from flowspec.sim.instrument.moons import moons
from flowspec.sim.instrument.muse import muse
from flowspec.sim.instrument.optical import optical
from flowspec.sim.instrument.prism import prism
from flowspec.sim.instrument.sdss import sdss
from flowspec.sim.instrument.vandels import vandels

# The estimator needs pixels uniform in ln(wavelength), which the channels of MOONS are not:
# "moons-coarse" is their coaddition to such, in fours.
INSTRUMENTS: dict[str, Callable[[], Instrument]] = {
    "sdss": sdss, "vandels": vandels, "moons": moons, "moons-coarse": partial(moons, 4),
    "muse": muse, "desi": desi, "4most": fourmost, "optical": optical, "prism": prism,
}  # fmt: skip


def instrument_of(instrument: str | Instrument) -> Instrument:
    """The instrument of a name in `INSTRUMENTS`; one that is no name is itself.

    Raises:
        ValueError: On an unknown name.
    """
    if isinstance(instrument, Instrument):
        return instrument
    if instrument not in INSTRUMENTS:
        raise ValueError(f"expected an instrument among {sorted(INSTRUMENTS)}; got {instrument!r}")
    return INSTRUMENTS[instrument]()
