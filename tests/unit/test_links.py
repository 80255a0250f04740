"""A customer's link is shown to the team, marked, and nothing makes a link of it again."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.links import bare, is_own, linkifier, unlinked
from tests.builders import pyloto

PIECES = st.sampled_from(
    [
        *("https://", "hxxps://", "www.", "golpe.shop", "golpe.example/a.php", "pyloto.com.br", "a@b.com", "xn--a.com"),
        *("//b.net", ".", "/", "?", "#", "@", " ", "(", ")", "<", "|x>", "[x](", "é", ","),
    ]
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("veja https://golpe.shop/pix.", "veja [link do cliente: golpe[.]shop/pix]."),
        ("[clique](https://golpe.shop)", "[clique]([link do cliente: golpe[.]shop])"),
        ("em pyloto.com.br ou https://crm.pyloto.com.br/a", "em pyloto.com.br ou https://crm.pyloto.com.br/a"),
        ("pyloto.com.br.golpe.shop", "[link do cliente: pyloto[.]com[.]br[.]golpe[.]shop]"),
        ("https://golpe.shop?.pyloto.com.br", "[link do cliente: golpe[.]shop?[.]pyloto[.]com[.]br]"),
        ("https://golpe.shop\\.pyloto.com.br", "[link do cliente: golpe[.]shop\\[.]pyloto[.]com[.]br]"),
        ("escreva para ana@padaria.com", "escreva para ana@padaria.com"),
        ("app://abrir e www.golpe.zzz", "[link do cliente: abrir] e [link do cliente: www[.]golpe[.]zzz]"),
    ],
)
def test_links_of_others_are_marked(text: str, shown: str) -> None:
    assert unlinked(text, pyloto()) == shown
    assert unlinked(shown, pyloto()) == shown
    assert unlinked({"wants": [text], "count": 1}, pyloto()) == {"wants": [shown], "count": 1}


@settings(deadline=None)
@given(st.lists(PIECES, max_size=8).map("".join))
def test_no_link_of_others_is_left(text: str) -> None:
    for found in linkifier().match(unlinked(text, pyloto())) or ():
        assert found.schema == "mailto:" or is_own(bare(found.raw), pyloto().allowed_domains)
