"""The lines and blends of quasars on a lattice, as Fourier series (`flowspec.sim.instrument`).

Every line is its equivalent width over the power law where it is, so that one multiplication by
the power law gives its flux whatever the slope. Gas that moves together is one convolution.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, ScalarLike

from flowspec.sim.instrument.lattice import C_KMS, Lattice
from flowspec.sim.quasar import continuum, iron, lines
from flowspec.sim.quasar.nuisance import Draw

KINDS = ("broad", "series", "iron", "narrow")
MARGIN = 0.2  # of ln(wavelength), that broad wings and humps need beyond what is in sight
_FAMILIES, _MOTIONS = list(lines.FAMILIES), list(lines.MOTIONS)


class Emission(eqx.Module):
    """Lines and blends within the reach of a lattice.

    Args:
        lattice: On which spectra live.
        z: Redshift of its rest frame.

    Attributes:
        table: Fourier coefficients of each, of unit area [lines, 2 * freqs].
        frequency: Angular, of ln(wavelength) [freqs].
        wave: At rest, angstrom [lines].
        area: Equivalent widths over wavelengths; of the series of Balmer lines fluxes over
            wavelengths [lines].
        kind: Index among `KINDS` [lines].
        family: Index among `lines.FAMILIES` of a broad line; of iron and of a narrow line whether
            it is optical, or of low ionisation [lines].
        groups: Of gas that moves together: index among `lines.MOTIONS`, or -1 of narrow lines,
            share of the blueshift, and how many lines it has, which follow each other.
    """

    table: Float[Array, "lines freqs2"]
    frequency: np.ndarray
    wave: np.ndarray
    area: np.ndarray
    kind: tuple[int, ...] = eqx.field(static=True)
    family: tuple[int, ...] = eqx.field(static=True)
    groups: tuple[tuple[int, float, int], ...] = eqx.field(static=True)

    def __init__(self, lattice: Lattice, z: float):
        rows = [*_broad(), *_series(), *_iron(), *_narrow()]
        low, high = lattice.wave[[0, -1]] / (1 + z)
        rows = sorted((row for row in rows if low < row[0] < high), key=lambda row: row[-2:])
        wave, shift, own, area, kind, family, motion, share = np.array(rows, float).T
        pairs = list(zip(motion.astype(int).tolist(), share.tolist(), strict=True))
        self.groups = tuple((*pair, pairs.count(pair)) for pair in sorted(set(pairs)))
        self.wave, self.area = wave, area
        self.kind, self.family = (tuple(a.astype(int).tolist()) for a in (kind, family))
        self.frequency = lattice.frequency
        blur = np.exp(-0.5 * (own[:, None] * lattice.frequency) ** 2)
        table = lattice.of_lines(wave * (1 + z) * np.exp(shift / C_KMS))
        self.table = jnp.asarray(table * np.concatenate([blur, blur], 1), jnp.float32)

    def areas(
        self, draw: Draw, dex: Float[Array, " families"], there: Float[Array, " lines"]
    ) -> Float[Array, " lines"]:
        """Equivalent width of each over its wavelength.

        Args:
            draw: Nuisances.
            dex: Departure of each family of broad lines from its typical strength.
            there: Power law at `wave`, over that at 3000 A.
        """
        every, low, _ = draw.narrow
        series = continuum.BALMER * jnp.exp(draw.balmer) / there
        kind, family = np.array(self.kind), np.array(self.family)
        index, second = np.where(kind == 0, family, 0), np.where(kind == 0, 0, family)
        factors = 10 ** dex[index], series, jnp.exp(draw.iron[second]), 10 ** (every + low * second)
        return self.area * jnp.select([kind == i for i in range(len(KINDS))], factors)

    def of(
        self, areas: Float[Array, " lines"], draw: Draw, sigma: ScalarLike
    ) -> Float[Array, "2 freqs"]:
        """Fourier coefficients of the light over the power law, per unit ln(wavelength).

        Args:
            areas: Of each line (`areas`).
            draw: Nuisances.
            sigma: Standard deviation of broad lines in ln(wavelength), before `lines.MOTIONS`.
        """
        k = jnp.asarray(self.frequency, jnp.float32)
        total, first = jnp.zeros((2, len(k))), 0
        for motion, share, count in self.groups:
            own, first = slice(first, first + count), first + count
            real, imaginary = (areas[own] @ self.table[own]).reshape(2, -1)
            profile, velocity = self._moving(k, motion, share, draw, sigma)
            cos, sin = profile * jnp.cos(k * velocity), profile * jnp.sin(k * velocity)
            total += jnp.stack([real * cos + imaginary * sin, imaginary * cos - real * sin])
        return total

    def _moving(self, k, motion, share, draw, sigma):
        """Transfer function of the gas of a group, and its velocity over that of light."""
        if motion < 0:
            own = lines.NARROW_SIGMA / C_KMS * 10 ** draw.narrow[2]
            return jnp.exp(-0.5 * (k * own) ** 2), 0.0
        x = k * sigma * list(lines.MOTIONS.values())[motion].width * 10 ** draw.widths[motion]
        core, wings = (jnp.exp(-0.5 * (x * w) ** 2) for w in (lines.CORE_WIDTH, lines.WING_WIDTH))
        velocity = share * draw.blueshift + draw.shifts[motion]
        return (1 - draw.wings) * core + draw.wings * wings, velocity / C_KMS


# Rows: wavelength, velocity (km/s), own width in ln(wavelength), area, kind, family, motion, share


def _broad():
    over = iron.underlying(np.array([line.wave for line in lines.BROAD]))
    for line, local in zip(lines.BROAD, over, strict=True):
        family, motion = _FAMILIES.index(line.family), _MOTIONS.index(line.motion)
        area = line.width * local / line.wave
        yield line.wave, line.shift, 0, area, 0, family, motion, line.share


def _series():
    for wave, flux in zip(*continuum.balmer_series(), strict=True):
        yield wave, 0, 0, flux / wave, 1, 0, _MOTIONS.index("Balmer"), 0


def _iron():
    for wave, own, width, optical in zip(*iron.blends(), strict=True):
        yield wave, 0, own, width / wave, 2, optical, _MOTIONS.index("calm"), 0


def _narrow():
    over = iron.underlying(np.array(list(lines.NARROW)))
    for (wave, (width, low)), local in zip(lines.NARROW.items(), over, strict=True):
        yield wave, 0, 0, width * local / wave, 3, low, -1, 0
