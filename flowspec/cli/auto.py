"""`--model auto`: a shipped model for each spectrum, and the rows of all in one table."""

import logging
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.table import Table, vstack
from jaxtyping import Int

from flowspec.cli.answering import Answered, OneModel, options_of, told
from flowspec.cli.inputs import reading
from flowspec.data.flags import Flag
from flowspec.data.frame import Pixels
from flowspec.data.spectra import Spectra
from flowspec.io.blocks import line_blocks, parts
from flowspec.io.files import load as load_file
from flowspec.io.options import make_options
from flowspec.io.paths import expanded
from flowspec.posterior.answers import of_rows
from flowspec.posterior.choice import choices, closest, likeliest
from flowspec.posterior.columns import described_of_models
from flowspec.posterior.headers import model_frame, shipped
from flowspec.posterior.load import load
from flowspec.posterior.posterior import Posterior
from flowspec.posterior.summary import summarized

log = logging.getLogger("flowspec")
AUTO, OF_LINES = "auto", "nebula"
_ROWS = 1024  # of a table at once
_NOWHERE = np.array([1.0, 2.0])  # angstrom: a grid for files that cannot be read


def answering(args: Namespace) -> "OneModel | ChosenModels":
    """What answers the rows of a command: the model that is named, or `auto` ones.

    Raises:
        ValueError: If an option needs a model, or another one.
        OSError: If there is no such model.
    """
    if not is_auto(args.model):
        return OneModel(args, args.model)
    for option in ("samples", "redshift_pdf"):
        if getattr(args, option, None):
            raise ValueError(f"expected --{option.replace('_', '-')} with one model, whose "
                             f"parameters and redshifts it has; got --model {AUTO}")
    if _of_lines(args):
        return OneModel(args, OF_LINES, tells=True)
    return ChosenModels(args)


def is_auto(model: str) -> bool:
    """Whether models are to be chosen: a file of that name is a model like others."""
    return model == AUTO and not Path(model).is_file()


class _Group(NamedTuple):
    """Rows on one grid for which the same models are possible, the best first."""

    models: tuple[str, ...]
    rows: Int[np.ndarray, " rows"]
    obs: Spectra


class ChosenModels:
    """Each spectrum by the shipped model that it is for, in the order that they are given.

    Args:
        args: Arguments of a command.
    """

    def __init__(self, args: Namespace):
        frames = {name: model_frame(path) for name, path in shipped().items()}
        self._frames = {n: frame for n, frame in frames.items() if isinstance(frame, Pixels)}
        self.frame = next(iter(self._frames.values()))  # tells the kind of data
        self._args, self._used = args, Counter()
        self._loaded: dict[str, tuple[Posterior, dict]] = {}

    def blocks(self) -> Iterator[tuple[Table, list[Answered]]]:
        """The table of some rows, and its parts by model."""
        first = 0
        for groups in self._windows():
            table, answered = self._answered(groups, first)
            first += len(table)
            yield table, answered
        used = ", ".join(f"{name or 'none'} {rows}" for name, rows in self._used.items())
        log.info("rows by model: %s", used)

    def _windows(self) -> Iterator[list[_Group]]:
        """All rows, so many at a time that models have blocks to work on."""
        keep = list((self._args.total or {}).values())
        options = reading(self._args) | {"keep": keep}
        groups, count = [], 0
        for obs in parts(self._args.spectra, options, _ROWS, lambda spectra: spectra, _unread):
            for start in range(0, len(obs), _ROWS):
                piece = obs[start : start + _ROWS]
                if count + len(piece) > _ROWS:
                    yield groups
                    groups, count = [], 0
                groups += self._grouped(piece, count)
                count += len(piece)
        if groups:
            yield groups

    def _grouped(self, obs: Spectra, first: int) -> list[_Group]:
        found: dict[tuple[str, ...], list[int]] = {}
        for row, models in enumerate(choices(self._frames, obs)):
            found.setdefault(models, []).append(row)
        return [_Group(models, first + np.array(rows), obs[rows]) for models, rows in found.items()]

    def _answered(self, groups: list[_Group], first: int) -> tuple[Table, list[Answered]]:
        """Of one window; `first` is the number of its first row."""
        answered, tables, places = [], [], []
        for models in sorted({group.models for group in groups}, reverse=True):  # () is last
            some = [group for group in groups if group.models == models]
            if not models:
                tables += [self._refused(group.obs) for group in some]
                places += [group.rows for group in some]
                continue
            rows = np.concatenate([group.rows for group in some])
            for one, own in self._chosen(models, [group.obs for group in some], first + rows):
                self._used[one.model] += len(own)
                answered.append(one)
                tables.append(one.table)
                places.append(rows[own])
        return joined(tables, np.concatenate(places)), answered

    def _chosen(
        self, models: tuple[str, ...], parts: list[Spectra], numbers: Int[np.ndarray, " rows"]
    ) -> Iterator[tuple[Answered, Int[np.ndarray, " own"]]]:
        """The answers of each of some models for the rows that are best by it, and which."""
        each = []
        for model in models:
            posterior, options = self._model(model)
            obs = Spectra.concatenate([self._frames[model].gridded(part) for part in parts])
            table, answers = summarized(posterior, obs, **options, first=numbers)
            each.append(Answered(model, posterior, obs, table, answers))
        best = likeliest([one.table for one in each])
        for number, one in enumerate(each):
            own = np.flatnonzero(best == number)
            if len(own):
                table, answers = told(one.table[own], one.model), of_rows(one.answers, own)
                yield one._replace(obs=one.obs[own], table=table, answers=answers), own

    def _model(self, name: str) -> tuple[Posterior, dict]:
        if name not in self._loaded:
            posterior = load(name)
            self._loaded[name] = posterior, options_of(self._args, posterior, name)
        return self._loaded[name]

    def _refused(self, obs: Spectra) -> Table:
        """Flagged rows of spectra that no model is for: what is wrong, or which is closest."""
        self._used[""] += len(obs)
        notes = np.array(obs.notes, object)
        if obs.usable.any():
            notes[obs.usable] = closest(self._frames, obs[obs.usable])
        table = Table({"name": list(obs.names)} | dict(obs.extra))
        table["snr"] = obs.snr.astype(np.float32)
        table["flags"] = np.full(len(obs), int(Flag.NO_DATA))
        table["flag_names"] = Flag.describe_all(table["flags"])
        table["notes"] = [str(note) for note in notes]
        return told(table, "")


def joined(tables: list[Table], places: Int[np.ndarray, " rows"]) -> Table:
    """Rows of several tables in the order of their places; what one has not is masked there.

    Args:
        tables: Of results.
        places: Of the rows of all.
    """
    table = vstack(tables, metadata_conflicts="silent")[np.argsort(places)]
    for name in table.colnames:
        if table[name].dtype.kind in "US" and np.ma.isMaskedArray(table[name].data):
            about = table[name].description
            table[name] = table[name].filled("")
            table[name].description = about
    return described_of_models(table)


def _unread(label: str, note: str) -> Spectra:
    empty = np.zeros((1, len(_NOWHERE)))
    return Spectra(_NOWHERE, empty, empty, names=[label], notes=[note])


def _of_lines(args: Namespace) -> bool:
    """Whether the first file that can be read is a catalogue of lines."""
    for path in expanded(args.spectra, text=True, tell=False):
        try:
            load_file(path, None, replace(make_options(**reading(args)), most=1))
            return False
        except ValueError:
            pass
        try:
            next(line_blocks([path], dict(args.columns), args.suffix))
            return True
        except ValueError:
            continue
    return False
