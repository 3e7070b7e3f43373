"""Large files in parts: each is written whole, so that a run that was killed goes on after it."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from flowspec.data.atomic import replacing
from flowspec.data.spectra import Spectra
from flowspec.io.hdf5 import stream
from flowspec.io.writing import Writer

SETTINGS = "settings.json"
PATIENCE = 20  # parts without a row after which none is expected


def write_in_parts(
    path,
    wave: np.ndarray,
    make: Callable[[int], tuple[Spectra, np.ndarray]],
    rows: int,
    *,
    param_names: tuple[str, ...],
    settings: Mapping,
    progress: Callable[[int], object] = lambda rows: None,
) -> None:
    """Write `rows` simulations to HDF5 from parts of any length.

    Parts are kept in a hidden folder beside the file until it is complete. A run that was killed
    finds them there, and its result is the same to the byte of its data as if it had not been.
    After an error nothing is left.

    Args:
        path: Of the file; replaced if it exists.
        wave: Pixel centres in angstrom [pixels].
        make: Part number to its spectra and parameters, a function of the number alone.
        rows: To write; what the last part has beyond them is dropped.
        param_names: Of the columns of the parameters.
        settings: What decides the result, in JSON's types; also the attributes of the file.
        progress: Called with the number of rows of every part that is there.

    Raises:
        ValueError: If the folder holds parts of a run with other settings, or the first parts
            are all empty.
        OSError: Naming the file, where it cannot be written.
    """
    path = Path(path)
    folder = path.with_name(f".{path.name}.parts")
    known = json.dumps({**settings, "rows": rows}, sort_keys=True)

    def part(number: int) -> Path:
        """The file of a part, made if need be: another run may have ended and taken it away."""
        file = folder / f"{number:06d}.h5"
        if not file.exists():
            made = make(number)
            _claim(folder, known, path)
            _write(file, made, param_names)
        return file

    _claim(folder, known, path)
    try:
        done, parts = 0, 0
        while done < rows:
            count = _length(part(parts))
            done += count
            progress(min(count, rows - done + count))
            parts += 1
            if done == 0 and parts == PATIENCE:
                raise ValueError(f"{path}: expected some rows; got none in {PATIENCE} parts")
        with Writer(path, wave, param_names=param_names, attrs=settings) as file:
            for spectra, theta in _joined(map(part, range(parts)), rows):
                file.append(spectra, theta)
    except Exception:  # not an interruption: that one goes on later
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _claim(folder: Path, known: str, path: Path) -> None:
    """Make the folder of a run, or find it; parts without settings are of no known run."""
    settings = folder / SETTINGS
    if settings.exists() and settings.read_text() != known:
        raise ValueError(
            f"{path}: expected to go on with the run that left {folder}; got other settings. "
            "Delete that folder to start anew"
        )
    if settings.exists():
        return
    try:
        folder.mkdir(exist_ok=True)
        for stray in folder.glob("*.h5"):
            stray.unlink(missing_ok=True)
        with replacing(settings) as temporary:
            temporary.write_text(known)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise OSError(error.errno, error.strerror, str(path)) from None


def _write(part: Path, made: tuple[Spectra, np.ndarray], param_names) -> None:
    spectra, theta = made
    try:
        with Writer(part, spectra.wave, param_names=param_names) as file:
            file.append(spectra, theta)
    except OSError as error:
        raise OSError(error.errno, error.strerror, part.parent.name[1:-6]) from None


def _joined(parts: Iterable[Path], rows: int) -> Iterator[tuple[Spectra, np.ndarray]]:
    for part in parts:
        for spectra, theta in stream(part, theta=True):
            # names count within a part: the file counts anew
            spectra = Spectra(spectra.wave, spectra.flux, spectra.ivar, lsf=spectra.lsf)
            yield spectra[:rows], theta[:rows]
            rows -= min(rows, len(spectra))
            if rows == 0:
                return


def _length(part: Path) -> int:
    return sum(len(spectra) for spectra in stream(part))
