"""Results to report on, as JSON: rounds are drawn by a law, everything else is computed from them.

``read`` makes of them what a report is drawn from.
"""

import random
import statistics
from collections import Counter

from specframe import InputError
from specframe.bench._results_file import results_of as structured

PLAIN_SECONDS = 0.007  # of a token


def read(results):
    """Return the records that a report takes; raises InputError for what is none."""
    return structured(results, "results")


def is_readable(results):
    """Say whether there are such records."""
    try:
        read(results)
    except InputError:
        return False
    return True


def nothing():
    """Return results in which nothing was run and nothing is known."""
    results = header() | {"strategies": [], "prompts": [], "runs": [], "summary": []}
    results |= {"command": [], "created": "", "finished": ""}
    for part in ("environment", "settings"):
        for key, value in results[part].items():
            if isinstance(value, str | None):
                results[part][key] = ""
    results["environment"]["versions"] = {}
    return results


def results_of(strategies, tasks=("code", "prose"), prompts=3, seed=1):
    """Return results of strategies: name, acceptance, drafts a round (None: transformers')."""
    draw = random.Random(seed)
    asked = [
        {"id": f"{task}/{place}.py", "task": task, "num_turns": 1}
        for task in tasks
        for place in range(prompts)
    ]
    runs = [
        run_of(draw, name, prompt["id"], acceptance, drafts)
        for name, acceptance, drafts in strategies
        for prompt in asked
    ]
    return header() | {
        "strategies": [describe(name, drafts) for name, _, drafts in strategies],
        "prompts": asked,
        "runs": runs,
        "summary": [
            summarise(name, task, asked, runs)
            for name, _, _ in strategies
            for task in (*tasks, "all")
        ],
    }


def header():
    return {
        "schema": 2,
        "command": ["specframe", "bench", "--strategies", "none,kangaroo", "--prompts", "my file"],
        "created": "2026-11-21T10:00:00+00:00",
        "finished": "2026-11-21T10:09:00+00:00",
        "environment": {
            "platform": "Linux-6.1-x86_64",
            "machine": "x86_64",
            "processor": "A processor at 2.1 GHz",
            "cores": 2,
            "threads": 2,
            "device": "cpu",
            "python": "3.11.9",
            "versions": {"specframe": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0"},
            "git_revision": "0123456789abcdef0123456789abcdef01234567",
        },
        "settings": {
            "model": "demo",
            "dtype": "float32",
            "device": "cpu",
            "seed": 0,
            "repeats": 1,
            "warmups": 1,
            "max_new_tokens": 128,
            "temperature": 0.0,
            "batch_size": 1,
            "prompts": {"source": "bundled", "sha256": "ab" * 32, "count": 6},
        },
    }


def describe(name, drafts):
    head, *options = name.split(":")
    return {
        "name": name,
        "kind": "transformers" if drafts is None else "specframe",
        "strategy": head,
        "options": dict(option.partition("=")[::2] for option in options),
        "verifier": "greedy",
        "stop_policy": "fixed",
        "guarantee": None if drafts is None else "tokens",
        "state": "nothing outlives a sequence",
        "error": None,
    }


def run_of(draw, name, prompt, acceptance, drafts, new=128):
    rounds = [] if drafts is None else rounds_of(draw, acceptance, drafts, new)
    parts = [sum(each[part] for each in rounds) for part in (3, 4, 5)]
    slower = draw.uniform(0.95, 1.3)
    total = sum(parts) + 0.02 if rounds else new * PLAIN_SECONDS * slower * 1.4
    split = dict(zip(("draft", "verify", "other"), parts, strict=True)) | {"prefill": 0.02}
    turn = {
        "num_prompt_tokens": 90,
        "token_ids": list(range(new)),
        "text": "",
        "finish_reason": "length",
        "seconds": {"total": total}
        | (split if rounds else dict.fromkeys(split) | {"prefill": 0.02}),
        "rounds": rounds or None,
        "by_position": by_position(rounds) if rounds else None,
    }
    return {
        "strategy": name,
        "prompt": prompt,
        "repeat": 0,
        "order": 0,
        "error": None,
        "peak_memory": draw.randrange(300, 400) * 2**20,
        "turns": [turn],
    }


def rounds_of(draw, acceptance, drafts, new):
    """Return rounds whose drafts are accepted at the prompt's own rate."""
    mine = min(max(acceptance + draw.uniform(-0.12, 0.12), 0), 1)
    slower = draw.uniform(0.95, 1.1)
    rounds, committed = [], 1
    while committed < new:
        accepted = 0
        while accepted < drafts and draw.random() < mine:
            accepted += 1
        seconds = [0.0009 * drafts, PLAIN_SECONDS * (0.93 + 0.02 * drafts), 0.0005]
        tokens = min(accepted + 1, new - committed)
        rounds.append([drafts, min(accepted, tokens), tokens, *(each * slower for each in seconds)])
        committed += tokens
    return rounds


def by_position(rounds):
    deepest = max(drafted for drafted, *_ in rounds)
    counts = [
        (
            sum(
                accepted >= position - 1 and drafted >= position for drafted, accepted, *_ in rounds
            ),
            sum(accepted >= position for _, accepted, *_ in rounds),
        )
        for position in range(1, deepest + 1)
    ]
    return [
        {"position": place + 1, "reached": reached, "accepted": accepted}
        for place, (reached, accepted) in enumerate(counts)
        if reached
    ]


def summarise(name, task, prompts, runs):
    """Return the summary of a strategy's runs, as docs/benchmark-format.md has it."""
    wanted = [prompt["id"] for prompt in prompts if task in ("all", prompt["task"])]
    turns = {prompt: turn_of(runs, name, prompt) for prompt in wanted}
    rounds = [each for turn in turns.values() for each in turn["rounds"] or []]
    total = sum(turn["seconds"]["total"] for turn in turns.values())
    accepted = [each[1] for each in rounds]
    ratios = {
        prompt: turn_of(runs, "none", prompt)["seconds"]["total"] / turn["seconds"]["total"]
        for prompt, turn in turns.items()
        if turn_of(runs, "none", prompt)
    }
    drafted = sum(each[0] for each in rounds)
    middle = statistics.median(ratios.values()) if ratios else None
    return {
        "strategy": name,
        "task": task,
        "num_prompts": len(wanted),
        "num_failed": 0,
        "tokens_per_second": 127 * len(wanted) / (total - 0.02 * len(wanted)),
        "tokens_per_second_with_prefill": 128 * len(wanted) / total,
        "speedup": middle,
        "speedup_low": min(ratios.values(), default=None),
        "speedup_high": max(ratios.values(), default=None),
        "speedup_over_transformers": middle,
        "speedup_over_transformers_low": middle,
        "speedup_over_transformers_high": middle,
        "speedup_by_prompt": ratios,
        "mean_acceptance_length": sum(each[2] for each in rounds) / len(rounds) if rounds else None,
        "draft_acceptance_rate": sum(accepted) / drafted if drafted else None,
        "acceptance_histogram": histogram(accepted),
        "acceptance_by_position": by_position(rounds) if rounds else [],
        "seconds": {
            part: sum(turn["seconds"][part] for turn in turns.values())
            if rounds or part == "prefill"
            else None
            for part in ("prefill", "draft", "verify", "other")
        },
        "peak_memory": 350 * 2**20,
        "identical": len(wanted),
        "near_ties": 0,
        "different": 0,
        "not_judged": 0,
        "differences": [],
        "repeated_8_grams": 0.31,
        "break_even_acceptance_length": 1.4 if drafted else None,
        "verdict": "needs >= 1.40 tokens a round at these costs; got 2.21" if drafted else None,
    }


def histogram(accepted):
    counts = Counter(accepted)
    return [counts[k] for k in range(max(accepted, default=-1) + 1)]


def turn_of(runs, name, prompt):
    found = (run for run in runs if (run["strategy"], run["prompt"]) == (name, prompt))
    return next((run["turns"][0] for run in found), None)


def usual(seed=1):
    """Return results as people will have them: plain, chains, a tree's name, transformers'."""
    return results_of(
        [
            ("none", 0, 0),
            ("kangaroo", 0.8, 5),
            ("kangaroo:tree=true:steps=8", 0.86, 6),
            ("prompt-lookup", 0.45, 10),
            ("hf", 0, None),
            ("hf-prompt-lookup", 0, None),
        ],
        seed=seed,
    )


def broken(seed=1):
    """Return the usual results with a strategy that could not be loaded and a run that failed."""
    results = usual(seed)
    lost = describe("medusa", 4) | {"error": "No strategy is called medusa; nearest: media."}
    results["strategies"].append(lost)
    results["runs"].append(
        run_of(random.Random(seed), "kangaroo", "code/9.py", 0.8, 5)
        | {"error": "out of memory at token 12", "turns": []}
    )
    results["summary"][5].update(num_failed=1, different=1, identical=5)
    return results
