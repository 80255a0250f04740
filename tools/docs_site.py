"""Hook of MkDocs: the README is the first page, and links to files outside `docs/` lead to the repository."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\[([^][]*)\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, *, config: Any) -> Files:
    """Add the README, with its links turned to those of `docs/`."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").replace("README.pt-BR.md", "docs/pt-BR/index.md")
    files.append(File.generated(config, "index.md", content=re.sub(r"\]\((?!https?:|#)", "](../", text).replace("](../docs/", "](")))
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
        if target.is_relative_to(ROOT / "docs") and target.is_file():
            return link[0]
        if not target.exists():
            raise FileNotFoundError(f"docs/{page.file.src_uri} links to {path}, which does not exist")
        place = target.relative_to(ROOT)
        return f"[{text}]({config.repo_url}/blob/main/{place}{anchor or ''})" if config.repo_url else f"{text} (`{place}`)"

    return LINK.sub(outside, markdown)
