"""Traces as decodes leave them, of any length, without a model: chains or trees, any texts."""

import json
import random

WORDS = ["def", " name", "(self", "):\n", "    return", " a", " + b", "\n", "\n\n    ", "\t#", " x"]


def header(**changes):
    return {
        "kind": "header",
        "schema": 1,
        "prompt": "def add(a, b):\n",
        "prompt_token_ids": [3, 1, 4, 1, 5],
        "strategy": "kangaroo",
        "options": {"steps": 6, "threshold": 0.6, "adapter": None},
        "verifier": "greedy",
        "stop_policy": "confidence",
        "guarantee": "tokens",
        "model": "demo",
        "dtype": "float32",
        "device": "cpu",
        "exact": False,
        "seed": 7,
        "limits": {"max_new_tokens": 64, "stop": [], "temperature": 0.0, "top_p": None},
        "created": "2026-11-21T10:00:00+00:00",
        "versions": {"specframe": "0.1.0", "torch": "2.13.0", "python": "3.11.9"},
    } | changes


def round_line(number, texts, path, new_texts, *, parents=None, draw=None, **changes):
    """Return a round whose drafts have these texts; ``path`` are those that were accepted."""
    draw = draw or random.Random(number)
    some = lambda count: [round(draw.uniform(0.001, 1), 6) for _ in range(count)]  # noqa: E731
    drafted = len(texts)
    return {
        "kind": "round",
        "round": number,
        "draft_tokens": [sum(text.encode("utf-8", "replace")) for text in texts],
        "draft_parents": list(range(-1, drafted - 1)) if parents is None else parents,
        "draft_texts": texts,
        "draft_confidences": some(drafted),
        "draft_p": some(drafted),
        "draft_q": some(drafted),
        "target_tokens": list(range(drafted + 1)),
        "target_texts": [f" t{node}" for node in range(drafted + 1)],
        "path": path,
        "committed": [sum(text.encode("utf-8", "replace")) for text in new_texts],
        "committed_texts": new_texts,
        "committed_p": some(len(new_texts)),
        "seconds": {"draft": 0.004, "verify": 0.009, "other": 0.0004},
    } | changes


def prefill(text="\n"):
    return round_line(0, [], [], [text], seconds={"prefill": 0.05, "other": 0.0})


def end(**changes):
    return {"kind": "end", "finish_reason": "length", "metrics": {"num_new_tokens": 3}} | changes


def small():
    """Return a trace with a token of each kind: a correction, a bonus, a tree, a plain round."""
    return [
        header(),
        prefill(),
        round_line(1, ["def", " add", "!"], [0, 1], ["def", " add", "("]),
        round_line(2, ["a", ", b"], [0, 1], ["a", ", b", "):\n"]),
        round_line(
            3, [" return", " yield", " a", " b", " c"], [1, 4], [" yield", " c", "\n"],
            parents=[-1, -1, 0, 1, 1],
        ),
        round_line(4, [], [], ["done"]),
        round_line(5, ["x"], [], [" y"]),
        end(),
    ]  # fmt: skip


def long(tokens, seed=0, drafts=6):
    """Return a trace of so many new tokens in rounds of chains."""
    draw = random.Random(seed)
    lines, count = [header(), prefill()], 1
    while count < tokens:
        texts = draw.choices(WORDS, k=drafts)
        kept = min(next((k for k in range(drafts) if draw.random() > 0.7), drafts), tokens - count)
        new = [*texts[:kept], draw.choice(WORDS)][: tokens - count]
        lines.append(
            round_line(
                len(lines) - 1,
                texts,
                list(range(min(kept, len(new)))),
                new,
                draw=draw,
                seconds={"draft": 0.003 * draw.uniform(1, 2), "verify": 0.008, "other": 0.0003},
            )
        )
        count += len(new)
    return [*lines, end()]


def written(path, lines):
    """Write lines as a decode does and return the path."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path
