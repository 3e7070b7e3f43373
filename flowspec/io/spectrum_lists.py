"""Collections of specutils, of spectra on grids of their own, to `Spectra` and back."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from flowspec.data.spectra import Spectra
from flowspec.io.join import common_grid, joined


def from_spectrum_list(spectra: Iterable) -> Spectra:
    """Spectra of a specutils `SpectrumList` or `SpectrumCollection`, or any sequence of `Spectrum`.

    Where grids differ, all are on the union of their pixels if these coincide, else resampled to
    the first one, as `flowspec.read` does with files.

    Args:
        spectra: Each with uncertainty of any kind, and a mask of pixels without data, if any. Its
            ``meta["name"]`` or ``meta["names"]`` are the names of its rows, else their numbers.

    Raises:
        ValueError: Naming the row, where there is none, or one without uncertainty or with a wrong
            unit.
    """
    parts: list[Spectra] = []
    for number, one in enumerate(spectra):
        try:
            part = Spectra.from_specutils(one)
        except ValueError as error:
            raise ValueError(f"row {number} of the collection: {error}") from None
        meta = one.meta or {}
        own = [str(meta["name"])] if len(part) == 1 and "name" in meta else list(part.names)
        if "name" not in meta and "names" not in meta:
            own = [str(number)] if len(part) == 1 else [f"{number}#{i}" for i in range(len(part))]
        parts.append(replace(part, names=own))
    if not parts:
        raise ValueError("expected at least one spectrum in the collection; got none")
    return joined(parts, common_grid([part.wave for part in parts], sum(map(len, parts))))


def to_spectrum_list(obs: Spectra):
    """A specutils `SpectrumList` of one `Spectrum` per row, named in its ``meta["name"]``.

    Pixels without data at either end are left out; those between are masked. Rows without any are
    left out, as no spectrum. Needs specutils.
    """
    from specutils import SpectrumList

    found = SpectrumList()
    for row in np.flatnonzero(obs.usable):
        good = np.flatnonzero(obs.ivar[row] > 0)
        inside = slice(good[0], good[-1] + 1)
        lsf = None if obs.lsf is None else obs.lsf[row : row + 1]
        lsf = lsf if lsf is None or lsf.shape[1] == 1 else lsf[:, inside]
        piece = Spectra(obs.wave[inside], obs.flux[row, inside], obs.ivar[row, inside], lsf=lsf)
        one = piece.to_specutils()
        kind = type(one)
        meta = {"name": obs.names[row], "note": obs.notes[row]}
        meta |= {name: values[row] for name, values in obs.extra.items()}
        meta |= {"lsf": one.meta["lsf"]} if "lsf" in one.meta else {}
        found.append(kind(flux=one.flux[0], spectral_axis=one.spectral_axis,
                          uncertainty=one.uncertainty[0], mask=one.mask[0], meta=meta))
    return found
