"""Guards of the table, as predicates over a few facts.

The facts are booleans on purpose: every combination can be enumerated, so that the static check proves each guard
total and each state never without a way out.
"""

from contracts.conversation import Conversation
from contracts.values import Value


class Facts(Value):
    """The input of the guards.

    Attributes:
        answered_before: this episode has had a reply, so ending it makes sense.
        person_is_known: the person has given a field or had an earlier episode, and so is not rejected as spam.
    """

    answered_before: bool = False
    person_is_known: bool = False


def facts_of(conversation: Conversation) -> Facts:
    return Facts(
        answered_before=conversation.turns_in_episode > 0,
        person_is_known=bool(conversation.fields) or bool(conversation.previous_episodes),
    )


def may_conclude(facts: Facts) -> bool:
    """A model that ends a conversation at its first message has misread it."""
    return facts.answered_before


def may_be_spam(facts: Facts) -> bool:
    """A person with collected fields or an earlier episode gets an agent's attention rather than silence."""
    return not facts.person_is_known
