"""The house rules that keep the package readable, checked on the source itself."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "flowspec"
# Imports point from a later layer to an earlier one, or stay inside their own. A new top-level
# module or folder takes its place here.
LAYERS = [
    {"data", "prior"},
    {"io", "sim"},
    {"networks", "measure"},
    {"model"},
    {"train"},
    {"posterior"},
    {"adaptation"},
    {"fitting", "cluster"},
    {"__init__"},
    {"check"},
    {"plots", "pages"},
    {"cli"},
    {"__main__"},
]
# One third-party library, one home.
HOMES = {
    "flax": "networks",
    "flowjax": "model",
    "distrax": "model.space",
    "astropy.io": "io",
    "h5py": "io",
    "matplotlib": "plots",
    "corner": "plots",
    "umap": "check.embedding",
    "plotly": "pages",
    "dask": "cluster",
    "distributed": "cluster",
}
FORBIDDEN = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "scipy.stats"}


@cache
def modules() -> dict[str, Path]:
    """Dotted name below `flowspec` -> file, without the scripts that build the shipped tables."""
    files = (f for f in sorted(PACKAGE.rglob("*.py")) if f.parent.name != "tables")
    names = {f: f.relative_to(PACKAGE).with_suffix("").parts for f in files}
    return {".".join(p[:-1] if len(p) > 1 and p[-1] == "__init__" else p): f
            for f, p in names.items()}


def imported(node: ast.AST, file: Path) -> Iterator[str]:
    """Absolute dotted names an import statement may load: `from a import b` gives `a.b`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        package = ("flowspec", *file.parent.relative_to(PACKAGE).parts)
        base = package[: len(package) - node.level + 1] if node.level else ()
        stem = ".".join([*base, *([node.module] if node.module else [])])
        yield from (f"{stem}.{alias.name}" for alias in node.names)


def imports(file: Path) -> list[str]:
    tree = ast.parse(file.read_text(), filename=str(file))
    return [name for node in ast.walk(tree) for name in imported(node, file)]


def internal(name: str, known: set[str]) -> str | None:
    """The module of this package that the dotted `name` refers to, or None if it is foreign."""
    head, *rest = name.split(".")
    if head != "flowspec":
        return None
    while rest and ".".join(rest) not in known:
        rest = rest[:-1]
    return ".".join(rest) or "__init__"


def layer(module: str) -> int:
    top = module.split(".")[0]
    found = [i for i, names in enumerate(LAYERS) if top in names]
    assert found, f"flowspec.{module} has no place in LAYERS: give it one"
    return found[0]


@cache
def graph() -> dict[str, set[str]]:
    files = modules()
    edges = {m: {internal(n, set(files)) for n in imports(f)} for m, f in files.items()}
    return {m: to - {None, m} for m, to in edges.items()}


def within(name: str, library: str) -> bool:
    return name == library or name.startswith(library + ".")


@pytest.mark.parametrize("module", modules())
def test_imports_point_one_way(module):
    later = {to for to in graph()[module] if layer(to) > layer(module)}
    assert not later, f"flowspec.{module} imports from a later layer: {sorted(later)}"


def test_no_import_cycle():
    order = TopologicalSorter(graph()).static_order()  # raises CycleError, which names the cycle
    assert set(order) >= set(graph())


@pytest.mark.parametrize("module", modules())
def test_internal_imports_are_at_the_top_of_the_file(module):
    file = modules()[module]
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [f for f in ast.walk(ast.parse(file.read_text())) if isinstance(f, functions)]
    local = [(n.lineno, name) for f in bodies for n in ast.walk(f) for name in imported(n, file)]
    assert not [(line, name) for line, name in local if within(name, "flowspec")]


@pytest.mark.parametrize("library", HOMES)
def test_each_library_has_one_home(library):
    used = {m for m, f in modules().items() for n in imports(f) if within(n, library)}
    strangers = {m for m in used if not within(m, HOMES[library])}
    assert not strangers, f"{library} belongs in flowspec.{HOMES[library]}; found in {strangers}"


def test_only_the_command_line_draws():
    drawing = {m.split(".")[0] for m, to in graph().items() if any(within(t, "plots") for t in to)}
    assert drawing <= {"cli", "plots"}


@pytest.mark.parametrize("module", modules())
def test_no_pickle_and_no_slow_import(module):
    file = modules()[module]
    found = {n for n in imports(file) for bad in FORBIDDEN if within(n, bad)}
    assert not found
    keywords = [n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.keyword)]
    allowing = [k for k in keywords if k.arg == "allow_pickle" and ast.unparse(k.value) != "False"]
    assert not [k.value.lineno for k in allowing]


def test_files_and_functions_stay_short():
    limits = {PACKAGE: 300, ROOT / "benchmarks": 300, ROOT / "tests": 330}
    files = {f: n for folder, n in limits.items() for f in folder.rglob("*.py")}
    lengths = {f: len(f.read_text().splitlines()) for f in files}
    assert not {str(f.relative_to(ROOT)): n for f, n in lengths.items() if n > files[f]}
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    long = {f"{m}.{n.name}": n.end_lineno - n.lineno + 1 for m, f in modules().items()
            for n in ast.walk(ast.parse(f.read_text())) if isinstance(n, functions)}
    assert not {name: lines for name, lines in long.items() if lines > 60}


def test_what_a_simulator_can_do_is_not_asked_for():
    """No `hasattr` in the package: what is optional has a default in a base class."""
    asking = {m for m, f in modules().items() for n in ast.walk(ast.parse(f.read_text()))
              if isinstance(n, ast.Call) and ast.unparse(n.func) == "hasattr"}
    assert not asking


def test_no_function_bears_the_name_of_a_module_beside_it():
    """`from package import name` must mean one thing."""
    files = modules()
    for name, file in files.items():
        if file.name == "__init__.py":
            own = {a.asname or a.name for n in ast.walk(ast.parse(file.read_text()))
                   if isinstance(n, ast.ImportFrom) for a in n.names}
            parts = {f.stem for f in file.parent.glob("*.py")} | {
                f.parent.name for f in file.parent.glob("*/__init__.py")}
            assert not own & parts, f"flowspec.{name}: {own & parts}"
