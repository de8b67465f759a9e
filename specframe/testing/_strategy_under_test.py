"""What is under test, and decodes with it that a check may stop between any two calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from specframe import (
    Capabilities,
    Draft,
    Drafter,
    Row,
    RowRound,
    Rows,
    Sampler,
    Sampling,
    Scores,
    StopPolicy,
    Stops,
    Strategy,
    Target,
    Verdict,
    Verifier,
    leave,
    rounds,
)
from specframe._assembly.assembly import assemble
from specframe._assembly.blame import blaming
from specframe._assembly.parts import Parts
from specframe._plugins.component import Component
from specframe._plugins.discovery import load_registry
from specframe._plugins.registry import Registry
from specframe._words import cause
from specframe.testing._check_result import Broken, NotApplicable
from specframe.testing._oracle import Oracle
from specframe.testing._rows import make_rows
from specframe.testing._tiny_model import TinyModel


@attrs.define(eq=False)
class Subject:
    """Make what is under test new for every decode, and count the examples that are run.

    ``stop_policy`` is a name, or makes a policy; ``strategy`` and ``component`` say where a
    registered strategy comes from, ``options`` is what its drafter is made with. Without
    ``shrinks`` a failure is told with the first example that shows it, which is quicker.
    """

    name: str
    make: Callable[[], Drafter]
    stop_policy: str | Callable[[], StopPolicy]
    strategy: Strategy | None = None
    component: Component | None = None
    options: object | None = None
    registry: Registry = attrs.field(factory=load_registry)
    max_examples: int = 20
    seed: int = 0
    examples: int = 0
    shrinks: bool = True

    @property
    def capabilities(self) -> Capabilities:
        """Return what the drafter declares, once it is prepared."""
        return self.open(TinyModel(), [[0]], Stops(2, 10)).drafter.capabilities

    @property
    def learns(self) -> bool:
        """Tell whether drafts have a past, by the drafter's declaration or the stop policy's."""
        parts = self.open(TinyModel(), [[0]], Stops(2, 10)).parts
        return parts.drafter.capabilities.learns or parts.stop_policy.learns

    @property
    def times(self) -> bool:
        """Tell whether drafts depend on measured times, by the stop policy's declaration."""
        return self.open(TinyModel(), [[0]], Stops(2, 10)).stop.times

    def needs_no_past(self) -> None:
        """Raise NotApplicable where drafts depend on earlier rounds."""
        if self.learns:
            raise NotApplicable(
                "the drafter or its stop policy declares 'learns': its drafts have a past"
            )

    def needs_no_clock(self) -> None:
        """Raise NotApplicable where drafts depend on measured times."""
        if self.times:
            raise NotApplicable(
                "the stop policy declares 'times': the same decode need not draft the same"
            )

    def needs(self, capability: str) -> None:
        """Raise NotApplicable unless the drafter declares a capability."""
        if not getattr(self.capabilities, capability):
            raise NotApplicable(f"the drafter does not declare the capability '{capability}'")

    def registered(self) -> Component:
        """Return the registered drafter, or raise NotApplicable."""
        if self.component is None:
            raise NotApplicable("the drafter was handed over, not registered under a name")
        return self.component

    def verifier(self, name: str) -> Verifier:
        """Return one of the registered verifiers."""
        built: Verifier = self.registry.verifier(name).build()
        return built

    def for_all(
        self, *drawn: Any, most: int | None = None
    ) -> Callable[[Callable[..., None]], None]:
        """Run the decorated property, at once, on examples of the Hypothesis strategies."""
        return for_all(self, *drawn, most=most)

    def open(  # noqa: PLR0913 (each is what some check is about)
        self,
        oracle: Oracle,
        prompts: Sequence[Sequence[int]],
        stops: Stops | Sequence[Stops],
        *,
        sampling: Sampling | None = None,
        verifier: str = "greedy",
        target: Callable[[int], Target] | None = None,
        seeds: int | Sequence[int] = 0,
        drafter: Drafter | None = None,
        stop: StopPolicy | None = None,
    ) -> Session:
        """Return a decode that has not begun, of a new drafter unless one is given.

        ``target`` makes the target from the number of nodes that trees may have beyond a path.
        """
        drafter = drafter or self.make()
        policy = self.stop_policy if isinstance(self.stop_policy, str) else self.stop_policy()
        parts = assemble(self.registry, drafter, None, stop or policy, {})
        extra = drafter.capabilities.max_nodes or 0
        held = target(extra) if target else Target(oracle.engine(), extra_nodes=extra)
        with blaming(parts):
            parts.prepare(held)
        made = self.verifier(verifier)
        sampler = Sampler(sampling, wants_q=made.needs_q)
        return Session(held, parts, made, sampler, make_rows(prompts, stops, seeds))


@attrs.define(eq=False)
class Session:
    """Hold one decode: run it to its end, or call by call."""

    target: Target
    parts: Parts
    verifier: Verifier
    sampler: Sampler
    rows: Rows
    everyone: list[Row] = attrs.field(init=False)
    rounds: list[list[RowRound]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Remember the rows that will have left."""
        self.everyone = list(self.rows.active)
        self.rounds = [[] for _ in self.everyone]

    @property
    def drafter(self) -> Drafter:
        """Return the drafter, prepared."""
        return self.parts.drafter

    @property
    def stop(self) -> StopPolicy:
        """Return the stop policy."""
        return self.parts.stop_policy

    def run(self) -> Session:
        """Decode to the end; ``rounds`` are then what each row saw, the prefill first."""
        for round in rounds(
            self.target, self.drafter, self.verifier, self.stop, self.sampler, self.rows
        ):
            for place, index in enumerate(round.indices):
                self.rounds[index].append(round.row(place))
        return self

    def begin(self, roots: Sequence[int] | None = None) -> Session:
        """Prefill and start; ``roots`` replaces the tokens that the target chose."""
        captured = self.target.prefill(self.rows, self.sampler, self.drafter.needs)
        for row, root in zip(self.rows.active, roots or (), strict=False):
            list.__setitem__(row.tokens, -1, root)  # what no plug-in may; it is in no cache yet
        self.drafter.start(self.target, self.rows, captured)
        self.stop.start(self.rows)
        return self

    def propose(self) -> Draft | None:
        """Let finished rows leave and return the next draft, or None where no row is left."""
        if not leave(self.rows, self.target, self.drafter, self.stop, self.sampler):
            return None
        return self.drafter.propose(self.rows, self.stop, self.sampler)

    def accept(self, draft: Draft, paths: list[list[int]], next_tokens: list[int]) -> Scores:
        """Score a draft, commit the paths with a token after each, whatever the target says."""
        scores = self.target.score(self.rows, draft)
        verdict = Verdict(paths, next_tokens, scores.best[1])
        commit = self.target.commit(self.rows, draft, verdict)
        self.drafter.update(self.rows, draft, scores, commit)
        return scores


def for_all(
    counter: Any, *drawn: Any, most: int | None = None
) -> Callable[[Callable[..., None]], None]:
    """Run the decorated property, at once; ``counter`` has seed, max_examples, shrinks, examples.

    What it raises becomes one Broken with the smallest example found.
    """

    def run(holds: Callable[..., None]) -> None:
        names = holds.__code__.co_varnames[: holds.__code__.co_argcount]

        def counted(values: tuple[Any, ...]) -> None:
            counter.examples += 1
            try:
                holds(*values)
            except Broken:
                raise
            except Exception as error:
                example = ", ".join(
                    f"{name}={value!r}" for name, value in zip(names, values, strict=True)
                )
                raise Broken(f"with {example} it raised {cause(error)}") from error

        budget = min(counter.max_examples, most or counter.max_examples)
        seed(counter.seed)(
            fixed(budget, shrinks=counter.shrinks)(given(st.tuples(*drawn))(counted))
        )()

    return run


def fixed(max_examples: int, *, shrinks: bool) -> settings:
    """Return settings that do not depend on the profile, the clock or earlier runs."""
    return settings(
        max_examples=max_examples,
        deadline=None,
        database=None,
        print_blob=False,
        verbosity=Verbosity.quiet,
        phases=[Phase.generate, *([Phase.shrink] if shrinks else [])],
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
