"""Several processes: their reports become one on rank 0, and their parameters can be compared.

Reports travel through the store of the process group and by no collective call: a rank that is
late or gone keeps nobody waiting beyond the time-out, and the groups of a training are left alone.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gradwidgets.checkup import anatomy, formats
from gradwidgets.checkup.record import Event
from gradwidgets.checkup.report import Finding, Report, counted

_POLL = 0.05
"""Seconds between two looks for the reports of other ranks."""


def merge_reports(texts: Mapping[int, str]) -> Report:
    """One report of several: each finding once, with the ranks that saw it if not all did.

    What a finding's numbers and the events say is of the lowest rank that has them.

    Args:
        texts: For each rank what its `report.to_json()` returned.

    Raises:
        ValueError: If there is no text, or one is no report.

    >>> finding = Finding("no-step", "error", (), "no step", "call optimizer.step()")
    >>> reports = Report(steps=2, complete=True), Report([finding], complete=True)
    >>> merge_reports({rank: report.to_json() for rank, report in enumerate(reports)}).show()
    checkup: no-step (0 steps watched, not everything was checked)
    error no-step: on rank 1 of 2: no step
      do: call optimizer.step()
    not checked: the ranks took different numbers of steps: rank 0 2, rank 1 0
    """
    if not texts:
        raise ValueError("texts: no report to merge; give the to_json() of each rank")
    documents = {rank: _document(rank, texts[rank]) for rank in sorted(texts)}
    steps = {rank: document["steps"] for rank, document in documents.items()}
    unseen = _shared({rank: document["not_checked"] for rank, document in documents.items()})
    if len(set(steps.values())) > 1:
        taken = ", ".join(f"rank {rank} {number}" for rank, number in steps.items())
        unseen.append(f"the ranks took different numbers of steps: {taken}")
    first = next(iter(documents.values()))
    return Report(
        findings=_merged({rank: _findings(document) for rank, document in documents.items()}),
        events=[Event(**event) for event in first["events"]],
        steps=min(steps.values()),
        unseen=unseen,
        ignored=list(dict.fromkeys(code for one in documents.values() for code in one["ignored"])),
        complete=all(document["complete"] for document in documents.values()),
    )


def _document(rank: int, text: str) -> dict[str, Any]:
    document = json.loads(text)
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != formats.SCHEMA_NAME:
        raise ValueError(
            f"texts[{rank}] is no report: its schema is {schema!r}, not {formats.SCHEMA_NAME!r}"
        )
    return document  # type: ignore[no-any-return]


def _findings(document: dict[str, Any]) -> list[Finding]:
    return [
        Finding(**{**one, "parameters": tuple(one["parameters"])}) for one in document["findings"]
    ]


def _shared(texts: Mapping[int, Sequence[str]]) -> list[str]:
    """Each text once; those that not all ranks have with the ranks."""
    ranks: dict[str, list[int]] = {}
    for rank, own in texts.items():
        for text in own:
            ranks.setdefault(text, []).append(rank)
    return [_of(text, having, len(texts)) for text, having in ranks.items()]


def _of(text: str, ranks: Sequence[int], number: int) -> str:
    if len(ranks) == number:
        return text
    some = "rank" if len(ranks) == 1 else "ranks"
    return f"on {some} {', '.join(map(str, ranks))} of {number}: {text}"


def _merged(findings: Mapping[int, Sequence[Finding]]) -> list[Finding]:
    """By severity of the roots, each before its consequences."""
    groups: dict[tuple[object, ...], dict[tuple[object, ...], list[int]]] = {}
    seen: dict[tuple[object, ...], Finding] = {}
    for rank, own in findings.items():
        group: dict[tuple[object, ...], list[int]] = {}
        for finding in own:
            key = (finding.code, finding.severity, finding.parameters)
            if not finding.message.startswith("follows from "):
                group = groups.setdefault(key, {})
            seen.setdefault(key, finding)
            group.setdefault(key, []).append(rank)
    order = ("error", "warning", "info")
    roots = sorted(groups, key=lambda key: order.index(seen[key].severity))
    return [
        replace(seen[key], message=_of(seen[key].message, ranks, len(findings)))
        for root in roots
        for key, ranks in groups[root].items()
    ]


def gather_reports(report: Report, model: nn.Module | None = None, timeout: float = 60.0) -> Report:
    """The merged report of all ranks, on rank 0; on the others their own.

    Call it on every rank, after the watch has ended. It raises nothing that comes from other
    processes: what is missing is named in the report. Without a process group it returns `report`.

    Args:
        report: The report of this rank.
        model: A model of which each rank holds a copy, as with `DistributedDataParallel`: its
            parameters are compared bit for bit, and `ranks-differ` names those that are not the
            same. None compares nothing. Parameters that are spread over processes are left out.
        timeout: Seconds that rank 0 waits for the other reports. The other ranks never wait.

    Raises:
        ValueError: If `timeout` is negative.

    >>> report = Report(steps=3, complete=True)
    >>> gather_reports(report) is report
    True
    """
    if not timeout >= 0:
        raise ValueError(f"timeout must be at least 0 seconds, not {timeout}")
    try:
        if not dist.is_available() or not dist.is_initialized():
            return report
        return _gathered(report, model, timeout)
    except Exception as error:
        failed = f"reports of other ranks: {type(error).__name__}: {error}"
        return replace(report, failures=[*report.failures, failed])


def _gathered(report: Report, model: nn.Module | None, timeout: float) -> Report:
    store = dist.distributed_c10d._get_default_store()
    rank, number = dist.get_rank(), dist.get_world_size()
    call = store.add(f"gradwidgets/checkup/{rank}/calls", 1)
    checksums, left_out = ({}, []) if model is None else _checksums(model)
    own = replace(report, unseen=[*report.unseen, *left_out])
    message = json.dumps({"report": own.to_json(), "checksums": checksums})
    if rank:
        store.set(f"gradwidgets/checkup/{rank}/{call}", message)
        return own
    keys = {other: f"gradwidgets/checkup/{other}/{call}" for other in range(1, number)}
    messages = {0: json.loads(message)}
    end = time.monotonic() + timeout
    while True:
        arrived = [other for other in keys if store.check([keys[other]])]
        messages |= {other: json.loads(store.get(keys.pop(other))) for other in arrived}
        if not keys or time.monotonic() >= end:
            break
        time.sleep(_POLL)
    merged = merge_reports({other: one["report"] for other, one in messages.items()})
    compared = {other: one["checksums"] for other, one in messages.items() if one["checksums"]}
    differing = ranks_differ(compared)
    missing = [f"rank {other}: no report within {timeout:g} s" for other in keys]
    return replace(
        merged, findings=[*differing, *merged.findings], unseen=[*merged.unseen, *missing]
    )


def _checksums(model: nn.Module) -> tuple[dict[str, str], list[str]]:
    """A checksum of the bits of each parameter, by name; and what is left out, and why."""
    if anatomy.is_spread([model]):
        return {}, ["parameters of other ranks: each rank holds a part of them, and no copy"]
    try:
        named = anatomy.named_parameters([model])
        return {name: _checksum(parameter) for name, parameter in named}, []
    except Exception as error:
        return {}, [f"parameters of other ranks: {type(error).__name__}: {error}"]


@torch.no_grad()
def _checksum(tensor: Tensor) -> str:
    bits = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return hashlib.blake2b(bits.numpy().tobytes(), digest_size=16).hexdigest()


def ranks_differ(checksums: Mapping[int, Mapping[str, str]]) -> Iterator[Finding]:
    """Parameters that should be copies of each other are not the same on all ranks."""
    names = dict.fromkeys(name for own in checksums.values() for name in own)
    differing = [name for name in names if len({own.get(name) for own in checksums.values()}) > 1]
    if differing:
        yield Finding(
            "ranks-differ",
            "error",
            tuple(differing),
            f"{len(differing)} of {counted(len(names), 'parameter')} are not the same on all of "
            f"{counted(len(checksums), 'rank')}",
            "call the DistributedDataParallel wrapper in the forward, not the module inside it; "
            "change parameters on all ranks alike, and load the same checkpoint on each",
        )
