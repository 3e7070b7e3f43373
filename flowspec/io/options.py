"""What a user says about files that these do not, and how they were taken."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import astropy.units as u
import numpy as np

from flowspec.io.units import parse_unit


@dataclass(frozen=True)
class Taken:
    """How columns were taken: role to name, where names decided; the unit of flux and who says so
    (the user, the file, the format, or nobody); what the noise is; and whether wavelengths were in
    air and somebody says so."""

    found: Mapping[str, str]
    unit: u.UnitBase
    unit_of: str
    noise: str
    air: bool
    medium_said: bool


@dataclass(frozen=True)
class Options:
    """What a user may say about a file that the file does not; see `flowspec.read`. `most`
    rows of an HDF5 or Parquet file are read. `taken` is filled while a file is read."""

    columns: Mapping[str, str] = field(default_factory=dict)
    flux_unit: u.UnitBase | None = None
    wave_unit: u.UnitBase | None = None
    air: bool | None = None
    mask: np.ndarray | None = None
    keep: tuple[str, ...] = ()
    resolving_power: float | None = None
    most: int | None = None
    taken: list[Taken] = field(default_factory=list)


def make_options(
    columns=None, flux_unit=None, wave_unit=None, air=None, mask=None, keep=(), resolving_power=None
) -> Options:
    """`Options` from what a user gives: units may be text.

    Raises:
        ValueError: for a unit that is none, or a resolving power that is not positive.
    """
    units = parse_unit(flux_unit), parse_unit(wave_unit)
    if resolving_power is not None and not 0 < resolving_power < np.inf:
        raise ValueError(f"expected resolving_power > 0; got {resolving_power}")
    return Options(dict(columns or {}), *units, air, mask, tuple(keep), resolving_power)
