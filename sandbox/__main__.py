"""Runs the sandbox alone: `python -m sandbox --port 8900 --institution context/documents/pyloto`."""

import argparse
import sys
from pathlib import Path

import uvicorn

from adapters.event_loop import keep_what_is_loaded, run_serving
from adapters.http.listener import listen
from contracts.errors import InstitutionError
from sandbox.app import SandboxSettings, create_app
from sandbox.behaviour import ModelBehaviour


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="Stand-ins for Anthropic's and Meta's APIs.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8900, help="0 takes a free one")
    parser.add_argument("--institution", type=Path, default=Path("context/documents/pyloto"))
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same answers and faults")
    parser.add_argument("--webhook-url", help="where statuses and inbound messages are posted")
    parser.add_argument("--app-secret", default="sandbox", help="signs the webhooks")
    parser.add_argument("--cheating", action="store_true", help="every reply of the model breaks a rule")
    given = parser.parse_args()
    settings = SandboxSettings(
        institution=given.institution,
        seed=given.seed,
        webhook_url=given.webhook_url,
        app_secret=given.app_secret,
        model=ModelBehaviour(mode="cheating" if given.cheating else "normal"),
    )
    try:
        app = create_app(settings)
    except InstitutionError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    try:
        listener = listen(given.host, given.port)
    except OSError as exc:
        sys.stderr.write(f"cannot listen on {given.host}:{given.port}: {exc.strerror}\n")
        return 1
    host, port = listener.getsockname()[:2]
    sys.stdout.write(f"Prosa sandbox on http://{host}:{port}/\n")
    sys.stdout.flush()
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=2)
    keep_what_is_loaded()
    run_serving(uvicorn.Server(config).serve(sockets=[listener]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
