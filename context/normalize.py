"""Brings a text to one spelling before rules look at it: invisible characters, lookalikes, scripts' digits, accents."""

import re
import unicodedata
from collections.abc import Callable, Iterator

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

_PAIRS_OF_LETTERS = (0x1F130, 0x1F150, 0x1F170, 0x1F1E6)  # squared, negative circled, negative squared, regional
_PRINTS_NOTHING = frozenset(
    (0x115F, 0x1160, 0x3164, 0xFFA0, 0x2800, 0x180B, 0x180C, 0x180D, 0x180F, 0x17B4, 0x17B5, 0x034F)
)


class _Table(dict[int, str]):
    """A table for `str.translate` that works out an entry when its character first occurs."""

    def __init__(self, entry: Callable[[str], str]) -> None:
        super().__init__()
        self._entry = entry

    def __missing__(self, code: int) -> str:
        self[code] = entry = self._entry(chr(code))
        return entry


def _as_seen(character: str) -> str:
    """Nothing for what nobody sees, a blank for white space, a letter for the picture of one."""
    code, category = ord(character), unicodedata.category(character)
    if character == "\n" or category in ("Zl", "Zp") or character in "\r\x85":
        return "\n"
    if category == "Zs" or character in "\t\x0b\x0c":
        return " "
    if category in ("Cc", "Cf", "Cn", "Co", "Cs") or code in _PRINTS_NOTHING or _is_variation_selector(code):
        return ""
    start = next((start for start in _PAIRS_OF_LETTERS if start <= code < start + 26), None)
    return character if start is None else chr(ord("A") + code - start)


def _is_variation_selector(code: int) -> bool:
    return 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF


def _as_folded(character: str) -> str:
    """The Latin letter, ASCII digit or sign a character stands for; a combining mark stands for nothing."""
    plain = unicodedata.normalize("NFKD", _alike(character))
    return "".join(_alike(part) for part in plain if unicodedata.category(part) not in ("Mn", "Me"))


def _alike(character: str) -> str:
    if character in _ALIKE or character.isascii():
        return _ALIKE.get(character, character)
    category = unicodedata.category(character[0])
    if category == "Sc":
        return "$"
    number = unicodedata.digit(character, None)
    if number is None and category in ("Lo", "No", "Nl"):
        value = unicodedata.numeric(character, -1.0)
        number = int(value) if 0 <= value <= 9 and value == int(value) else None
    return _NUMERALS.get(character, character) if number is None else str(number)


_SEEN = _Table(_as_seen)
_FOLDED = _Table(_as_folded)


# Between two single letters a wider gap may be the only sign of where a spaced-out word ends.
_WIDE_GAP = re.compile(r"(?<=\S\S) {2,}| {2,}(?=\S\S)")
# What `seen` leaves as it is: visible ASCII, line ends, and Latin letters with accents.
_USUAL = re.compile(r"[ -~\n\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff]*")


def seen(text: str) -> str:
    """The text as a person sees it: compatibility forms resolved, invisible characters gone, newlines kept."""
    if _USUAL.fullmatch(text):
        return _one_gap(text)
    visible = text.translate(_SEEN)
    if not visible.isascii():
        visible = unicodedata.normalize("NFKC", visible).translate(_SEEN)
    return _one_gap(visible)


def _one_gap(text: str) -> str:
    return _WIDE_GAP.sub(" ", text) if "  " in text else text


def folded(text: str) -> str:
    """What `seen` returned, in Latin letters without accents and ASCII digits; the case stays."""
    return text if text.isascii() else _one_gap(text.translate(_FOLDED))


def lowered(folded_text: str) -> str:
    """A folded text in small letters."""
    return folded(folded_text.casefold())


def flat(text: str) -> str:
    """A text in the one spelling that rules compare: seen, folded, small letters."""
    return lowered(folded(seen(text)))


_WORD = re.compile(r"[^\W_]+")
_BETWEEN = r"[ \n.\-_*~|'+,/]"
_SPELLED = re.compile(
    rf"(?<![^\W_$])[^\W_$](?:{_BETWEEN}{{1,3}}[^\W_$]){{2,}}(?![^\W_])".replace("[^\\W_$]", "[a-z0-9$]")
)
_SPELLED_WORDS = re.compile(rf"(?<![a-z0-9$])[a-z0-9$](?:{_BETWEEN}[a-z0-9$]){{2,}}(?![a-z0-9])")
_TWO_DIGITS = re.compile(r"(?<![\w.,:/-])(\d)((?: \d)+)(?![\w,:/-])")
_SPLIT_WORD = re.compile(r"(?<=[a-z])[.\-_*~|'+]{1,2}(?=[a-z])")
_MIXED = re.compile(
    r"\b(?!\d{1,4}(?:h|hs|kg|cm|m|km|min|x|o|a)\d{0,2}\b)(?=[a-z]{0,24}[0-9@!|])(?=[0-9@!|$]{0,24}[a-z])[a-z0-9@!"
    r"|$]{2,24}[a-z0-9]\b"
)
_LEET = str.maketrans("013457@!|$", "oieasta" + "iis")
_LETTER_FOR_DIGIT = re.compile(r"(?<=\d)[oil]+(?![a-z])|\b[oil]+(?=\d)")
_DIGIT_FOR_LETTER = str.maketrans("oil", "011")
_AT_END = re.compile(r"(?<=[a-z])@(?=\s|$|[.,!?])")
_SIGN = re.compile(r"[@|$]|!(?=[a-z])")
_DIGIT = re.compile(r"\d")
_REPEATED = re.compile(r"([a-z])\1{2,}")


def words(flat_text: str) -> Iterator[str]:
    """The words and digit runs of a flat text."""
    return iter(_WORD.findall(flat_text))


def with_letters_joined(flat_text: str) -> tuple[str, ...]:
    """Readings of a flat text in which letters that stand one by one are words; the text itself where none do."""
    return tuple(
        pattern.sub(lambda match: re.sub(_BETWEEN, "", match[0]), flat_text) for pattern in (_SPELLED, _SPELLED_WORDS)
    )


def without_disguise(flat_text: str) -> tuple[str, ...]:
    """Other readings of a flat text, where letters are spaced out, split by signs, drawn out, or written as digits."""
    has_digit = _DIGIT.search(flat_text) is not None
    readings = {
        *with_letters_joined(flat_text),
        _SPLIT_WORD.sub("", flat_text),
        _REPEATED.sub(r"\1", flat_text),
    }
    if has_digit or _SIGN.search(flat_text):
        readings.add(_MIXED.sub(lambda match: match[0].translate(_LEET), flat_text))
    if has_digit:
        readings.add(_TWO_DIGITS.sub(lambda match: match[0].replace(" ", ""), flat_text))
        readings.add(_LETTER_FOR_DIGIT.sub(lambda match: match[0].translate(_DIGIT_FOR_LETTER), flat_text))
    if "@" in flat_text:
        readings.add(_AT_END.sub("a", flat_text))
    return tuple(sorted(readings - {flat_text}))


def squeezed(flat_text: str) -> str:
    """Letters and digits only: what is left when every sign and blank is taken for a disguise."""
    return "".join(_WORD.findall(flat_text))
