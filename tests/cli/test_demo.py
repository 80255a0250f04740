"""The demonstration: one person on two channels has one thread, in the store and on the console's pages."""

from pathlib import Path

import httpx
import pytest

from adapters.http.listener import listen
from cli.demo import play_demo, read_samples
from cli.runtime import open_runtime
from cli.serving import server_of
from cli.settings import read_settings
from contracts.conversation import Speaker

HTML = {"Accept": "text/html", "Accept-Language": "en"}


@pytest.mark.parametrize("language", ["pt-BR", "en"])
async def test_one_person_on_two_channels_has_one_thread(
    language: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sample,) = [one for one in read_samples(language) if one.then is not None]
    assert sample.then is not None
    assert sample.channel != sample.then.channel
    settings = read_settings({"PROSA_DATA_DIR": str(tmp_path), "PORT": "0", "PROSA_QUIET_WINDOW_S": "0"}, env_file=None)
    async with (
        open_runtime(settings) as runtime,
        server_of(runtime.webhook).running(listen("127.0.0.1", 0)) as url,
        httpx.AsyncClient(base_url=url, headers=HTML, timeout=30) as http,
    ):
        await play_demo(runtime, url, [sample])
        (head,) = [
            one for one in (await runtime.backend.store.conversations.find(limit=5)).items if one.joined_to is None
        ]
        said = [one.text for one in head.window if one.speaker is Speaker.PERSON]
        assert said == [*sample.says, *sample.then.says]
        rows = await runtime.backend.store.outbox.rows(head.id)
        assert {row.address.channel for row in rows} == {sample.channel, sample.then.channel}
        page = (await http.get(f"/console/conversations/{head.id}")).text
        assert all(text in page for text in said)
        listed = (await http.get("/console?owner=assistant")).text
        assert listed.count("/console/conversations/web") == 1
        assert "/console/conversations/wa" not in listed
    assert head.id in capsys.readouterr().out
