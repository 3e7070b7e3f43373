"""The notebooks of `examples/`, run whole, with what they print and draw written into them.

One is left alone while its code, and the shipped models that it loads, are those that it was run
with; `again` runs it all the same. Each is written as soon as it has run: a run that was ended goes
on where it was. The CPU seconds go into the table of docs/notebooks.md.
"""

import ast
import base64
import hashlib
import io
import os
import re
import resource
import sys
import tempfile
import time
from pathlib import Path

import nbformat

import flowspec as fs
from flowspec.data.atomic import replacing

ROOT = Path(__file__).resolve().parents[1]
FOLDER, PAGE = ROOT / "examples", ROOT / "docs" / "notebooks.md"
LARGEST, LARGEST_OF_ALL = 600_000, 2_500_000  # bytes
DPI = 90
# Of a machine, not of a notebook: absolute paths, and addresses in memory.
_PATH = re.compile(
    r"(?<![\w.:/])/(?:home|root|tmp|usr|var|opt|mnt|private|work|Users)/[\w.]|[A-Z]:\\\w"
)
_ADDRESS = re.compile(r' id="table\d+(?:-\d+)?"| at 0x[0-9a-f]+')


def run(*, only: str = "", again: bool = False) -> dict:
    """Run them.

    Args:
        only: Name of one notebook; "" for all.
        again: Also those that are current.

    Returns:
        Per notebook that was run its wall and CPU seconds, size and figures.

    Raises:
        ValueError: If there is no such notebook, or one of them fails; the others are run first.
    """
    known = {path.stem: path for path in books()}
    if only and only not in known:
        raise ValueError(f"expected only= one of {', '.join(known)}; got {only!r}")
    results, failures = {}, {}
    for name in [only] if only else known:
        if not again and not faults(known[name]):
            print(f"{name}: current")
            continue
        print(f"{name} ...", flush=True)
        try:
            results[name] = made(known[name])
        except Exception as error:  # of any cell of it; the traceback is of the cell
            print(f"{name}: {error}", file=sys.stderr, flush=True)
            failures[name] = (str(error).strip() or type(error).__name__).splitlines()[-1]
    if failures:
        raise ValueError("; ".join(f"{name}: {error}" for name, error in failures.items()))
    return results


def books() -> list[Path]:
    """All notebooks."""
    return sorted(FOLDER.glob("*.ipynb"))


def made(path: Path) -> dict:
    """Run one, write it, note its seconds; it is left as it was if a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    before, wall, cpu = stamp(notebook), time.perf_counter(), children()
    execute(notebook)
    wall, cpu = time.perf_counter() - wall, children() - cpu
    unheard = clean(notebook)
    latest = nbformat.read(path, as_version=4)  # words may have been changed meanwhile
    if stamp(latest) != before:
        raise ValueError("its code or its model was changed while it ran")
    for cell, ran in zip(code_cells(latest), code_cells(notebook), strict=True):
        cell.update(ran)
    latest.metadata = notebook.metadata
    with replacing(path) as temporary:
        temporary.write_text(nbformat.writes(latest) + "\n", encoding="utf-8")
    note(path.stem, cpu)
    if found := faults(path):
        raise ValueError("; ".join(found))
    return {"wall_s": wall, "cpu_s": cpu, "kB": path.stat().st_size / 1000,
            "figures": len(pictures(notebook)), "lines on stderr": unheard}  # fmt: skip


def execute(notebook: nbformat.NotebookNode) -> None:
    """Run all cells in a kernel of its own and an empty folder, without data from elsewhere."""
    from nbclient import NotebookClient  # only who runs notebooks needs it

    with tempfile.TemporaryDirectory() as folder:
        styles = Path(folder, "matplotlibrc")
        styles.write_text(f"figure.dpi: {DPI}\n")
        env = {k: v for k, v in os.environ.items() if not k.startswith("FLOWSPEC_")}
        paths = [str(ROOT), *filter(None, [env.get("PYTHONPATH")])]
        env |= {"MATPLOTLIBRC": str(styles), "PYTHONPATH": os.pathsep.join(paths),
                "FLOWSPEC_CACHE": "off", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}  # fmt: skip
        here = Path(folder, "here")
        here.mkdir()
        client = NotebookClient(notebook, timeout=None, kernel_name="python3", record_timing=False,
                                resources={"metadata": {"path": str(here)}})  # fmt: skip
        client.execute(env=env)


def clean(notebook: nbformat.NotebookNode) -> int:
    """Keep what is of the notebook alone, and stamp it; returns lines on stderr left out."""
    unheard = 0
    for cell in code_cells(notebook):
        cell.metadata, kept = {}, []
        for output in cell.outputs:
            if output.get("name") == "stderr":
                unheard += len(output.text.splitlines())
                continue
            if "text" in output:
                output.text = _ADDRESS.sub("", output.text)
            for kind, value in output.get("data", {}).items():
                output.data[kind] = small(value) if kind == "image/png" else _ADDRESS.sub("", value)
            output.pop("metadata", None)
            if output.output_type in ("display_data", "execute_result"):
                output.metadata = {}
            kept.append(output)
        cell.outputs = kept
    notebook.metadata = nbformat.from_dict({
        "flowspec": stamp(notebook), "language_info": {"name": "python"},
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    })  # fmt: skip
    return unheard


def small(png: str) -> str:
    """A picture in 256 colours, a third of the size; those of thin lines are kept too."""
    from PIL import Image  # Matplotlib brings it

    full, buffer = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB"), io.BytesIO()
    few = full.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(buffer, "png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def note(name: str, seconds: float) -> None:
    """Write the CPU seconds of a notebook into its row of the table."""
    row = re.compile(rf"^(\| \[{name}\].*\| )[^|]*( \|)$", re.M)
    PAGE.write_text(row.sub(rf"\g<1>{seconds:.0f}\g<2>", PAGE.read_text()))


def stamp(notebook: nbformat.NotebookNode) -> dict:
    """What outputs depend on: digests of the code, and of the shipped models that it loads."""
    code = [cell.source for cell in code_cells(notebook)]
    known, models = fs.shipped(), loaded("\n".join(map(python, code)))
    digests = {name: digest(known[name].read_bytes()) for name in sorted(models)}
    return {"code": digest("\n\n".join(code).encode()), "models": digests}


def digest(content: bytes) -> str:
    """Sixteen hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()[:16]


def loaded(code: str) -> set[str]:
    """Shipped models in calls of ``load``, by name or by a variable that was set to one."""
    nodes = list(ast.walk(ast.parse(code)))
    values = {target.id: node.value for node in nodes if isinstance(node, ast.Assign)
              for target in node.targets if isinstance(target, ast.Name)}  # fmt: skip
    asked = [node.args[0] for node in nodes if isinstance(node, ast.Call) and node.args
             and ast.unparse(node.func).split(".")[-1] == "load"]  # fmt: skip
    asked = [values.get(a.id, a) if isinstance(a, ast.Name) else a for a in asked]
    words = {n.value for a in asked for n in ast.walk(a) if isinstance(n, ast.Constant)}
    return words & set(fs.shipped())


def faults(path: Path) -> list[str]:
    """Why a notebook cannot be committed as it is; nothing if it can."""
    notebook, size = nbformat.read(path, as_version=4), path.stat().st_size
    made_of, now = notebook.metadata.get("flowspec", {}), stamp(notebook)
    found = [f"not current: its {part} changed since it was run"
             for part in now if made_of.get(part) != now[part]]  # fmt: skip
    return found + faults_of(notebook, size)


def faults_of(notebook: nbformat.NotebookNode, size: int) -> list[str]:
    """Those of what was run: cells that show nothing, errors, what is of a machine, the size."""
    found = [f"{size} bytes; expected at most {LARGEST}"] if size > LARGEST else []
    for i, cell in enumerate(code_cells(notebook)):
        if shows(cell.source) and not cell.outputs:
            found.append(f"code cell {i} has no output")
        for output in cell.outputs:
            if output.output_type == "error" or output.get("name") == "stderr":
                found.append(f"code cell {i} has an error or a warning")
            texts = [v for k, v in output.get("data", {}).items() if not k.startswith("image")]
            for text in [output.get("text", ""), *texts]:
                if of_machine := _PATH.search(text):
                    found.append(f"code cell {i} shows a path: {of_machine[0]}")
    return found


def shows(source: str) -> bool:
    """Whether a cell prints or draws: it ends in an expression, or calls print or display."""
    tree = ast.parse(python(source))
    calls = [ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)]
    last = tree.body[-1] if tree.body else None
    return isinstance(last, ast.Expr) or bool({"print", "display"} & set(calls))


def python(source: str) -> str:
    """Code without the lines that only IPython knows."""
    return "\n".join(line for line in source.splitlines() if not line.startswith(("%", "!")))


def code_cells(notebook: nbformat.NotebookNode) -> list:
    """In order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def pictures(notebook: nbformat.NotebookNode) -> list[bytes]:
    """The figures, as PNG, in order."""
    data = [o.get("data", {}) for cell in code_cells(notebook) for o in cell.outputs]
    return [base64.b64decode(d["image/png"]) for d in data if "image/png" in d]


def children() -> float:
    """CPU seconds of ended child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
