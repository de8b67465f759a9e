"""Checks by declared capability: batches, trees, and real models."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from specframe import Draft, Sampling, Stops, load
from specframe.testing._check_result import Broken
from specframe.testing._hypothesis_strategies import oracles, tiny_models, token_sequences
from specframe.testing._manual_decoding import accept_half
from specframe.testing._oracle import CONTEXT, Oracle
from specframe.testing._strategy_under_test import Session, Subject

CLOSE = 1e-6
KEEP = "; what is held belongs to one row, and `keep` takes it along"
REAL_EXAMPLES = 4  # each builds a model


def check_batch_equals_single_runs(subject: Subject) -> None:
    """Each row of a ragged batch must go as it goes alone, while others leave."""
    subject.needs("batch")
    varies = subject.learns or subject.times
    many = st.lists(st.tuples(token_sequences(), st.integers(1, 10)), min_size=2, max_size=4)

    @subject.for_all(oracles(), many, st.sampled_from([0.0, 1.0]))
    def holds(oracle: Oracle, rows: list[tuple[list[int], int]], temperature: float) -> None:
        together = _decode(subject, oracle, rows, temperature)
        for index, row in enumerate(rows):
            alone = _decode(subject, oracle, [row], temperature)
            ours, single = together.rounds[index], alone.rounds[0]
            what = f"row {index} of {rows} at temperature {temperature} on {oracle!r}"
            if [r.committed for r in ours] != [r.committed for r in single] and not varies:
                raise Broken(
                    f"{what} commits {[r.committed for r in ours]}, and alone "
                    f"{[r.committed for r in single]}{KEEP}"
                )
            if together.everyone[index].new_tokens != alone.everyone[0].new_tokens:
                raise Broken(f"{what} says something else than alone{KEEP}")
            if not varies and [r.draft_tokens for r in ours] != [r.draft_tokens for r in single]:
                raise Broken(
                    f"{what} drafts {[r.draft_tokens for r in ours]}, and alone "
                    f"{[r.draft_tokens for r in single]}{KEEP}"
                )


def _decode(
    subject: Subject, oracle: Oracle, rows: list[tuple[list[int], int]], temperature: float
) -> Session:
    return subject.open(
        oracle,
        [prompt for prompt, _ in rows],
        [Stops(budget, CONTEXT) for _, budget in rows],
        sampling=Sampling(temperature=temperature),
        verifier="match",
    ).run()


def check_tree_nodes_see_their_own_path(subject: Subject) -> None:
    """The target must score every node of a tree on the text that leads to it."""
    subject.needs("tree")

    @subject.for_all(oracles(), token_sequences())
    def holds(oracle: Oracle, prompt: list[int]) -> None:
        session = subject.open(oracle, [prompt], Stops(10, CONTEXT)).begin()
        while (draft := session.propose()) is not None:
            prefix = list(session.rows.active[0].tokens)
            scores = accept_half(session, draft)
            _expect_scores(oracle, prefix, draft, scores.logits[0].tolist())


def _expect_scores(
    oracle: Oracle, prefix: list[int], draft: Draft, logits: list[list[float]]
) -> None:
    for node in range(draft.size_list[0]):
        text = [*prefix, *draft.path_tokens(0, node)]
        expected = oracle.logits(text)
        worst = max(abs(ours - theirs) for ours, theirs in zip(logits[node], expected, strict=True))
        if worst > CLOSE:
            raise Broken(
                f"on {oracle!r} node {node} of tokens {draft.token_lists[0]}, parents "
                f"{draft.parent_lists[0]} is scored {worst:.2g} away from what {text} leads to"
            )


def check_real_model_equals_generate(subject: Subject) -> None:
    """On a transformers model, greedy tokens must be those of its own generate."""

    @subject.for_all(tiny_models(), token_sequences(31), most=REAL_EXAMPLES)
    def holds(config: Any, prompt: list[int]) -> None:
        model = _model(config, torch.float64)
        ids = torch.tensor([prompt])
        said = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=16,
            pad_token_id=0,
        )[0, len(prompt) :].tolist()
        with _load(subject, model) as decoder:
            ours = decoder.decode(prompt, max_new_tokens=16, eos_token_id=()).token_ids
        if ours != said:
            raise Broken(f"on {_words(config)} after {prompt} it says {ours}, generate {said}")


def check_real_model_sampling_equals_plain(subject: Subject) -> None:
    """On a transformers model, filters and penalties must leave sampled tokens plain decoding's."""
    filters = st.sampled_from(
        [{"top_k": 5}, {"top_p": 0.8}, {"min_p": 0.05, "repetition_penalty": 1.3}]
    )

    @subject.for_all(tiny_models(), token_sequences(31), filters, most=REAL_EXAMPLES)
    def holds(config: Any, prompt: list[int], chosen: dict[str, Any]) -> None:
        with _load(subject, _model(config, torch.float64)) as decoder:
            options = {"max_new_tokens": 12, "eos_token_id": (), "temperature": 0.9, "seed": 3}
            ours = decoder.decode(prompt, **options, **chosen).token_ids
            said = decoder.plain().decode(prompt, **options, **chosen).token_ids
        if ours != said:
            raise Broken(
                f"on {_words(config)} after {prompt} with {chosen} it says {ours}, plain "
                f"decoding {said}"
            )


def check_every_dtype_decodes(subject: Subject) -> None:
    """A drafter must work in the target's dtype, 16 bit included."""
    dtypes = st.sampled_from([torch.float32, torch.bfloat16])

    @subject.for_all(tiny_models(), dtypes, most=REAL_EXAMPLES)
    def holds(config: Any, dtype: torch.dtype) -> None:
        with _load(subject, _model(config, dtype)) as decoder:
            count = len(decoder.decode([1, 2, 3], max_new_tokens=12, eos_token_id=()).token_ids)
        if count != 12:
            raise Broken(f"on {_words(config)} in {dtype} it decodes {count} tokens of 12")


def _model(config: Any, dtype: torch.dtype) -> Any:
    from transformers import AutoModelForCausalLM  # noqa: PLC0415 (level full alone needs it)

    auto: Any = AutoModelForCausalLM

    with torch.random.fork_rng(), torch.inference_mode(mode=False):
        torch.manual_seed(0)
        model = auto.from_config(config, dtype=torch.float32)
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.data *= 8  # at the usual scale every token is as likely as another
    return model.to(dtype).eval()


def _load(subject: Subject, model: Any) -> Any:
    policy = subject.stop_policy if isinstance(subject.stop_policy, str) else subject.stop_policy()
    return load(model, strategy=subject.make(), stop_policy=policy)


def _words(config: Any) -> str:
    return (
        f"a {config.model_type} of {config.num_hidden_layers} x {config.hidden_size}, vocabulary "
        f"{config.vocab_size}"
    )
