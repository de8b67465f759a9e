"""Collect the demo corpus: the Python standard library of the running interpreter.

Nothing here imports torch; the tokenizer comes from ``tokenizers``.
"""

from __future__ import annotations

import ast
import hashlib
import sysconfig
import tokenize
from pathlib import Path
from typing import Any

import attrs
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

END_OF_TEXT = "<|endoftext|>"
HELD_OUT_SHARE = 20  # one file in so many is kept out of training
TEST_SHARE = 3  # one test in so many is read: tests are two thirds of the library
# Tables of data and deliberately broken sources teach a model nothing about Python.
LEFT_OUT = (
    "site-packages/",
    "encodings/",
    "pydoc_data/",
    "lib2to3/tests/data/",
    "test/bad",
    "test/encoded_modules/",
    "idlelib/idle_test/",
    "__phello__",
)


@attrs.frozen
class Corpus:
    """The source files by their path below the library, split into two parts."""

    training: dict[str, str]
    held_out: dict[str, str]

    @property
    def digest(self) -> str:
        """Return the SHA-256 of all training files, names and contents."""
        digest = hashlib.sha256()
        for name, text in self.training.items():
            digest.update(f"{name}\0{text}\0".encode())
        return digest.hexdigest()


def collect(root: Path | None = None) -> Corpus:
    """Read every usable ``*.py`` file below ``root`` (default: the standard library)."""
    root = root or Path(sysconfig.get_paths()["stdlib"])
    training: dict[str, str] = {}
    held_out: dict[str, str] = {}
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        text = _read(path) if _is_wanted(name) else None
        if text:
            (held_out if is_held_out(name) else training)[name] = text
    return Corpus(training, held_out)


def is_held_out(name: str) -> bool:
    """Tell whether a file is kept out of training; depends on its name alone."""
    return _hash(name) % HELD_OUT_SHARE == 0


def train_tokenizer(texts: list[str], vocab_size: int) -> Tokenizer:
    """Train a byte-level BPE; every text starts with the end-of-text token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=[END_OF_TEXT],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{END_OF_TEXT} $A", special_tokens=[(END_OF_TEXT, 0)]
    )
    return tokenizer


def choose_prompts(held_out: dict[str, str], count: int) -> list[dict[str, Any]]:
    """Cut prompts from held-out modules: a function's head and the lines above it.

    One prompt a file, the files in name order; tests are skipped, since their text repeats.
    """
    prompts = []
    for name, text in held_out.items():
        prompt = None if "test" in name else _prompt_of(text)
        if prompt:
            prompts.append({"id": name, "prompt": prompt})
    return prompts[:: max(1, len(prompts) // count)][:count]


def _is_wanted(name: str) -> bool:
    is_test = "test/" in name
    return not name.startswith(LEFT_OUT) and (not is_test or _hash(name) % TEST_SHARE == 0)


def _hash(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest(), 16)


def _prompt_of(text: str) -> str | None:
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    long_enough = [node for node in functions if len(node.body) >= 3 and node.lineno > 20]
    if not long_enough:
        return None
    function = long_enough[len(long_enough) // 2]
    lines = text.splitlines(keepends=True)
    return "".join(lines[max(0, function.lineno - 25) : function.body[0].lineno - 1]).rstrip("\n")


def _read(path: Path) -> str | None:
    try:
        with tokenize.open(path) as file:
            text = file.read()
        ast.parse(text)
    except (SyntaxError, UnicodeDecodeError, ValueError):
        return None
    return text
