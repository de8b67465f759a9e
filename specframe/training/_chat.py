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
    """Return a conversation's text and the spans of it that the assistant says.

    A span begins right after the generation prompt, which is where decoding will begin too, and
    ends with its turn. A template that renders earlier turns differently (dropped reasoning, for
    one) hides where a turn ends; then the message's own words are the span.
    """
    text = _render(document, document.messages, tokenizer)
    spans: list[Span] = []
    for index, message in enumerate(document.messages):
        if message.role == "assistant":
            cursor = spans[-1].end if spans else 0
            span = _turn(document, index, text, tokenizer) or _words(document, index, text, cursor)
            spans.append(span)
    return text, tuple(spans)


def _turn(
    document: Document, index: int, text: str, tokenizer: PreTrainedTokenizerBase
) -> Span | None:
    """Find a turn by rendering the conversation up to it, and up to its end."""
    before, with_turn = document.messages[:index], document.messages[: index + 1]
    head = _render(document, before, tokenizer, is_prompt=True) if before else ""
    whole = _render(document, with_turn, tokenizer)
    is_prefix_stable = text.startswith(whole) and whole.startswith(head)
    return Span(len(head), len(whole)) if before and is_prefix_stable else None


def _words(document: Document, index: int, text: str, cursor: int) -> Span:
    words = document.messages[index].content.strip()
    start = text.find(words, cursor)
    if start < 0:
        raise InputError(
            f"{document.source}: the chat template rewrites message {index + 1}, so that the "
            "assistant's words cannot be found; give the rendered conversation as `text`."
        )
    return Span(start, start + len(words))


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
