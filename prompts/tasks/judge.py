"""The judge of a draft: what in its sentences breaks the institution's rules, as language and not as atoms.

Its verdict is the second half of the guardrail gate, after the mechanical floor (`worker/replies/judging.py`).
"""

from contracts.conversation import TaskName
from contracts.decisions import JudgeVerdict
from contracts.guardrails import Rule
from contracts.values import shortened
from prompts.request import TurnView, escaped_json, line_in_question, line_text, moment
from prompts.tasks.task import Schema, Task, enum, list_of, object_of, require, text
from prompts.templating.source import TurnInput

LAST_UTTERANCES = 4
MESSAGE_CHARACTERS = 1_000
RULES = (Rule.PROMISE, Rule.CLOSING, Rule.UNSUPPORTED, Rule.CONTRADICTS, Rule.PROMPT_LEAK)


def judge_input(view: TurnView) -> TurnInput:
    """Return the sentences by number and what they answer, as one line of JSON."""
    said = view.conversation.window[-LAST_UTTERANCES:]
    content = {
        "history": [{"speaker": one.speaker.value, "text": shortened(one.text, MESSAGE_CHARACTERS)} for one in said],
        "messages": [shortened(message.text, MESSAGE_CHARACTERS) for message in view.messages],
        "sentences": [{"sentence": number, "text": sentence} for number, sentence in view.sentences],
        **moment(view),
    }
    line = line_text(view.institution, line_in_question(view))
    return TurnInput(line=line, conversation=escaped_json(content))


def schema(view: TurnView) -> Schema:
    """Return the one schema of an institution's version: its own Never lines by number, and the rules of every one."""
    never = (f"{Rule.NEVER}.{number}" for number in range(1, len(view.institution.never) + 1))
    finding = {"sentence": {"type": "integer"}, "rule": enum([*never, *RULES]), "why": text("a few words")}
    return object_of({"findings": list_of(object_of(finding))})


def check(answer: str, view: TurnView) -> JudgeVerdict:
    """Parse the verdict and hold it against the sentences that were asked about.

    Raises:
        ValidationError: it does not have the schema's shape.
        UnusableModelOutputError: it names a sentence or a Never line that is not there.
    """
    verdict = JudgeVerdict.model_validate_json(answer)
    asked = {number for number, _ in view.sentences}
    known = {*RULES, *(f"{Rule.NEVER}.{number}" for number in range(1, len(view.institution.never) + 1))}
    require(all(one.sentence in asked for one in verdict.findings), "sentence must be a number of sentences")
    require(all(one.rule in known for one in verdict.findings), "rule must be one of the schema's")
    return verdict


TASK = Task(
    name=TaskName.JUDGE,
    template="judge",
    answer=JudgeVerdict,
    schema_name="judge_verdict",
    model_setting="model_judge",
    input=judge_input,
    schema=schema,
    check=check,
)
