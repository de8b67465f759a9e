"""What parts declare about themselves, checked at load, not in the middle of a decode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

from specframe._contracts.drafter import Drafter
from specframe._contracts.stop_policy import StopPolicy
from specframe._contracts.verifier import Guarantee, Verifier
from specframe._errors import PluginError
from specframe._round.capabilities import Capabilities, Needs

if TYPE_CHECKING:
    from specframe._plugins.component import Component

SHOWN = (
    "confidence",
    "entropy",
    "hidden",
    "logits",
    "probs",
    "scores",
)  # the attributes of Step that a drafter may show


def check_drafter(drafter: Drafter, num_layers: int) -> None:
    """Raise PluginError for capabilities or needs that no target meets; after ``prepare``."""
    capabilities, needs, most = drafter.capabilities, drafter.needs, drafter.most_levels
    for attribute, value, wanted in (
        ("capabilities", capabilities, Capabilities),
        ("needs", needs, Needs),
        ("most_levels", most, int),
    ):
        if not isinstance(value, wanted):
            raise PluginError(
                f"{attribute} must be {wanted.__name__}, got {value!r}", part=drafter, method=""
            )
    problem = (
        _unknown(capabilities.shows, "capabilities.shows")
        or _of_tree(capabilities)
        or _of_taps(needs, num_layers)
        or (f"most_levels must be 0 or more, got {most}" if most < 0 else "")
    )
    if problem:
        raise PluginError(problem, part=drafter, method="")


def settings_of(
    drafter: Drafter, method: Literal["settings", "stop_settings"]
) -> Mapping[str, object]:
    """Return what that method returns; raises PluginError unless it maps names to values."""
    answer: Any = getattr(drafter, method)()
    if not isinstance(answer, Mapping) or not all(isinstance(name, str) for name in answer):
        raise PluginError(
            f"{method} must return a mapping of option names to values, got {answer!r}",
            part=drafter,
            method=method,
        )
    return answer


def check_policy(policy: StopPolicy, name: str) -> None:
    """Raise PluginError unless it is a stop policy that reads what drafters can show."""
    if not isinstance(policy, StopPolicy):
        raise PluginError(
            f"stop policy '{name}' must derive from specframe.StopPolicy, got {policy!r}",
            part=policy,
            method="",
        )
    if problem := _unknown(policy.reads, "reads"):
        raise PluginError(problem, part=policy, method="")


def check_verifier(verifier: Verifier, component: Component | None) -> None:
    """Raise PluginError unless it is a verifier with a known guarantee."""
    name = f"'{component.name}'" if component else type(verifier).__name__
    guarantee = getattr(verifier, "guarantee", None)
    problem = ""
    if not isinstance(verifier, Verifier):
        problem = (
            f"{type(verifier).__name__} as verifier {name}, "
            "which does not derive from specframe.Verifier"
        )
    elif guarantee not in get_args(Guarantee):
        known = " or ".join(map(repr, get_args(Guarantee)))
        problem = f"verifier {name}, whose guarantee must be {known}, got {guarantee!r}"
    if problem and component:
        raise component.fault(f"registers {problem}")
    if problem:
        raise PluginError(problem)


def _unknown(names: frozenset[str], attribute: str) -> str:
    unknown = sorted(set(names) - set(SHOWN))
    if not unknown:
        return ""
    return f"{attribute} has {', '.join(map(repr, unknown))}: there is {', '.join(SHOWN)}"


def _of_tree(capabilities: Capabilities) -> str:
    if capabilities.max_nodes is not None and capabilities.max_nodes < 1:
        return f"capabilities.max_nodes must be 1 or more, got {capabilities.max_nodes}"
    if capabilities.tree and capabilities.max_nodes is None:
        return "capabilities.tree is set and max_nodes is not: say how many nodes a draft may have"
    return ""


def _of_taps(needs: Needs, num_layers: int) -> str:
    wrong = sorted(tap for tap in needs.taps if not 0 <= tap <= num_layers)
    if not wrong:
        return ""
    return f"needs.taps asks for layer {wrong[0]}: there are 0 (the embeddings) to {num_layers}"
