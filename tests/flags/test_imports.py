"""What answers people never loads what only reports need."""

import subprocess
import sys

import pytest

from tests.builders import ROOT


@pytest.mark.parametrize("module", ["worker.bootstrap", "worker.service", "webhook.app", "flags.runtime", "cli.main"])
def test_scipy_is_not_imported_by_what_answers_people(module: str) -> None:
    program = f"import sys, {module}; print([name for name in sys.modules if name.split('.')[0] in ('scipy', 'numpy')])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
