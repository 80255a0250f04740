"""The double as a process: `python -m sandbox.cloud_tasks --port 8123 --queue projects/p/locations/l/queues/q`."""

import argparse
import asyncio
import sys

from sandbox.cloud_tasks.double import CloudTasksDouble


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.cloud_tasks", description="Stand-in for Cloud Tasks.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8123, help="of the gRPC API; 0 takes a free one")
    parser.add_argument("--http-port", type=int, default=8124, help="of the keys and the behaviour; 0 takes a free one")
    parser.add_argument("--queue", action="append", default=[], help="the full name of a queue to begin with")
    parser.add_argument("--time-scale", type=float, default=1.0, help="how much faster than on the wall time passes")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same faults")
    return asyncio.run(_serve(parser.parse_args()))


async def _serve(given: argparse.Namespace) -> int:
    double = CloudTasksDouble(
        host=given.host,
        port=given.port,
        http_port=given.http_port,
        queues=given.queue,
        time_scale=given.time_scale,
        seed=given.seed,
    )
    await double.start()
    sys.stdout.write(f"Cloud Tasks stand-in on {double.target}; keys at {double.certs_url}\n")
    sys.stdout.flush()
    try:
        await double.serve_until_signal()
    finally:
        await double.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
