"""Train the small model that tests of the command line use: ``python -m tests.museum.tiny``.

A minute, which a test run would spend. Of format 3; anew only where tests want another model.
"""

from pathlib import Path

from flowspec import Architecture, Training, fit
from tests.problems import line_simulator

FILE = Path(__file__).parent / "spectra-3.safetensors"
SIZES = Architecture(templates=3, aligned=6, window=21, condition=16, layers=2, width=16)
TRAINING = Training(steps=400, batch=64, evaluate=200, validation=256)


def trained():
    """A posterior of `tests.problems.line_simulator`."""
    return fit(line_simulator(), training=TRAINING, architecture=SIZES, progress=False)


if __name__ == "__main__":
    trained().save(FILE)
