"""Model files, and the models that come with the package."""

from pathlib import Path

import numpy as np

from flowspec.io.source import one_line
from flowspec.model.compiled import keep_programs
from flowspec.model.memory import keep_memory
from flowspec.posterior.damage import (
    check_arrays,
    check_numbers,
    check_provenance,
    check_screen,
)
from flowspec.posterior.files import arrays_of, read_model
from flowspec.posterior.headers import earlier
from flowspec.posterior.headers import shipped as shipped
from flowspec.posterior.legacy import upgraded
from flowspec.posterior.posterior import Posterior


def load(name: str | Path) -> Posterior:
    """Load a model file, or by name a model shipped with the package.

    Args:
        name: Path of a file, or one of `shipped`; as ``sdss@0.1``, the one that came with that
            version.

    Raises:
        ValueError: If the file is not a model of this or an earlier version of flowspec.
        FileNotFoundError: If there is neither a file nor a shipped model of that name.
    """
    keep_programs()
    keep_memory()
    path = model_path(name)
    config, arrays = read_model(path)
    try:
        return _checked(*upgraded(config, arrays))
    except ValueError as error:  # such as a name that a later version knows
        raise ValueError(f"{path}: {one_line(error)}") from None
    except Exception as error:  # a damaged header can make whatever reads it fail in any way
        got = one_line(repr(error))[:200]
        raise ValueError(f"{path}: expected a complete model; got {got}") from None


def model_path(name: str | Path) -> Path:
    """The file that `load` reads.

    Raises:
        FileNotFoundError: If there is neither a file nor a shipped model of that name.
    """
    path, known = Path(name), shipped() | earlier()
    if not path.is_file() and str(name) in known:
        return known[str(name)]
    if not path.exists():
        raise FileNotFoundError(
            f"{name}: expected a model file or one of the shipped models {sorted(known)}"
        )
    return path


def _checked(config: dict, arrays: dict[str, np.ndarray]) -> Posterior:
    """The posterior of a file, whose parts are all there, of one size, and finite."""
    check_provenance(config["provenance"])
    check_numbers(arrays)
    posterior = Posterior.restored(config, arrays)
    check_arrays(arrays, arrays_of(posterior))
    check_screen(posterior.screen, posterior.model)
    return posterior
