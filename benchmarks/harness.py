"""What every benchmark shares: options from signatures, the machine, clocks, JSON, tables."""

import argparse
import inspect
import json
import math
import os
import platform
import resource
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from flowspec.model.memory import give_back

PACKAGES = ("flowspec", "jax", "flax", "flowjax", "numpy", "sbi")


def data_folder() -> Path:
    """Folder of the real test data (`FLOWSPEC_TEST_DATA`).

    Raises:
        FileNotFoundError: If it is not there.
    """
    default = Path(__file__).resolve().parents[1] / "../shared/data"
    folder = Path(os.environ.get("FLOWSPEC_TEST_DATA", default)).resolve()
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected the test data; set FLOWSPEC_TEST_DATA")
    return folder


def add_options(parser: argparse.ArgumentParser, run: Callable) -> None:
    """One command-line option per keyword of `run`, with its default and type."""
    for name, parameter in inspect.signature(run).parameters.items():
        default, flag = parameter.default, "--" + name.replace("_", "-")
        if isinstance(default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=default)
        else:
            parser.add_argument(flag, type=type(default), default=default, help=f"({default!r})")


def measured(run: Callable, options: Mapping) -> tuple[dict, dict]:
    """Result of ``run(**options)``, and its wall and CPU seconds and the peak memory."""
    wall, cpu = time.perf_counter(), time.process_time()
    results = run(**options)
    clocks = {
        "wall_s": round(time.perf_counter() - wall, 2),
        "cpu_s": round(time.process_time() - cpu, 2),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3),
    }
    return results, clocks


def clocked(f: Callable, *args) -> tuple[object, float, float]:
    """Result of ``f(*args)``, and the wall and CPU seconds until it is there."""
    import jax

    wall, cpu = time.perf_counter(), time.process_time()
    result = jax.block_until_ready(f(*args))
    return result, time.perf_counter() - wall, time.process_time() - cpu


def peak_memory(f: Callable, *args) -> tuple[object, float, float]:
    """Result of ``f(*args)``, the largest resident memory on the way in GB, and that less what
    was resident before (both NaN off Linux)."""
    try:
        give_back()  # or arrays would go where others were
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        before = resident("VmRSS")
    except OSError:
        return f(*args), math.nan, math.nan
    result = f(*args)
    peak = resident("VmHWM")
    return result, peak, peak - before


def resident(what: str) -> float:
    """A line of ``/proc/self/status`` in GB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1]) / 2**20


def machine() -> dict:
    """What the numbers were measured on."""
    import jax

    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "cores_used": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "load_average": round(os.getloadavg()[0], 2),
        "devices": [str(d) for d in jax.devices()],
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: v for name in PACKAGES if (v := package_version(name))},
    }


def cpu_model() -> str:
    """Model name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def package_version(name: str) -> str | None:
    """Version of an installed package, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def write_json(path: str | Path, content: Mapping) -> None:
    """Write under a temporary name, then rename; a number that is not finite becomes null."""
    path = Path(path)
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.write_text(json.dumps(plain(content), indent=1, allow_nan=False) + "\n")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def plain(value):
    """Dictionaries, lists, numbers, text and None only."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def now() -> str:
    """The time, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def table(results: Mapping, title: str = "") -> str:
    """Results as text: dictionaries of like dictionaries become the columns of one table."""
    simple = {k: v for k, v in results.items() if not isinstance(v, Mapping)}
    nested = {k: v for k, v in results.items() if isinstance(v, Mapping)}
    lines = ["", title] if title else []
    lines += columns({"": simple}) if simple else []
    if len(nested) > 1 and all(alike(v, next(iter(nested.values()))) for v in nested.values()):
        return "\n".join([*lines, *columns(nested)])
    return "\n".join([*lines, *(table(v, f"{title} {k}".strip()) for k, v in nested.items())])


def alike(a: Mapping, b: Mapping) -> bool:
    """Whether two dictionaries share at least half of their keys."""
    return 2 * len(set(flat(a)) & set(flat(b))) >= max(len(flat(a)), len(flat(b)), 1)


def columns(groups: Mapping[str, Mapping]) -> list[str]:
    """A line per key, a column per group; a header where groups have names."""
    groups = {name: flat(group) for name, group in groups.items()}
    keys = list(dict.fromkeys(k for group in groups.values() for k in group))
    width = max(map(len, keys), default=0) + 2
    head = " " * width + "".join(f"{name:>18}" for name in groups)
    rows = [
        f"{key:<{width}}" + "".join(f"{shown(group.get(key, '')):>18}" for group in groups.values())
        for key in keys
    ]
    return [head, *rows] if any(groups) else rows


def flat(values: Mapping, prefix: str = "") -> dict:
    """Nested keys joined by a space."""
    out = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        out |= flat(value, name + " ") if isinstance(value, Mapping) else {name: value}
    return out


def shown(value) -> str:
    """A value as one word of a table."""
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    return str(value)
