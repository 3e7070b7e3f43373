"""Train the model of every kind of object: galaxies, quasars, stars and nothing, at any resolution.

No observation and no label is read. Spectra of the simulator are cut, coarsened, holed and broken
at an arm, as spectrographs see them. A checkpoint lies beside the model; a run that was stopped
goes on from there.
"""

from pathlib import Path

import flowspec as fs
from flowspec.sim.instrument.surveyed import Surveyed
from flowspec.sim.instrument.varied import Varied
from flowspec.sim.objects import objects

SHARES = (0.25, 0.0, 0.15)  # of spectra with coarser pixels, a shorter range (`Surveyed`), a gap


def run(
    *, instrument: str = "optical", start: str = "", model: str = "optical.safetensors",
    steps: int = 10000, batch: int = 64, rate: float = 1e-3, seed: int = 1, templates: int = 16,
    aligned: int = 24, learned: int = 4,
) -> dict:  # fmt: skip
    """Train a model.

    Args:
        instrument: Of which there is a prior of galaxies.
        start: Model to go on with, or a new one.
        model: File to write.
        steps: Of the optimiser.
        batch: Spectra per step.
        rate: Peak of the learning rate.
        seed: Of everything.
        templates: Of a new network, correlated at every redshift.
        aligned: Of a new network, projected at one redshift.
        learned: Channels that a new network learns, for its redshifts.
    """
    sim = simulator(instrument)
    training = fs.Training(
        steps=steps, batch=batch, learning_rate=rate, evaluate=250, patience=40
    )
    sizes = fs.Architecture(templates=templates, aligned=aligned, learned=learned)
    posterior = fs.fit(
        sim, start=fs.load(start) if start else None, architecture=None if start else sizes,
        seed=seed, training=training, checkpoint=Path(model).with_suffix(".ckpt"), progress=False,
    )  # fmt: skip
    posterior.save(model)
    return {"file": model, **posterior.provenance}


def simulator(instrument: str = "optical") -> Varied:
    """What the model is trained on."""
    return Varied(Surveyed(objects(instrument)), SHARES)
