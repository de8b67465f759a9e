"""Train a Kangaroo adapter (paper section 4.1): the target stays as it is and teaches."""

from __future__ import annotations

import sys
from typing import Any

import attrs
import torch
from torch.utils.data import default_collate
from transformers import TrainingArguments

from specframe import InputError, MemoryShortageError, fingerprint
from specframe.training import TokenStream, TrainRequest, Windows, read_documents, tokenize
from specframe_kangaroo._adapter import Adapter, AdapterConfig
from specframe_kangaroo._checkpoint import (
    Checkpoint,
    check_hidden_size,
    load_checkpoint,
    save_checkpoint,
)
from specframe_kangaroo._run_folder import RunFolder, facts_of
from specframe_kangaroo._teacher import (
    Teacher,
    check_fit,
    load_config,
    load_teacher,
    load_tokenizer,
)
from specframe_kangaroo._trainer import (
    DistillationTrainer,
    Samples,
    Student,
    compare,
    summarise,
)
from specframe_kangaroo._training_arguments import training_arguments, windows_per_step

EXIT_LAYER = 2


@attrs.frozen
class _Data:
    stream: TokenStream
    windows: Windows
    eval_windows: Windows | None


@attrs.frozen(eq=False)
class _Job:
    """Everything a run needs, loaded and checked."""

    request: TrainRequest
    arguments: TrainingArguments
    data: _Data
    teacher: Teacher
    start: Checkpoint


def train(request: TrainRequest) -> None:
    """Train an adapter as ``request`` says and leave it in ``request.output``.

    Progress is printed to standard error. Under torchrun or ``accelerate launch`` every process
    calls this, and the first writes. A dry run prints what would be trained and writes nothing.
    Raises ``InputError``, ``ModelError`` or ``AdapterError`` before anything is written, and
    ``NumericsError`` or ``MemoryShortageError`` during training.
    """
    try:
        job = _prepare(request)
        (_rehearse if request.dry_run else _run)(job)
    except torch.OutOfMemoryError as error:
        raise MemoryShortageError(
            f"Training ran out of memory with batch_size {request.batch_size} and "
            f"sequence_length {request.sequence_length}; lower either, or choose dtype bfloat16."
        ) from error


def _prepare(request: TrainRequest) -> _Job:
    if not (request.resume or request.dry_run):
        RunFolder(request.output).check_free()
    config = load_config(request.model)
    given = None if request.adapter is None else load_checkpoint(request.adapter)
    if given is not None:
        check_hidden_size(given, config.hidden_size)
    exit_layer = request.exit_layer or (given and given.exit_layer) or EXIT_LAYER
    check_fit(request, config, exit_layer)
    data = _read_data(request, config)
    arguments = training_arguments(request, len(data.windows), config.hidden_size)
    teacher = load_teacher(request, arguments.device, exit_layer)
    start = given or Checkpoint(_fresh_adapter(config, request.seed))
    if teacher.model.dtype == torch.float64:
        start.adapter.double()
    return _Job(request, arguments, data, teacher, start)


def _read_data(request: TrainRequest, config: Any) -> _Data:
    """Read both data sets before either is tokenised: a bad line is named at once."""
    paths = [path for path in (request.data, request.eval_data) if path is not None]
    documents = [read_documents(path) for path in paths]
    tokenizer = load_tokenizer(request.model)
    streams = [tokenize(some, tokenizer) for some in documents]
    windows = [Windows(stream, request.sequence_length) for stream in streams]
    for path, stream, served in zip(paths, streams, windows, strict=True):
        if not served:
            raise InputError(f"{path} holds no token to predict; give more text.")
        if max(stream.ids) >= config.vocab_size:
            raise InputError(
                f"The tokenizer of {request.model} gives token {max(stream.ids)} and the model "
                f"knows {config.vocab_size}; put the model's own tokenizer beside it."
            )
    return _Data(streams[0], windows[0], windows[1] if len(windows) > 1 else None)


def _fresh_adapter(config: Any, seed: int) -> Adapter:
    heads = _num_heads(config)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Adapter(AdapterConfig(config.hidden_size, heads, heads))


def _num_heads(config: Any) -> int:
    """Return the target's number of heads, or the next lower one that its width divides into."""
    counts = range(config.num_attention_heads, 0, -1)
    return next(count for count in counts if config.hidden_size % (2 * count) == 0)


def _run(job: _Job) -> None:
    folder = RunFolder(job.request.output)
    facts = facts_of(
        job.request,
        learning_rate=job.arguments.learning_rate,
        exit_layer=job.teacher.exit_layer,
        base=fingerprint(job.teacher.model),
        data=job.data.stream.digest,
        processes=job.arguments.world_size,
    )
    last = folder.last_checkpoint() if job.request.resume else None
    if last is not None:
        folder.check_same(facts)
    trainer = DistillationTrainer(
        job.teacher, job.start.adapter, job.arguments, job.data.windows, job.data.eval_windows
    )
    trainer.accelerator.wait_for_everyone()
    if trainer.is_world_process_zero():
        folder.record(facts)
        _note(f"training {_outline(job)}" + (f", continuing from {last.name}" if last else ""))
    trainer.train(resume_from_checkpoint=None if last is None else str(last))
    _finish(job, trainer, facts)


def _finish(job: _Job, trainer: DistillationTrainer, facts: dict[str, Any]) -> None:
    measured = trainer.final_means()
    if trainer.is_world_process_zero():
        checkpoint = attrs.evolve(
            job.start,
            exit_layer=job.teacher.exit_layer,
            fingerprint=facts["base"],
            metadata={**facts, "num_steps": trainer.state.global_step, **measured},
        )
        save_checkpoint(job.request.output, checkpoint)
        _note(f"the adapter is in {job.request.output}")
    if job.arguments.world_size > 1:
        trainer.part()


def _rehearse(job: _Job) -> None:
    """Run one batch forwards and backwards, and print what training would do."""
    device, count = job.arguments.device, job.request.batch_size
    samples = Samples(job.data.windows)
    batch = default_collate([samples[index] for index in range(min(count, len(samples)))])
    student = Student(job.start.adapter).to(device)
    outcome = compare(job.teacher, student, {key: value.to(device) for key, value in batch.items()})
    outcome.loss.backward()  # type: ignore[no-untyped-call]  # torch's own
    if job.arguments.process_index == 0:
        print(_forecast(job, summarise(outcome.totals)))  # noqa: T201 (what a dry run is for)
    if job.arguments.world_size > 1:
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def _forecast(job: _Job, means: dict[str, float]) -> str:
    stream, windows, model = job.data.stream, job.data.windows, job.teacher.model
    counts = f"{len(stream.ids)} tokens, {windows.num_learned} of them to be predicted"
    measured = f"agreement {means['agreement']:.1%}, overlap {means['overlap']:.1%}"
    return "\n".join(
        (
            f"would train {_outline(job)}",
            f"target: {job.request.model}, {model.dtype} on {model.device}, frozen",
            f"data: {counts}, {len(windows)} windows of {job.request.sequence_length}",
            f"first batch: loss {means['loss']:.3f}, {measured}",
            "nothing was written",
        )
    )


def _outline(job: _Job) -> str:
    arguments = job.arguments
    num_parameters = sum(weight.numel() for weight in job.start.adapter.parameters())
    origin = "fresh" if job.request.adapter is None else f"from {job.request.adapter}"
    return (
        f"{num_parameters} parameters ({origin}) at exit layer {job.teacher.exit_layer}, "
        f"{arguments.max_steps} steps of {windows_per_step(job.request)} windows"
    )


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 (progress)
