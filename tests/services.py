"""Sets up what the tests need beside Python: Chromium, Graphviz, Redis, Prometheus, Alertmanager, Firestore's emulator.

On a machine where packages may be installed it installs what is missing; elsewhere it says loudly what will be
skipped. With `CI` set, what cannot be had is a failure.
"""

import os
import shutil
import subprocess
import sys

from real_services import firestore_emulator

PROGRAMS = {
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "graphviz": ("dot",),
    "redis-server": ("redis-server",),
    "default-jre-headless": ("java",),
    # With promtool, and amtool. Grafana and Jaeger are in no package source of Debian.
    "prometheus": ("prometheus",),
    "prometheus-alertmanager": ("amtool",),
    # Version 1, which `docker compose config` grew out of; it needs no engine.
    "docker-compose": ("docker-compose",),
}
# Comes from Google's own package repository, or with the Google Cloud SDK as a component.
EMULATOR_PACKAGE = "google-cloud-cli-firestore-emulator"


def missing() -> list[str]:
    packages = [package for package, names in PROGRAMS.items() if not any(shutil.which(name) for name in names)]
    return packages if firestore_emulator() else [*packages, EMULATOR_PACKAGE]


def install(packages: list[str]) -> None:
    """Ask Debian's package manager, where there is one and we may; what fails is found by looking again."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return
    print(f"Installing {', '.join(packages)} ...", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=environment, stdout=subprocess.DEVNULL, check=False)
    for package in packages:
        # One by one: a package that this machine's sources do not have must not keep the others away.
        command = ["apt-get", "install", "-y", "-qq", package]
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)


def main() -> int:
    packages = missing()
    if packages:
        install(packages)
    still = missing()
    if not still:
        return 0
    if os.environ.get("CI"):
        print(f"MISSING: {', '.join(still)}; CI needs every service", file=sys.stderr)
        return 1
    print(f"MISSING: {', '.join(still)}; the tests that need it are SKIPPED", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
