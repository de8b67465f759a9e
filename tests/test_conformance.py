"""specframe's own strategies, and drafters of every kind, tested by the kit."""

import pytest

from specframe.testing import StrategyConformance, parametrize_with_checks
from specframe.testing._correct_drafters import EarlyExit, Echo, Fork, Learner


@pytest.mark.models
class TestKangaroo(StrategyConformance):
    strategy = "kangaroo"
    level = "full"


@pytest.mark.models
class TestKangaroosTree(StrategyConformance):
    strategy = "kangaroo"
    options = {"tree": True, "tree_top_k": 3, "max_nodes": 16}  # noqa: RUF012 (the kit's attribute)
    level = "full"


@pytest.mark.models
class TestEarlyExit(StrategyConformance):
    strategy = "early-exit"
    options = {"exit_layer": 1}  # noqa: RUF012 (the kit's attribute)
    level = "full"


@pytest.mark.models
class TestDraftModel(StrategyConformance):
    strategy = "draft-model"
    options = {"model": "made for the test"}  # noqa: RUF012 (the kit's attribute)
    level = "full"


@pytest.mark.models
class TestDraftModelWithAThreshold(StrategyConformance):
    strategy = "draft-model"
    options = {"model": "made for the test", "threshold": 0.3}  # noqa: RUF012 (the kit's attribute)


@pytest.mark.models
class TestPromptLookup(StrategyConformance):
    strategy = "prompt-lookup"
    level = "full"


@pytest.mark.cli  # its check of listings starts a process
class TestPlain(StrategyConformance):
    strategy = "none"


@pytest.mark.models
class TestTree(StrategyConformance):
    level = "full"

    @classmethod
    def make_drafter(cls):
        return Fork()


@pytest.mark.slow
@parametrize_with_checks([Echo, Learner, EarlyExit])
def test_drafters_of_every_kind_conform(strategy, check):
    check(strategy)
