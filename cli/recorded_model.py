"""Answers of a model in a file: kept while it is asked, and given again without it."""

import re
from collections import Counter, defaultdict
from pathlib import Path

import orjson
from pydantic import ValidationError

from contracts.errors import ConfigurationError, ModelRequestRejectedError
from contracts.messages import digest
from contracts.ports import LanguageModel, ModelRequest, ModelResponse, TextHeard
from contracts.values import Value

# Date and time are in every prompt, and would make each request another one.
_NOW = re.compile(r'"now":\{[^}]*\}')


class Kept(Value):
    """One line of the file; the answers to equal requests are given in the order in which they came."""

    request: str
    task: str
    answer: ModelResponse


class RecordedModel:
    """A model around another one: with `replays` it answers from the file alone, else it keeps what is answered."""

    def __init__(self, file: Path | None = None, *, replays: bool = False) -> None:
        """Read the file that is replayed.

        Raises:
            ConfigurationError: it is no recording, or a new one would overwrite a file.
        """
        self.replays, self.missing = replays, 0
        self.tasks: set[str] = set()
        self._file = file
        self._model: LanguageModel | None = None
        self._given: Counter[str] = Counter()
        self._kept: defaultdict[str, list[ModelResponse]] = defaultdict(list)
        if file is not None and not replays and file.exists():
            raise ConfigurationError(f"{file} is there already: --recorded replays it, or remove it")
        try:
            lines = file.read_bytes().splitlines() if file is not None and replays else []
            for one in map(Kept.model_validate_json, lines):
                self._kept[one.request].append(one.answer)
                self.tasks.add(one.task)
        except (OSError, ValidationError) as exc:
            raise ConfigurationError(f"{file} is no recording of a model; make one with --record") from exc

    def around(self, model: LanguageModel) -> "RecordedModel":
        """Return this model, which asks `model` from now on."""
        self._model = model
        return self

    async def complete(self, request: ModelRequest, *, on_text: TextHeard | None = None) -> ModelResponse:
        parts = (request.model, *(block.text for block in request.system), _NOW.sub("", request.user))
        schema = orjson.dumps(request.output_schema, option=orjson.OPT_SORT_KEYS).decode()
        key = digest(*parts, request.schema_name, schema, request.repair_reason or "")
        if not self.replays:
            assert self._model is not None  # noqa: S101 - the engine puts it around one
            answer = await self._model.complete(request, on_text=on_text)
            if self._file is not None:
                kept = Kept(request=key, task=request.schema_name, answer=answer)
                with self._file.open("ab") as file:
                    file.write(kept.model_dump_json().encode() + b"\n")
            return answer
        answers = self._kept.get(key)
        if answers is None:
            self.missing += 1
            raise ModelRequestRejectedError(f"the recording has no answer to this {request.schema_name}")
        answer = answers[self._given[key] % len(answers)]
        self._given[key] += 1
        if on_text is not None:
            await on_text(answer.text)
        return answer

    async def close(self) -> None:
        if self._model is not None:
            await self._model.close()
