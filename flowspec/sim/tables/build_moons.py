"""Build `moons.npz` from the published package moons1d (see README.md beside this file).

The package needs not be importable, only unpacked (``pip download --no-deps moons1d==1.0.3``, a
wheel is a zip archive)::

    python -m flowspec.sim.tables.build_moons --moons1d /path/to/moons1d

`--out` names another output folder. Nothing here is imported when flowspec runs.
"""

import argparse
from pathlib import Path

import numpy as np
from astropy.io import fits
from scipy.ndimage import gaussian_filter1d

HERE = Path(__file__).resolve().parent
ARMS = ("RI", "YJ", "H")
AIRMASS = (1.0, 1.2, 1.4, 1.6, 1.8, 2.0)
FWHM = 2.3548200450309493
LOG_STEP = 1 / 4096  # dex per integer of the sky


def read_arms(folder):
    """The low-resolution section of MOONS_mode.ini: for each arm a dictionary of text."""
    text = (Path(folder) / "models/Instrument/MOONS_mode.ini").read_text()
    arms, name = {}, None
    for line in text.split("[LR]")[1].split("[Telescope]")[0].splitlines():
        if line.strip().startswith("[["):
            name = line.strip(" []")
            arms[name] = {}
        elif "=" in line:
            key, value = line.split("#")[0].split("=")
            arms[name][key.strip()] = value.strip(" '")
    return [arms[name] for name in ARMS]


def channels(arm):
    """Centres [channels], width and FWHM of one arm in angstrom: 2.7 pixels per element of
    constant width in wavelength, the last incomplete pixel dropped."""
    low, high = 1e4 * float(arm["wave_min"]), 1e4 * float(arm["wave_max"])
    fwhm = (low + high) / 2 / float(arm["resolution"])
    width = fwhm / float(arm["spec_sampling"])
    return low + width * np.arange(int(round(high - low) / width)), width, fwhm


def efficiency(folder, arm, wave):
    """Telescope times optics times detector, photons to electrons [channels]."""
    curves = Path(folder) / "models/Instrument"
    optics = np.loadtxt(curves / arm["transmission_file"])
    detector = np.loadtxt(curves / arm["qe_file"])
    telescope = np.loadtxt(curves / "telescope_eff.txt")
    total = np.interp(wave, 10 * optics[:, 0], optics[:, 1])
    total *= np.interp(wave, 1e4 * detector[:, 0], detector[:, 1] / 100)
    return total * np.interp(wave, 1e4 * telescope[:, 0], telescope[:, 1])


def seen(fine, values, wave, width, fwhm):
    """Means over channels of `values` on the lattice `fine`, seen at a resolution `fwhm`."""
    step = fine[1] - fine[0]
    smooth = gaussian_filter1d(values, fwhm / FWHM / step, mode="nearest")
    total = np.concatenate([[0], np.cumsum(smooth) * step])
    ends = np.concatenate([fine - step / 2, [fine[-1] + step / 2]])
    low, high = wave - width / 2, np.minimum(wave + width / 2, ends[-1])
    return (np.interp(high, ends, total) - np.interp(low, ends, total)) / (high - low)


def build_moons(folder, out=HERE):
    """Write `moons.npz`: three arms of channels, their efficiency, and the sky by airmass."""
    arms = read_arms(folder)
    grids = [channels(arm) for arm in arms]
    sky, transmission = [], []
    for airmass in AIRMASS:
        with fits.open(Path(folder) / f"models/Skymodel/SkyTemplate_ESO_a{airmass}.fits") as f:
            fine = f[0].header["CRVAL1"] + f[0].header["CDELT1"] * np.arange(len(f[0].data))
            sky.append(np.concatenate([seen(fine, f[0].data.astype(float), *g) for g in grids]))
            clear = f[1].data.astype(float)
            transmission.append(np.concatenate([seen(fine, clear, *g) for g in grids]))
    electrons = [efficiency(folder, arm, g[0]) for arm, g in zip(arms, grids, strict=True)]
    np.savez_compressed(
        Path(out) / "moons.npz",
        arms=np.array(ARMS),
        first=np.array([g[0][0] for g in grids]),
        size=np.array([len(g[0]) for g in grids]),
        width=np.array([g[1] for g in grids]),
        fwhm=np.array([g[2] for g in grids]),
        dark=np.array([float(arm["dark"]) / 3600 for arm in arms]),
        read=np.array([float(arm["ron"]) for arm in arms]),
        efficiency=np.concatenate(electrons).astype(np.float32),
        airmass=np.array(AIRMASS),
        log_sky=np.round(np.log10(sky) / LOG_STEP).astype(np.int16),
        transmission=np.round(np.array(transmission) * 65535).astype(np.uint16),
    )


def main():
    """Command line: rebuild the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moons1d", required=True, help="folder of the moons1d package")
    parser.add_argument("--out", default=HERE, help="output folder")
    args = parser.parse_args()
    build_moons(args.moons1d, args.out)


if __name__ == "__main__":
    main()
