"""Train a model that is shipped: on the simulator as it is, then on what unlabelled spectra taught.

SDSS: the half of the good galaxies that may be looked at lends noise and teaches; the other half
judges (`python -m benchmarks sky --model FILE`). No label is read. Every stage writes its model
and its checkpoint beside it, and goes on from there when run again.
"""

import os
from pathlib import Path

import numpy as np

import flowspec as fs
from benchmarks import scores
from benchmarks.real_sdss import good_galaxies
from flowspec.adaptation.settings import Adaptation

RATES = (1e-3, 7e-4)  # of the two stages


def run(
    *, start: str = "sdss", folder: str = "retrained", steps: int = 3000, taught: int = 9000,
    fits: int = 512, rounds: int = 2, seed: int = 11,
) -> dict:  # fmt: skip
    """Train `sdss` in two stages.

    Args:
        start: Model to begin with.
        folder: Of the models `plain.safetensors` and `taught.safetensors`.
        steps: Of the stage on the simulator as it is.
        taught: Of the stage on the taught simulator.
        fits: Spectra that teach.
        rounds: Of fits.
        seed: Of the first stage; the second has the next.
    """
    obs, _ = good_galaxies()
    obs = obs[np.flatnonzero(~scores.report_half(obs.names))]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    plain = stage(folder / "plain", obs, fs.load(start), steps, RATES[0], seed)
    lesson = Adaptation(fits=fits, rounds=rounds)
    last = stage(folder / "taught", obs, plain, taught, RATES[1], seed + 1,
                 adapt="nuisances", adaptation=lesson)
    return {"file": os.fspath(folder / "taught.safetensors"), "provenance": last.provenance}


def stage(stem: Path, obs, start, steps: int, rate: float, seed: int, **options):
    """A model trained on from another, or read where it was trained before."""
    file = stem.with_suffix(".safetensors")
    if file.exists():
        return fs.load(file)
    training = fs.Training(steps=steps, batch=64, learning_rate=rate, evaluate=250, patience=40)
    model = fs.fit(
        fs.GalaxySimulator("sdss"), obs, start=start, seed=seed, training=training,
        checkpoint=stem.with_suffix(".ckpt"), progress=False, **options,
    )  # fmt: skip
    model.save(file)
    return model
