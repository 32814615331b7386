"""Parameter groups and the phases in which they are frozen, as lines of a program."""

from __future__ import annotations

from collections.abc import Mapping

from gradwidgets.core import Change, Group, Recipe, at_first, changes_of, groups_of
from gradwidgets.script.source import Line, Sources, indented, lines_of


def parts(recipe: Recipe, sources: Sources) -> list[Group]:
    """The groups of a recipe, for the model of the program.

    >>> from gradwidgets.core import problems
    >>> [part.names for part in parts(Recipe(groups={"b*": {"lr": 1.0}}), Sources(problems.line))]
    [('bias',)]
    """
    return groups_of(recipe.groups, recipe.lr, sources.written.names, recipe.updates)


def part_lines(recipe: Recipe, sources: Sources) -> list[Line]:
    """The lines before the optimizer: which parameters belong to which group."""
    groups = parts(recipe, sources)
    if not groups:
        return []
    text = "parts = {  # the parameters of each group\n"
    for group in groups:
        text += f"    {group.pattern!r}: [\n"
        text += "".join(f"        model.get_parameter({name!r}),\n" for name in group.names)
        text += "    ],\n"
    text += "}\n"
    if _has_rest(groups, sources):
        text += "grouped = {p for part in parts.values() for p in part}\n"
        text += "rest = [p for p in model.parameters() if p not in grouped]\n"
    for group in groups:
        if group.by == "requires_grad" and group.frozen(0):
            text += f"for p in parts[{group.pattern!r}]:  # frozen\n    p.requires_grad_(False)\n"
    return lines_of(text.removesuffix("\n"), "groups")


def given_parameters(recipe: Recipe, sources: Sources) -> list[Line]:
    """The optimizer's first argument: a list of groups."""
    groups = parts(recipe, sources)
    entries = ["{'params': rest}"] * _has_rest(groups, sources)
    entries += [_entry(group, group.built_with()) for group in at_first(groups)]
    return lines_of("".join(["[\n", *(f"    {entry},\n" for entry in entries), "]"]), "groups")


def phase_lines(recipe: Recipe, sources: Sources) -> list[Line]:
    """The first lines of an update: what is frozen or unfrozen at its start."""
    groups = parts(recipe, sources)
    found = []
    for change in changes_of(groups, rest=_has_rest(groups, sources)):
        says = "freeze" if change.frozen else "unfreeze"
        body = indented(lines_of(_change(change), "groups"))
        head = f"if update == {change.update}:  # {says} {change.group.pattern!r}"
        found += [Line(head, ("groups",)), *body]
    return found


def zero_lines(recipe: Recipe, sources: Sources) -> list[Line]:
    """The last lines before the step: gradients that are zeroed."""
    found = []
    for group in parts(recipe, sources):
        if group.by != "gradient":
            continue
        head = f"for p in parts[{group.pattern!r}]:  # frozen: the step reads zeros"
        lines = lines_of(f"{head}\n    if p.grad is not None:\n        p.grad.zero_()", "groups")
        if condition := _while_frozen(group):
            lines = [Line(f"if {condition}:", ("groups",)), *indented(lines)]
        found += lines
    return found


def _has_rest(groups: list[Group], sources: Sources) -> bool:
    return sum(len(group.names) for group in groups) < len(sources.written.names)


def _entry(group: Group, settings: Mapping[str, float]) -> str:
    told = "".join(f", {name!r}: {value!r}" for name, value in settings.items())
    return f"{{'params': parts[{group.pattern!r}]{told}}}"


def _change(change: Change) -> str:
    group, at = change.group, change.index
    if group.by == "requires_grad":
        return f"for p in parts[{group.pattern!r}]:\n    p.requires_grad_({not change.frozen})"
    if at is None:
        return f"optimizer.add_param_group({_entry(group, group.settings)})"
    if group.by == "left out":
        return f"del optimizer.param_groups[{at}]"
    return f"optimizer.param_groups[{at}]['lr'] = {0.0 if change.frozen else group.lr!r}"


def _while_frozen(group: Group) -> str:
    """The condition under which a group is frozen; "" where it always is."""
    if group.start is None:
        return f"update < {group.until}"
    if not group.until:
        return f"update >= {group.start}" if group.start else ""
    return f"not {group.until} <= update < {group.start}"
