"""The way the code is laid out: who imports whom, where compiled and drawn things live, what importing costs."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "snnsim"

# Lowest first; a module imports only from its own row and the rows before. A name stands for a module or a package.
LEVELS: list[set[str]] = [
    {"errors", "__init__"},
    {
        "kernels",
        "pareto",
        "ready",
        "files",
        "memory",
        "execution",
        "events",
        "spec",
        "progress",
        "notebook",
        "models",
        "data",
        "profiles",
    },
    {"tables", "plot_style", "plots", "answer_plots"},
    {"accounting", "surrogates", "losses", "model_file"},
    {"distillation"},
    {"layers"},
    {"gradient_sums"},
    {"augment", "counting", "encoders", "passes", "regularizers", "results", "segments"},
    {"features"},
    {"engine"},
    {"network"},
    {"config", "energy", "nir_graph"},
    {"datasets"},
    {"evaluation", "recorded"},
    {"by_step", "neurobench"},
    {"teachers"},
    {"training"},
    {"learning"},
    {"reports"},
    {"figures", "run_directory", "summary"},
    {"experiment"},
    {"doctor", "inference", "runs", "sweeps"},
    {"cli"},
]
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}


def modules(folder: Path = PACKAGE) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def unit(path: Path) -> str:
    """Return what a file belongs to: the package below snnsim, or the module itself."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Yield the full names of all modules a file imports, at its top or later, but for those of type checking."""
    todo: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        todo.extend(ast.iter_child_nodes(node))


def test_every_module_has_its_level() -> None:
    """A new module is given its place among the others."""
    assert {unit(path) for path in modules()} <= LEVEL.keys()


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_lower_never_imports_higher(path: Path) -> None:
    """A module imports nothing from above its level."""
    for name in imports(path):
        first, _, rest = name.partition(".")
        if first == "snnsim" and rest:
            imported = rest.split(".")[0]
            if imported in LEVEL:
                assert LEVEL[imported] <= LEVEL[unit(path)], f"{unit(path)} imports {name}"


def test_kernels_know_arrays_only() -> None:
    """Kernels import NumPy, Numba, their decorator, numbers and vector loops, and nothing of snnsim above them."""
    shared = ("_jit", "codes", "dots", "lanes", "scans", "vectors", "writer")
    allowed = tuple(f"snnsim.kernels.{name}" for name in shared)
    for path in modules(PACKAGE / "kernels"):
        ours = [name for name in imports(path) if name.startswith("snnsim")]
        assert all(name.startswith(allowed) for name in ours), (path.name, ours)


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        ("numba", {"kernels/_jit.py", "kernels/writer.py"}),
        ("matplotlib", {"plots.py", "answer_plots.py", "plot_style.py", "reports/plots.py", "sweeps/plots.py"}),
        ("llvmlite", {"kernels/writer.py"}),
        ("optuna", {"sweeps/study.py", "sweeps/samplers.py"}),
        ("sqlalchemy", {"sweeps/study.py"}),
        ("click", set()),
        ("rich", set()),
    ],
)
def test_libraries_stay_where_they_belong(library: str, allowed: set[str]) -> None:
    """Numba is imported by kernels alone, Matplotlib by plots, Optuna by the study, click and rich by commands."""
    users = {
        str(path.relative_to(PACKAGE))
        for path in modules()
        if any(name.split(".")[0] == library for name in imports(path))
    }
    assert users <= allowed


def test_no_option_that_reorders_sums_or_nests_pools() -> None:
    """No kernel is parallel; sums may be reordered in dot products alone, and never so that NaN is lost."""
    dot_products = set()
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword):
                assert node.arg != "parallel", path
                assert node.arg != "fastmath" or path.name == "_jit.py", path
            if isinstance(node, ast.Name | ast.Attribute):
                assert ast.unparse(node).split(".")[-1] != "prange", path
            if isinstance(node, ast.FunctionDef) and "dot_kernel" in map(ast.unparse, node.decorator_list):
                dot_products.add(node.name)
    assert dot_products == {"needed_products", "add_needed_products"}
    options = (PACKAGE / "kernels" / "_jit.py").read_text(encoding="utf-8")
    assert not [flag for flag in ("nnan", "ninf", "arcp", "afn", "fast") if f'"{flag}"' in options]


def test_the_command_line_uses_no_inner_module() -> None:
    """Commands talk to the public face: neither kernels nor layers, engine or trainer."""
    inner = ("kernels", "layers", "engine", "passes", "training", "execution")
    for path in modules(ROOT / "cli"):
        for name in imports(path):
            assert not name.startswith(tuple(f"snnsim.{module}" for module in inner)), (path.name, name)


def test_packages_are_the_folders_on_disk() -> None:
    """The list of packages in pyproject.toml holds every folder with Python files, and no other."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    moved = setuptools["package-dir"]
    on_disk = {
        ".".join(["snnsim", *path.parent.relative_to(PACKAGE).parts]) for path in PACKAGE.rglob("__init__.py")
    } | {name for name, folder in moved.items() if (ROOT / folder / "__init__.py").exists()}
    assert set(setuptools["packages"]) == on_disk
    with_code = {path.parent for path in modules()}
    assert {folder for folder in with_code if not (folder / "__init__.py").exists()} == set()


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import snnsim", ["numba", "numpy", "matplotlib", "pydantic", "snnsim.network"]),
        ("import snnsim.cli.main", ["numba", "numpy", "matplotlib", "pydantic", "rich"]),
        ("import snnsim; snnsim.Network", ["matplotlib", "click", "rich"]),
    ],
)
def test_what_importing_leaves_out(statement: str, absent: list[str]) -> None:
    """Importing the package, or the command line, imports nothing heavy before it is needed."""
    code = f"import sys\n{statement}\nprint([name for name in {absent!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
