"""Redshifts of JADES prism spectra by the model that has seen simulations only.

Labels: four redshifts that the JADES-Spectral-Lab tells of its files (Scholtz, MIT licence, from
JADES); GN-z11 (Bunker et al. 2023, A&A 677, A88); and two read off the spectra by hand, each from
[O III] and H-alpha with a third line ([S III], [O II]), to 0.01.
"""

import numpy as np

import flowspec as fs
from benchmarks import harness
from benchmarks.real_classes import right

LIMIT = 0.01  # of (1 + z)
LABELS = {
    "000110": 4.066, "001927": 3.6591, "005591": 10.603, "023286": 1.781, "10058975": 9.436,
    "199773": 2.820, "00188208": 2.695,
}  # fmt: skip


def run(*, model: str = "prism", draws: int = 500, seed: int = 0) -> dict:
    """Judge a model.

    Args:
        model: Name of a shipped model or a model file.
        draws: Posterior draws per spectrum.
        seed: Of the draws.
    """
    folder = harness.data_folder() / "spectra/jades"
    files = [next(folder.glob(f"*{name}_*.fits")) for name in LABELS]
    obs = fs.read([str(file) for file in files])
    found = fs.load(model).summarize(obs, n=draws, seed=seed)
    z = np.array(list(LABELS.values()))
    good = right(found, z, LIMIT)
    return {"n": len(z), "right": int(good.sum())} | {
        name: f"{label:.3f}: {row['z_best']:.3f} ({row['z_p16']:.3f} to {row['z_p84']:.3f}), "
              f"P {row['z_prob']:.3f}, {row['flag_names'] or 'no flag'}"
        for name, label, row in zip(LABELS, z, found, strict=True)
    }  # fmt: skip
