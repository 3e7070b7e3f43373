"""What a simulator of galaxies can be made for."""


from flowspec.prior.parameters import galaxy_defaults
from flowspec.prior.prior import Prior
from flowspec.sim.instrument.instrument import Instrument
from flowspec.sim.instrument.shipped import instrument_of


def checked(
    instrument: str | Instrument, prior: Prior | None
) -> tuple[Instrument, Prior]:
    """The instrument by name or itself, and the prior or the instrument's.

    Raises:
        ValueError: Where there is no prior, or it has unknown parameters.
    """
    instrument = instrument_of(instrument)
    prior = instrument.prior if prior is None else prior
    if prior is None:
        raise ValueError(f"expected an instrument that has a prior, or a prior=; got neither for "
                         f"{instrument.name!r}")
    known = galaxy_defaults()
    if set(prior.names) - set(known):
        raise ValueError(f"expected parameters among {sorted(known)}; got {list(prior.names)}")
    return instrument, prior


def redshifts(prior: Prior) -> tuple[float, float]:
    """Lowest and highest redshift of a prior, 0 without one.

    Raises:
        ValueError: Where they are not bounded.
    """
    low, high = prior.limits("z") if "z" in prior.names else (0.0, 0.0)
    if not (0 <= low <= high < 20):
        raise ValueError(f"expected redshifts within 0 to 20; got {low} to {high}")
    return low, high
