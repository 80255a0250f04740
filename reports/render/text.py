"""Report in a few lines, for a chat of the team."""

from reports.digest import Digest
from reports.render.page import anomaly_line, digest_page
from reports.render.words import Wording

# Slack shows this much of a message without a click.
DETAIL_LINES = 3


def digest_text(digest: Digest, wording: Wording) -> str:
    """Return the title, the anomalies, and the figures of the page, one a line, in Slack's markup."""
    page = digest_page(digest, wording)
    notices = [f":warning: {anomaly_line(one, wording)}" for one in digest.anomalies if one.is_worse]
    notices += [anomaly_line(one, wording) for one in digest.anomalies if not one.is_worse]
    if not digest.anomalies:
        notices = [notice.text for notice in page.notices]
    lines = [f"*{escaped(page.title)}* {escaped(page.subtitle)}", *notices]
    for tile in page.tiles:
        detail = "; ".join(tile.detail.split("\n")[:DETAIL_LINES])
        lines.append(escaped(f"• {tile.name}: {tile.value}" + (f" ({detail})" if detail else "")))
    return "\n".join(lines)


def escaped(text: str) -> str:
    """Source: Slack, Formatting text for app surfaces: three characters have a meaning of their own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
