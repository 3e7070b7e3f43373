"""`flowspec inspect`: what is understood of files, and which shipped models fit them."""

from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from flowspec.cli.inputs import expanded, reading
from flowspec.data.flags import Flag
from flowspec.data.frame import Frame, LineSet, Pixels
from flowspec.data.lines import Lines
from flowspec.data.lsf import power_of_lsf
from flowspec.data.spectra import Spectra
from flowspec.io.files import load
from flowspec.io.line_table import read_lines
from flowspec.io.options import Taken, make_options
from flowspec.posterior.headers import model_frame, shipped

_MOST = 1024  # rows of a file that are looked at
_NOISE = {"ivar": "inverse variance", "var": "variance", "err": "standard error"}
_SAID_BY = {"user": "as given", "file": "as the file says", "format": "as the format has it",
            "nobody": "assumed: the file does not say"}  # fmt: skip


def run(args: Namespace) -> None:
    """Print a paragraph per file.

    Raises:
        ValueError: If no file can be read.
    """
    frames = {name: model_frame(path) for name, path in shipped().items()}
    paths = expanded(args.files)
    causes = []
    for path in paths:
        print(path)
        try:
            for title, text in _understood(path, args, frames).items():
                print(f"  {title:<12}{text}")
        except ValueError as error:
            cause = str(error).removeprefix(f"{path}: ")
            print(f"  {'unreadable':<12}{cause}")
            causes.append(cause)
    if len(causes) == len(paths):
        raise ValueError(f"expected a file that can be read; got {len(paths)} that cannot")


def _understood(path: str, args: Namespace, frames: dict[str, Frame]) -> dict[str, str]:
    """Title to text, of spectra or else of lines."""
    options = replace(make_options(**reading(args)), most=_MOST)
    try:
        format, spectra = load(path, None, options)
    except ValueError:
        try:
            lines = read_lines(path, columns=dict(args.columns))
        except ValueError:
            lines = None
        if lines is None:
            raise
        return described_lines(lines, frames)
    return {"format": format} | described(spectra, options.taken, frames)


def described(
    spectra: Sequence[Spectra], taken: Sequence[Taken], frames: dict[str, Frame]
) -> dict[str, str]:
    """Title to text: objects, wavelengths, flux, noise, what has no data, line-spread function,
    models.

    Args:
        spectra: of one file, one or more grids.
        taken: how their columns were taken.
        frames: of models by name.
    """
    names = [name for s in spectra for name in s.names]
    notes = [note for s in spectra for note in s.notes if note]
    good = np.array([ok for s in spectra for ok in s.usable])
    low, high = min(s.wave[0] for s in spectra), max(s.wave[-1] for s in spectra)
    pixels = sorted({len(s.wave) for s in spectra})
    snr = np.median([x for s in spectra for x in s.snr[s.usable]] or [0])
    empty = 1 - sum((s.ivar > 0).sum() for s in spectra) / sum(s.ivar.size for s in spectra)
    lines = {
        "objects": f"{len(names)}{' or more' if len(names) >= _MOST else ''}{_some(names)}",
        "wavelengths": f"{low:.1f}-{high:.1f} A in vacuum ({_each(map(_medium, taken))}), "
        f"{'-'.join(str(n) for n in pixels[:: max(len(pixels) - 1, 1)])} pixels",
        "flux": _each(f"{t.unit.to_string()}, {_SAID_BY[t.unit_of]}" for t in taken),
        "noise": f"{_each(_NOISE[t.noise] for t in taken)}; S/N {snr:.3g} per pixel (median)",
        "no data": f"{100 * empty:.3g} % of pixels"
        + (f", {(~good).sum()} of {len(good)} objects wholly" if not good.all() else ""),
        "line spread": _line_spread(spectra),
    }
    if named := _each(_columns(t.found) for t in taken if t.found):
        lines = {"columns": named} | lines
    if notes:
        more = f" (and {len(notes) - 1} more)" if len(notes) > 1 else ""
        lines["notes"] = f"{notes[0]}{more}"
    return lines | {"models": _fitting(spectra, frames)}


def described_lines(lines: Lines, frames: dict[str, Frame]) -> dict[str, str]:
    """Title to text: rows, lines, and how many of the lines of each model there are."""
    there = {name: len(set(frame.lines) & set(lines.lines))
             for name, frame in frames.items() if isinstance(frame, LineSet)}  # fmt: skip
    models = [f"{name} ({n} of {frames[name].size} lines)" for name, n in there.items() if n]
    return {
        "format": "line catalogue",
        "objects": f"{len(lines)}{_some(lines.names)}",
        "lines": " ".join(lines.lines),
        "columns": lines.reading or "as flowspec writes them",
        "models": ", ".join(models) or "none fits",
    }


def _fitting(spectra: Sequence[Spectra], frames: dict[str, Frame]) -> str:
    """Models by the share of their wavelengths that have good pixels in the median object, with
    the flags that their table would have; less than half of the range is refused."""
    shares = {}
    for name, frame in frames.items():
        if isinstance(frame, Pixels):
            judged = [(s.usable, *frame.judged(s)) for s in spectra]
            rows = np.concatenate([about["coverage"][ok] for ok, _, about in judged])
            flags = np.concatenate([flags[ok] for ok, flags, _ in judged])
            reach = max(_reach(s.wave, frame.wave) for s in spectra)
            if len(rows) and reach >= 0.5:
                most = [flag for flag in Flag if np.mean(flags & flag > 0) > 0.5]
                shares[name] = np.median(rows), sum(most)
    texts = [f"{name} {100 * share:.0f} %" + (f" ({Flag.describe(flag)})" if flag else "")
             for name, (share, flag) in sorted(shares.items(), key=lambda x: -x[1][0])]  # fmt: skip
    return ", ".join(texts) or "none fits"


def _reach(wave, grid) -> float:
    """Share of a grid, in log wavelength, that lies within a range."""
    low, high = max(wave[0], grid[0]), min(wave[-1], grid[-1])
    return np.log(max(high / low, 1)) / np.log(grid[-1] / grid[0])


def _line_spread(spectra: Sequence[Spectra]) -> str:
    """Range over most pixels with data, and of how many objects it is known."""
    known = [np.broadcast_to(s.lsf, s.flux.shape)[s.ivar > 0] for s in spectra if s.lsf is not None]
    lsf = np.concatenate([x[np.isfinite(x)] for x in known] or [[]])
    if not len(lsf):
        return "not known: the file does not say (--resolving-power)"
    rows = sum(np.isfinite(s.lsf).any(axis=1).sum() for s in spectra if s.lsf is not None)
    total, (low, high) = sum(map(len, spectra)), np.percentile(lsf, [5, 95])
    width, power = _span(low, high), _span(power_of_lsf(high), power_of_lsf(low))
    some = f", of {rows} of {total} objects" if rows < total else ""
    return f"sigma {width} km/s, resolving power {power}{some}"


def _span(low: float, high: float) -> str:
    return "-".join(dict.fromkeys(f"{x:.0f}" for x in (low, high)))


def _columns(found: Mapping[str, str]) -> str:
    return ", ".join(f"{role} = {name}" for role, name in found.items())


def _medium(taken: Taken) -> str:
    if taken.air:
        return "converted from air"
    return "as they are" if taken.medium_said else "assumed: the file does not say"


def _each(texts: Iterable[str]) -> str:
    """Different texts, each once."""
    return "; ".join(dict.fromkeys(texts))


def _some(names: Sequence[str]) -> str:
    """The first and the last of many names."""
    names = [name for name in dict.fromkeys(names) if name]
    return f" ({names[0]}{f' ... {names[-1]}' if len(names) > 1 else ''})" if names else ""
