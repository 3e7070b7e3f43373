"""Build `single_stars.npz`, spectra of single stars (see README.md beside this file).

The packages need not be importable but fastar, of which the networks are asked; all can be unpacked
wheels (``pip download --no-deps fastar-astro==0.1.2 speclite==1.0.0``)::

    python -m flowspec.sim.tables.build_stars --fastar /path/to/fastar --speclite /path/to/speclite

Spectra are kept as what they are over a black body of the effective temperature and over a level
through few points: what is left is about 1 everywhere, so that its components describe the lines of
hot stars and of cool stars equally well, and between the nodes of the grid the black body is exact.
"""

import argparse
from pathlib import Path

import h5py
import numpy as np
from astropy.table import Table
from scipy.interpolate import RegularGridInterpolator
from scipy.linalg import eigh

from flowspec.sim.tables.build_ssp import C_KMS, air_to_vacuum, fastar_lines

HERE = Path(__file__).resolve().parent
HOTTEST = ((2.0, 3.5), (4.08, 4.18))  # log10 K that the networks are asked for, by log g
PHOT_HOTTEST = 4.03  # likewise, of "phot", whose hotter stars have lines of calcium
COOLEST = ((-2.5, -1.0), (3.60, 3.50))  # likewise, by [M/H]: metal-poor stars are not cooler
# Nodes; beyond `HOTTEST` and `COOLEST` nothing but the black body and published colours changes
# with temperature.
LOG_TEFF = np.concatenate([np.linspace(3.48, 4.18, 36), np.linspace(4.24, 4.48, 5)])
LOG_G, FEH = np.linspace(0.5, 5.0, 10), np.linspace(-2.5, 0.5, 7)
REACH = (3300.0, 11480.0)  # vacuum A; in the ultraviolet the networks know nothing of cool stars
SPEC_FROM, COARSE = 3540.0, 4.0  # A: blue of it the pixels of "phot", in A
STEP = 60.0  # km/s
COMPONENTS = 36
QUANTUM = 3e-4  # of the local mean, to which the contribution of a component is rounded
FLOOR = 0.01  # of the median flux, below which the networks, that err by as much, are not followed
KNOTS = 24  # of the level
# Johnson and Cousins bands as curves of Bessell (1990): centre (A), and AB magnitude of a star of
# magnitude 0 (Blanton & Roweis 2007, table 1; from memory).
BANDS = {"B": (4380.0, -0.09), "V": (5450.0, 0.02), "R": (6410.0, 0.21), "I": (7980.0, 0.45)}
RED = (5600.0, 6900.0)  # A: a spectrum has a mean of 1 over its black body here


def planck(wave, temperature):
    """Black body's flux per angstrom, in units of its own at 6250 A."""
    x = 1.438776877e8 / temperature  # second radiation constant, A K (CODATA 2018)
    return (6250.0 / wave) ** 5 * np.expm1(x / 6250.0) / np.expm1(x / wave)


def star_wave():
    """The grid in vacuum A: even in A in the ultraviolet, then in ln(wavelength)."""
    far = np.arange(REACH[0], SPEC_FROM, COARSE)
    return np.concatenate([far, np.exp(np.arange(*np.log([SPEC_FROM, REACH[1]]), STEP / C_KMS))])


class Networks:
    """fastar's two models of stars: spectra on one grid, "spec" where it reaches."""

    def __init__(self):
        from fastar.synthesis.stellar import StellarSynthesizer

        self.models = [StellarSynthesizer(label) for label in (None, "phot")]
        self.waves = [air_to_vacuum(np.asarray(m.wave, float)) for m in self.models]

    def asked(self, labels, wave):
        """Flux [stars, wave] for log g, log10 Teff and [M/H] [stars, 3]."""
        log_g, log_teff, feh = labels.T
        cooler = np.minimum(log_teff, PHOT_HOTTEST)
        spec, phot = (
            np.asarray(model.predict_spectrum(*np.float32([log_g, asked, feh])), float)
            for model, asked in zip(self.models, (log_teff, cooler), strict=True)
        )
        here = 10 ** np.stack([log_teff, cooler])[..., None]
        phot *= planck(self.waves[1], here[0]) / planck(self.waves[1], here[1])
        return np.stack([self._joined(*pair, wave) for pair in zip(spec, phot, strict=True)])

    def _joined(self, spec, phot, wave):
        spec, phot = (np.maximum(f, FLOOR * np.median(f)) for f in (spec, phot))
        return fastar_lines((self.waves[0], spec), (self.waves[1], phot), wave)


class Colours:
    """Colours of Worthey & Lee (2011, ApJS 193, 1), fitted to observed stars."""

    def __init__(self, fastar, speclite, wave):
        with h5py.File(Path(fastar) / "assets" / "WORTHEY11_colors.hdf5") as f:
            nodes = [f[name][:] for name in ("ulogg", "uteff", "ufmet")]
            table = np.stack([f[name][:] for name in ("bv", "vr", "vi")], -1)
        self.wanted, self.weights = RegularGridInterpolator(nodes, table), {}
        widths = np.gradient(wave)
        for band in BANDS:
            curve = Table.read(Path(speclite) / "data" / "filters" / f"bessell-{band}.ecsv")
            seen = np.interp(wave, curve["wavelength"], curve["response"], 0, 0) * widths
            self.weights[band] = seen * wave / (seen / wave).sum()
        self.ln_wave, self.ln_centre = np.log(wave), np.log([c for c, _ in BANDS.values()])

    def levelled(self, flux, label, steps=6):
        """Flux [wave] with B - V, V - R and V - I as published for log g, log Teff and [M/H].

        The change in magnitudes is linear in ln(wavelength) between the bands, and as there beyond.
        """
        b_v, v_r, v_i = self.wanted(label).ravel()
        wanted = np.array([b_v, 0.0, -v_r, -v_i])  # of each band over V
        change = np.zeros(4)
        for _ in range(steps):
            now = flux * 10 ** (-0.4 * np.interp(self.ln_wave, self.ln_centre, change))
            mag = np.array([-2.5 * np.log10(self.weights[band] @ now) - zero
                            for band, (_, zero) in BANDS.items()])  # fmt: skip
            change += wanted - (mag - mag[1])
        return flux * 10 ** (-0.4 * np.interp(self.ln_wave, self.ln_centre, change))


def believed(labels):
    """Log g, log10 Teff and [M/H] [stars, 3] that the networks are asked for in place of these.

    Not beyond `HOTTEST` and `COOLEST`, and at a gravity not below that of supergiants: 0.5 at
    5,000 K, 2 at 10,000, 2.9 at 15,000.
    """
    log_g, log_teff, feh = labels.T
    log_teff = np.clip(log_teff, np.interp(feh, *COOLEST), np.interp(log_g, *HOTTEST))
    return np.stack([np.maximum(log_g, 5 * log_teff - 18.0), log_teff, feh], -1)


def levels(ln_wave, ratio):
    """Natural logs [stars, knots] of means about points even in ln(wavelength), and these."""
    knots = np.linspace(ln_wave[0], ln_wave[-1], KNOTS)
    hats = np.stack([np.interp(ln_wave, knots, row) for row in np.eye(KNOTS)])
    return np.log(ratio @ (hats / hats.sum(1, keepdims=True)).T), knots


def spectra(networks, colours, labels, wave):
    """Flux over that of a black body [stars, wave], of mean 1 in `RED`."""
    flux = networks.asked(believed(labels), wave)
    out = np.empty_like(flux)
    red = (wave > RED[0]) & (wave < RED[1])
    for i, (label, (_, asked, _)) in enumerate(zip(labels, believed(labels), strict=True)):
        # other temperatures than those asked for: what they are over a black body is kept
        own, theirs = planck(wave, 10 ** label[1]), planck(wave, 10**asked)
        ratio = colours.levelled(flux[i] * own / theirs, label) / own
        out[i] = ratio / ratio[red].mean()
    return out


def integers(amplitude, rows):
    """Amplitudes [stars, components] and components [components, wave] as 16-bit integers, and
    the unit of their products [components]. Both are as coarse as `QUANTUM` allows."""
    most = np.abs(amplitude).max(0)
    seen = rows * most[:, None]
    unit = QUANTUM / np.abs(seen).max(1)
    both = amplitude / most / unit, seen / QUANTUM
    return *(np.round(a).astype(np.int16) for a in both), unit.astype(np.float32) * QUANTUM


def compressed(lines, components=COMPONENTS):
    """Amplitudes [stars, components] and components [components, wave], the largest singular."""
    last = (len(lines) - components, len(lines) - 1)
    _, vectors = eigh(lines @ lines.T, subset_by_index=last)
    rows, _ = np.linalg.qr(lines.T @ vectors[:, ::-1])
    return lines @ rows, rows.T


def build_stars(fastar, speclite, out):
    """Make the table; gives the spectra [stars, wave] and what the table has of them, over both
    over the black body and the level."""
    wave = star_wave()
    mesh = np.stack(np.meshgrid(LOG_TEFF, LOG_G, FEH, indexing="ij"), -1)
    labels = mesh.reshape(-1, 3)[:, [1, 0, 2]]
    ratio = spectra(Networks(), Colours(fastar, speclite, wave), labels, wave)
    level, knots = levels(np.log(wave), ratio)
    smooth = np.exp(np.stack([np.interp(np.log(wave), knots, row) for row in level]))
    lines = ratio / smooth
    amplitude, rows, unit = integers(*compressed(lines))
    grid = mesh.shape[:3]
    np.savez_compressed(
        Path(out) / "single_stars.npz", wave=wave, log_teff=LOG_TEFF, log_g=LOG_G, feh=FEH,
        knot=np.exp(knots), level=level.reshape(*grid, -1).astype(np.float16), component=rows,
        amplitude=amplitude.reshape(*grid, -1), unit=unit,
    )  # fmt: skip
    return labels, lines, (amplitude * unit) @ rows


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fastar", required=True, help="folder of the installed fastar package")
    parser.add_argument("--speclite", required=True, help="folder of the unpacked speclite")
    parser.add_argument("--out", default=HERE, help="folder to write to")
    args = parser.parse_args()
    _, lines, kept = build_stars(args.fastar, args.speclite, args.out)
    error = kept - lines  # over a local mean, as both are
    worst = f"worst star {error.std(1).max():.2%}, worst pixel {abs(error).max():.0%}"
    print(f"rms {error.std():.2%}, {worst}")


if __name__ == "__main__":
    main()
