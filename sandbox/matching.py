"""Matching of a message to the institution's intents, by the words it shares with their triggers."""

import difflib
import math
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

from contracts.institution import BusinessLine, FixedText, Institution, Intent
from sandbox.language import family, fold, is_stop_word, stem, without, words
from sandbox.signs import says_thanks, shows
from sandbox.vocabulary import SIGNS, VOCABULARY

_STOP_WEIGHT = 0.12
_LONELY = 0.55
_CUT = 5
_KEYWORD = 2
_CLEARLY_AHEAD = 0.5
LEAST_CONFIDENCE, MOST_CONFIDENCE = 0.35, 0.97


@dataclass(frozen=True, slots=True)
class Match:
    """An intent and how well the words fit it, in [0, 1]."""

    intent: Intent
    score: float

    @property
    def confidence(self) -> float:
        return round(min(MOST_CONFIDENCE, LEAST_CONFIDENCE + 0.65 * self.score), 2)


class IntentIndex:
    """The triggers of all intents, weighted by how rare their words are."""

    def __init__(self, institution: Institution) -> None:
        self._institution = institution
        self.language = family(institution.language)
        own_name = set(self.stems(institution.name))
        self._triggers: list[tuple[int, frozenset[str]]] = []
        self._vocabulary: list[frozenset[str]] = []
        seen_in: defaultdict[str, set[int]] = defaultdict(set)
        for number, intent in enumerate(institution.intents):
            stems_of_intent: set[str] = set()
            for trigger in intent.triggers:
                stems = frozenset(self._all_stems(words(trigger, self.language)))
                if stems:
                    self._triggers.append((number, stems))
                    stems_of_intent |= stems
            self._vocabulary.append(frozenset(stems_of_intent))
            for each in stems_of_intent:
                seen_in[each].add(number)
        count = max(len(institution.intents), 1)
        self._weight = {each: math.log(1 + count / len(numbers)) for each, numbers in seen_in.items()}
        self._rare = math.log(1 + count)
        self._containing: defaultdict[str, list[int]] = defaultdict(list)
        for position, (_, stems) in enumerate(self._triggers):
            for each in stems:
                self._containing[each].append(position)
        self._line_names = {line.id: frozenset(self.stems(line.name)) - own_name for line in institution.lines}
        self._line_words = {
            line.id: frozenset(each for keyword in line.keywords for each in self.stems(keyword))
            | self._line_names[line.id]
            for line in institution.lines
        }
        self._line_sections = {
            line.id: frozenset(self.stems(f"{line.summary} {line.body}")) | self._line_words[line.id]
            for line in institution.lines
        }
        self._line_terms = self._terms_of_lines()
        by_letter: defaultdict[str, list[str]] = defaultdict(list)
        known = set(self._weight).union(*self._line_words.values()) if self._line_words else set(self._weight)
        for each in sorted(known):
            if len(each) >= 4:
                by_letter[each[0]].append(each)
        self._known = frozenset(known)
        self._corrected = lru_cache(maxsize=10_000)(
            lambda word: next(iter(difflib.get_close_matches(word, by_letter[word[0]], n=1, cutoff=0.82)), word)
        )
        self._best = lru_cache(maxsize=10_000)(self._find_best)
        # The telling words of each spam trigger that has some.
        spam = (stems for number, stems in self._triggers if institution.intents[number].spam)
        telling = (frozenset(each for each in stems if not _is_stop_stem(each, self.language)) for stems in spam)
        self._spam_signs = [stems for stems in telling if stems]
        greetings = VOCABULARY.greetings[self.language]
        self.greeting = self._of_sign(lambda trigger: fold(trigger) in greetings)
        escalating = [intent for intent in institution.intents if intent.escalate]
        self.human = max(
            escalating,
            key=lambda one: sum(word in fold(trigger) for trigger in one.triggers for word in VOCABULARY.human),
            default=None,
        )
        self.courtesies = self._courtesies()
        self.spam = next((intent for intent in institution.intents if intent.spam), None)
        self.goodbye = next((intent for intent in institution.intents if intent.conclude), None)
        self.distress = self._of_sign(partial(shows, "distress"))
        self.trickery = self._of_sign(partial(shows, "trickery"))
        self.machine = self._of_sign(partial(shows, "robot"))
        self.thanks = self._of_sign(says_thanks)
        self.price = self._of_sign(partial(shows, "price_question"))
        self._titles = {fold(title): title for intent in institution.intents for title in intent.options}
        self._handed_over = frozenset(self.stems(institution.text(FixedText.ESCALATED))) | frozenset(
            each for trigger in (self.human.triggers if self.human else ()) for each in self.stems(trigger)
        )

    def stems(self, text: str) -> list[str]:
        """Stems of the words that carry meaning."""
        return [
            stem(each, self.language) for each in words(text, self.language) if not is_stop_word(each, self.language)
        ]

    def best(self, text: str, *, line: str | None = None) -> Match | None:
        """The intent that fits best; those of `line`, the business line in question, are preferred a little."""
        return self._best(text, line)

    def _find_best(self, text: str, line: str | None) -> Match | None:
        said = words(text, self.language)
        bare = without((*VOCABULARY.greetings[self.language], *VOCABULARY.thanks[self.language]), said)
        if any(not is_stop_word(each, self.language) for each in bare):
            said = bare
        present = frozenset(self._correct(each) for each in self._all_stems(said))
        if not present:
            return None
        present = frozenset(each for each in present if not each.isdigit() or each in self._known) or present
        total = sum(self._weigh(each) for each in present)
        scores = self._trigger_scores(present, total)
        lines = self.lines_in(present)
        best: Match | None = None
        for number, by_trigger in scores.items():
            intent = self._institution.intents[number]
            if intent.spam:
                continue
            shared = sum(self._weigh(each) for each in present & self._vocabulary[number])
            score = 0.72 * by_trigger + 0.28 * shared / total
            if intent.line and score > 0.12:
                score += 0.06 * (intent.line == line) + 0.08 * (intent.line in lines)
            if best is None or score > best.score:
                best = Match(intent, min(score, 1.0))
        return best

    def _trigger_scores(self, present: frozenset[str], total: float) -> dict[int, float]:
        scores: dict[int, float] = {}
        telling = sum(not _is_stop_stem(each, self.language) for each in present)
        touched = {position for each in present for position in self._containing.get(each, ())}
        for position in touched:
            number, stems = self._triggers[position]
            if not telling and not stems <= present:
                # Words of any question say what it is about only together.
                continue
            shared = sum(self._weigh(each) for each in stems & present)
            needed = sum(self._weigh(each) for each in stems)
            score = 0.75 * shared / needed + 0.25 * shared / total
            if telling >= 2 and len(stems) >= 2 and len(stems & present) == 1:
                score *= _LONELY
            if score > scores.get(number, 0.0):
                scores[number] = score
        return scores

    def lines_in(self, present: frozenset[str]) -> list[str]:
        """Business lines whose keywords occur, the most telling first."""
        shared = {line: len(present & keywords) for line, keywords in self._line_words.items()}
        return [line for line, hits in sorted(shared.items(), key=lambda each: -each[1]) if hits]

    def line_of(self, text: str) -> str | None:
        lines = self.lines_in(frozenset(self._correct(each) for each in self.stems(text)))
        return lines[0] if lines else None

    def nearest_line(self, text: str) -> str | None:
        """The business line whose section and intents share the most telling words, when one is clearly ahead."""
        said = {each[:_CUT] for each in self.stems(text)}
        found = {line: sum(terms.get(each, 0.0) for each in said) for line, terms in self._line_terms.items()}
        (best, most), (_, next_most) = [*sorted(found.items(), key=lambda one: -one[1]), (None, 0.0), (None, 0.0)][:2]
        return best if most - next_most > _CLEARLY_AHEAD else None

    def chosen(self, title: str, *, line: str | None, previous: str | None) -> tuple[Intent | None, str | None]:
        """The intent and the business line of a tapped title."""
        stems = frozenset(self.stems(title))
        for line_id, names in self._line_names.items():
            if stems and stems <= names:
                return self.main_intent(line_id), line_id
        if stems and self.human is not None and stems <= self._handed_over:
            return self.human, line
        match = self.best(title, line=line)
        if match is not None and match.score >= 0.45:
            return match.intent, match.intent.line or line
        for line_id, keywords in self._line_words.items():
            if stems & keywords and line is None:
                return self.main_intent(line_id), line_id
        about = next((each for each in self._institution.lines if fold(title) in fold(each.body)), None)
        if about is not None and line in (None, about.id):
            return self.main_intent(about.id), about.id
        return self._institution.intent(previous), line

    def rescue(self, text: str) -> Intent | None:
        """The intent of an emergency: the one that fits best where it names an emergency number, else a person."""
        if shows("distress", text) or not shows("emergency", text):
            return self.distress if shows("distress", text) else None
        best = self.best(text)
        names_number = best is not None and best.intent.escalate and SIGNS["rescue"].search(fold(best.intent.answer))
        return best.intent if best is not None and names_number else self.distress or self.human

    def asks_for_a_human(self, text: str) -> bool:
        return SIGNS["wants_to_talk"].search(" ".join(words(text, self.language))) is not None

    def title(self, text: str) -> str | None:
        """The option of any intent that these words are, to the letter."""
        return self._titles.get(fold(text))

    def is_spam(self, text: str) -> bool:
        """Whether every specific word of a spam trigger is there as written: alone, or two of them at least."""
        said = frozenset(self.stems(text))
        return any(telling <= said and (len(telling) >= 2 or telling == said) for telling in self._spam_signs)

    def is_about(self, line: str | None, text: str) -> bool:
        """Whether everything said occurs in the own section of this business line."""
        said = frozenset(self.stems(text))
        return bool(said) and said <= self._line_sections.get(line or "", frozenset())

    def main_intent(self, line: str) -> Intent | None:
        return next((intent for intent in self._institution.intents if intent.line == line), None)

    def passage(self, line: BusinessLine, text: str, said: str) -> str | None:
        """The sentences of a line's own section that are about `text` and were not said yet."""
        wanted = frozenset(self.stems(text))
        best, most = None, 0
        for paragraph in line.body.split("\n\n"):
            plain = " ".join(paragraph.split())
            if plain.startswith(("#", "-", "1.", ">")) or len(plain) > 500 or fold(plain) in said:
                continue
            shared = len(wanted & frozenset(self.stems(plain)))
            if shared > most:
                best, most = plain, shared
        return best

    def _terms_of_lines(self) -> dict[str, dict[str, float]]:
        """Beginnings of the words of each line's section and intents, weighted by how few lines have them.

        Source: McNamee & Mayfield, Character N-Gram Tokenization, 2004: the first letters do as well as a stemmer.
        """
        stems = {line: set(own) for line, own in self._line_sections.items()}
        for intent in self._institution.intents:
            if intent.line:
                stems[intent.line] |= {*self.stems(" ".join((intent.description, *intent.triggers)))}
        terms = {line: {each[:_CUT] for each in own if len(each) > 2 and each.isalpha()} for line, own in stems.items()}
        keywords = {line: {each[:_CUT] for each in own} for line, own in self._line_words.items()}
        lines_with = Counter(each for own in terms.values() for each in own)
        return {
            line: {
                each: math.log((1 + len(terms)) / lines_with[each]) * (_KEYWORD if each in keywords[line] else 1)
                for each in own
            }
            for line, own in terms.items()
        }

    def _all_stems(self, said: tuple[str, ...]) -> list[str]:
        return [stem(each, self.language) for each in said]

    def _weigh(self, each: str) -> float:
        return self._weight.get(each, self._rare) * (_STOP_WEIGHT if _is_stop_stem(each, self.language) else 1.0)

    def _correct(self, each: str) -> str:
        if each in self._known or len(each) < 4 or each.isdigit():
            return each
        corrected: str = self._corrected(each)
        return corrected

    def _courtesies(self) -> frozenset[str]:
        """Intents that are only polite: next to another message of the same turn they count for nothing."""
        polite = {*VOCABULARY.greetings[self.language], *VOCABULARY.thanks[self.language]}
        return frozenset(
            intent.id
            for intent in self._institution.intents
            if not intent.conclude and any(" ".join(words(each, self.language)) in polite for each in intent.triggers)
        )

    def _of_sign(self, shows: Callable[[str], bool]) -> Intent | None:
        """The intent most of whose triggers show a sign."""
        hits = {intent.id: sum(map(shows, intent.triggers)) for intent in self._institution.intents}
        best = max(hits, key=lambda each: hits[each], default=None)
        return self._institution.intent(best) if best and hits[best] else None


@lru_cache(maxsize=20_000)
def _is_stop_stem(each: str, language: str) -> bool:
    return is_stop_word(each, language) or any(is_stop_word(each + ending, language) for ending in ("o", "a", "e"))
