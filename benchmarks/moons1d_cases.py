"""Five reference cases through moons1d's own simulator, untouched; run in its environment.

``python moons1d_cases.py out.npz`` writes, for each case and arm, wavelength (A) and noiseless
signal-to-noise ratio per channel. moons1d 1.0.3 wants numpy below 1.24 for one name, given here.
"""

import sys

import numpy as np

# name: (AB magnitude, hours on source, seconds per exposure, airmass, seeing, observing mode)
CASES = {
    "AB 22, 2 h": (22.0, 2.0, 600.0, 1.2, 0.8, "XSWITCH"),
    "AB 24, 8 h": (24.0, 8.0, 600.0, 1.2, 0.8, "XSWITCH"),
    "AB 18, 0.5 h, best sky": (18.0, 0.5, 600.0, 1.0, 0.6, "XSWITCH"),
    "AB 22, 4 h, worst sky": (22.0, 4.0, 600.0, 2.0, 1.2, "NOD"),
    "AB 23, 1 h of 60 s": (23.0, 1.0, 60.0, 1.2, 0.8, "XSWITCH"),
}


def signal_to_noise(case, band):
    """Wavelength and expected signal over moons1d's own noise, per channel of one arm."""
    from astropy import units as u
    from moons1d.interface import get_filter, run_1obj_1band
    from synphot import SourceSpectrum
    from synphot.models import ConstFlux1D

    mag, hours, dit, airmass, seeing, mode = case
    exposures = int(round(hours * 3600 / dit))
    nodding = mode == "NOD"
    settings = {
        "R_mode": "LR", "observing_mode": mode, "band": band, "dit": dit,
        "ndit": exposures * (1 + nodding), "seeing": seeing, "airmass": airmass,
    }  # fmt: skip
    # "None": as it is; its own normalisation in a pseudo-filter makes it 1,450 times fainter
    flat = SourceSpectrum(ConstFlux1D, amplitude=mag * u.ABmag)
    flat.name = "flat f_nu"
    done = run_1obj_1band(
        flat, "point-source", mag, "None", get_filter("H", "AB", verbose=False), settings,
        E_BV=None, verbose=False, debug=True,
    )  # fmt: skip
    noise = done.model.Noise_theo if nodding else done.model.Noise_frame
    return done.model.wave.value, exposures * done.model.Obj_pho.value / noise.value


def main(out):
    """Write every case and arm to `out`."""
    np.str = str
    arrays = {}
    for i, case in enumerate(CASES.values()):
        for band in ("RI", "YJ", "H"):
            wave, snr = signal_to_noise(case, band)
            arrays[f"{i}-{band}"] = np.stack([wave, snr]).astype(np.float64)
    np.savez(out, **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
