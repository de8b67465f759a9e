"""Strategies and verifiers with one fault each, and correct ones to compare with."""

import attrs
import torch

import specframe
from specframe import Drafter, Exit, Purpose, SequenceDrafter, Verdict, Verifier
from specframe._sampling.noise import Key, gumbels


class Scripted(SequenceDrafter):
    """Follow the text that plain decoding gave, with every fifth token wrong."""

    def __init__(self, texts, length=4):
        self.texts, self.length = texts, length

    def guess(self, tokens, room):
        text = next(text for text in self.texts if text[: len(tokens)][:2] == tokens[:2])
        at = len(tokens)
        guess = text[at : at + min(room, self.length)]
        return [token if (at + i) % 5 else (token + 1) % 7 for i, token in enumerate(guess)]


class WritesIntoTheCache(Scripted):
    """Add ``size`` to the values of an early slot, once, in the third round."""

    def __init__(self, texts, size):
        super().__init__(texts)
        self.size = size

    def start(self, target, rows, captured):
        self.cache, self.rounds = target.engine.cache, 0

    def propose(self, rows, stop, sampler):
        self.rounds += 1
        if self.rounds == 3:
            self.cache._values[1][:, :, 1] += self.size
        return super().propose(rows, stop, sampler)


class StandsOneTooFar(Drafter):
    """Run the first layers itself, with every position off by one."""

    def __init__(self, texts):
        self.script = Scripted(texts)

    def start(self, target, rows, captured):
        self.target = target

    def propose(self, rows, stop, sampler):
        draft = self.script.propose(rows, stop, sampler)
        count, start = draft.tokens.shape[1], rows.lengths[0] - 1
        placement = self.target.place([start], [count])
        placement = attrs.evolve(placement, start=None, positions=placement.positions + 1)
        hidden = self.target.embed(draft.tokens)
        hidden, _ = self.target.engine.run(hidden, placement, 0, 2)
        return attrs.evolve(draft, exit=Exit(2, hidden, placement.slots.tolist()))


class EndsEarly(Scripted):
    """Cut the row's budget."""

    def start(self, target, rows, captured):
        for row in rows.active:
            row.stops = attrs.evolve(row.stops, max_new_tokens=row.stops.max_new_tokens - 3)


class EndsForAnotherReason(Scripted):
    """Make the last token of the budget an end token."""

    def start(self, target, rows, captured):
        for row in rows.active:
            text = next(text for text in self.texts if text[:2] == row.tokens[:2])
            last = text[row.prompt_length + row.stops.max_new_tokens - 1]
            criterion = _at(row.prompt_length + row.stops.max_new_tokens, last)
            row.stops = attrs.evolve(row.stops, criteria=(criterion,))


def _at(length, token):
    return lambda tokens: len(tokens) == length and tokens[-1] == token


class RoundsOtherwise(Scripted):
    """Move every logit by less than a rounding of its dtype: no fault, the arithmetic of another
    kernel."""

    def prepare(self, target):
        head, noise = target.engine.logits, torch.Generator().manual_seed(0)

        def logits(normed):
            found = head(normed)
            step = torch.rand(found.shape, generator=noise, dtype=torch.float64) - 0.5
            eps = torch.finfo(found.dtype).eps
            return (found.double() * (1 + 2 * eps * step)).to(found.dtype)

        target.engine.logits = logits


class Greedy(Verifier):
    """Walk a chain while it holds what ``choices`` says; faults override the parts."""

    guarantee = "tokens"

    def verify(self, rows, draft, scores, sampler):
        choices = self.choices(rows, draft, scores, sampler)
        told, path = choices[0].tolist(), []
        for node, token in enumerate(draft.token_lists[0][1:], 1):
            if token != told[node - 1]:
                break
            path.append(node)
        path = self.accepted(path, draft)
        return Verdict([path], [told[self.bonus_node(path)]], choices)

    def choices(self, rows, draft, scores, sampler):
        return sampler.choose(rows, draft, scores)

    def accepted(self, path, draft):
        return path

    def bonus_node(self, path):
        return path[-1] if path else 0


class AcceptsOnePastTheMismatch(Greedy):
    def accepted(self, path, draft):
        goes_on = len(path) + 1 < draft.size_list[0]
        return [*path, len(path) + 1] if goes_on else path


class TakesTheBonusFromTheNodeBefore(Greedy):
    def bonus_node(self, path):
        return path[-1] - 1 if path else 0


class TakesTheLastOfTheTied(Greedy):
    def choices(self, rows, draft, scores, sampler):
        return scores.logits.shape[-1] - 1 - scores.logits.flip(-1).argmax(dim=-1)


class DrawsWithTheNoiseOfTheNextToken(Greedy):
    def choices(self, rows, draft, scores, sampler):
        (row,) = rows.active
        keys = scores.logits[0].double() / sampler.sampling.temperature
        for node in range(draft.size_list[0]):
            index = row.count + draft.depth(0, node) + 1
            keys[node] += gumbels(Key(row.seed, Purpose.COUPLE, index), keys.shape[-1])
        return keys.argmax(dim=-1)[None]


class PromisesNothing(Greedy):
    guarantee = "none"


class PromisesADistribution(Greedy):
    guarantee = "distribution"


def texts_of(model, prompts, count, **arguments):
    """Return prompt and plain continuation of each prompt."""
    plain = specframe.load(model, strategy="none")
    results = [plain.decode(prompt, max_new_tokens=count, **arguments) for prompt in prompts]
    return [result.prompt_token_ids + result.token_ids for result in results]


def with_twins(model):
    """Make every token of the lower half a twin of one in the upper half: all ties are exact."""
    weight = model.lm_head.weight.data
    half = weight.shape[0] // 2
    weight[half:] = weight[:half]
    return model
