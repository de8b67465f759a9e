"""What a benchmark says of tokens that differ; a fault of the judge costs only its judgements."""

from __future__ import annotations

import attrs
import pytest

from bench_runs import run
from specframe._errors import MemoryShortageError
from specframe.bench import BenchPrompt, read_contestants

pytestmark = pytest.mark.models

PROMPT = BenchPrompt("p", "x", ([5, 6, 7, 5, 6, 7, 5, 6],))
TOKENS = 24


def unheard(done, total):
    """Ignore how far the judging is."""


@attrs.frozen
class Court:
    """Hold contestants on one model, and judge runs of them."""

    field: object
    temperature: float = 0.0

    def run(self, name, *changes, repeat=0, prompt=PROMPT):
        """Return a run in which ``changes``, (position, what is added), are made."""
        competitor = self.field.competitors[name]
        competitor.reset()
        (found,) = competitor.decode([list(prompt.turns[0])], [TOKENS])
        tokens = list(found.token_ids)
        for position, add in changes:
            tokens[position] += add
        return run(name, prompt.id, [attrs.evolve(found, token_ids=tokens)], repeat=repeat)

    def judge(self, *runs, prompts=(PROMPT,), reference=None, heard=unheard):
        from specframe.bench._competitor import Draws
        from specframe.bench._judging import Judge
        from specframe.bench._prompts import Conversation
        from specframe.bench._runner import Runner

        runner = Runner(self.field.competitors, Conversation(None), TOKENS, self.field.ledger)
        by_id = {prompt.id: prompt for prompt in prompts}
        return Judge(runner, by_id, Draws(self.temperature, 0), reference).judge(runs, heard)

    def word(self, name, *changes):
        """Return what is said of a run with ``changes``."""
        return self.judge(self.run("none"), self.run(name, *changes))[name]["p"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny):
    return tiny.full_of_ties(tmp_path_factory.mktemp("ties"))


@pytest.fixture
def court(folder):
    """Return what loads contestants by name."""
    from specframe._loading.loading import Source
    from specframe._plugins.discovery import load_registry
    from specframe.bench._competitor import Draws
    from specframe.bench._competitor_loading import load_competitors

    def load(names, temperature=0.0, dtype="auto"):
        source = Source(str(folder), device="cpu", dtype=dtype)
        draws = Draws(temperature, 0)
        field = load_competitors(source, read_contestants(names), load_registry(), draws)
        return Court(field, temperature)

    return load


@pytest.mark.parametrize("name", ["hf", "kangaroo"])
def test_a_tie_is_certified_and_another_token_is_none(court, name):
    found = court(f"none,{name}")
    tie, other = found.word(name, (7, 1)), found.word(name, (7, 2))
    assert (tie.word, tie.at) == ("near tie", 7)
    assert tie.why.startswith("float64 prefers one by 0, noise bound ")
    assert (other.word, other.at) == ("different", 7)
    assert "float64 is further from choosing" in other.why
    assert found.word(name).word == "identical"


def test_a_tie_in_one_repeat_hides_no_difference_in_another(court):
    found = court("none,kangaroo")
    plain = found.run("none")
    tie = found.run("kangaroo", (3, 1), repeat=0)
    later = found.run("kangaroo", (9, 2), repeat=1)
    for runs in ([tie, later], [later, tie]):
        judged = found.judge(plain, *runs)["kangaroo"]["p"]
        assert (judged.word, judged.at) == ("different", 9)


def test_the_same_difference_in_all_repeats_is_judged_once(court):
    found = court("none,kangaroo")
    heard = []
    runs = [found.run("kangaroo", (3, 1), repeat=repeat) for repeat in range(3)]
    found.judge(found.run("none"), *runs, heard=lambda *counts: heard.append(counts))
    assert heard == [(0, 1), (1, 1)]


def test_a_tie_elsewhere_acquits_nobody(court):
    """The run's own first difference counts, even if another decoding would differ elsewhere."""
    found = court("none,kangaroo")
    assert found.word("kangaroo", (4, 2), (7, 1)).word == "different"
    assert found.word("kangaroo", (4, 1), (7, 2)).word == "near tie"


def test_a_text_that_ends_earlier_is_no_tie(court):
    found = court("none,kangaroo")
    plain, ours = found.run("none"), found.run("kangaroo")
    (turn,) = ours.turns
    short = attrs.evolve(ours, turns=[attrs.evolve(turn, token_ids=turn.token_ids[:9])])
    judged = found.judge(plain, short)["kangaroo"]["p"]
    assert (judged.word, judged.at) == ("different", 9)
    assert judged.why == "its turn ends after 9 tokens, plain decoding's after 24"


def test_a_16_bit_difference_that_does_not_come_again_is_judged_as_it_was_recorded(court):
    found = court("none,kangaroo", dtype="bfloat16")
    assert found.word("kangaroo", (7, 1)).word == "near tie"
    assert found.word("kangaroo", (7, 2)).word == "different"


def test_tokens_that_nobody_would_choose_do_not_widen_the_bound():
    import torch

    from specframe._judging.certificate import LogitRow
    from specframe.bench._near_ties import swing

    sure = LogitRow(torch.tensor([5.0, 4.5, -9.0, 0.0], dtype=torch.float64))
    plain = LogitRow(torch.tensor([5.1, 4.8, -3.0, 2.0]))
    assert swing(sure, plain) == pytest.approx(0.2, abs=1e-6)


def test_a_sampled_token_is_judged_with_the_noise_it_was_drawn_with(court):
    found = court("none,kangaroo", temperature=0.8)
    assert found.word("kangaroo").word == "identical"
    judged = found.word("kangaroo", (7, 1))
    assert judged.word == "different"  # a tie of logits, not of keys
    assert judged.why.count("float64 is further from choosing") == 1  # it would draw plain's token


def test_more_ties_than_chance_brings_are_none(court):
    found = court("none,kangaroo")
    prompts = [BenchPrompt(str(n), "x", ([5 + n, 6, 7, 8],)) for n in range(3)]
    runs = [found.run("none", prompt=prompt) for prompt in prompts]
    runs += [found.run("kangaroo", (5, 1), prompt=prompt) for prompt in prompts]
    judged = found.judge(*runs, prompts=prompts)["kangaroo"]
    assert {each.word for each in judged.values()} == {"different"}
    assert "3 ties in 18 tokens are too many for float32" in judged["0"].why


def test_a_verifier_that_promises_no_tokens_is_not_acquitted(court):
    name = "kangaroo:verifier=typical"
    found = court(f"none,{name}")
    judged = found.word(name, (7, 1))
    assert (judged.word, judged.why) == ("different", "its verifier promises no tokens")


@pytest.mark.parametrize("error", [MemoryShortageError("no room for float64"), MemoryError("full")])
def test_a_fault_of_the_judge_costs_its_words_alone(court, error):
    from specframe._judging.reference import Reference

    class Failing(Reference):
        def rows(self, prompt, tokens):
            raise error

    found = court("none,kangaroo,hf")
    runs = [found.run("none"), found.run("kangaroo", (7, 1)), found.run("hf", (3, 1))]
    reference = Failing(found.field.loaded)
    judged = found.judge(*runs, reference=reference)
    assert judged["none"]["p"].word == "identical"
    for name, at in (("kangaroo", 7), ("hf", 3)):
        said = judged[name]["p"]
        assert (said.word, said.at) == ("not judged", at)
        assert str(error) in said.why
