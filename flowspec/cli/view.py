"""`flowspec view`: a page to look at spectra or line catalogues with their posteriors."""

import contextlib
import logging
import os
import shlex
from argparse import Namespace
from typing import NamedTuple

from flowspec import pages
from flowspec.cli.answering import OneModel, options_of
from flowspec.cli.auto import ChosenModels, answering
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
        found = _read(args, wanted, from_table=table is not None)
    for one in found:
        folder = args.output if len(found) == 1 else os.path.join(args.output, one.model)
        sim = _simulator(args, one)
        options = options_of(args, one.posterior, one.model)
        options |= {"fits": args.fits, "title": args.title, "model": one.model}
        options["progress"] = not args.quiet
        path = pages.view(one.obs, one.posterior, make_folder(folder), sim=sim, **options)
        size = path.stat().st_size / 1e6
        print(f"{path}: {len(one.obs)} rows, {size:.1f} MB; open it in a browser")


class _Page(NamedTuple):
    """What is on one page: rows and their model."""

    model: str
    posterior: Posterior
    obs: Observation


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


def _read(args: Namespace, wanted: Named | None, *, from_table: bool) -> list[_Page]:
    """All rows to show, by model.

    Raises:
        ValueError: In one line; of a table, that what it was made from is not where it was.
    """
    try:
        check_inputs(args.spectra)
        by = answering(args)
    except (ValueError, OSError) as error:
        if from_table:
            raise ValueError(f"{args.rows}: expected what it was made from; got {error}. "
                             f"{_instead(args.rows, args.model)}") from error
        raise
    if isinstance(by, ChosenModels):
        found = _chosen(by, wanted)
    else:
        found = [_Page(by.model, by.posterior, _observed(args, by, wanted))]
    if not found[0].obs.usable.any():
        raise ValueError(f"{found[0].obs.names[0]}: {found[0].obs.notes[0]}")
    return found


def _observed(args: Namespace, by: OneModel, wanted: Named | None) -> Observation:
    """All rows, or those wanted in their order; no more than a page holds."""
    parts, count = [], 0
    with rows_bar(args, by.frame) as bar:
        for part in observations(args, by.frame):
            bar.update(len(part))
            part = part.select(by.posterior.lines) if isinstance(part, Lines) else part
            part = part if wanted is None else part[wanted.places(part.names)]
            parts, count = [*parts, part], count + len(part)
            _check_size(count)
    kind = Lines if by.frame.kind == "lines" else Spectra
    obs = kind.concatenate([p for p in parts if len(p)] or parts)
    return obs if wanted is None else obs[wanted.ordered(obs.names)]


def _chosen(by: ChosenModels, wanted: Named | None) -> list[_Page]:
    """All rows that a model is for, or those wanted in their order, by model.

    Raises:
        ValueError: If there are none, or more than a page holds.
    """
    parts, count, names, notes = {}, 0, [], []
    for table, answered in by.blocks():
        names += list(table["name"])
        notes += list(table["notes"])
        for one in answered:
            rows = slice(None) if wanted is None else wanted.places(one.obs.names)
            kept = one.obs[rows]
            parts.setdefault(one.model, (one.posterior, []))[1].append(kept)
            count += len(kept)
            _check_size(count)
    if wanted is not None:
        wanted.ordered([name for name in names if wanted.places([name])])  # refuses what is in none
    found = []
    for model, (posterior, some) in parts.items():
        obs = Spectra.concatenate(some)
        obs = obs if wanted is None else obs[wanted.arranged(obs.names)]
        if len(obs):
            found.append(_Page(model, posterior, obs))
    if not found:
        raise ValueError(f"{names[0]}: {notes[0] or 'no data'}")
    if missing := len(names) - count if wanted is None else 0:
        log.warning("%d of %d spectra are on no page: no model covers them", missing, len(names))
    return found


def _check_size(count: int) -> None:
    if count > MOST:
        raise ValueError(f"expected at most {MOST} rows for one page; got more: name "
                         "fewer files, or a table of some of the rows (--rows)")


def _simulator(args: Namespace, page: _Page):
    """What the model was trained on, if it is known; what that costs the page is told."""
    try:
        if page.posterior.model.frame.kind == "lines":
            return nebulae_of(page.posterior, page.model, grids(args.grid))
        return simulator_of(page.posterior, page.model)
    except ValueError as error:
        if args.grid:
            raise
        log.info("no simulator for the page: %s", error)
        return None
