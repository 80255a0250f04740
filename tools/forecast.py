"""Table of the monthly cost in docs/cost.md, computed from measured figures and list prices: `make docs`."""

import re
import sys
from decimal import Decimal
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "cost.md"
TABLE = re.compile(r"(<!-- forecast: make docs -->\n).*?(<!-- end of forecast -->)", re.DOTALL)
VOLUMES = (100, 1_000, 10_000)
DAYS, TURNS = 30, 6

# USD of a turn of Haiku 5.5 with its three tasks, the prefix read from the provider's cache and not (docs/executor.md).
TURN_CACHED, TURN = Decimal("0.000334"), Decimal("0.001408")
# Share of the turns that find the prefix, kept for five minutes, by conversations a day: an assumption.
CACHED = {100: Decimal("0.7"), 1_000: Decimal("0.97"), 10_000: Decimal("0.995")}
# USD for a message with its reply and statuses, and a month of an idle worker (docs/decisions/0030).
FIRESTORE_MESSAGE, FIRESTORE_IDLE = Decimal("1.70") / 100_000, Decimal("1.45")
# Cloud Run, instance-based, tier 1: USD for a vCPU-second and a GiB-second. Two services of 1.2 vCPU and 1.25 GiB.
VCPU, GIB, SECONDS = Decimal("0.000018"), Decimal("0.000002"), DAYS * 86_400
INSTANCES = {100: 2, 1_000: 2, 10_000: 4}
# Managed Service for Prometheus: USD for a million samples; 900 series of an instance, each 15 s.
SAMPLES, SERIES = Decimal("0.06"), 900


def forecast(conversations: int) -> dict[str, Decimal]:
    """Return USD a month by what is paid, for so many conversations a day."""
    turns = conversations * DAYS * TURNS
    share, instances = CACHED[conversations], INSTANCES[conversations]
    return {
        "model": turns * (share * TURN_CACHED + (1 - share) * TURN),
        "Firestore": turns * FIRESTORE_MESSAGE + FIRESTORE_IDLE * instances / 2,
        "Cloud Run": instances * SECONDS * (VCPU * Decimal("1.2") + GIB * Decimal("1.25")),
        "metrics": SAMPLES * instances * SERIES * SECONDS / 15 / 1_000_000,
    }


def table() -> str:
    months = {volume: forecast(volume) for volume in VOLUMES}
    head = "| USD a month | " + " | ".join(f"{volume:,} a day" for volume in VOLUMES) + " |"
    head += "\n|---" + "|---:" * len(VOLUMES) + "|\n"
    rows = [
        f"| {name} | " + " | ".join(f"{months[volume][name]:,.0f}" for volume in VOLUMES) + " |"
        for name in months[VOLUMES[0]]
    ]
    sums = {volume: sum(month.values()) for volume, month in months.items()}
    rows.append("| **together** | " + " | ".join(f"**{sums[volume]:,.0f}**" for volume in VOLUMES) + " |")
    each = " | ".join(f"{sums[volume] / (volume * DAYS):.4f}" for volume in VOLUMES)
    return head + "\n".join(rows) + f"\n| one conversation | {each} |"


def page() -> str:
    return TABLE.sub(lambda found: f"{found[1]}{table()}\n{found[2]}", PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(table() + "\n")
