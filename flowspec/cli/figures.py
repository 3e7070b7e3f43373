"""A figure per object, of the rows with the highest signal-to-noise ratio among all that pass."""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.table import Row, Table
from tqdm import tqdm

from flowspec import plots
from flowspec.check.predictive import predict
from flowspec.cli.answering import Answered, OneModel
from flowspec.cli.auto import ChosenModels
from flowspec.cli.outputs import make_folder, save
from flowspec.data.observation import Observation
from flowspec.plots.pages import Answer, Model
from flowspec.plots.style import Figure
from flowspec.posterior.answers import Answers, redshift_density
from flowspec.posterior.posterior import Posterior
from flowspec.posterior.simulators import nebulae_of, simulator_of

log = logging.getLogger("flowspec")
FIRST = "log_mstar", "log_sfr", "av", "oh"  # of the corner, where a model has them
COUNT = 4  # parameters of a corner that is legible beside other panels
STARTS, QUICK_STARTS = 4, 16  # draws that the fit of the forward model starts from


class Kept(NamedTuple):
    """What a figure needs of one row."""

    obs: Observation
    row: Row
    samples: np.ndarray
    source: np.ndarray
    share: np.ndarray


class Gallery:
    """Keeps the rows of highest signal-to-noise ratio, and draws them at the end.

    Args:
        posterior: The model.
        name: Of it, as on the command line.
        top: How many rows.
        parameters: Of the corner plot; by default up to four that the model has.
        quick: The best model is the best of 16 draws with its smooth factors fitted, without a
            band, instead of a fit of everything: a third of the programs to compile.

    Raises:
        ValueError: If the model lacks one of the parameters.
    """

    def __init__(
        self, posterior: Posterior, name: str, top: int, parameters: Sequence[str] = (), *,
        quick: bool = False,
    ):  # fmt: skip
        self._posterior, self._name, self._top = posterior, name, top
        self._quick = quick
        self._shown = chosen(posterior.names, parameters)
        self._kept: list[Kept] = []

    def __len__(self) -> int:
        return len(self._kept)

    def offer(
        self, obs: Observation, table: Table, answers: Answers, dereddened: bool = False
    ) -> None:
        """Look at some more rows, and what is said of them."""
        best = [i for i in np.argsort(-obs.snr, kind="stable") if obs.usable[i]][: self._top]
        if not best:
            return
        seen = self._posterior.model.frame.seen(obs[best], dereddened)
        for number, i in enumerate(best):
            rest = answers.samples[:, i], answers.source[:, i], answers.share[i]
            self._kept.append(Kept(seen[number], table[i], *rest))
        self._kept.sort(key=lambda kept: -kept.obs.snr[0])
        del self._kept[self._top :]

    def write(self, output: str | Path, truths: Mapping[str, np.ndarray] = {}, *,  # noqa: B006
              progress: bool = False) -> list[Path]:
        """Draw them.

        Args:
            output: A folder, or the PNG file of the only figure.
            truths: Names of rows to true parameters, where they are known.
            progress: Whether to show a progress bar.

        Returns:
            The files, those of the highest signal-to-noise ratio first.

        Raises:
            ValueError: If there is no row with data, or several for one file.
        """
        count, alone = len(self._kept), is_file(output)
        if not count or (alone and count > 1):
            got = f"{count} rows, for which a folder or --top 1" if count else "no row with data"
            raise ValueError(f"{output}: expected one row to draw; got {got}")
        names = file_names([kept.obs.names[0] for kept in self._kept])
        paths = [Path(output)] if alone else [make_folder(output) / name for name in names]
        lines = self._posterior.model.frame.kind == "lines"
        figures = (self._lines if lines else self._spectra)(truths)
        with tqdm(total=count, unit="figure", disable=not progress or None) as bar:
            for path, figure in zip(paths, figures, strict=True):
                save(figure, path)
                bar.update()
        return paths

    def _spectra(self, truths) -> Iterator[Figure]:
        obs = type(self._kept[0].obs).concatenate([kept.obs for kept in self._kept])
        models = self._models(obs)
        for number, (kept, model) in enumerate(zip(self._kept, models, strict=True)):
            answer = self._answer(kept, truths)
            yield plots.spectrum_page(obs[number], answer, self._shown, model)

    def _models(self, obs) -> Iterator[Model | None]:
        """The forward model given each spectrum, or none where nobody can tell what it was."""
        try:
            sim = simulator_of(self._posterior, self._name)
        except ValueError as error:
            why = str(error).partition(":")[2].partition(": give simulations")[0].strip()
            log.info("no best model in the figures: %s", why)
            yield from [None] * len(obs)
            return
        count = QUICK_STARTS if self._quick else STARTS
        start = np.stack([kept.samples[:count] for kept in self._kept], axis=1)
        if self._quick:
            fitted = sim.fit(obs, start, iterations=0)
            yield from (Model(fitted, row) for row in range(len(obs)))
            return
        fitted = sim.fit(obs, start)
        band = sim.band(fitted)
        for row in range(len(obs)):
            parts = sim.parts(fitted.theta[row], fitted.latent[row])
            yield Model(fitted, row, band[row], {k: np.asarray(v) for k, v in parts.items()})

    def _lines(self, truths) -> Iterator[Figure]:
        try:
            sim = nebulae_of(self._posterior, self._name, {})
        except ValueError as error:
            log.info("no predicted lines in the figures: %s", str(error).partition(":")[2].strip())
            sim = None
        for kept in self._kept:
            found = sim and predict(sim, kept.samples[:, None], kept.source[:, None], kept.obs)
            predicted = found and (found.flux[0], found.sigma[0])
            yield plots.lines_page(kept.obs, 0, self._answer(kept, truths), self._shown, predicted)

    def _answer(self, kept: Kept, truths) -> Answer:
        space, name = self._posterior.model.space, kept.obs.names[0]
        answer = Answer(title(kept.row, self._posterior.names), self._posterior.names,
                        kept.samples, truth=truths.get(name))
        if space.redshift is None:
            return answer
        edges, density = space.redshift.all_edges(), redshift_density(space, kept.share[None])[0]
        return answer._replace(best=float(kept.row["z_best"]), edges=edges, density=density)


class Galleries:
    """A gallery for each model that answers rows.

    Args:
        by: What answers.
        top: How many rows of each model.
        parameters: See `Gallery`.

    Raises:
        ValueError: If the model, where it is known, lacks one of the parameters.
    """

    def __init__(
        self, by: OneModel | ChosenModels, top: int, parameters: Sequence[str]
    ):
        self._of_each: dict[str, Gallery] = {}
        self._rest = top, parameters
        if isinstance(by, OneModel):
            self._of_each[by.model] = Gallery(by.posterior, by.model, *self._rest)

    def offer(self, one: Answered, dereddened: bool = False) -> None:
        """Look at some more rows."""
        if one.model not in self._of_each:
            self._of_each[one.model] = Gallery(one.posterior, one.model, *self._rest)
        self._of_each[one.model].offer(one.obs, one.table, one.answers, dereddened)

    def write(self, output: str | Path, *, progress: bool = False) -> list[Path]:
        """Draw them: of several models, those of each in a folder of its name in `output`.

        Raises:
            ValueError: If there is no row with data, or several for one file.
        """
        filled = {name: one for name, one in self._of_each.items() if len(one)}
        if len(filled) < 2:
            one = next(iter((filled or self._of_each).values()), None)
            if one is None:
                raise ValueError(f"{output}: expected one row to draw; got no row with data")
            return one.write(output, progress=progress)
        if is_file(output):
            raise ValueError(f"{output}: expected one row to draw; got rows of "
                             f"{', '.join(filled)}, for which a folder")
        return [path for name, one in filled.items()
                for path in one.write(str(Path(output) / name), progress=progress)]


def chosen(names: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """Parameters of the corner plot: those wanted, or at most four, without the redshift.

    Raises:
        ValueError: If one of those wanted is not among the `names`.
    """
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise ValueError(f"expected --parameters among {', '.join(names)}; got {unknown[0]}")
    if wanted:
        return tuple(dict.fromkeys(wanted))
    others = [name for name in names if name != "z" and name not in FIRST]
    return tuple([*(name for name in FIRST if name in names), *others, "z"][:COUNT])[: len(names)]


def file_names(names: Sequence[str]) -> list[str]:
    """A PNG file for each name, told apart by numbers where names are the same."""
    found: list[str] = []
    for name in names:
        plain = re.sub(r"(?i)\.(gz|fits?|h5|hdf5)", "", name)
        plain = re.sub(r"[^\w.+-]+", "-", plain).strip("-.") or "row"
        taken = {other.lower() for other in found}  # some disks take a and A for the same
        tries = (f"{plain}{end}.png" for end in ("", *(f"-{i}" for i in range(2, len(names) + 2))))
        found.append(next(one for one in tries if one.lower() not in taken))
    return found


def is_file(output: str | Path) -> bool:
    """Whether figures go to one file, not to a folder."""
    return Path(output).suffix.lower() == ".png"


def title(row: Row, names: Sequence[str]) -> str:
    """Two lines: the object, and what the table says of it in short."""
    columns, parts = row.colnames, []
    if "z_best" in columns:
        sure = row["z_prob"]
        parts += [f"z = {row['z_best']:.5f}",
                  "probability that it is right: "
                  + ("not known" if np.ma.is_masked(sure) else f"{_down(sure):.3f}")]
    if "class" in columns:
        parts.append(str(row["class"]))
    if "source" in columns:
        parts.append(f"ionised by {row['source']}")
    parts.append(f"S/N {row['snr']:.1f} (median)")
    flags = row["flag_names"] if row["flags"] else ""
    where = [str(row[c]) for c in ("prior_edge", "unlike_at") if c in columns
             and not np.ma.is_masked(row[c]) and str(row[c]) not in ("", "--")]
    words = flags.replace("_", " ").replace(",", ", ") + (f" ({'; '.join(where)})" if where else "")
    parts.append(f"flags: {words}" if flags else "no flag")
    return f"{row['name']}\n{'    '.join(parts)}"


def _down(probability: float) -> float:
    """Rounded down: 0.9997 is not 1."""
    return np.floor(1000 * float(probability)) / 1000
