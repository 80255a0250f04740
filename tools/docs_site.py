"""Hook of MkDocs: the READMEs are the first pages, links to files outside `docs/` lead to the repository.

Pages with drawings load Mermaid from the site itself; without it the theme would load it from elsewhere.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.utils import get_relative_url

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\[([^][]*)\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")
DRAWING, MERMAID = '<pre class="mermaid">', "assets/mermaid.tiny.js"
FIRST_PAGES = {"index.md": "README.md", "pt-BR/index.md": "README.pt-BR.md"}


def on_files(files: Files, *, config: Any) -> Files:
    """Add the READMEs, with their links as seen from the place of the page."""
    for place, readme in FIRST_PAGES.items():
        up = "../" * (place.count("/") + 1)
        text = re.sub(r"\]\((?!https?:|#)", f"]({up}", (ROOT / readme).read_text(encoding="utf-8"))
        for other, its_readme in FIRST_PAGES.items():
            text = text.replace(f"({up}{its_readme})", f"({up}docs/{other})")
        files.append(File.generated(config, place, content=text.replace(f"]({up}docs/", f"]({up.removesuffix('../')}")))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Lead to the repository whatever lies outside the site.

    Raises:
        FileNotFoundError: the repository has no such file, which ends the build.
    """
    folder = ROOT / "docs" / Path(page.file.src_uri).parent

    def outside(link: re.Match[str]) -> str:
        text, path, anchor = link.groups()
        target = (folder / path).resolve()
        place = target.relative_to(ROOT)
        if target.suffix in (".md", ".png", ".svg") and place.is_relative_to("docs"):
            return link[0]
        if not target.exists():
            raise FileNotFoundError(f"docs/{page.file.src_uri} links to {path}, which does not exist")
        return (
            f"[{text}]({config.repo_url}/blob/main/{place}{anchor or ''})" if config.repo_url else f"{text} (`{place}`)"
        )

    return LINK.sub(outside, markdown)


def on_post_page(output: str, *, page: Any, config: Any) -> str:
    """Load Mermaid, 2.5 MB, before the theme's scripts on the pages that have drawings."""
    if DRAWING not in output:
        return output
    return output.replace("</head>", f'<script src="{get_relative_url(MERMAID, page.url)}"></script></head>', 1)
