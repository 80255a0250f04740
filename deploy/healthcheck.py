"""Asks a process of this container whether it is ready, for compose: exit 0 when it is. The standard library is enough.

Without an address it is `/readyz` at PORT, opened by PROSA_CONSOLE_TOKEN where one is set.
"""

import os
import sys
import urllib.error
import urllib.request

TIMEOUT_SECONDS = 4


def main() -> int:
    url = sys.argv[1] if len(sys.argv) > 1 else f"http://127.0.0.1:{os.environ.get('PORT') or 8000}/readyz"
    token = os.environ.get("PROSA_CONSOLE_TOKEN")
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310 - the address is the operator's
            return 0
    except (urllib.error.URLError, OSError) as exc:
        sys.stderr.write(f"{url}: {exc}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
