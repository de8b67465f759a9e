"""Turn documents into one stream of tokens, and the stream into windows."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import attrs

from specframe._errors import InputError
from specframe.training._chat import Span, render_chat
from specframe.training._documents import Document

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@attrs.frozen
class TokenStream:
    """All documents in one sequence; ``learned[i]`` is 1 where token i is to be predicted."""

    ids: array[int] = attrs.field(factory=lambda: array("i"))
    learned: bytearray = attrs.field(factory=bytearray)

    @property
    def digest(self) -> str:
        """Return the stream's SHA-256 in hexadecimal: equal for runs on the same data."""
        return hashlib.sha256(self.ids.tobytes() + self.learned).hexdigest()


@attrs.frozen
class Window:
    """A piece of the stream; ``mask[i]`` is 1 where the prediction made *at* i is trained.

    That prediction is token i + 1; the last position's is in the next window. Positions after the
    end of the stream hold token 0 with mask 0.
    """

    ids: array[int]
    mask: bytes


class Windows(Sequence[Window]):
    """Cut a stream into windows; windows without a trained position are left out.

    Raises no error of specframe's: a stream that is too short gives no window.
    """

    def __init__(self, stream: TokenStream, length: int) -> None:
        """Serve windows of exactly ``length`` tokens of ``stream``."""
        self._stream = stream
        self._length = length
        starts = range(0, len(stream.ids), length)
        self._starts = [
            start for start in starts if any(stream.learned[start + 1 : start + 1 + length])
        ]

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self._starts)

    def __getitem__(self, index: int) -> Window:  # type: ignore[override]  # no slices
        """Return window ``index``; raises IndexError."""
        start, length = self._starts[index], self._length
        ids = self._stream.ids[start : start + length]
        ids.extend([0] * (length - len(ids)))
        mask = bytes(self._stream.learned[start + 1 : start + 1 + length])
        return Window(ids, mask.ljust(length, b"\0"))

    @property
    def num_learned(self) -> int:
        """Return the number of trained positions in all windows."""
        return sum(self._stream.learned[1:])


def tokenize(documents: Iterable[Document], tokenizer: PreTrainedTokenizerBase) -> TokenStream:
    """Tokenise ``documents`` into one stream.

    A text is encoded with the tokenizer's special tokens (its BOS stays) and is learned whole;
    where no special token opens it, EOS closes it. A conversation goes through the chat template,
    and only the assistant's turns are learned, with the token that ends each.

    Raises ``InputError`` naming the document that the chat template cannot express, or that is a
    conversation while there is no template.
    """
    stream = TokenStream()
    for document in documents:
        encode = _encode_chat if document.messages else _encode_text
        ids, learned = encode(document, tokenizer)
        stream.ids.extend(ids)
        stream.learned.extend(learned)
    return stream


def _encode_text(
    document: Document, tokenizer: PreTrainedTokenizerBase
) -> tuple[list[int], list[bool]]:
    ids = list(tokenizer(document.text, verbose=False)["input_ids"])
    end = tokenizer.eos_token_id
    if isinstance(end, int) and ids and not {ids[0], ids[-1]} & set(tokenizer.all_special_ids):
        ids.append(end)
    return ids, [True] * len(ids)


def _encode_chat(
    document: Document, tokenizer: PreTrainedTokenizerBase
) -> tuple[list[int], list[bool]]:
    if not tokenizer.chat_template:
        raise InputError(
            f"{document.source}: the model's tokenizer has no chat template for `messages`; "
            "give lines with `text`, or a model that has one."
        )
    text, spans = render_chat(document, tokenizer)
    return (_encode_by_offsets if tokenizer.is_fast else _encode_by_pieces)(text, spans, tokenizer)


def _encode_by_offsets(
    text: str, spans: tuple[Span, ...], tokenizer: PreTrainedTokenizerBase
) -> tuple[list[int], list[bool]]:
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    is_said = bytearray(len(text) + 1)
    for span in spans:
        is_said[span.start : span.end] = b"\1" * (span.end - span.start)
    return list(encoded["input_ids"]), [bool(is_said[at]) for at, _ in encoded["offset_mapping"]]


def _encode_by_pieces(
    text: str, spans: tuple[Span, ...], tokenizer: PreTrainedTokenizerBase
) -> tuple[list[int], list[bool]]:
    """Encode span by span: for tokenizers that do not tell a token's place in the text."""
    ids: list[int] = []
    learned: list[bool] = []
    edges = [0, *(edge for span in spans for edge in (span.start, span.end)), len(text)]
    for number, (start, end) in enumerate(pairwise(edges)):
        piece = tokenizer(text[start:end], add_special_tokens=False, verbose=False)["input_ids"]
        ids.extend(piece)
        learned.extend([number % 2 == 1] * len(piece))
    return ids, learned
