"""Brings a text to one spelling before rules look at it: invisible characters, lookalikes, scripts' digits, accents."""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache

_ALIKE = {
    # Cyrillic
    "а": "a", "в": "b", "е": "e", "ё": "e", "к": "k", "м": "m", "н": "h", "о": "o", "р": "p", "с": "c", "т": "t",
    "у": "y", "х": "x", "і": "i", "ї": "i", "ј": "j", "ѕ": "s", "ԁ": "d", "ԛ": "q", "ԝ": "w", "һ": "h", "ь": "b",
    "г": "r", "п": "n", "и": "u", "ո": "n", "ս": "u", "օ": "o", "ӏ": "l",
    "А": "A", "В": "B", "Е": "E", "Ё": "E", "К": "K", "М": "M", "Н": "H", "О": "O", "Р": "P", "С": "C", "Т": "T",
    "У": "Y", "Х": "X", "І": "I", "Ј": "J", "Ѕ": "S", "Ԛ": "Q", "Ԝ": "W", "Ӏ": "I", "Г": "r", "Я": "R", "я": "R",
    # Greek
    "α": "a", "β": "b", "γ": "y", "ε": "e", "η": "n", "ι": "i", "κ": "k", "ν": "v", "ο": "o", "ρ": "p", "σ": "o",
    "τ": "t", "υ": "u", "χ": "x", "ω": "w", "ϲ": "c", "ϳ": "j",
    "Α": "A", "Β": "B", "Ε": "E", "Ζ": "Z", "Η": "H", "Ι": "I", "Κ": "K", "Μ": "M", "Ν": "N", "Ο": "O", "Ρ": "P",
    "Τ": "T", "Υ": "Y", "Χ": "X",
    # Latin letters that no decomposition leads back to the alphabet
    "ı": "i", "ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ð": "d", "ß": "ss", "æ": "ae", "Æ": "AE",
    "œ": "oe", "Œ": "OE", "ɑ": "a", "ɡ": "g", "ɩ": "i", "ɪ": "i", "ʏ": "y", "ꜱ": "s", "ʀ": "r", "ɴ": "n", "ʟ": "l",
    "ʜ": "h", "ɢ": "g", "ʙ": "b", "ɛ": "e", "ɔ": "o", "ƒ": "f", "ħ": "h", "ŧ": "t", "ᴏ": "o", "ꓣ": "R", "ꓢ": "S",
    "ᴀ": "a", "ᴄ": "c", "ᴅ": "d", "ᴇ": "e", "ᴊ": "j", "ᴋ": "k", "ᴍ": "m", "ᴘ": "p", "ᴛ": "t", "ᴜ": "u", "ᴠ": "v",
    "ᴡ": "w", "ᴢ": "z", "ꮯ": "c", "Ꮪ": "S", "Ꭱ": "R", "Ꭺ": "A", "Ꭼ": "E",
    # Punctuation and money written as pictures
    "‘": "'", "’": "'", "ʼ": "'", "`": "'", "´": "'", "“": '"', "”": '"', "«": '"', "»": '"', "„": '"',
    "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "−": "-", "⁄": "/", "∕": "/", "。": ".", "․": ".",
    "💲": "$", "💵": "$", "💴": "$", "💶": "$", "💷": "$", "💰": "$", "💸": "$", "🤑": "$", "🪙": "$",
    "٪": "%", "٫": ",", "٬": ".", "×": "x", "✕": "x", "✖": "x",
}  # fmt: skip

# Numerals that stand for tens and more; their units are found through the character database.
_NUMERALS = {"十": "10", "百": "100", "千": "1000", "万": "10000", "萬": "10000", "億": "100000000"}

# Assigned characters that matter here lie below, or among the tags and selectors of plane 14.
_CODES = (*range(0x20000), *range(0xE0000, 0xE1000))

_PAIRS_OF_LETTERS = (0x1F130, 0x1F150, 0x1F170, 0x1F1E6)  # squared, negative circled, negative squared, regional


@cache
def _visible_table() -> dict[int, str | None]:
    """Characters nobody sees go, white space becomes a blank, and the pictures of letters become letters."""
    table: dict[int, str | None] = {}
    for code in _CODES:
        character = chr(code)
        category = unicodedata.category(character)
        if character == "\n":
            continue
        if category in ("Zs", "Zl", "Zp") or character in "\t\x0b\x0c\r\x85":
            table[code] = "\n" if category in ("Zl", "Zp") or character in "\r\x85" else " "
        elif category in ("Cc", "Cf", "Cn", "Co", "Cs") or 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF:
            table[code] = None
    for code in (0x115F, 0x1160, 0x3164, 0xFFA0, 0x2800, 0x180B, 0x180C, 0x180D, 0x180F, 0x17B4, 0x17B5, 0x034F):
        table[code] = None  # letters and marks that print as nothing
    for start in _PAIRS_OF_LETTERS:
        for offset in range(26):
            table[start + offset] = chr(ord("A") + offset)
    return table


@cache
def _alike_table() -> dict[int, str]:
    table = {ord(character): alike for character, alike in _ALIKE.items()}
    for code in _CODES[0x80:]:
        character = chr(code)
        if unicodedata.category(character) == "Sc":
            table[code] = "$"
        digit = unicodedata.digit(character, None)
        if digit is None and unicodedata.category(character) in ("Lo", "No", "Nl"):
            number = unicodedata.numeric(character, -1.0)
            digit = int(number) if 0 <= number <= 9 and number == int(number) else None
        if digit is not None:
            table[code] = str(digit)
    return table | {ord(character): number for character, number in _NUMERALS.items()}


@cache
def _accent_table() -> dict[int, str | None]:
    return {code: None for code in _CODES if unicodedata.category(chr(code)) in ("Mn", "Me")}


def seen(text: str) -> str:
    """The text as a person sees it: compatibility forms resolved, invisible characters gone, newlines kept."""
    if text.isascii():
        return text.translate(_visible_table())
    once = unicodedata.normalize("NFKC", text.translate(_visible_table()))
    return once.translate(_visible_table())


def folded(text: str) -> str:
    """What `seen` returned, in Latin letters without accents and ASCII digits; the case stays."""
    if text.isascii():
        return text
    alike = text.translate(_alike_table())
    plain = unicodedata.normalize("NFKD", alike).translate(_accent_table())
    return plain.translate(_alike_table())


def flat(text: str) -> str:
    """A text in the one spelling that rules compare: seen, folded, small letters."""
    return folded(seen(text)).casefold()


_WORD = re.compile(r"[^\W_]+")
_BETWEEN = r"[ \n.\-_*~|'+,/]"
_SPELLED = re.compile(
    rf"(?<![^\W_$])[^\W_$](?:{_BETWEEN}{{1,3}}[^\W_$]){{2,}}(?![^\W_])".replace("[^\\W_$]", "[a-z0-9$]")
)
_TWO_DIGITS = re.compile(r"(?<![\w.,:/-])(\d)((?: \d)+)(?![\w,:/-])")
_SPLIT_WORD = re.compile(r"(?<=[a-z])[.\-_*~|'+]{1,2}(?=[a-z])")
_MIXED = re.compile(r"\b(?=[a-z0-9@!|]*[0-9@!|])(?=[a-z0-9@!|]*[a-z])[a-z0-9@!|$]{3,}")
_LEET = str.maketrans("013457@!|$", "oieasta" + "iis")
_REPEATED = re.compile(r"([a-z])\1{2,}")


def words(flat_text: str) -> Iterator[str]:
    """The words and digit runs of a flat text."""
    return (match[0] for match in _WORD.finditer(flat_text))


def without_disguise(flat_text: str) -> tuple[str, ...]:
    """Other readings of a flat text, where letters are spaced out, split by signs, drawn out, or written as digits."""
    readings = {
        _SPELLED.sub(lambda match: re.sub(_BETWEEN, "", match[0]), flat_text),
        _TWO_DIGITS.sub(lambda match: match[0].replace(" ", ""), flat_text),
        _SPLIT_WORD.sub("", flat_text),
        _MIXED.sub(lambda match: match[0].translate(_LEET), flat_text),
        _REPEATED.sub(r"\1", flat_text),
    }
    return tuple(sorted(readings - {flat_text}))


def squeezed(flat_text: str) -> str:
    """Letters and digits only: what is left when every sign and blank is taken for a disguise."""
    return "".join(words(flat_text))
