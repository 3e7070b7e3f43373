"""`flowspec view`: a page to look at spectra or line catalogues with their posteriors."""

import contextlib
import logging
import shlex
from argparse import Namespace

from flowspec import pages
from flowspec.cli.answering import options_of
from flowspec.cli.grids import grids
from flowspec.cli.inputs import check_inputs, observations, rows_bar
from flowspec.cli.outputs import make_folder
from flowspec.cli.predict import RECORDED
from flowspec.data.lines import Lines
from flowspec.data.observation import Observation
from flowspec.data.spectra import Spectra
from flowspec.io.named import Named, named_in
from flowspec.io.recorded import Recorded, recorded
from flowspec.pages.page import MOST, plotly_source
from flowspec.posterior.load import load
from flowspec.posterior.posterior import Posterior
from flowspec.posterior.simulators import nebulae_of, simulator_of

log = logging.getLogger("flowspec")
_SAID = {"seed": 0, "num_samples": 500}  # where neither the user nor a table says otherwise


def run(args: Namespace) -> None:
    """Write ``index.html`` to the folder and say where it is.

    Raises:
        ValueError: If there is nothing to show, more than a page holds, or an argument is wrong.
        ImportError: Without Plotly.
        OSError: If the page cannot be written.
    """
    plotly_source()  # before the work
    table = _table_among(args)
    wanted = named_in(args.rows) if args.rows else None
    with contextlib.chdir(table.folder if table else "."):  # its names of files are from there
        posterior, obs = _read(args, wanted, from_table=table is not None)
    if not obs.usable.any():
        raise ValueError(f"{obs.names[0]}: {obs.notes[0]}")
    folder, sim = make_folder(args.output), _simulator(args, posterior)
    options = options_of(args, posterior, args.model)
    options |= {"fits": args.fits, "title": args.title, "model": args.model}
    options["progress"] = not args.quiet
    path = pages.view(obs, posterior, folder, sim=sim, **options)
    size = path.stat().st_size / 1e6
    print(f"{path}: {len(obs)} rows, {size:.1f} MB; open it in a browser")


def _table_among(args: Namespace) -> Recorded | None:
    """What the only file was made from, if it is a table of results; the arguments are filled in.

    Raises:
        ValueError: Naming what is missing: a model, or what a table should tell.
    """
    path = args.spectra[0]
    table = recorded(path) if len(args.spectra) == 1 else None
    if table is not None:
        if not table.spectra or not table.folder.is_dir():
            got = f"a folder that is not there, {table.folder}" if table.spectra else (
                "one of too many files to record")  # fmt: skip
            raise ValueError(f"{path}: expected a table that tells its spectra; got {got}. "
                             f"{_instead(path, table.options['model'])}")
        for name in RECORDED:
            said = getattr(args, name)
            if said is None or said is False or said == []:
                setattr(args, name, table.options.get(name, said))
        args.rows, args.spectra = args.rows or path, table.spectra
    elif args.model is None:
        raise ValueError("expected --model, or a table of predict (.fits, .ecsv, .parquet or .h5) "
                         f"that tells its spectra and model; got {path}")
    for name, value in _SAID.items():
        setattr(args, name, value if getattr(args, name) is None else getattr(args, name))
    return table


def _instead(path: str, model: str) -> str:
    words = ["flowspec", "view", "SPECTRA", "--rows", path, "--model", model]
    return f"If they have moved: {shlex.join(words)}"


def _read(args: Namespace, wanted: Named | None, *, from_table: bool):
    """The posterior and all rows to show.

    Raises:
        ValueError: In one line; of a table, that what it was made from is not where it was.
    """
    try:
        check_inputs(args.spectra)
        posterior = load(args.model)
    except (ValueError, OSError) as error:
        if from_table:
            raise ValueError(f"{args.rows}: expected what it was made from; got {error}. "
                             f"{_instead(args.rows, args.model)}") from error
        raise
    return posterior, _observed(args, posterior, wanted)


def _observed(args: Namespace, posterior: Posterior, wanted: Named | None) -> Observation:
    """All rows, or those wanted in their order; no more than a page holds."""
    options_of(args, posterior, args.model)  # refuses what the model's data do not have
    parts, count = [], 0
    with rows_bar(args, posterior.model.frame) as bar:
        for part in observations(args, posterior.model.frame):
            bar.update(len(part))
            part = part.select(posterior.lines) if isinstance(part, Lines) else part
            part = part if wanted is None else part[wanted.places(part.names)]
            parts, count = [*parts, part], count + len(part)
            if count > MOST:
                raise ValueError(f"expected at most {MOST} rows for one page; got more: name "
                                 "fewer files, or a table of some of the rows (--rows)")
    kind = Lines if posterior.model.frame.kind == "lines" else Spectra
    obs = kind.concatenate([p for p in parts if len(p)] or parts)
    return obs if wanted is None else obs[wanted.ordered(obs.names)]


def _simulator(args: Namespace, posterior: Posterior):
    """What the model was trained on, if it is known; what that costs the page is told."""
    try:
        if posterior.model.frame.kind == "lines":
            return nebulae_of(posterior, args.model, grids(args.grid))
        return simulator_of(posterior, args.model)
    except ValueError as error:
        if args.grid:
            raise
        log.info("no simulator for the page: %s", error)
        return None
