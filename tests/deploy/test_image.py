"""The image without an engine that builds images: its files, its user, and its steps followed in an empty folder."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.deploy.dockerfile import PREFIX, ROOT, build, copies, is_in_context, read_stages
from tests.real_services import free_port, redis_url

BUILDER, FINAL = read_stages()
USER = 10001


def test_every_source_exists_and_is_let_into_the_build() -> None:
    for source, _ in copies(BUILDER):
        path = ROOT / source
        assert path.exists(), source
        samples = [path] if path.is_file() else list(path.rglob("*.py"))
        assert samples
        assert all(is_in_context(str(one.relative_to(ROOT))) for one in samples), source


@pytest.mark.parametrize(
    "name", ["tests/builders.py", "docs/fsm.md", ".env", "deploy/.env", ".git/config", "CHANGELOG.md"]
)
def test_what_no_process_needs_stays_outside(name: str) -> None:
    assert not is_in_context(name)


def test_every_package_that_is_imported_is_copied() -> None:
    """A new top-level package must come into the image, or its processes end at the first import."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages
    assert packages == {source for source, _ in copies(BUILDER) if (ROOT / source).is_dir()}


def test_processes_run_as_nobody_in_particular_and_end_by_a_signal() -> None:
    assert FINAL.all("USER") == [f"{USER}:{USER}"]
    kinds = [kind for kind, _ in FINAL.steps]
    # Nothing of root's comes after the user, and no tool to build with comes along.
    assert "RUN" not in kinds[kinds.index("USER") :]
    assert not any("apt" in text or "pip" in text for text in FINAL.all("RUN"))
    assert FINAL.all("STOPSIGNAL") == ["SIGTERM"]
    assert json.loads(FINAL.all("ENTRYPOINT")[0]) == ["prosa"]
    assert json.loads(FINAL.all("CMD")[0]) == ["webhook"]


def test_libraries_are_those_of_the_lock() -> None:
    installs = [text for text in BUILDER.all("RUN") if "pip install" in text and "wheels" not in text]
    assert all("--require-hashes" in install for install in installs)
    assert [install.rpartition("/")[2] for install in installs] == ["requirements.lock", "requirements-build.lock"]


def test_the_locks_are_parts_of_the_one_lock() -> None:
    """`requirements.lock` is what `make lock` exports; by hand it would go stale."""
    command = [
        *(str(Path(sys.prefix) / "bin" / "uv"), "export", "--frozen", "--no-annotate", "--no-header"),
        *("--no-emit-project", "--extra", "celery", "--extra", "gcp", "--extra", "vertex"),
    ]
    exported = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert exported == (ROOT / "requirements.lock").read_text()


@pytest.fixture(scope="module")
def image() -> Iterator[Path]:
    """The root that the final stage's files are under, for everybody to read and for nobody to write."""
    root = Path(tempfile.mkdtemp(prefix="prosa-image-"))
    root.chmod(0o755)
    build(BUILDER, root)
    healthcheck = root / PREFIX.lstrip("/") / "app" / "deploy"
    healthcheck.mkdir(parents=True)
    shutil.copy(ROOT / "deploy" / "healthcheck.py", healthcheck)
    for path in (root / PREFIX.lstrip("/")).rglob("*"):
        if not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)
    yield root
    subprocess.run(["chmod", "-R", "u+w", str(root)], check=True)
    shutil.rmtree(root)


def as_user(command: list[str]) -> list[str]:
    """The command as the image's user, where this process may become it and that user may run this Python."""
    python = Path(sys.executable).resolve()
    is_reachable = all(stat.S_IMODE(path.stat().st_mode) & stat.S_IXOTH for path in (python, *python.parents))
    if os.getuid() == 0 and shutil.which("setpriv") and is_reachable:
        return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs", *command]
    return command


def environment(image: Path, data: Path, **changes: str) -> dict[str, str]:
    given = {name: value.replace(PREFIX, f"{image}{PREFIX}") for name, value in FINAL.environment().items()}
    return given | {"PROSA_DATA_DIR": str(data)} | changes


@pytest.fixture
def data() -> Iterator[Path]:
    """The one folder that belongs to the image's user."""
    with tempfile.TemporaryDirectory(prefix="prosa-data-") as folder:
        os.chmod(folder, 0o700)
        if os.getuid() == 0:
            os.chown(folder, USER, USER)
        yield Path(folder)


@pytest.mark.slow
def test_the_steps_make_a_command_that_runs_as_its_user(image: Path, data: Path) -> None:
    app = image / f"{PREFIX.lstrip('/')}/app"
    command = as_user(["prosa", "--help"])
    ended = subprocess.run(
        command, cwd=app, env=environment(image, data), capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    assert "webhook" in ended.stdout
    (packages,) = (image / f"{PREFIX.lstrip('/')}/venv/lib").glob("python*/site-packages")
    ours = [packages / name for name in ("adapters", "cli", "context", "worker")]
    assert list((packages / "adapters").rglob("*.lua"))
    assert not (packages / "tests").exists()
    # Whoever is not root compiles nothing, so everything has to be compiled already.
    sources = [path for room in ours for path in room.rglob("*.py")]
    compiled = {path.name.split(".")[0] + str(path.parent.parent) for room in ours for path in room.rglob("*.pyc")}
    assert all(path.stem + str(path.parent) in compiled for path in sources)


@pytest.mark.slow
def test_the_processes_of_celery_work_on_a_tree_that_nobody_may_write(image: Path, data: Path, tmp_path: Path) -> None:
    app = image / f"{PREFIX.lstrip('/')}/app"
    port = free_port()
    settings = environment(image, data, PROSA_ENGINE="celery", REDIS_URL=redis_url(), PORT=str(port))
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name in ("webhook", "beat"):
            with (tmp_path / name).open("wb") as log:
                command = as_user(["prosa", name])
                running[name] = subprocess.Popen(command, cwd=app, env=settings, stdout=log, stderr=log)
        url = f"http://127.0.0.1:{port}/healthz"
        assert until(lambda: answers(url), running["webhook"]), (tmp_path / "webhook").read_text()
        asked = subprocess.run(as_user(["python", "deploy/healthcheck.py"]), cwd=app, env=settings, check=False)
        assert asked.returncode == 0
        assert until(lambda: any(data.glob("beat-schedule*")), running["beat"]), (tmp_path / "beat").read_text()
    finally:
        for process in running.values():
            process.terminate()
        ends = {name: process.wait(60) for name, process in running.items()}
    assert ends == {"webhook": 0, "beat": 0}


@pytest.mark.slow
def test_the_healthcheck_says_no_when_nobody_is_there(image: Path, data: Path) -> None:
    app = image / f"{PREFIX.lstrip('/')}/app"
    settings = environment(image, data, PORT=str(free_port()))
    asked = subprocess.run(
        as_user(["python", "deploy/healthcheck.py"]), cwd=app, env=settings, capture_output=True, check=False
    )
    assert asked.returncode == 1
    assert b"/readyz" in asked.stderr


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def until(holds: Callable[[], bool], process: subprocess.Popen[bytes]) -> bool:
    """Wait while the process lives; the patience is for a busy machine, not what is tested."""
    ends = time.monotonic() + 60
    while time.monotonic() < ends and process.poll() is None:
        if holds():
            return True
        time.sleep(0.05)
    return False
