"""Prompts of one or several turns, and the conversation that a turn continues."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import attrs

from specframe._errors import InputError
from specframe._files import to_line
from specframe.bench._records import ALL, PromptRecord, as_record

BETWEEN_TURNS = "\n\n"  # where no chat template says how turns follow each other


@attrs.frozen
class BenchPrompt:
    """Hold a prompt: the user's turns, of text, or token ids in a single turn."""

    id: str | int
    task: str
    turns: tuple[str | list[int], ...]
    max_new_tokens: int | None = None

    @property
    def record(self) -> PromptRecord:
        """Return what results say of it."""
        return PromptRecord(self.id, self.task, len(self.turns))


def check_prompts(prompts: Sequence[BenchPrompt], tasks: Sequence[str] = ()) -> list[BenchPrompt]:
    """Return the prompts of ``tasks`` (none: of all); raises InputError for what cannot be told.

    Ids are keys of JSON objects, so 1 and "1" are the same one.
    """
    known = sorted({prompt.task for prompt in prompts})
    if ALL in known:
        raise InputError(f"task '{ALL}' stands for all tasks together: give it another name")
    for task in tasks:
        if task not in known:
            raise InputError(f"no prompt has task '{task}': there are {', '.join(known)}")
    seen: set[str] = set()
    for prompt in prompts:
        if str(prompt.id) in seen:
            raise InputError(f"prompt id {prompt.id!r} occurs twice: give each prompt its own")
        seen.add(str(prompt.id))
    return [prompt for prompt in prompts if not tasks or prompt.task in tasks]


def refuse_text(prompts: Sequence[BenchPrompt], model: str) -> None:
    """Raise InputError where a prompt is text, for a model that came without a tokenizer."""
    for prompt in prompts:
        if any(isinstance(turn, str) for turn in prompt.turns):
            raise InputError(
                f"prompt {prompt.id!r} is text and '{model}' came without a tokenizer: give "
                '--prompts FILE with "prompt_ids"'
            )


def digest(prompts: Sequence[BenchPrompt]) -> str:
    """Return a hash of what the prompts say."""
    return hashlib.sha256(to_line([as_record(prompt) for prompt in prompts]).encode()).hexdigest()


@attrs.frozen
class Conversation:
    """Turn a prompt's turns and the answers so far into token ids.

    ``limit`` keeps the last that many ids of a single turn, for bundled prompts that are longer
    than a small model reads (None: never cut).
    """

    tokenizer: Any
    limit: int | None = None

    def ids(self, prompt: BenchPrompt, answers: Sequence[str]) -> list[int]:
        """Return what is decoded as turn ``len(answers)``.

        A chat template is applied where the tokenizer has one; without it, a blank line separates
        turns and answers.
        """
        turn = prompt.turns[len(answers)]
        if not isinstance(turn, str):
            return list(turn)
        ids = self._templated(prompt, answers) or self._joined(prompt, answers)
        return ids if self.limit is None else ids[-self.limit :]

    def text(self, token_ids: Sequence[int]) -> str | None:
        """Return the text of an answer, special tokens skipped; None without a tokenizer."""
        if self.tokenizer is None:
            return None
        text: str = self.tokenizer.decode(list(token_ids), skip_special_tokens=True)
        return text

    def _templated(self, prompt: BenchPrompt, answers: Sequence[str]) -> list[int]:
        if not getattr(self.tokenizer, "chat_template", None):
            return []
        messages = []
        for place, turn in enumerate(prompt.turns[: len(answers) + 1]):
            messages.append({"role": "user", "content": turn})
            if place < len(answers):
                messages.append({"role": "assistant", "content": answers[place]})
        ids: list[int] = self.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=True, return_dict=False
        )
        return ids

    def _joined(self, prompt: BenchPrompt, answers: Sequence[str]) -> list[int]:
        parts = [str(prompt.turns[0])]
        for place, answer in enumerate(answers):
            parts += [answer, str(prompt.turns[place + 1])]
        ids: list[int] = self.tokenizer(BETWEEN_TURNS.join(parts))["input_ids"]
        return ids
