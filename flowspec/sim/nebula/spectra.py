"""Spectra of nebulae: the lines of a `NebulaSimulator` in the pixels of an instrument."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float

from flowspec.data.line_names import parts, wave_of
from flowspec.data.line_waves import WAVES
from flowspec.data.spectra import Spectra
from flowspec.prior.nitrogen import NitrogenPrior
from flowspec.prior.parameters import galaxy_defaults
from flowspec.prior.prior import Prior
from flowspec.sim.curves import CURVES
from flowspec.sim.galaxy.nebula import PRESSURE
from flowspec.sim.instrument.instrument import Instrument
from flowspec.sim.instrument.shipped import instrument_of
from flowspec.sim.latent import Layout
from flowspec.sim.nebula.catalogues import REFERENCE, NebulaSimulator
from flowspec.sim.nebula.grid import mappings
from flowspec.sim.spectrum import SpectrumSimulator

# Those of `flowspec.sim.galaxy.nuisance` that nebulae have; "lines" is the error of the models.
NUISANCES = ("lines", "calibration", "mismatch", "sky", "blemishes")
_LEAST = {"z": -0.1, "dispersion": 0.0}


class NebulaSpectra(SpectrumSimulator):
    """Simulated spectra of nebulae: emission lines over a smooth continuum, for one instrument.

    Parameters of `theta`, in the order of ``prior.names``:

    - ``z``: redshift.
    - those of the nebula: of its grid, ``av``, and of a grid that is mixed with it.
    - ``dispersion``: velocity dispersion of the gas, km/s.
    - ``log_hbeta``: log10 of the flux of H-beta, 1e-17 erg/s/cm2, dimmed by the dust as it is.
    - ``log_ew``: log10 of the rest-frame equivalent width of H-beta, angstrom; the continuum is
      the flux of H-beta over it.
    - ``slope``: power of the wavelength that the continuum goes with, as flux per angstrom.

    A sum of lines, such as [OII]3726,3729, is painted at the lines that it sums, and only those
    that the nebula does not have by themselves (`painted`): no light is there twice. Lines depart
    from the models as in `NebulaSimulator.draw`, but none below zero.

        nebula = fs.NebulaSimulator(fs.read_grid("my-cloudy.ecsv"))
        sim = fs.NebulaSpectra(nebula, "muse", z=(0.001, 0.004))
        post = fs.fit(sim, fs.read("spaxels.fits"))

    Args:
        nebula: Lines, their dust and their errors, of one grid (or one and its `mixed`).
        instrument: "muse", "sdss", ... (`flowspec.sim.instrument.shipped.INSTRUMENTS`) or an
            `Instrument`.
        z: Limits of the redshift; nearby nebulae may approach.
        dispersion: Limits, log-uniform.
        log_hbeta: Limits, as all that follow.
        log_ew: Limits.
        slope: Limits.
        noise: Observed `Spectra` to take the noise from, or None for the instrument's own curve.
        nuisances: Names among `NUISANCES` to draw; the others are neutral.

    Raises:
        ValueError: On a nebula of several sources, without a line in view, or with a parameter of
            the name of one here; on limits that are none, an unknown instrument or nuisance.
    """

    nebula: NebulaSimulator
    lines: tuple[str, ...] = eqx.field(static=True)
    shares: Float[Array, "grid_lines lines"]
    line_table: Float[Array, "lines freqs2"]

    def __init__(
        self,
        nebula: NebulaSimulator,
        instrument: str | Instrument = "muse",
        *,
        z: tuple[float, float] = (0.0, 0.02),
        dispersion: tuple[float, float] = (10.0, 150.0),
        log_hbeta: tuple[float, float] = (0.0, 4.0),
        log_ew: tuple[float, float] = (0.5, 3.0),
        slope: tuple[float, float] = (-3.0, 1.0),
        noise: Spectra | None = None,
        nuisances: tuple[str, ...] = NUISANCES,
    ):
        if len(nebula.sources) > 1:
            raise ValueError(f"expected a nebula of one source; got {', '.join(nebula.sources)}")
        limits = {"log_hbeta": log_hbeta, "log_ew": log_ew, "slope": slope}
        prior = _prior(nebula, {"z": z, "dispersion": dispersion} | limits)
        instrument = instrument_of(instrument)
        super().__init__(instrument, prior, z, noise, nuisances, NUISANCES)
        self.nebula = nebula
        self._lay_out()
        lines, split = painted(nebula.lines)
        rest = np.array([wave_of(line) for line in lines])
        low, high = self.wave[0] / (1 + z[1]), self.wave[-1] / (1 + z[0])
        if not ((rest > low) & (rest < high)).any():
            raise ValueError(f"expected lines from {low:.0f} to {high:.0f} A; got {nebula.lines}")
        # the lattice is periodic: a line that it does not reach would come around its end
        reach = self.lattice.wave[[0, -1]] / (1 + z[0])
        kept = np.flatnonzero((rest > reach[0]) & (rest < reach[1]))
        self.lines = tuple(lines[i] for i in kept)
        self.shares = jnp.asarray(split[:, kept], jnp.float32)
        self.line_table = jnp.asarray(self.lattice.of_lines(rest[kept] * (1 + z[0])))

    def own_layout(self) -> Layout:
        """Numbers of latents of each nuisance."""
        counts = {"lines": len(self.nebula.lines)} | CURVES
        active = {name: count for name, count in counts.items() if name in self.nuisances}
        return Layout.of(active | self.templates.counts)

    def spectrum_of(
        self, theta: Float[Array, " params"], latent: Float[Array, " latents"]
    ) -> Float[Array, " pixels"]:
        """Noiseless spectrum in 1e-17 erg/s/cm2/A for parameters and latents of the nuisances."""
        part = self.layout.parts(latent)
        curve = self.curve(part, theta)
        departure = part.get("lines", jnp.zeros(len(self.nebula.lines)))
        return self.spectrum(theta, departure) * curve

    def spectrum(
        self, theta: Float[Array, " params"], departure: Float[Array, " grid_lines"]
    ) -> Float[Array, " pixels"]:
        """Noiseless spectrum for given departures of the lines (`line_fluxes`), as `flux`."""
        p = dict(zip(self.prior.names, theta, strict=True))
        pairs = (self.line_fluxes(theta, departure) @ self.line_table).reshape(2, -1)
        light = self.seen_at(pairs * self.lattice.broaden(p["dispersion"]), p["z"])
        # the continuum is one of flux per angstrom, light is per unit ln(wavelength)
        wave, stretch = self.sight["wave"], 1 + p["z"]
        level = 10 ** (p["log_hbeta"] - p["log_ew"]) / stretch
        light += level * (wave / (WAVES[REFERENCE] * stretch)) ** p["slope"] * wave
        light = jax.lax.optimization_barrier(light)
        return self.pixels(light) / jnp.asarray(self.wave, jnp.float32)

    def line_fluxes(
        self, theta: Float[Array, " params"], departure: Float[Array, " grid_lines"]
    ) -> Float[Array, " lines"]:
        """Observed flux of each of `lines`, 1e-17 erg/s/cm2.

        Args:
            theta: In the order of the prior.
            departure: Of the nebula's lines from its models, in standard deviations of these.
        """
        own = theta[1 : 1 + len(self.nebula.names)]
        ratio, err = self.nebula.ratios(own, jnp.array(0), jnp.array(0.0))
        seen = jnp.maximum(ratio + departure * err, 0.0) @ self.shares
        return 10 ** theta[self.prior.names.index("log_hbeta")] * seen


def _prior(nebula: NebulaSimulator, limits: dict[str, tuple[float, float]]) -> Prior:
    """z, then the parameters of the nebula, as it has them, then the others; log-uniform in the
    dispersion, else flat."""
    taken = set(nebula.names) & set(limits)
    if taken:
        raise ValueError(f"expected a nebula without parameters named {sorted(taken)}")
    for name, (low, high) in limits.items():
        if not _LEAST.get(name, -np.inf) < low < high < np.inf:
            least = f"above {_LEAST[name]:g}, " if name in _LEAST else ""
            raise ValueError(f"expected limits of {name} {least}low to high; got {low}, {high}")
    kinds = {name: dist.Uniform for name in limits} | {"dispersion": dist.LogUniform}
    own = {name: kinds[name](*map(float, ends)) for name, ends in limits.items()}
    known = nebula.priors[0]
    flat = Prior({"z": own["z"]} | known.distributions | own)
    return NitrogenPrior(flat, known.share) if isinstance(known, NitrogenPrior) else flat


def painted(
    lines: Sequence[str],
) -> tuple[tuple[str, ...], Float[np.ndarray, "grid_lines lines"]]:
    """Single lines that show all the light of `lines` once, and how it is shared out to them.

    A sum of which the grid has every line gives nothing. Any other gives its share to each line
    that the grid (or a sum of fewer) lacks: shares are those of the shipped grid at 12 + log O/H
    of 8.6, log U of -3 and log P/k of 5.8, about 50 electrons per cm3 (lines of one upper level
    have the same everywhere), or all alike where it lacks one of them.

    Args:
        lines: Canonical names.

    Returns:
        Names, and the share of each of `lines` that each of them shows.
    """
    single = [line for line in lines if "," not in line]
    sums = sorted((line for line in lines if "," in line), key=lambda line: len(parts(line)))
    given = {(line, line): 1.0 for line in single}
    names = list(single)
    for line in sums:
        shares = dict(zip(parts(line), _shares(line), strict=True))
        fresh = [part for part in shares if part not in names]
        given |= {(line, part): shares[part] for part in fresh}
        names += fresh
    split = [[given.get((line, name), 0.0) for name in names] for line in lines]
    return tuple(names), np.array(split)


def _shares(line):
    """Share of a sum that each of its lines has, in the shipped grid."""
    grid, own = mappings(), parts(line)
    flux = np.ones(len(own))
    if set(own) <= set(grid.lines):
        usual = galaxy_defaults() | {"log_pk": PRESSURE}
        nearest = np.abs(grid.points - [usual[name] for name in grid.names]).sum(1).argmin()
        flux = np.maximum(grid.select(own).flux[nearest], grid.floor)
    return flux / flux.sum()
