"""Build `bands.npz` from the published package speclite (see README.md beside this file).

The package needs not be importable, only unpacked (``pip download --no-deps speclite==1.0.0``, a
wheel is a zip archive)::

    python -m flowspec.sim.tables.build_bands --speclite /path/to/speclite

`--out` names another output folder. Nothing here is imported when flowspec runs.
"""

import argparse
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.table import QTable

HERE = Path(__file__).resolve().parent
# Name in flowspec -> name of the set of filters in speclite, and its filters.
SETS = {
    "sdss": ("sdss2010", ("u", "g", "r", "i", "z")),
    "panstarrs": ("panstarrs", ("g", "r", "i", "z", "y")),
    "decam": ("decamDR1", ("g", "r", "i", "z", "Y")),
    "hsc": ("hsc2017", ("g", "r2", "i2", "z", "y")),
    "lsst": ("lsst2023", ("u", "g", "r", "i", "z", "y")),
    "euclid": ("Euclid", ("VIS", "Y", "J", "H")),
}
STEP = 10.0  # angstrom: a magnitude of a galaxy changes by less than 0.001
LEAST = 1e-3  # of the peak: wings below are left out


def curve(path):
    """Wavelengths every 10 angstrom [n] and transmission over its peak [n] of a file."""
    table = QTable.read(path)
    wave = u.Quantity(table["wavelength"], u.AA, copy=False).value
    response = np.asarray(table["response"], float)
    grid = np.arange(np.ceil(wave[0] / STEP), np.floor(wave[-1] / STEP) + 1) * STEP
    value = np.interp(grid, wave, response)
    inside = np.flatnonzero(value > LEAST * value.max())
    part = slice(max(inside[0] - 1, 0), inside[-1] + 2)
    return grid[part], np.round(value[part] / value.max(), 4)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speclite", required=True, help="folder of the unpacked package")
    parser.add_argument("--out", default=HERE, help="folder to write to")
    args = parser.parse_args()
    folder, arrays = Path(args.speclite) / "data" / "filters", {}
    for name, (group, bands) in SETS.items():
        for band in bands:
            values = np.stack(curve(folder / f"{group}-{band}.ecsv")).astype(np.float32)
            arrays[f"{name}_{band[0].lower() if name != 'euclid' else band.lower()}"] = values
    np.savez_compressed(Path(args.out) / "bands.npz", **arrays)


if __name__ == "__main__":
    main()
