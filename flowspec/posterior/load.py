"""Model files, and the models that come with the package."""

from pathlib import Path

from flowspec.model.compiled import keep_programs
from flowspec.posterior.files import read_model
from flowspec.posterior.headers import shipped as shipped
from flowspec.posterior.posterior import Posterior


def load(name: str | Path) -> Posterior:
    """Load a model file, or by name a model shipped with the package.

    Args:
        name: Path of a file, or one of `shipped`.

    Raises:
        ValueError: If the file is not a model of this or an earlier version of flowspec.
        FileNotFoundError: If there is neither a file nor a shipped model of that name.
    """
    keep_programs()
    path = Path(name)
    if not path.is_file() and str(name) in shipped():
        path = shipped()[str(name)]
    elif not path.exists():
        raise FileNotFoundError(
            f"{name}: expected a model file or one of the shipped models {sorted(shipped())}"
        )
    config, arrays = read_model(path)
    try:
        return Posterior.restored(config, arrays)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: expected a complete model; got {error!r}") from None
    except ValueError as error:  # such as a name that a later version knows
        raise ValueError(f"{path}: {error}") from None
