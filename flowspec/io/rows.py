"""Rows of spectra, among which some cannot be read."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from flowspec.data.spectra import Spectra

# What identifies a row, most specific first.
IDENTIFIERS = ("targetid", "target_id", "specobjid", "source_id", "sourceid", "object_id", "objid",
               "obj_id", "catalogid", "cataid", "sdss_id", "spec_id", "specid", "srcid", "uid",
               "unique_id", "id", "name", "names", "object", "objname", "obj_name", "target",
               "targname")  # fmt: skip


def joint(*notes: str) -> str:
    """Notes on one row as one."""
    return "; ".join(note for note in notes if note)


def no_data(wave: np.ndarray, name: str, note: str) -> Spectra:
    """A row of masked pixels, and why."""
    empty = np.zeros((1, len(wave)))
    return Spectra(wave, empty, empty, names=[name], notes=[note])


def gathered(made: Callable[[int], list[Spectra]], names: Sequence[str]) -> list[Spectra]:
    """What `made` gives for each number of a row (or table); where it raises, a row of masked
    pixels on the first grid of others, with the reason as its note.

    Raises:
        ValueError: the first, where none can be read.
    """
    parts: list[list[Spectra] | ValueError] = []
    for i in range(len(names)):
        try:
            parts.append(made(i))
        except ValueError as error:
            parts.append(error)
    good = [spectra for part in parts if isinstance(part, list) for spectra in part]
    if not good:
        raise parts[0] if parts else ValueError("expected spectra; got no row")
    whole = [
        part if isinstance(part, list) else [no_data(good[0].wave, name, str(part))]
        for part, name in zip(parts, names, strict=True)
    ]
    return [spectra for part in whole for spectra in part]


def row_labels(tables: Sequence[Mapping[str, np.ndarray]], rows: int) -> list[str]:
    """A label for each of `rows`: the first of `IDENTIFIERS` that a table has a column of, with
    the number of the row where several share it; else the number.

    Args:
        tables: name of a column -> its values [rows], of any kind.
    """
    for table in tables:
        columns = {name.lower(): values for name, values in table.items()}
        for name in IDENTIFIERS:
            values = np.asarray(columns.get(name, ()))
            if values.shape == (rows,) and (labels := _as_text(values)):
                count = Counter(labels)
                return [x if count[x] == 1 else f"{x}#{i}" for i, x in enumerate(labels)]
    return [str(i) for i in range(rows)]


def _as_text(values: np.ndarray) -> list[str]:
    """Values as labels, none where any is empty or no identifier."""
    if values.dtype.kind == "f":
        if not (np.isfinite(values) & (values == np.rint(values))).all():
            return []
        values = values.astype(np.int64)
    texts = [x.decode("utf-8", "replace") if isinstance(x, bytes) else str(x) for x in values]
    texts = [text.strip() for text in texts]
    return texts if all(texts) else []


def of_one_grid(wave, flux, ivar, names, notes, lsf=None) -> Spectra:
    """Spectra of the pixels that have a wavelength. A row with negative ivar is masked with a
    note, unless all are so."""
    ok = np.isfinite(wave)
    if not ok.all():
        if lsf is not None and lsf.shape[1] > 1:
            lsf = lsf[:, ok]
        wave, flux, ivar = wave[ok], flux[:, ok], ivar[:, ok]
    negative = (ivar < 0).any(axis=1)
    if negative.any() and not negative.all():
        lowest = ivar.min(axis=1)
        ivar = np.where(negative[:, None], 0, ivar)
        notes = [
            joint(note, f"expected ivar >= 0; got {lowest[i]:g}") if negative[i] else note
            for i, note in enumerate(notes)
        ]
    return Spectra(wave, flux, ivar, names=names, notes=notes, lsf=lsf)


def of_own_grids(wave, flux, ivar, names, notes, lsf=None) -> list[Spectra]:
    """A Spectra for each row, of the pixels that have a wavelength."""

    def row(i):
        if np.isfinite(wave[i]).sum() < 2:
            raise ValueError("expected wavelengths; got none in this row that can be right")
        one = slice(i, i + 1)
        own = lsf if lsf is None or len(lsf) == 1 else lsf[one]
        return [of_one_grid(wave[i], flux[one], ivar[one], names[one], notes[one], own)]

    return gathered(row, names)


def without_padding(spectra: Spectra) -> Spectra:
    """Spectra whose `padded_ends` are no data."""
    ivar = np.where(padded_ends(spectra.flux), 0, spectra.ivar)
    return replace(spectra, ivar=ivar)


def padded_ends(
    flux: Float[np.ndarray, "batch pixels"], least: int = 10
) -> Bool[np.ndarray, "batch pixels"]:
    """Pixels at either end that repeat one value at least `least` times: padding, not data.

    A spectrum that is the same over half of its length is left alone.
    """
    same = flux[:, 1:] == flux[:, :-1]
    masks = []
    for steps in (same, same[:, ::-1]):
        run = np.logical_and.accumulate(steps, axis=1)
        count = run.sum(axis=1, keepdims=True)
        padded = (count + 1 >= least) & (count < run.shape[1] // 2)
        first = np.ones((len(flux), 1), bool)
        masks.append(np.concatenate([first, run], axis=1) & padded)
    return masks[0] | masks[1][:, ::-1]
