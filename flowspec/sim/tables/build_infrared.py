"""Build infrared.npz, simple stellar populations red of ssp.npz (see README.md beside this file).

    python -m flowspec.sim.tables.build_infrared --rubix .../site-packages/rubix
"""

import argparse
from pathlib import Path

import numpy as np

from flowspec.sim.tables.build_ssp import bc03_at, read_bc03

HERE = Path(__file__).resolve().parent
REACH = 60000.0  # A
SUBSTEPS = 5  # of each age bin, as for ssp.npz


def infrared(wave, joint, age_edges, log_z, spectrum):
    """ln of flux over that at the joint [metallicities, ages, wave], mean over each age bin.

    Args:
        wave: Wavelengths in angstrom.
        joint: Wavelength in angstrom at which the ratio is 1.
        age_edges: Gyr.
        log_z: log10 of metallicity over solar.
        spectrum: Of wavelengths in angstrom, an age in Gyr and a metallicity.
    """
    at = np.concatenate([[joint], wave])
    flux = np.zeros((len(log_z), len(age_edges) - 1, len(at)))
    share = (np.arange(SUBSTEPS) + 0.5) / SUBSTEPS
    for i, z in enumerate(log_z):
        for j, (low, high) in enumerate(zip(age_edges[:-1], age_edges[1:], strict=True)):
            for age in np.maximum(low + (high - low) * share, 1e-3):
                flux[i, j] += spectrum(at, age, z)
    return np.log(flux[..., 1:] / flux[..., :1])


def build_infrared(rubix, out):
    """Write infrared.npz from the folder of the package that holds BC03 and from ssp.npz there."""
    bc03 = read_bc03(rubix)
    with np.load(Path(out) / "ssp.npz", allow_pickle=False) as f:
        joint, age_edges, log_z = float(f["wave"][-1]), f["age_edges"], f["log_z"]
    inside = (bc03[0] > joint + 1) & (bc03[0] < REACH)
    after = bc03[0][bc03[0] >= REACH][:1]
    wave = np.concatenate([bc03[0][inside], after])

    def spectrum(at, age, z):
        return np.exp(np.interp(np.log(at), np.log(bc03[0]), np.log(bc03_at(bc03, age, z))))

    ratio = infrared(wave, joint, age_edges, log_z, spectrum)
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
