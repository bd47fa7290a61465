"""The modules of the package import each other without cycles.

All imports count, also those inside functions and under ``TYPE_CHECKING``: a cycle that is hidden
in these ways still couples its modules. Strings, such as the locations of registries and the names
that packages load on use, do not count.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def find_modules(folder: Path, package: str) -> dict[str, Path]:
    """Return the files of all modules below a package by module name."""
    modules = {}
    for path in sorted((folder / package).rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


def find_imports(module: str, path: Path, modules: Iterable[str]) -> set[str]:
    """Return the modules that a module imports, and the packages that this initializes.

    Its own packages are left out: they are being initialized when it is imported.
    """
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: expected an absolute import"
            members = {f"{node.module}.{alias.name}" for alias in node.names} & set(modules)
            names.update(members)
            if len(members) < len(node.names):
                names.add(node.module)
    parents = {
        ".".join(parts[:end])
        for parts in (name.split(".") for name in names)
        for end in range(1, len(parts) + 1)
    }
    own = {module[:at] for at, letter in enumerate(module) if letter == "."} - names
    return (parents & set(modules)) - own - {module}


def import_graph(folder: Path, package: str) -> dict[str, set[str]]:
    """Return the imports of all modules of a package."""
    modules = find_modules(folder, package)
    return {name: find_imports(name, path, modules) for name, path in modules.items()}


def group_by_package(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return the imports among the packages and modules one level below the top."""
    grouped: dict[str, set[str]] = {}
    for module, imports in graph.items():
        name = ".".join(module.split(".")[:2])
        targets = {".".join(each.split(".")[:2]) for each in imports}
        grouped.setdefault(name, set()).update(targets - {name})
    return grouped


def find_cycle(graph: Mapping[str, set[str]]) -> str:
    """Return a cycle as ``a -> b -> a``, an empty string if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " -> ".join(reversed(error.args[1]))
    return ""


def test_no_cycle_among_modules():
    graph = import_graph(ROOT, "glip")
    assert "glip.registry" in graph["glip.engine.loops"]
    assert find_cycle(graph) == ""


def test_no_cycle_among_packages():
    assert find_cycle(group_by_package(import_graph(ROOT, "glip"))) == ""


@pytest.mark.parametrize(
    "statement",
    [
        "from pack.a import x",
        "from pack import a",
        "import pack.a",
        "def f():\n    from pack.a import x",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pack.a import x",
    ],
)
def test_cycles_are_found(tmp_path, statement):
    (tmp_path / "pack" / "b").mkdir(parents=True)
    (tmp_path / "pack" / "__init__.py").touch()
    (tmp_path / "pack" / "a.py").write_text("from pack.b import y\nx = 1\n")
    (tmp_path / "pack" / "b" / "__init__.py").write_text("from pack.b.inner import y\n")
    (tmp_path / "pack" / "b" / "inner.py").write_text("y = 1\n")
    graph = import_graph(tmp_path, "pack")
    assert find_cycle(graph) == ""
    assert graph["pack.a"] == {"pack.b"}
    (tmp_path / "pack" / "b" / "inner.py").write_text(statement)
    graph = import_graph(tmp_path, "pack")
    assert {"pack.a", "pack.b", "pack.b.inner"} == set(find_cycle(graph).split(" -> "))
    assert {"pack.a", "pack.b"} == set(find_cycle(group_by_package(graph)).split(" -> "))
