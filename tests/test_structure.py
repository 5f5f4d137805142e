"""The shape of the code: imports point one way, native-only packages stay out of what a browser loads, files stay readable,
lint, format and types are clean."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fanlight"
FILES = sorted(PACKAGE.rglob("*.py"))
# What each part may import of ours, besides EVERYWHERE.
MAY_IMPORT = {
    "formats": {"formats"},
    "kernels": {"kernels", "grammar", "formats"},
    "compiler": {"compiler", "kernels", "formats"},
    "models": {"models", "compiler", "kernels", "formats"},
    "runtime": {"runtime", "compiler", "kernels", "formats"},
    "images": {"images", "models"},
    "text": {"text", "formats"},
    "grammar": {"grammar"},
    "engine": {"engine", "grammar", "runtime", "models", "compiler", "formats"},
    "api": {"api", "engine", "images", "text", "grammar", "runtime", "models", "compiler", "formats"},
    "cli": {"cli", "api", "engine", "text", "grammar", "runtime", "models", "compiler", "kernels", "formats"},
}
EVERYWHERE = {"arrays", "errors", "driver", "settings", "__version__"}
EXCEPTIONS = {
    "kernels/case.py": {"compiler"},  # a case is a Program of one launch
}
NATIVE_ONLY = {
    "cli",
    "runtime/native.py",
    "formats/resolve.py",
    "formats/download.py",
    "formats/quantize.py",
    "formats/store.py",
    "__main__.py",
} | {f"api/{name}.py" for name in ("access", "answers", "listen", "native", "page", "server")}
BROWSER_MAY_IMPORT = {"jinja2", "js", "pyodide", "fanlight"}
MAX_LINES = 500


def name_of(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


def imports(file: Path, top_level_only: bool) -> list[str]:
    tree = ast.parse(file.read_text())
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found = []
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.append(node.module)
            found += [f"{node.module}.{alias.name}" for alias in node.names if node.module == "fanlight"]
    return found


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_imports_point_one_way(file):
    part = name_of(file).split("/")[0]
    if part not in MAY_IMPORT:
        return
    allowed = MAY_IMPORT[part] | EVERYWHERE | EXCEPTIONS.get(name_of(file), set())
    ours = {m.split(".")[1] for m in imports(file, top_level_only=False) if m.startswith("fanlight.")}
    assert ours <= allowed, f"{name_of(file)} imports {sorted(ours - allowed)}; {part} may import {sorted(allowed)}"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_what_a_browser_loads_needs_the_standard_library_only(file):
    name = name_of(file)
    if name in NATIVE_ONLY or name.split("/")[0] in NATIVE_ONLY:
        return
    roots = {module.split(".")[0] for module in imports(file, top_level_only=True)}
    foreign = roots - BROWSER_MAY_IMPORT - set(sys.stdlib_module_names)
    assert not foreign, f"{name} imports {sorted(foreign)} when it is loaded: import it in the function that needs it"


def test_one_file_each_knows_wgpu_and_the_page():
    users = {"wgpu": set(), "js": set(), "pyodide": set()}
    for file in FILES:
        for module in imports(file, top_level_only=False):
            if module.split(".")[0] in users:
                users[module.split(".")[0]].add(name_of(file))
    assert users["wgpu"] == {"runtime/native.py"}
    assert users["js"] | users["pyodide"] <= {"runtime/browser.py", "runtime/javascript.py", "api/worker.py"}


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_files_stay_readable(file):
    assert len(file.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("tool", ["ruff check .", "ruff format --check .", "mypy"])  # as pyproject.toml sets them
def test_lint_format_and_types(tool):
    done = subprocess.run([sys.executable, "-m", *tool.split()], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"{tool}\n{done.stdout}{done.stderr}", pytrace=False)


def test_programs_that_use_fanlight_see_its_types():
    assert (PACKAGE / "py.typed").is_file()
