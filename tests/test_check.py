"""Plain against speculative decoding on real models: identical, a numeric tie, or a planted bug."""

import pytest

import planted_faults as faults
import specframe
from specframe import InputError
from specframe._judging.check import check

pytestmark = pytest.mark.models
PROMPTS = [[3, 14, 15, 9, 26, 5], [1, 2, 30], [7, 8, 7, 8], [50, 3]]
COUNT = 32


class Case:
    """A model with the texts that plain decoding gives."""

    def __init__(self, model, **arguments):
        self.model, self.arguments = model, arguments
        self.texts = faults.texts_of(model, PROMPTS, COUNT, **arguments)

    def check(self, strategy=None, verifier=None, prompts=PROMPTS, **arguments):
        strategy = strategy or faults.Scripted(self.texts)
        decoder = specframe.load(self.model, strategy=strategy, verifier=verifier)
        given = {"max_new_tokens": COUNT, **self.arguments, **arguments}
        return check(decoder, prompts, **given)


@pytest.fixture(scope="module")
def greedy(tiny):
    return Case(tiny.model())


@pytest.fixture(scope="module")
def sampled(tiny):
    return Case(tiny.model(), temperature=0.8, seed=5)


@pytest.fixture(scope="module")
def twins(tiny):
    return Case(faults.with_twins(tiny.model(vocab_size=64)))


def findings(report):
    return [prompt.finding for prompt in report.prompts if prompt.finding]


def bugs(report):
    return [found for found in findings(report) if found.word == "bug"]


@pytest.mark.parametrize("case", ["greedy", "sampled", "twins"])
def test_an_honest_strategy_is_identical_in_float32(request, case):
    report = request.getfixturevalue(case).check()
    assert report.word == "identical"
    assert report.compared == COUNT * len(PROMPTS)
    assert len(report.noise) == report.compared - len(PROMPTS)
    assert 0 < report.noise[-1] < 1e-3
    assert report.bounds is None


@pytest.mark.parametrize(
    ("fault", "case"),
    [
        (faults.AcceptsOnePastTheMismatch, "greedy"),
        (faults.AcceptsOnePastTheMismatch, "sampled"),
        (faults.TakesTheBonusFromTheNodeBefore, "greedy"),
        (faults.TakesTheBonusFromTheNodeBefore, "sampled"),
        (faults.TakesTheLastOfTheTied, "twins"),
        (faults.DrawsWithTheNoiseOfTheNextToken, "sampled"),
    ],
)
def test_a_token_that_its_own_logits_do_not_choose_is_a_bug(request, fault, case):
    report = request.getfixturevalue(case).check(verifier=fault())
    assert report.word == "bug"
    first = findings(report)[0]
    assert first.token != first.plain_token
    assert f"own logits there choose {first.plain_token}, not {first.token}" in first.reasons[0]
    assert first.gap >= 0


def test_a_wrong_tie_order_is_a_bug_in_16_bit_too(tiny):
    case = Case(faults.with_twins(tiny.model(vocab_size=64, dtype="bfloat16")))
    assert case.check(verifier=faults.TakesTheLastOfTheTied()).word == "bug"


def test_positions_that_are_off_by_one_are_a_bug(greedy):
    report = greedy.check(faults.StandsOneTooFar(greedy.texts))
    assert report.word == "bug"
    reasons = [reason for found in bugs(report) for reason in found.reasons]
    assert any("the logits differ from float64's by" in reason for reason in reasons)


def test_a_corrupted_cache_is_a_bug_and_does_not_widen_its_own_bound(greedy):
    report = greedy.check(faults.WritesIntoTheCache(greedy.texts, 3.0))
    assert report.word == "bug"
    flipped = next(found for found in bugs(report) if found.certificate)
    assert flipped.token != flipped.plain_token
    assert flipped.gap == flipped.certificate.gap
    assert flipped.certificate.between < report.bounds.runs  # widened by rows that agree
    assert report.bounds.reference < 1e-3  # and this one not


def test_a_corrupted_cache_that_flips_no_token_is_a_bug_as_well(greedy):
    report = greedy.check(faults.WritesIntoTheCache(greedy.texts, 0.02))
    assert report.word == "bug"
    silent = bugs(report)[0]
    assert silent.token == silent.plain_token
    assert silent.certificate is None
    assert "the logits differ from float64's by" in silent.reasons[0]


@pytest.mark.parametrize("fault", [faults.EndsEarly, faults.EndsForAnotherReason])
def test_another_end_of_the_same_tokens_is_a_bug(greedy, fault):
    report = greedy.check(fault(greedy.texts))
    assert report.word == "bug"
    assert "it ends after" in findings(report)[0].reasons[0]
    assert f"plain decoding after {COUNT} (length)" in findings(report)[0].reasons[0]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_another_rounding_of_16_bit_ties_is_a_numeric_tie(tiny, dtype):
    case = Case(faults.with_twins(tiny.model(vocab_size=64, dtype=dtype)))
    report = case.check(faults.RoundsOtherwise(case.texts))
    assert report.word == "tie"
    proof = findings(report)[0].certificate
    assert proof.holds
    assert proof.gap <= 2 * proof.bounds.reference
    assert proof.bounds.reference_rows >= 60


def test_so_many_ties_are_a_bug_in_float32(twins):
    report = twins.check(faults.RoundsOtherwise(twins.texts))
    assert {found.word for found in findings(report)} == {"tie"}
    assert report.word == "bug"
    assert "are too many for float32" in report.reason


@pytest.mark.parametrize("temperature", [0.0, 0.8])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_real_16_bit_noise_is_never_called_a_bug(tiny, dtype, temperature):
    case = Case(tiny.model(dtype=dtype, seed=3), temperature=temperature, seed=3)
    assert case.check().word in ("identical", "tie")


def test_filters_and_penalties_are_judged_as_the_sampler_applies_them(tiny):
    arguments = {"temperature": 0.9, "top_k": 6, "top_p": 0.9, "repetition_penalty": 1.3, "seed": 2}
    case = Case(tiny.model(), **arguments)
    assert case.check().word == "identical"
    assert case.check(verifier=faults.AcceptsOnePastTheMismatch()).word == "bug"


def test_a_model_from_a_folder_is_judged_by_weights_of_the_run(tiny, tmp_path):
    """Stored in float32 and run in bfloat16: float64 must widen the bfloat16 weights."""
    folder = tiny.saved(tmp_path, faults.with_twins(tiny.model(vocab_size=64)))
    texts = faults.texts_of(folder, PROMPTS, COUNT)
    decoder = specframe.load(folder, strategy=faults.RoundsOtherwise(texts), dtype="bfloat16")
    report = check(decoder, PROMPTS, max_new_tokens=COUNT)
    assert report.word == "tie"


@pytest.mark.parametrize("verifier", [faults.PromisesNothing(), faults.PromisesADistribution()])
def test_what_promises_no_tokens_is_refused(sampled, verifier):
    with pytest.raises(InputError, match=f"verifier '{type(verifier).__name__}'"):
        sampled.check(verifier=verifier)


def test_a_verifier_of_distributions_is_checked_where_it_is_greedy(greedy):
    assert greedy.check(verifier="rejection").word == "identical"


def test_no_memory_for_float64_is_said_in_one_sentence(tiny):
    class NoRoom:
        def __call__(self, memo):
            raise MemoryError("no room")

    model = faults.with_twins(tiny.model(vocab_size=64))
    case = Case(model)
    model.__deepcopy__ = NoRoom()
    with pytest.raises(specframe.MemoryShortageError, match="no memory for the model in float64"):
        case.check(faults.RoundsOtherwise(case.texts))


def test_the_reference_computes_a_prompt_once_and_other_tokens_anew(tiny, monkeypatch):
    import torch

    from specframe._judging.reference import Reference

    loaded, asked = specframe.load(tiny.model(), strategy="none").loaded, []
    reference = Reference(loaded)
    compute = Reference._computed
    monkeypatch.setattr(
        Reference, "_computed", lambda self, *given: asked.append(given) or compute(self, *given)
    )
    whole = reference.rows([1, 2, 3], [4, 5, 6])
    assert torch.equal(reference.rows([1, 2, 3], [4, 5]), whole[:2])
    assert len(asked) == 1
    other = reference.rows([1, 2, 3], [4, 7, 6])
    assert len(asked) == 2
    assert torch.equal(other, Reference(loaded).rows([1, 2, 3], [4, 7, 6]))
    assert not torch.equal(other[2], whole[2])
