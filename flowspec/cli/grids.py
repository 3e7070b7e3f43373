"""Photoionisation grids named on the command line."""

from argparse import Namespace

from flowspec.data.line_grid import LineGrid
from flowspec.io import read_grid
from flowspec.sim.nebula.catalogues import NebulaSimulator
from flowspec.sim.nebula.grid import mappings
from flowspec.sim.nebula.mixture import CLOUDS


def nebulae(args: Namespace) -> NebulaSimulator:
    """The simulator of ``--grid`` and ``--lines``.

    Raises:
        ValueError: On grids that are of no use, or options of spectra.
    """
    if not args.grid or args.population or args.varied:
        raise ValueError("expected --lines only with --grid, and no options of spectra with it")
    named = {} if args.model_error is None else {"error": args.model_error}
    return CLOUDS[args.clouds](grids(args.grid), args.lines, **named)


def grids(words: list[str]) -> dict[str, LineGrid]:
    """Grids by the name of their source.

    Raises:
        ValueError: Where one has no name of its own among several, or cannot be read.
    """
    named = {}
    for word in words:
        name, _, path = word.rpartition("=")
        if (not name and len(words) > 1) or name in named:
            raise ValueError(f"expected SOURCE=GRID with a name of its own for each; got {word!r}")
        named[name or "nebula"] = mappings() if path == "mappings" else read_grid(path)
    return named
