"""What model files say of themselves, without their networks: quick to read."""

import json
from pathlib import Path

from safetensors import safe_open

from flowspec.data.frame import FRAMES, LEAST, Frame, LineSet, Pixels
from flowspec.io.source import one_line

_MODELS = Path(__file__).parents[1] / "models"


def shipped() -> dict[str, Path]:
    """Models that come with the package, by name."""
    return {path.stem: path for path in sorted(_MODELS.glob("*.safetensors"))}


def earlier() -> dict[str, Path]:
    """Models that came with earlier versions of the package, by name and that version."""
    return {path.stem: path for path in sorted((_MODELS / "earlier").glob("*.safetensors"))}


def pixel_settings(config: dict) -> dict:
    """What `Pixels` takes beside the grid, from the header of a model of spectra."""
    own = config.get("frame", {})
    lsf = own.get("lsf")
    return {"least": own.get("least", LEAST), "lsf": None if lsf is None else tuple(lsf)}


def model_frame(path: str | Path) -> Frame:
    """The pixels, lines or columns of a model, from a file of any version.

    Raises:
        ValueError: If the file is no model.
    """
    try:
        with safe_open(path, "numpy") as file:
            config = json.loads((file.metadata() or {})["config"])
            if "wave" in file.keys():
                return Pixels(file.get_tensor("wave"), **pixel_settings(config))
        if "lines" in config:  # version 1
            return LineSet(config["lines"])
        return FRAMES[config["frame"]["kind"]](config["frame"]["names"])
    except Exception as error:  # a damaged file can make its reader fail in any way
        got = one_line(repr(error))[:200]
        raise ValueError(f"{path}: expected a flowspec model file; got {got}") from None
