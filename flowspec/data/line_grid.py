"""Line fluxes on a grid of photoionisation models: any named parameters, any named lines."""

import logging
import math
import re
from collections.abc import Iterable, Sequence

import equinox as eqx
import numpy as np
from jaxtyping import Float, ScalarLike

from flowspec.data.line_names import canonical, parts, wave_of

log = logging.getLogger("flowspec")
_UNRESOLVED = ("[OII]7320", "[OII]7330")  # pairs: the sum where a table has both lines of one
FAINTEST = 1e-6  # of H-beta: no spectrum shows it, whatever a table prints


class LineGrid(eqx.Module):
    """Line fluxes of photoionisation models. Made by `line_grid`.

    Attributes:
        points: parameters of each model [models, params].
        flux: relative to H-beta [models, lines]; 0 where below what the table can tell.
        names: of the parameters, such as `oh` (12 + log O/H), `no` (log N/O), `log_u`, `log_pk`.
        lines: canonical names (`flowspec.data.line_names`).
        floor: least flux that the table can tell.
        source: what the models are, whose, and under which licence.
    """

    points: Float[np.ndarray, "models params"]
    flux: Float[np.ndarray, "models lines"]
    names: tuple[str, ...] = eqx.field(static=True)
    lines: tuple[str, ...] = eqx.field(static=True)
    floor: float = eqx.field(static=True)
    source: str = eqx.field(static=True)

    @property
    def wave(self) -> Float[np.ndarray, " lines"]:
        """Vacuum wavelengths in angstrom."""
        return np.array([wave_of(line) for line in self.lines])

    @property
    def axes(self) -> tuple[np.ndarray, ...] | None:
        """Nodes of each parameter where the models are every combination of them, else None."""
        nodes = tuple(np.unique(column) for column in self.points.T)
        full = np.prod([len(n) for n in nodes]) == len(self.points)
        return nodes if full and len(np.unique(self.points, axis=0)) == len(self.points) else None

    def cube(self) -> np.ndarray:
        """Fluxes by node of each parameter [n1, n2, ..., lines].

        Raises:
            ValueError: where the models are not every combination of their nodes.
        """
        axes = self.axes
        if axes is None:
            nodes = " x ".join(str(len(np.unique(column))) for column in self.points.T)
            raise ValueError(f"expected {nodes} models, one at each node; got {len(self.points)}")
        order = np.lexsort(self.points.T[::-1])
        return self.flux[order].reshape(*(len(nodes) for nodes in axes), len(self.lines))

    @property
    def gaps(self) -> np.ndarray:
        """Parameters [gaps, params] of the models that lack for every combination of the nodes.

        None where the models are less than half of these: they are scattered, and no lattice.
        """
        nodes = [np.unique(column, return_inverse=True) for column in self.points.T]
        shape = tuple(len(values) for values, _ in nodes)
        found = set(zip(*(place.ravel().tolist() for _, place in nodes), strict=True))
        if not len(found) >= math.prod(shape) / 2:
            return np.empty((0, len(shape)))
        lacking = [index for index in np.ndindex(shape) if index not in found]
        return np.array([[values[i] for (values, _), i in zip(nodes, index, strict=True)]
                         for index in lacking]).reshape(-1, len(shape))  # fmt: skip

    def completed(self) -> "LineGrid":
        """A grid on every combination of its common nodes, where it is almost one.

        A node is common if at least half as many models have it as have the median one. Others
        are left out, of repeated models the last is kept, and missing ones are filled in from
        their neighbours along each parameter, linearly in log10 of the flux, the mean over the
        parameters.

        Raises:
            ValueError: where more than a twentieth of the models would be filled in.
        """
        counts = [np.unique(column, return_counts=True) for column in self.points.T]
        axes = [nodes[count >= np.median(count) / 2] for nodes, count in counts]
        place = [np.searchsorted(a, c) for a, c in zip(axes, self.points.T, strict=True)]
        near = [a[np.minimum(p, len(a) - 1)] for a, p in zip(axes, place, strict=True)]
        on = (np.stack(near, axis=1) == self.points).all(axis=1)
        shape = tuple(len(a) for a in axes)
        flux = np.full((*shape, len(self.lines)), np.nan)
        flux[tuple(p[on] for p in place)] = self.flux[on]
        missing = np.isnan(flux[..., 0])
        if missing.mean() > 0.05:
            raise ValueError(f"expected almost all of {shape} models; {missing.sum()} are missing")
        log.info("models left out: %d, off the lattice; filled in from their neighbours: %d of %d",
                 (~on).sum(), missing.sum(), missing.size)  # fmt: skip
        filled = 10 ** _filled_in(axes, np.log10(np.maximum(flux, self.floor / 2)), missing)
        filled = np.where(filled < self.floor * (1 - 1e-6), 0.0, filled)
        flux = np.where(missing[..., None], filled, flux).reshape(-1, len(self.lines))
        points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(len(flux), -1)
        return LineGrid(points, flux, self.names, self.lines, self.floor, self.source)

    def select(self, lines: Iterable[str]) -> "LineGrid":
        """The grid of the wanted `lines` in their order, in any spelling.

        A sum that the grid does not hold is made of its lines.

        Raises:
            ValueError: where a line is not in the grid, or only inside a sum.
        """
        wanted = tuple(canonical(line) for line in lines)
        flux = np.stack([self._flux_of(line) for line in wanted], axis=1)
        return LineGrid(self.points, flux, self.names, wanted, self.floor, self.source)

    def between(self, **limits: tuple[ScalarLike, ScalarLike]) -> "LineGrid":
        """Only the models with each named parameter between two limits, ends included.

        Raises:
            ValueError: where a parameter is unknown or no model is left.
        """
        keep = np.ones(len(self.points), bool)
        for name, (low, high) in limits.items():
            column = self._column(name)
            keep &= (column >= low - 1e-9) & (column <= high + 1e-9)
        if not keep.any():
            ranges = self._ranges(limits)
            raise ValueError(f"expected limits that hold models ({ranges}); got {limits}")
        return self._rows(keep)

    def fixed(self, **values: ScalarLike) -> "LineGrid":
        """Only the models at the node nearest to each value, without these parameters.

        Raises:
            ValueError: where a parameter is unknown, a value is outside the grid, or no parameter
                or model is left.
        """
        keep = np.ones(len(self.points), bool)
        for name, value in values.items():
            column = self._column(name)
            if not column.min() <= value <= column.max():
                raise ValueError(f"expected {self._ranges([name])}; got {name} = {value:g}")
            nodes = np.unique(column)
            keep &= column == nodes[np.abs(nodes - value).argmin()]
        free = [i for i, name in enumerate(self.names) if name not in values]
        if not free or not keep.any():
            raise ValueError(f"expected models and parameters to be left; got fixed {values}")
        names = tuple(self.names[i] for i in free)
        kept = self._rows(keep)
        return LineGrid(kept.points[:, free], kept.flux, names, self.lines, self.floor, self.source)

    def _rows(self, keep) -> "LineGrid":
        arrays = self.points[keep], self.flux[keep]
        return LineGrid(*arrays, self.names, self.lines, self.floor, self.source)

    def _column(self, name: str) -> np.ndarray:
        if name not in self.names:
            raise ValueError(f"expected a parameter of {', '.join(self.names)}; got {name}")
        return self.points[:, self.names.index(name)]

    def _ranges(self, names) -> str:
        ends = {n: self._column(n) for n in names}
        return ", ".join(f"{n} {c.min():g} to {c.max():g}" for n, c in ends.items())

    def _flux_of(self, line: str) -> np.ndarray:
        if line in self.lines:
            return self.flux[:, self.lines.index(line)]
        single = parts(line)
        if all(part in self.lines for part in single):
            return sum(self.flux[:, self.lines.index(part)] for part in single)
        within = [sum_ for sum_ in self.lines if set(single) & set(parts(sum_)) and "," in sum_]
        cause = f"the grid holds only {', '.join(within)}" if within else "not in the grid"
        raise ValueError(f"expected lines of {', '.join(self.lines)}; got {line}: {cause}")


def _filled_in(axes, values, missing) -> np.ndarray:
    """Missing nodes [..., lines] from those to both sides along each axis, else to one side."""
    filled = values.copy()
    for index in np.argwhere(missing):
        between, beside = [], []
        for k, nodes in enumerate(axes):
            line, x = (*index[:k], slice(None), *index[k + 1 :]), nodes[index[k]]
            known, places = values[line][~missing[line]], nodes[~missing[line]]
            if len(places):
                inside = places[0] < x < places[-1]
                guess = [np.interp(x, places, v) for v in known.T]
                (between if inside else beside).append(guess)
        filled[tuple(index)] = np.mean(between or beside, axis=0)
    return filled


def line_grid(
    points,
    flux,
    names: Sequence[str],
    lines: Sequence[str],
    *,
    source: str,
    floor: float | None = None,
) -> LineGrid:
    """A `LineGrid` from a table: relative to H-beta, one column per line, nothing that is empty.

    The lines of a pair that is one canonical name (7318 and 7320) are summed. Dropped, and named in
    the log, are models without H-beta or any other line, lines that are zero in all models, and
    parameters of one value.

    Args:
        points: parameters [models, params].
        flux: in any unit that the lines share [models, lines]; NaN where there is none.
        names: of the parameters.
        lines: their names, `Hbeta` among them, in any spelling.
        source: of the models.
        floor: least flux over H-beta that the table can tell; by default its least positive one,
            but at least `FAINTEST`.

    Raises:
        ValueError: where H-beta, models or parameters are missing, a line is there twice, or values
            make no sense.
    """
    points, flux = np.asarray(points, float), np.asarray(flux, float)
    known = [canonical(line) for line in lines]
    _check_once(lines, known)
    unique = list(dict.fromkeys(known))
    if "Hbeta" not in unique:
        raise ValueError(f"expected Hbeta among the lines; got {', '.join(unique[:12])}")
    if not np.isfinite(points).all():
        raise ValueError("expected finite parameters; got NaN or infinity")
    if np.isinf(flux).any() or (flux < 0).any():
        raise ValueError(f"expected fluxes >= 0; got {np.nanmin(flux):g} to {np.nanmax(flux):g}")
    flux = np.nan_to_num(flux)
    member = np.array([[name == one for one in unique] for name in known], float)
    flux = flux @ member
    hbeta = flux[:, unique.index("Hbeta")]
    good = (hbeta > 0) & ((flux > 0).sum(axis=1) > 1)
    if not good.any():
        raise ValueError("expected models with H-beta and another line; got none")
    points, flux = points[good], flux[good] / hbeta[good, None]
    floor = max(float(flux[flux > 0].min()), FAINTEST) if floor is None else floor
    flux = np.where(flux < floor * (1 - 1e-6), 0.0, flux)
    varied = np.ptp(points, axis=0) > 0
    if not varied.any():
        raise ValueError(f"expected models that differ in a parameter; got {', '.join(names)}")
    shown = (flux > 0).any(axis=0)
    kept = tuple(n for n, v in zip(names, varied, strict=True) if v)
    _log_dropped(~good, [n for n in names if n not in kept],
                 [n for n, s in zip(unique, shown, strict=True) if not s])  # fmt: skip
    lines = tuple(n for n, s in zip(unique, shown, strict=True) if s)
    return LineGrid(points[:, varied], flux[:, shown], kept, lines, floor, source)


def _check_once(lines: Sequence[str], known: Sequence[str]):
    for name in {n for n in known if known.count(n) > 1}:
        labels = [label for label, other in zip(lines, known, strict=True) if other == name]
        waves = {re.sub(r"\D*(\d{4}).*", r"\1", label) for label in labels}
        if name not in _UNRESOLVED or len(waves) < len(labels):
            raise ValueError(f"expected each line once; got {name} as '{labels[0]}' and "
                             f"'{labels[1]}'")


def _log_dropped(models, parameters, lines):
    dropped = [f"{models.sum()} models without H-beta or any other line"] if models.any() else []
    dropped += [f"parameters of one value: {', '.join(parameters)}"] if parameters else []
    dropped += [f"lines that are 0 in all models: {', '.join(lines)}"] if lines else []
    if dropped:
        log.info("left out of the grid: %s", "; ".join(dropped))
