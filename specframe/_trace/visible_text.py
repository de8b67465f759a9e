"""Text as a page can show it: characters that are invisible or reorder text get a sign."""

from __future__ import annotations

import re

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
UNCLEAR = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
WHITESPACE = {
    " ": "\N{OPEN BOX}",
    "\n": "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}",
    "\t": "\N{RIGHTWARDS ARROW TO BAR}",
}
NOTHING = "\N{MIDLINE HORIZONTAL ELLIPSIS}"


def shown(text: str) -> str:
    """Return ``text`` with a sign for each control character; line breaks and tabs stay."""
    return UNCLEAR.sub(_sign, text.replace("\r\n", "\n"))


def named(text: str | None, token: int) -> str:
    """Return a token's text in one line, its outer blanks visible; its id if it has no text."""
    if text is None:
        return f"[{token}]"
    if not text:
        return NOTHING
    inner = text.strip(" ")
    start = text.index(inner) if inner else len(text)
    blanks = "".join(WHITESPACE[" "] for _ in text)
    line = blanks[:start] + inner + blanks[start + len(inner) :]
    for character in "\n\t":
        line = line.replace(character, WHITESPACE[character])
    return shown(line)


def _sign(found: re.Match[str]) -> str:
    code = ord(found.group())
    if code < 0x20:
        return chr(0x2400 + code)  # Unicode's pictures of control characters
    return REPLACEMENT if 0xD800 <= code <= 0xDFFF or code >= 0xFFFE else f"<{code:X}>"
