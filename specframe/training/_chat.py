"""Render conversations and find the assistant's part in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from specframe._errors import InputError
from specframe.training._documents import Document, Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@attrs.frozen
class Span:
    """A stretch of text: from the letter at ``start`` to the one before ``end``."""

    start: int
    end: int


def render_chat(
    document: Document, tokenizer: PreTrainedTokenizerBase
) -> tuple[str, tuple[Span, ...]]:
    """Return a conversation's text and the spans of the assistant's turns.

    A span begins right after the generation prompt, where decoding begins too, and ends with its
    turn. A template that renders earlier turns differently (without their reasoning, say) hides
    where a turn ends; then the message's own words are the span.
    """
    text = _render(document, document.messages, tokenizer)
    spans: list[Span] = []
    cursor = 0
    for index, message in enumerate(document.messages):
        found = text.find(message.content.strip(), cursor)
        words = Span(found, found + len(message.content.strip())) if found >= 0 else None
        if message.role == "assistant":
            span = _turn(document, index, text, tokenizer) or words
            if span is None:
                raise InputError(
                    f"{document.source}: the chat template rewrites message {index + 1}, so that "
                    "the assistant's words cannot be found; give the rendered text as `text`."
                )
            spans.append(span)
            cursor = span.end
        elif words is not None:
            cursor = words.end
    return text, tuple(spans)


def _turn(
    document: Document, index: int, text: str, tokenizer: PreTrainedTokenizerBase
) -> Span | None:
    """Find a turn by rendering the conversation up to its start and up to its end."""
    before, message = document.messages[:index], document.messages[index]
    if not before:
        return None
    head = _render(document, before, tokenizer, is_prompt=True)
    whole = _render(document, (*before, message), tokenizer)
    is_stable = text.startswith(whole) and whole.startswith(head)
    is_whole = message.content.strip() in whole[len(head) :]
    return Span(len(head), len(whole)) if is_stable and is_whole else None


def _render(
    document: Document,
    messages: tuple[Message, ...],
    tokenizer: PreTrainedTokenizerBase,
    *,
    is_prompt: bool = False,
) -> str:
    from jinja2 import TemplateError  # noqa: PLC0415 (the command line imports this package)

    try:
        text = tokenizer.apply_chat_template(
            [attrs.asdict(message) for message in messages],
            tokenize=False,
            add_generation_prompt=is_prompt,
        )
    except (TemplateError, TypeError, ValueError) as error:
        raise InputError(
            f"{document.source}: the chat template refuses the conversation ({error})."
        ) from error
    return str(text)
