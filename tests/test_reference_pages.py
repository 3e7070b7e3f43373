"""The reference: every public name is on a page, and says in one line what it is."""

import ast
import re

import pytest

import flowspec as fs
from tests.documentation import ROOT

PAGES = sorted((ROOT / "docs/reference").glob("*.md"))
TEXT = "".join(page.read_text() for page in PAGES)
SHOWN = {n.removeprefix("flowspec.") for n in re.findall(r"^(?::::|##) (\S+)$", TEXT, re.M)}
INDEX = (ROOT / "docs/reference/index.md").read_text()


@pytest.mark.parametrize("name", fs.__all__)
def test_a_public_name_is_shown(name):
    assert name in SHOWN and f"`{name}`" in INDEX


@pytest.mark.parametrize("name", fs.__all__)
def test_its_docstring_begins_with_a_line_that_stands_alone(name):
    """And, of functions, names every argument."""
    source = (ROOT / fs._ORIGINS[name].replace(".", "/")).with_suffix(".py")
    if not source.is_file():  # a package, which has it from a module
        source = next(f for f in source.with_suffix("").glob("*.py")
                      if re.search(rf"^def {name}\b", f.read_text(), re.M))  # fmt: skip
    for node in ast.parse(source.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            text = ast.get_docstring(node) or ""
            first, *rest = text.splitlines()
            assert first.endswith(".") and (not rest or not rest[0])
            if isinstance(node, ast.FunctionDef):
                arguments = node.args.args + node.args.kwonlyargs
                assert not [a.arg for a in arguments if not re.search(rf"\b{a.arg}\b", text)]
