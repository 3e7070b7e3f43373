"""Files of photoionisation grids to `LineGrid`."""

import logging
import re
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
from astropy.io import ascii, fits

from flowspec.data.line_grid import LineGrid, line_grid
from flowspec.data.line_names import canonical, is_line, unnamed
from flowspec.data.line_waves import WAVES
from flowspec.io import hdus
from flowspec.io.declared import check_text
from flowspec.io.grid_columns import grid_of_columns
from flowspec.io.hdf5 import opened
from flowspec.io.line_columns import check_once, header_names
from flowspec.io.source import FITS_MAGIC, GZIP_MAGIC, HDF5_MAGIC, blaming, gunzipped

log = logging.getLogger("flowspec")
LOG_C = np.log10(2.99792458e10)  # cm/s: U = q / c
SOLAR_CO = 0.44  # Gutkin et al. (2016), table 3
# Case B at 10^4 K, 100 cm-3 (Osterbrock & Ferland 2006, table 4.4), relative to H-beta.
CASE_B = {"Halpha": 2.86, "Hgamma": 0.468, "Hdelta": 0.259}
# Cloudy's [OII] pairs, whose mean labels (7323, 7332) FSPS turned into vacuum wavelengths, and the
# first of them in the IZI files made of FSPS.
_FSPS = {7325.129: "[OII]7320", 7334.131: "[OII]7330", 7321.0: "[OII]7320"}
# Columns of the IZI files with wavelengths (FSPS) that hold a neighbour: Lyman alpha, He II 1640
# and [OIII]5007, as comparison with FSPS' own tables shows.
_IZI_WRONG = {"cii1335", "civ1549", "hei5016"}


def read_grid(path, *, balmer: bool = True, source: str | None = None) -> LineGrid:
    """Read a grid of photoionisation models; the content says of which kind it is.

    Any file may be gzipped.

    - HII-CHI-mistry text (Perez-Montero 2014): `oh`, `no`, `log_u`. Its few failed, repeated and
      misplaced models are put right (`LineGrid.completed`).
    - IZI FITS (Blanc et al. 2015; python_izi): `oh` = LOGZ + LOGOHSUN (`log_z` where the Sun is not
      given), `log_u` = LOGQ - log10 c, `no` where given. A value that three lines of a model or
      more share is a filler and read as 0.
    - Gutkin et al. (2016) and Feltre et al. (2016) text, one table (`..._Z014.txt`: Z = 0.014) or
      the folder of them: `log_z` = log10 Z, `log_u` (at the Stroemgren radius), `xid`, `log_nh`
      and `co` = log10 C/O, `m_up`, or `alpha`.
    - FSPS `.lines` (Byler et al. 2017): `log_z` (over solar), `log_age` (yr), `log_u`. Lines
      without a known name are called by their vacuum wavelength (`vac12310.94`).
    - NebulaBayes FITS (Thomas et al. 2018): `log_u`, `log_pk`, `oh` and, of AGN, `log_e_peak`, ...
    - A table of your own models, such as Cloudy runs: ECSV, CSV, FITS, or HDF5 with one dataset
      per column; a row per model. A column whose name `flowspec.data.line_names.canonical`
      understands is the flux of a line (in any unit that all share; H-beta must be among them; NaN:
      not computed), every other column is a parameter: call them `oh`, `no`, `log_u`, ...

    Args:
        path: of the file or folder.
        balmer: whether H-alpha, H-gamma and H-delta of case B (2.86, 0.468, 0.259) are put into
            a HII-CHI-mistry grid, which has none of them.
        source: what the models are; by default what the file is.

    Raises:
        ValueError: in one line naming file and cause.
    """
    with blaming(path):
        grid = _read(Path(path), balmer, source)
    if len(gaps := grid.gaps):
        where = ", ".join(f"{n} = {x:g}" for n, x in zip(grid.names, gaps[0], strict=True))
        log.warning("gaps in the lattice of models: %s lacks %d of %d, such as %s: taken as "
                    "scattered models (LineGrid.completed fills gaps)", path, len(gaps),
                    len(gaps) + len(grid.points), where)  # fmt: skip
    return grid


def _read(path: Path, balmer: bool, source: str | None) -> LineGrid:
    if path.is_dir():
        return _folder(path, source)
    content = _content(path)
    if content.startswith((FITS_MAGIC, HDF5_MAGIC)):
        read = _fits if content.startswith(FITS_MAGIC) else _hdf5
        return read(content, source or path.name)
    check_text(content)
    rows = _decoded(content).splitlines()
    head = next((row for row in rows if not row.startswith("#")), "")
    if re.match(r"\s*12\+log\(O/H\)", head):
        return _hcm(rows, source or f"HII-CHI-mistry, {path.name}", balmer)
    if "log(Us)" in rows[0]:
        return _gutkin([path], source)
    if re.match(r"#\s*\d+ cols \d+ rows", rows[0]):
        return _fsps(rows, source or f"FSPS (Byler et al. 2017), {path.name}")
    if rows[0].startswith("# %ECSV") or "," in head:
        kind = "ecsv" if rows[0].startswith("# %ECSV") else "csv"
        check_once(header_names(rows))
        table = ascii.read(rows, format=kind)
        columns = {name: table[name] for name in table.colnames}
        return grid_of_columns(columns, source or path.name)
    raise ValueError(f"expected a grid of models (see read_grid); got text {rows[0][:40]!r}")


def _content(path: Path) -> bytes:
    """All of a file, unzipped."""
    if not path.is_file():
        raise ValueError("expected a file or folder; got a path that does not exist")
    content = path.read_bytes()
    if content.startswith(GZIP_MAGIC):
        content = gunzipped(path).getvalue()
    if not content.strip():
        raise ValueError("expected a grid of models; got an empty file")
    return content


def _decoded(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ValueError(f"expected text, FITS or HDF5; got {content[:8]!r}") from None


def _numbers(rows: list[str], columns: int) -> np.ndarray:
    """[rows, columns] of the rows that are neither empty nor comments."""
    cells = [row.split() for row in rows if row.strip() and not row.lstrip().startswith("#")]
    wrong = next((i for i, row in enumerate(cells) if len(row) != columns), None)
    if wrong is not None:
        got = f"{len(cells[wrong])} in model {wrong + 1}"
        raise ValueError(f"expected {columns} values per model; got {got}")
    try:
        return np.array(cells, float).reshape(len(cells), columns)
    except ValueError as error:
        raise ValueError(f"expected numbers; got: {error}") from None


def _hcm(rows, source, balmer) -> LineGrid:
    start = next(i for i, row in enumerate(rows) if not row.startswith("#"))
    head, body = rows[start].split(), [row for row in rows[start + 1 :] if row.strip()]
    if head[-1] == "source":  # a class at the end of each row
        head, body = head[:-1], [row.rsplit(None, 1)[0] for row in body]
    table = _numbers(body, len(head))
    added = {"Hbeta": 1.0} | (CASE_B if balmer else {})
    constant = np.tile([*added.values()], (len(table), 1))
    empty = (table[:, 3:] == 0).all(axis=1)  # models that failed
    flux = np.concatenate([table[:, 3:], constant], axis=1)[~empty]
    lines = [*head[3:], *added]
    grid = line_grid(table[~empty, :3], flux, ("oh", "no", "log_u"), lines, source=source)
    return grid if grid.axes is not None or len(grid.points) < 100 else grid.completed()


def _folder(path, source) -> LineGrid:
    tables = sorted(path.glob("*_Z[0-9]*.txt*"))
    if not tables:
        raise ValueError("expected tables named *_Z014.txt; got a folder without any")
    return _gutkin(tables, source)


def _gutkin(paths, source) -> LineGrid:
    """Tables of Gutkin+16 or Feltre+16 that share their columns."""
    points, fluxes, heads = [], [], []
    for path in paths:
        digits = re.search(r"_Z(\d+)", path.name)
        rows = _decoded(_content(path)).splitlines()
        if not digits or "log(Us)" not in rows[0]:
            raise ValueError(f"expected a table named *_Z014.txt of log(Us), ...; got {path.name}")
        head = rows[0].lstrip("#").split()
        table = _numbers(rows[1:], len(head))
        columns = dict(zip(head[:5], table.T, strict=False))
        params = {"log_z": np.full(len(table), np.log10(float("0." + digits[1])))}
        params |= {"log_u": table[:, 0], "xid": columns["xid"], "log_nh": np.log10(columns["nh"])}
        if "alpha" in columns:
            params["alpha"] = columns["alpha"]
        else:
            params |= {"co": np.log10(SOLAR_CO * table[:, 3]), "m_up": columns["mup"]}
        first = len(params) - 1  # all but log_z are columns
        points.append(np.stack([*params.values()], axis=1))
        fluxes.append(table[:, first:])
        heads.append((tuple(params), tuple(head[first:])))
    if len(set(heads)) > 1:
        raise ValueError("expected tables of the same columns; got several kinds")
    names, lines = heads[0]
    if "alpha" in names:  # the line itself here; the sum with 1883 in Gutkin+16
        lines = [line.replace("SiIII]1888", "SiIII]1892") for line in lines]
    whose = "Feltre et al. (2016)" if "alpha" in names else "Gutkin et al. (2016)"
    arrays = np.concatenate(points), np.concatenate(fluxes)
    return line_grid(*arrays, names, lines, source=source or whose)


def _fsps(rows, source) -> LineGrid:
    columns, models = (int(n) for n in re.findall(r"\d+", rows[0])[:2])
    wave = _numbers(rows[1:2], columns)[0]
    points, flux = _numbers(rows[2::2], 3), _numbers(rows[3::2], columns)
    if len(points) != models or len(flux) != models:
        raise ValueError(f"expected {models} models; got {len(flux)}")
    points[:, 1] = np.log10(points[:, 1])
    names = ("log_z", "log_age", "log_u")
    return line_grid(points, flux, names, named(wave), source=source)


def named(wave) -> list[str]:
    """Names of lines known by vacuum wavelength (A) only: of the nearest one within 3 parts in
    10,000 (10 beyond 30 microns), each name given once; else of the wavelength itself."""
    known = {name: w for name, w in WAVES.items() if name not in _FSPS.values()}
    lines = [_FSPS.get(round(float(w), 3), "") for w in wave]
    allowed = np.where(np.asarray(wave) < 3e5, 3e-4, 1e-3)[:, None]
    off = np.abs(np.asarray(wave)[:, None] / np.array([*known.values()]) - 1) / allowed
    off[[line != "" for line in lines]] = np.inf
    while off.min() < 1:
        i, j = np.unravel_index(off.argmin(), off.shape)
        lines[i] = [*known][j]
        off[i], off[:, j] = np.inf, np.inf
    return [line or unnamed(w) for line, w in zip(lines, wave, strict=True)]


def _fits(content, source) -> LineGrid:
    with hdus.opened(BytesIO(content)) as handle:
        tables = [hdu for hdu in handle if isinstance(hdu, fits.BinTableHDU)]
        if not tables:
            raise ValueError("expected a FITS table; got none")
        data = tables[0].data
        check_once(data.names)
        columns = {name: np.array(data[name]) for name in data.names}
    if {"ID", "FLUX", "LOGZ", "LOGQ"} <= set(columns):
        return _izi(columns, source)
    sums = re.compile(r"D_.*|[A-Za-z]+[\d.]+_[\d.]+")  # NebulaBayes' depths and sums of columns
    if "log P/k" in columns:
        columns = {name: x for name, x in columns.items() if not sums.fullmatch(name)}
    return grid_of_columns(columns, source)


def _izi(columns, source) -> LineGrid:
    ids = np.char.strip(columns["ID"].astype(str))
    titles = np.unique(np.char.strip(columns.get("NAME", np.array([""])).astype(str)))
    if (ids != ids[0]).any() or len(titles) > 1:
        raise ValueError("expected one grid with the same lines in all models; got several")
    sun = columns.get("LOGOHSUN")
    metals = {"log_z": columns["LOGZ"]} if sun is None else {"oh": columns["LOGZ"] + sun}
    params = metals | {"log_u": columns["LOGQ"] - LOG_C}
    if "LOGNO" in columns:
        params["no"] = columns["LOGNO"]
    wrong = _IZI_WRONG if "WAV" in columns else set()
    keep = [i for i, name in enumerate(ids[0]) if is_line(name) and name not in wrong]
    lines = [*ids[0][keep]]
    if "WAV" in columns:  # these are of single lines: `ciii1908` is 1907 alone
        lines = named(columns["WAV"][0][keep].astype(float))
    flux = _unfilled(columns["FLUX"][:, keep].astype(float))
    lines = [canonical(line) for line in lines]  # two labels of Mappings may mean one of ours
    known = list(dict.fromkeys(lines))
    flux = flux @ np.array([[line == one for one in known] for line in lines], float)
    points = np.stack([*params.values()], axis=1).astype(float).round(5)
    title = f"{titles[0]}, {source}".removeprefix(", ")
    return line_grid(points, flux, tuple(params), known, source=title)


def _unfilled(flux) -> np.ndarray:
    """Fluxes with 0 for a value that three lines of a model or more share."""
    shared = [np.unique(row, return_inverse=True, return_counts=True) for row in flux]
    counts = np.stack([count[inverse.ravel()] for _, inverse, count in shared])
    return np.where(counts >= 3, 0.0, flux)


def _hdf5(content, source) -> LineGrid:
    with opened(BytesIO(content)) as file:
        columns = {n: d[()] for n, d in file.items() if isinstance(d, h5py.Dataset)}
    return grid_of_columns(columns, source)
