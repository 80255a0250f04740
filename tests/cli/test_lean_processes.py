"""A process loads what it uses: nothing of the sandbox where nothing is imitated, no client where nothing is sent."""

import subprocess
import sys

import pytest

from tests.builders import ROOT

OPENED = """
import asyncio, sys
from cli import doctor, runtime, serving, webhook_role, worker_role
from cli.settings import read_settings
from adapters.channels.registry import open_inbound

given = {name: "x" for name in ("APP_SECRET", "VERIFY_TOKEN", "ACCESS_TOKEN", "PHONE_NUMBER_ID")}
settings = read_settings({f"WHATSAPP_{name}": value for name, value in given.items()}, env_file=None)
assert len(open_inbound(settings)) == 1
print(*(name for name in sys.argv[1:] if name in sys.modules))
"""


@pytest.mark.parametrize("module", ["sandbox", "sandbox.transport", "adapters.channels.whatsapp.outbound"])
def test_it_is_not_loaded(module: str) -> None:
    command = [sys.executable, "-c", OPENED, module]
    loaded = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""
