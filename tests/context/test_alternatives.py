"""Alternatives that share their beginnings match what they matched before."""

import re

from hypothesis import given
from hypothesis import strategies as st

from context.alternatives import one_of, sharing

WORDS = st.lists(st.text(alphabet="abc", min_size=1, max_size=5), min_size=1, max_size=12)


class TestOneOf:
    @given(words=WORDS, text=st.text(alphabet="abc ", max_size=30))
    def test_takes_the_longest_word_that_fits(self, words: list[str], text: str) -> None:
        plain = re.compile("|".join(sorted(map(re.escape, words), key=len, reverse=True)))
        assert re.findall(one_of(words), text) == plain.findall(text)


class TestSharing:
    @given(text=st.text(alphabet="abcs 12-", max_size=40))
    def test_says_the_same_of_every_text(self, text: str) -> None:
        for pattern in (
            r"\b(?:ab|abc|a(?:b|c)?|b+c|ac)(?: \w+)?\b",
            r"(?<!a )\b(?:b|bc(?=a)|[ab]c|\d)|(?:ca|cab|)s",
            r"(?P<one>a|ab)(?:-|c| b(?!a|c))?",
        ):
            assert (re.search(pattern, text) is None) is (re.search(sharing(pattern), text) is None)
