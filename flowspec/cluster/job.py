"""What all units have in common, and the work on one."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from errno import ENOENT
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from astropy.table import Table, vstack

from flowspec.cluster.parts import write_part
from flowspec.cluster.units import Unit
from flowspec.data.observation import Observation
from flowspec.io.blocks import OPTIONS, WORDS, file_parts, gathered, line_blocks
from flowspec.io.options import Options, make_options
from flowspec.posterior.asked import draw_count
from flowspec.posterior.columns import in_order
from flowspec.posterior.headers import model_frame
from flowspec.posterior.load import load, model_path
from flowspec.posterior.posterior import Posterior
from flowspec.posterior.summary import summarized, with_silent
from flowspec.prior.galaxies import Population

_READING = ("columns", "flux_unit", "wave_unit", "air", "resolving_power")
_ROWS = 1024  # answered at once: 500 draws of twelve parameters are 25 MB


@dataclass(frozen=True)
class Job:
    """What decides the results of a unit, and where they go. Small: each unit comes with it.

    Attributes:
        model: Absolute name of the file of the model.
        digest: BLAKE2 hash of its content.
        out: Absolute name of the folder of results.
        rows: Of a unit at most.
        n: Draws per row.
        seed: Random seed.
        population: Whether posteriors are weighted to the galaxies of a survey.
        total: Bands to columns of total magnitudes, see `flowspec.Posterior.summarize`.
        dereddened: Whether fluxes of lines are corrected for dust.
        suffix: Of columns of lines.
        reading: Keywords of `flowspec.read`.
    """

    model: str
    digest: str
    out: str
    rows: int
    n: int
    seed: int
    population: bool
    total: dict[str, str | tuple[str, str]] | None
    dereddened: bool
    suffix: str | None
    reading: dict

    @property
    def run(self) -> dict:
        """What decides the results of all units, in JSON's types."""
        own = asdict(self)
        del own["out"], own["model"]
        return json.loads(json.dumps({"flowspec": version("flowspec"), **own}, sort_keys=True))

    @property
    def options(self) -> Options:
        """What files are read with."""
        return make_options(**self.reading)


def job_of(
    model, out: str | Path, *, rows: int, n: int, seed: int, population: bool = False,
    total=None, dereddened: bool = False, suffix: str | None = None, **reading,
) -> Job:  # fmt: skip
    """A job, checked before any work.

    Args:
        model: Name of a shipped model, or its file.
        out: Folder of results.
        rows, n, seed, population, total, dereddened, suffix: Of `Job`.
        **reading: Keywords of `flowspec.read` that hold for every file.

    Raises:
        ValueError: If an option is not for the model's data, or there is no such option.
        OSError: If there is no such model.
    """
    if not isinstance(model, str | Path):
        raise ValueError(f"expected the name or file of a model; got {type(model).__name__}: "
                         "workers read it from its file, so save it first")
    if rows < 1:
        raise ValueError(f"expected rows >= 1; got {rows}")
    if unknown := sorted(set(reading) - set(_READING)):
        raise ValueError(f"expected options of {', '.join(_READING)}; got {', '.join(unknown)}")
    reading = dict.fromkeys(_READING) | reading
    reading["columns"] = dict(reading["columns"] or {})
    make_options(**reading)
    path = model_path(model)
    _check_kind(model, model_frame(path).kind,
                reading | {"total": total, "dereddened": dereddened, "suffix": suffix})
    total = dict(total) if total else None
    return Job(str(path.absolute()), digest_of(path), str(Path(out).absolute()), rows,
               draw_count(n), seed, population, total, dereddened, suffix, reading)  # fmt: skip


def _check_kind(model, own: str, options: dict) -> None:
    """Refuse options of spectra with a model of lines, and the other way round."""
    if own not in OPTIONS:
        raise ValueError(f"{model}: expected a model of spectra or lines; got one of {own}")
    for other in set(OPTIONS) - {own}:
        for name in OPTIONS[other]:
            if options[name]:
                raise ValueError(f"expected {name} only with a model of {WORDS[other]}; got a "
                                 f"model of {WORDS[own]}")


def write_unit(unit: Unit, job: Job) -> int:
    """Answer all rows of a unit and write them under the name of its part, whole or not at all.

    Returns:
        The number of rows.

    Raises:
        ValueError: If the file cannot be read.
        OSError: If the part cannot be written.
    """
    if not Path(job.out).is_dir():
        raise OSError(ENOENT, "expected a folder that workers see as well", job.out)
    posterior = loaded(job.model, job.digest)
    options = {"n": job.n, "seed": job.seed, "by_name": True, "total": job.total,
               "dereddened": job.dereddened}  # fmt: skip
    if job.population:
        options["population"] = Population(posterior.model.space.priors[0])
    tables = [_answered(obs, posterior, options)
              for obs in _observations(unit, job, posterior.model.frame)]
    if not tables:
        raise ValueError(f"{unit.path}: expected rows; got none")
    table = vstack(tables, metadata_conflicts="silent")
    table = table[in_order(table.colnames)]
    write_part(table, Path(job.out) / unit.part, unit, job.run)
    return len(table)


def _answered(obs: Observation, posterior: Posterior, options: dict) -> Table:
    table, _ = summarized(posterior, obs, **options)
    return table if options["dereddened"] else with_silent(table, posterior)


def _observations(unit: Unit, job: Job, frame) -> Iterator[Observation]:
    if frame.kind == "lines":
        return line_blocks([unit.path], job.reading["columns"], job.suffix, unit.rows)
    options = job.reading | {"keep": list((job.total or {}).values())}
    pieces = file_parts(unit.path, unit.label, options, _ROWS, unit.rows)
    return gathered(map(frame.gridded, pieces), _ROWS)


@lru_cache(maxsize=1)
def loaded(path: str, digest: str) -> Posterior:
    """The model, loaded once by each process.

    Raises:
        ValueError: If its file is another one by now.
    """
    if digest_of(Path(path)) != digest:
        raise ValueError(f"{path}: expected the model that the run began with; got another")
    return load(path)


def digest_of(path: Path) -> str:
    """BLAKE2 hash of the content of a file, 128 bits in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
