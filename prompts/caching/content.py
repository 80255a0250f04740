"""Content of a question, independent of its typing: two questions share an answer only when their content is equal.

The cosine of two embeddings does not decide that: "entregam no sábado" and "não entregam no sábado" are as near to
each other as two spellings of one of them. A semantic hit needs equal content as well: the same words in the same
order, typing variants and words without content apart. `words.yaml` has the words that this needs.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from contracts.values import Value
from contracts.yaml_file import WordSet, read_yaml


class Words(Value):
    """Words of Portuguese and English by their part in a question, without accents; the file says what each is."""

    short_forms: dict[str, str]
    courtesies: tuple[str, ...]
    fillers: WordSet
    copulas: WordSet
    negations: WordSet
    english_negations: WordSet
    answers: WordSet
    question_words: WordSet
    dates: WordSet
    moments: WordSet
    number_words: WordSet
    everyday: WordSet


WORDS = read_yaml(Path(__file__).with_name("words.yaml"), Words).value


MOST_CHARACTERS = 500
# Number of first words among which a question word makes a text a question with or without its mark.
QUESTION_OPENING = 3
# Five letters and more: shorter words have too many neighbours that are other words.
REPAIRABLE_LETTERS = 5
# A text with more unknown words is not a common one, however many of them are mistyped.
MOST_REPAIRS = 4
LETTERS = "abcdefghijklmnopqrstuvwxyz"

_TOKEN = re.compile(r"\d+(?:[.,:/-]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)?|[%$€£+=<>&@#*/°]|[^\W_]|[^\w\s]|[.!?\n]")
_SENTENCE_END = frozenset(".!?\n")
_STOPS = _SENTENCE_END | frozenset(",;:")
_REPEATED = re.compile(r"([^\W\d_])\1{2,}")
_COURTESY = re.compile(rf"\b(?:{'|'.join(WORDS.courtesies)})\b")
_COUNTING_SIGNS = frozenset("%$€£+=<>&@#*/°")
_MEANINGFUL = WORDS.negations | WORDS.english_negations | WORDS.answers
# Both are usual with their accent, and it is all that keeps them apart.
_KEEPS_ACCENT = frozenset({"avó", "avô", "avós", "avôs"})


def folded(text: str) -> str:
    """Return the text in lower case, without accents and invisible characters, in characters of usual width."""
    spelled = []
    for word in re.split(r"(\W+)", unicodedata.normalize("NFKC", text).casefold()):
        letters = word if word in _KEEPS_ACCENT else unicodedata.normalize("NFD", word)
        spelled += [one for one in letters if unicodedata.category(one) not in ("Mn", "Cf", "Me")]
    return "".join(spelled)


def normalised(text: str) -> str:
    """Return the text without case, accents, most punctuation and extra spaces.

    Signs of numbers are kept, and any sign after a yes or a no: "Não, quero" is not "Não quero", nor is "Sim?" an
    answer. A question mark is kept where it alone makes the question, as it often does in Portuguese.
    """
    kept: list[str] = []
    for word in re.findall(r"\d+(?:[.,:/-]\d+)*|[^\W_]+|[^\w\s]|_", folded(text)):
        is_sign = not word[0].isalnum() and unicodedata.category(word[0]).startswith("P") and word not in "%#@&*/"
        if not is_sign or (kept and kept[-1] in _MEANINGFUL):
            kept.append(word)
    while kept and kept[-1] in ".,;:!?":
        kept.pop()
    return " ".join([*kept, "?"] if _asks_by_its_mark(text, kept) else kept)


def names_a_moment(text: str) -> bool:
    """Whether the text has a word that means another moment whenever it is said: today, now."""
    return not WORDS.moments.isdisjoint(re.findall(r"[^\W\d_]+", folded(text)))


def _asks_by_its_mark(text: str, words: Sequence[str]) -> bool:
    return "?" in text and WORDS.question_words.isdisjoint(words[:QUESTION_OPENING])


@dataclass(frozen=True, slots=True)
class Content:
    """Content of a text, in its order. `unknown` are words outside the vocabulary: names, mostly.

    `spelled` is the text in one spelling, with fillers and without courtesies: the input of the embedding.
    """

    words: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    negations: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    spelled: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return " ".join(self.spelled)

    @property
    def is_plain(self) -> bool:
        """Whether it has known words alone: no number, date, name, negation, yes or no."""
        return bool(self.words) and not (
            self.numbers or self.dates or self.names or self.negations or self.answers or self.unknown
        )

    @property
    def is_common(self) -> bool:
        """Whether it has no name and no unknown word, so that nothing personal can be read from its embedding."""
        return bool(self.words) and not (self.names or self.unknown)

    @property
    def signature(self) -> str:
        """Hash that is equal for texts of equal content; no word can be read from it."""
        return sha256("\0".join(self.words).encode()).hexdigest()[:32]


class Vocabulary:
    """Everyday words and those of an institution's documents, without the names in them."""

    def __init__(self, documents: str) -> None:
        words: set[str] = set()
        names: set[str] = set()
        for sentence in re.split(r"[.!?;:|>\n]+\s*", documents):
            for place, word in enumerate(re.findall(r"[^\W\d_]+", sentence)):
                (names if place and word[0].isupper() else words).add(folded(word))
        self.names = frozenset(names - WORDS.everyday - WORDS.fillers)
        self.words = (frozenset(words) - self.names).union(
            *(WORDS.everyday, WORDS.fillers, WORDS.copulas, WORDS.dates, WORDS.number_words),
            *(WORDS.negations, WORDS.answers, WORDS.question_words),
        )

    def content(self, text: str, *, language: str = "") -> Content:
        """Read a text, repairing typing mistakes that leave only one word of the vocabulary.

        The content of a text that is too long for a question is empty: neither plain nor common.
        """
        if len(text) > MOST_CHARACTERS:
            return Content()
        return _Reading(self, text, WORDS.english_negations if language.startswith("en") else ()).content()

    def repaired(self, word: str) -> str:
        """Return the only known word at one typing mistake inside the word, or the word itself.

        First and last letter are kept: in Portuguese the last one carries person and number.
        """
        if len(word) < REPAIRABLE_LETTERS or word in self.words or word in self.names:
            return word
        meant = _one_edit_away(word) & self.words
        return meant.pop() if len(meant) == 1 else word


@lru_cache(maxsize=16)
def vocabulary(documents: tuple[str, ...]) -> Vocabulary:
    """Return the vocabulary of an institution, by the texts of its documents; cached."""
    return Vocabulary("\n".join(documents))


class _Reading:
    def __init__(self, known: Vocabulary, text: str, more_negations: frozenset[str] | tuple[()]) -> None:
        self._known = known
        self._text = unicodedata.normalize("NFKC", text).replace("’", "'")
        self._negations = WORDS.negations.union(more_negations)
        self._found: dict[str, list[str]] = {name: [] for name in Content.__slots__}
        self._turns = False
        self._asked = False
        self._repairs = MOST_REPAIRS

    def content(self) -> Content:
        begins = True
        for token in self._tokens():
            if token in _STOPS:
                begins = token in _SENTENCE_END
                # After a yes or a no: "Não, quero" is the opposite of "Não quero".
                if self._turns:
                    self._found["words"].append(",")
                self._turns = False
            else:
                self._read(token, begins=begins)
                begins = False
        said = [word.rpartition(":")[2] for word in self._found["words"]]
        if said and _asks_by_its_mark(self._text, said):
            self._found["words"].append("?")
        return Content(**{name: tuple(words) for name, words in self._found.items()})

    def _tokens(self) -> list[str]:
        """Return the tokens as written, without courtesies; names are recognised by their capitals."""
        written = _TOKEN.findall(self._text)
        flat = [folded(token) for token in written]
        line = " ".join(flat)
        starts = [0]
        for token in flat:
            starts.append(starts[-1] + len(token) + 1)
        polite = {
            place
            for match in _COURTESY.finditer(line)
            for place in range(len(flat))
            if match.start() <= starts[place] < match.end()
        }
        return [token for place, token in enumerate(written) if place not in polite]

    def _read(self, token: str, *, begins: bool) -> None:
        if token[0].isdigit() or token in _COUNTING_SIGNS:
            # With its separators: 1.500 and 1,500 are other numbers in other languages.
            self._found["spelled"].append(token)
            self._note(token, "numbers")
        elif token[0].isalnum():
            flat = _REPEATED.sub(r"\1", folded(token))
            is_name = not begins and token[0].isupper() and not token.isupper()
            for word in WORDS.short_forms.get(flat, flat).split():
                if not is_name and self._repairs and word not in self._known.words:
                    self._repairs -= 1
                    word = self._known.repaired(word)
                self._found["spelled"].append(word)
                is_copula = self._asked and word in WORDS.copulas
                self._turns, self._asked = word in _MEANINGFUL, word in WORDS.question_words
                if word not in WORDS.fillers and not is_copula:
                    self._note_word(word, is_name=is_name)
        elif unicodedata.category(token).startswith("S"):
            # A thumb up and a thumb down are different answers.
            self._note(token, "unknown")

    def _note_word(self, word: str, *, is_name: bool) -> None:
        if word in WORDS.number_words:
            self._note(word, "numbers")
        elif word in self._negations:
            self._note(word, "negations")
        elif word in WORDS.dates:
            self._note(word, "dates")
        elif word in WORDS.answers:
            self._note(word, "answers")
        elif word in WORDS.question_words:
            self._note(word, "questions")
        elif word in self._known.names or (is_name and word not in WORDS.everyday):
            self._note(word, "names")
        elif word not in self._known.words:
            self._note(word, "unknown")
        else:
            self._found["words"].append(word)

    def _note(self, word: str, kind: str) -> None:
        self._found["words"].append(f"{kind}:{word}")
        self._found[kind].append(word)


def _one_edit_away(word: str) -> set[str]:
    first, inner, last = word[0], word[1:-1], word[-1]
    splits = [(inner[:n], inner[n:]) for n in range(len(inner) + 1)]
    shorter = (a + b[1:] for a, b in splits if b)
    swapped = (a + b[1] + b[0] + b[2:] for a, b in splits if len(b) > 1)
    other = (a + c + b[1:] for a, b in splits if b for c in LETTERS)
    longer = (a + c + b for a, b in splits for c in LETTERS)
    return {first + edited + last for group in (shorter, swapped, other, longer) for edited in group}
