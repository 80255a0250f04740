"""The page of the sandbox in a real Chromium: a developer writes, speaks and sends files by the simulated WhatsApp."""

import base64
from pathlib import Path

import pytest
from chromium import connected
from server import Prosa

from tests.media_files import pdf, png

pytestmark = pytest.mark.browser

CHOOSE = """(() => {{
  const content = Uint8Array.from(atob("{content}"), (sign) => sign.charCodeAt(0));
  const chosen = new DataTransfer();
  chosen.items.add(new File([content], "{name}", {{ type: "{kind}" }}));
  document.getElementById("file").files = chosen.files;
  document.getElementById("text").value = "{caption}";
  document.getElementById("write").requestSubmit();
}})()"""
SPEAK = """document.getElementById("text").value = "Qual o horário de atendimento?";
document.getElementById("speak").click()"""
ANSWERS = 'document.querySelectorAll("#said .theirs").length'


def chosen(content: bytes, name: str, kind: str, caption: str = "") -> str:
    return CHOOSE.format(content=base64.b64encode(content).decode(), name=name, kind=kind, caption=caption)


async def test_picture_document_and_voice_note_go_by_whatsapp(devtools: str, prosa: Prosa, tmp_path: Path) -> None:
    async with connected(devtools) as browser, browser.page() as page:
        await page.resize(900, 1000)
        await page.call("Page.navigate", url=f"{prosa.sandbox_url}/")
        await page.until("document.readyState === 'complete' && document.getElementById('write') !== null")
        for number, sent in enumerate(
            (
                chosen(png(text="A dented box"), "caixa.png", "image/png", "O que houve com a caixa?"),
                chosen(pdf(extra=b"/Encrypt 5 0 R\n"), "conta.pdf", "application/pdf"),
                SPEAK,
            ),
            start=1,
        ):
            await page.run(sent)
            await page.until(f"{ANSWERS} >= {number}")
        said = await page.run('[...document.querySelectorAll("#said li")].map((one) => one.textContent)')
        (tmp_path / "sandbox.png").write_bytes(await page.screenshot())
        assert not await page.run('document.querySelectorAll(".failed").length')
        assert "senha" in said[3]
        assert not any("fala no áudio" in one for one in said)
        assert page.troubles == []
