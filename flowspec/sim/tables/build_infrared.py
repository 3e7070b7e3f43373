"""Build infrared.npz, simple stellar populations red of ssp.npz (see README.md beside this file).

    python -m flowspec.sim.tables.build_infrared --rubix .../site-packages/rubix
"""

import argparse
from pathlib import Path

import numpy as np

from flowspec.sim.tables.build_ssp import bc03_at, read_bc03

HERE = Path(__file__).resolve().parent
MIDDLE = 19500.0  # A: where the models end, and a black body goes on
# K: of a colour between those of old populations and young ones, which differ by 0.1 from it in
# ln(flux) at 5 micron
COLOUR = 8000.0
NODES = np.geomspace(20500.0, 60000.0, 16)
SUBSTEPS = 5  # of each age bin, as for ssp.npz


def black_body(wave):
    """ln(B_lambda) at `COLOUR` kelvin and wavelengths in angstrom, up to a constant."""
    return -5 * np.log(wave) - np.log(np.expm1(1.438777e8 / (wave * COLOUR)))


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


def build_infrared(rubix, out):
    """Write infrared.npz from the folder of the package that holds BC03, and ssp.npz in `out`."""
    near = read_bc03(rubix)
    with np.load(Path(out) / "ssp.npz", allow_pickle=False) as f:
        joint, age_edges, log_z = float(f["wave"][-1]), f["age_edges"], f["log_z"]
    inner = near[0][(near[0] > joint + 1) & (near[0] < MIDDLE - 1)]
    at = np.array([joint, *inner, MIDDLE])

    def near_flux(age, z):
        return np.interp(at, near[0], bc03_at(near, age, z))

    ln_near = np.log(binned(near_flux, age_edges, log_z))
    ln_far = ln_near[..., -1:] + black_body(NODES) - black_body(MIDDLE)
    ratio = np.concatenate([ln_near[..., 1:], ln_far], -1) - ln_near[..., :1]
    wave = np.concatenate([at[1:], NODES])
    np.savez_compressed(Path(out) / "infrared.npz", wave=wave, ln_ratio=ratio.astype(np.float32))


def main():
    """Command line: rebuild the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rubix", required=True, help="folder of the installed rubix package")
    parser.add_argument("--out", default=HERE, help="output folder")
    args = parser.parse_args()
    build_infrared(args.rubix, args.out)


if __name__ == "__main__":
    main()
