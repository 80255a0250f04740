"""Sets up what the tests need beside Python: Chromium, for the tests of the page.

On a machine where packages may be installed it installs what is missing; elsewhere it says loudly what will be
skipped. With `CI` set, what cannot be had is a failure.
"""

import os
import shutil
import subprocess
import sys

PROGRAMS = {"chromium": ("chromium", "chromium-browser", "google-chrome")}


def missing() -> list[str]:
    return [package for package, names in PROGRAMS.items() if not any(shutil.which(name) for name in names)]


def install(packages: list[str]) -> None:
    """Ask Debian's package manager, where there is one and we may; what fails is found by looking again."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return
    print(f"Installing {', '.join(packages)} ...", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", *packages]):
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
