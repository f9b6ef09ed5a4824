"""What the set-up promises: hashed locks without addresses, enforced floors, an interpreter that answers."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = [ROOT / "requirements.lock", *sorted((ROOT / "requirements").glob("*.lock"))]
LAYERS = [
    "cli",
    "cli_study | cli_provenance",
    "report",
    "study",
    "evaluation | strategy",
    "forecast | baselines",
    "inference",
    "models",
    "data",
    "foundation",
]


def entries(lock: Path) -> list[str]:
    """The lock's requirements, one string each, continued lines joined."""
    return lock.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()


def locked(lock: Path) -> dict[str, str]:
    """Version by normalised name."""
    pinned = (Requirement(entry.split(" --hash=")[0].strip()) for entry in entries(lock))
    return {canonicalize_name(each.name): str(each.specifier).removeprefix("==") for each in pinned}


def group(name: str) -> list[Requirement]:
    return [Requirement(each) for each in PYPROJECT["dependency-groups"][name]]


def unmet(wanted: list[Requirement], lock: dict[str, str]) -> list[str]:
    return [str(w) for w in wanted if not w.specifier.contains(lock.get(canonicalize_name(w.name), "0"))]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_pins_and_hashes_every_requirement(lock: Path) -> None:
    pinned = re.compile(r"[a-z0-9][a-z0-9.\-]*==\S+( ;.*?)?( +--hash=sha256:[0-9a-f]{64})+ *")
    assert entries(lock)
    assert [entry for entry in entries(lock) if not pinned.fullmatch(entry)] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_holds_no_address(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert re.findall(r"://|--index|--extra-index|--find-links|--trusted-host|file:", text) == []


def test_what_study_and_tests_install_meets_pyproject() -> None:
    dependencies = [Requirement(each) for each in PYPROJECT["project"]["dependencies"]]
    assert unmet([*dependencies, *group("build"), *group("test")], locked(LOCKS[0])) == []


@pytest.mark.parametrize(
    ("name", "of"), [("dev", "dev"), ("browser", "browser"), ("spark", "spark-test"), ("bench", "bench")]
)
def test_a_group_is_locked_apart(name: str, of: str) -> None:
    assert unmet(group(of), locked(ROOT / "requirements" / f"{name}.lock")) == []


@pytest.mark.parametrize("name", ["datasets", "pdf", "spark"])
def test_an_extra_is_locked_apart(name: str) -> None:
    wanted = [Requirement(each) for each in PYPROJECT["project"]["optional-dependencies"][name]]
    assert unmet(wanted, locked(ROOT / "requirements" / f"{name}.lock")) == []


@pytest.mark.parametrize("name", ["dev", "browser", "spark", "datasets", "pdf"])
def test_what_goes_on_top_agrees_with_what_lies_below(name: str) -> None:
    below = locked(LOCKS[0])
    above = locked(ROOT / "requirements" / f"{name}.lock")
    assert {each: version for each, version in above.items() if below.get(each, version) != version} == {}


def test_a_study_needs_neither_spark_nor_a_browser() -> None:
    apart = {"playwright", "pymc-marketing", "pysail", "pyspark", "weasyprint"}
    assert apart & set(locked(LOCKS[0])) == set()


def test_imports_go_down_the_floors_of_the_design() -> None:
    contracts = {each["id"]: each for each in PYPROJECT["tool"]["importlinter"]["contracts"]}
    assert contracts["floors"]["layers"] == LAYERS
    assert contracts["floors"]["exhaustive"]


@pytest.mark.parametrize(
    ("contract", "home"),
    [("sampling", "inference"), ("drawing", "report"), ("engines", "data"), ("kernels", "")],
)
def test_a_heavy_library_is_forbidden_on_every_floor_but_its_own(contract: str, home: str) -> None:
    contracts = {each["id"]: each for each in PYPROJECT["tool"]["importlinter"]["contracts"]}
    floors = {f"clvmodels.{room}" for floor in LAYERS for room in floor.split(" | ")}
    assert set(contracts[contract]["source_modules"]) == floors - {f"clvmodels.{home}"}


def test_warnings_are_errors_and_markers_are_strict() -> None:
    options = PYPROJECT["tool"]["pytest"]["ini_options"]
    assert options["filterwarnings"][0] == "error"
    assert "--strict-markers" in options["addopts"]


def test_no_make_target_is_without_its_line_of_help() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    assert set(re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE)) == set(phony[1].split())


# ------------------------------------------------------------------------------------- finding an interpreter
posix = pytest.mark.skipif(os.name != "posix", reason="make and sh")


def find_python(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(ROOT / "scripts" / "find-python.sh")],
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@posix
def test_a_shim_that_does_not_run_hides_no_interpreter_behind_it(tmp_path: Path) -> None:
    # pyenv puts a python3.13 on PATH that exits 127 for a version that is not switched on.
    shim = program(tmp_path / "shims" / "python3.13", "exit 127")
    real = tmp_path / "with a blank" / "python3.13"
    real.parent.mkdir()
    real.symlink_to(sys.executable)
    found = find_python(PATH=f"{shim.parent}:{real.parent}:/usr/bin:/bin")
    assert found.stdout.strip() == os.path.realpath(sys._base_executable)  # type: ignore[attr-defined]


@posix
def test_a_virtual_environment_leads_to_its_base_interpreter() -> None:
    found = find_python(VIRTUAL_ENV=sys.prefix)
    assert found.stdout.strip() == os.path.realpath(sys._base_executable)  # type: ignore[attr-defined]


@posix
def test_a_given_python_that_does_not_fit_is_refused_in_one_line(tmp_path: Path) -> None:
    old = program(tmp_path / "python3.9", "exit 1")
    found = find_python(PYTHON=str(old))
    assert found.returncode == 2
    assert found.stderr.count("\n") == 1
    assert str(old) in found.stderr


@posix
def test_the_scripts_are_for_any_shell() -> None:
    for script in (ROOT / "scripts").glob("*.sh"):
        assert script.read_text(encoding="utf-8").startswith("#!/bin/sh\n")
        subprocess.run(["/bin/sh", "-n", str(script)], check=True)
