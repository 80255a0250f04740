"""What a PromQL expression asks for: metrics with their matchers, and the labels it groups by.

No parser of the language (`promtool` checks that, where it is): names, selectors and groupings, which is what can be
held against the metrics that the code registers.
"""

import re
from dataclasses import dataclass

# Functions, aggregations and keywords of PromQL that our expressions use.
WORDS = frozenset(
    {
        "sum",
        "max",
        "min",
        "avg",
        "count",
        "rate",
        "increase",
        "histogram_quantile",
        "by",
        "on",
        "and",
        "or",
        "unless",
        "offset",
    }
)
SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{[^}]*\})?")
MATCHER = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
# What Prometheus itself adds, and what a scrape is called.
OF_THE_SCRAPE = frozenset({"job", "instance", "le"})


@dataclass(frozen=True)
class Selector:
    metric: str
    matchers: tuple[tuple[str, str, str], ...]


def groupings(expression: str) -> set[str]:
    return {label.strip() for found in GROUPING.findall(expression) for label in found.split(",") if label.strip()}


def selectors(expression: str) -> list[Selector]:
    """Every metric that is asked for.

    >>> selectors('sum by (task) (rate(a_total{task="x"}[5m])) / b')
    [Selector(metric='a_total', matchers=(('task', '=', 'x'),)), Selector(metric='b', matchers=())]
    """
    bare = re.sub(r"\[[^\]]*\]|offset\s+\w+", "", GROUPING.sub("", expression))
    # Numbers are no names; in a matcher's text they stay.
    bare = re.sub(r'("[^"]*")|(?<![\w:])\d[\d.e+-]*\w*', lambda found: found[1] or "", bare)
    return [
        Selector(name, tuple(MATCHER.findall(braces))) for name, braces in SELECTOR.findall(bare) if name not in WORDS
    ]
