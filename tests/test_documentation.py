"""The documentation: its code runs, its commands exist, and its pages are built without a fault."""

import ast
import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import benchmarks.__main__ as runner
import flowspec as fs
from flowspec import fitting
from flowspec.cli.arguments import parser
from tests.documentation import LINES, PAGES, ROOT, blocks, shortened, to_run

ALL = [block for page in PAGES for block in blocks(page)]
FOLLOWED = [page for page in PAGES if to_run(page)]
SHORT = fs.Training(steps=4, batch=32, validation=64, evaluate=2)


def commands(code: str) -> list[list[str]]:
    """Words of each command of a shell block, without pipes and comments."""
    lines = code.replace("\\\n", " ").splitlines()
    parts = [part for line in lines for part in re.split(r"&&|\||>", line)]
    return [words for part in parts if (words := shlex.split(part, comments=True))]


def options(benchmark: str) -> set[str]:
    """Options of a benchmark: keywords of its `run`, and those of all."""
    tree = ast.parse((ROOT / "benchmarks" / f"{benchmark}.py").read_text())
    run = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "run")
    names = [a.arg for a in run.args.args + run.args.kwonlyargs]
    return {f"--{n.replace('_', '-')}" for n in names} | {"--output", "--cores", "-o", "--help"}


def test_there_are_pages_and_blocks():
    assert len(FOLLOWED) > 15 and len(ALL) > 80


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_commands_and_names_exist(page):
    """Of all blocks, also of those that are not run."""
    for block in blocks(page):
        if block.language == "python":
            check_names(block)
        for words in commands(block.code) if block.language == "sh" else ():
            check_command(block, words)


def check_names(block):
    public = {*fs.__all__, *(f.stem for f in (ROOT / "flowspec").iterdir())}
    for node in ast.walk(ast.parse(block.code)):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "fs":
            assert node.attr in public, f"{block}: fs.{node.attr}"
        if isinstance(node, ast.ImportFrom) and node.module.startswith("flowspec."):
            path = ROOT / node.module.replace(".", "/")
            file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            source = file.read_text()
            for alias in node.names:
                known = re.search(rf"\b{alias.name}\b", source) or list(path.glob(alias.name + "*"))
                assert known, f"{block}: {node.module}.{alias.name}"


def check_command(block, words):
    if words[0] == "flowspec" and "--help" not in words:
        try:
            parser().parse_args(words[1:])
        except SystemExit:
            pytest.fail(f"{block}: {shlex.join(words)}")
    if words[:3] == ["python", "-m", "benchmarks"] and words[3] != "NAME":
        assert words[3] in runner.BENCHMARKS, f"{block}: {words[3]}"
        given = {w.strip("[]") for w in words[4:]}
        given = {w for w in given if re.match(r"--?[a-z]", w)}
        unknown = {g for g in given if g.replace("--no-", "--") not in options(words[3])}
        assert not unknown, f"{block}: {words[3]} {unknown}"


def test_every_page_but_those_of_the_tool_is_reached():
    """The build checks it too; here without the tool."""
    nav = (ROOT / "mkdocs.yml").read_text()
    found = {p.relative_to(ROOT / "docs").as_posix() for p in (ROOT / "docs").rglob("*.md")}
    assert not {p for p in found if f": {p}\n" not in nav and f"- {p}\n" not in nav}


def test_the_citation_is_of_this_version():
    """And names a licence that is the package's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {project['version']}\n" in citation
    assert f"\nlicense: {project['license']}\n" in citation


def test_the_readme_is_for_a_minute():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 150 and "](examples/figures/" in text
    for command in ("install . && flowspec demo", 'install -e ".[dev]" && pytest'):
        assert f"\npython -m pip {command}\n" in text


@pytest.fixture(scope="session")
def observations(tmp_path_factory) -> Path:
    """A folder with what pages take for granted: `spec-*.fits` and `lines.ecsv`."""
    from flowspec.io.sdss import write_sdss
    from flowspec.sim.galaxy.mocks import mock_galaxies

    folder = tmp_path_factory.mktemp("observations")
    write_sdss(folder, mock_galaxies(fs.GalaxySimulator("sdss"), 6).obs)
    (folder / "lines.ecsv").write_text(LINES)
    return folder


@pytest.fixture
def short(monkeypatch):
    """Trainings of a few steps, judged by a few simulations."""
    monkeypatch.setattr(fitting, "_SCREEN", 256)
    for function in (fs.fit, fs.fit_lines, fs.adapt):
        defaults = inspect.unwrap(function).__kwdefaults__
        monkeypatch.setitem(defaults, "training", SHORT)


@pytest.mark.slow
@pytest.mark.parametrize("page", FOLLOWED, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_page_can_be_followed(page, observations, short, tmp_path, monkeypatch):
    folder = shutil.copytree(observations, tmp_path / "here")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MPLBACKEND", "agg")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    monkeypatch.setenv("PATH", path)
    names: dict = {"__name__": "__page__"}
    for block in to_run(page):
        code = shortened(block.code)
        if block.language == "python":
            lines = "\n" * (block.line - 1)  # so that a traceback has the line of the page
            exec(compile(lines + code, block.page, "exec"), names)
        else:
            found = subprocess.run(["bash", "-euo", "pipefail", "-c", code], text=True,
                                   capture_output=True, timeout=900)  # fmt: skip
            print(found.stdout)
            assert found.returncode == 0, f"{block}\n{found.stderr[-2000:]}"
