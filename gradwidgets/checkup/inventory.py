"""The modules, parameters and optimizers of a loop; more may appear as it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from gradwidgets.checkup import anatomy, loss_reading, surroundings
from gradwidgets.checkup.gradient_log import GradientLog
from gradwidgets.checkup.record import ModuleSeen, OptimizerSeen, Outsider, Parameter, Record
from gradwidgets.checkup.surroundings import held_by
from gradwidgets.checkup.tensors import Sample, elements, has_equal_rows, norms
from gradwidgets.checkup.thresholds import FEW


class Inventory:
    """Adds each object to the record once, at the start or when it first appears."""

    def __init__(
        self,
        modules: Sequence[nn.Module],
        optimizers: Sequence[Optimizer] | None,
        record: Record,
        gradient_log: GradientLog,
    ) -> None:
        self.modules = modules
        self._finds = optimizers is None
        self._given = optimizers or ()
        self._record, self._gradient_log = record, gradient_log
        self._optimizers: dict[int, OptimizerSeen] = {}
        self._names: dict[str, int] = {}

    def begin(self) -> None:
        """Enter all that is there when the watch begins."""
        self.look_at_model()
        self._names = {name: id(p) for name, p in anatomy.named_parameters(self.modules)}
        for optimizer in self._given:
            self._enter_optimizer(optimizer, given=True)
        self._record.untied = anatomy.untied(self.modules)
        self._record.ignored_flags = anatomy.ignored_flags(self.modules)
        self._record.misspelled_flags = anatomy.misspelled_flags(self.modules)
        parameters = list(self._record.parameters.values())
        for parameter, size in zip(parameters, _sizes(parameters), strict=True):
            parameter.first_size = size
            parameter.begun = Sample(parameter.tensor, most=FEW)
            alike = parameter.is_matrix and parameter.tensor.requires_grad
            parameter.alike = alike and has_equal_rows(parameter.tensor)
        if anatomy.is_spread(self.modules):
            self._record.spread = True
            self._record.unseen.append(
                "the parameters are spread over processes: of each only the part of this process "
                "is looked at, and not which of them the loss depends on"
            )
        else:
            self._record.hidden = anatomy.hidden_tensors(self.modules)

    def look_at_model(self) -> None:
        """Add new modules and parameters to the record."""
        for name, module in anatomy.named_modules(self.modules):
            if id(module) not in self._record.modules:
                self._record.modules[id(module)] = ModuleSeen(
                    name,
                    module,
                    owns_parameters=bool(anatomy.own_parameters(module)),
                    is_layer=anatomy.is_layer(module),
                    is_outermost=any(module is given for given in self.modules),
                )
        for name, tensor in anatomy.named_parameters(self.modules):
            if id(tensor) not in self._record.parameters:
                self._enter(Parameter(name, tensor, in_model=True, was_in_model=True))
        for optimizer in self._optimizers.values():
            self._enter_tensors(optimizer)
        self._note_who_trains()

    def _note_who_trains(self) -> None:
        """For each module, list the optimizers of its own parameters: each backward asks."""
        known = self._record.parameters
        for module in self._record.modules.values():
            own = [known[id(tensor)] for tensor in module.own_parameters() if id(tensor) in known]
            module.trained_by = tuple({one.index for p in own for one in p.optimizers})

    def model_has_grown(self) -> bool:
        """True if a parameter or a module was made or replaced since the last look."""
        if self._record.spread:
            return False
        parameters, modules = self._record.parameters, self._record.modules
        for known in modules.values():
            held = vars(known.module)
            for tensor in held["_parameters"].values():
                if tensor is not None and id(tensor) not in parameters:
                    return True
            for child in held["_modules"].values():
                if child is not None and id(child) not in modules:
                    return True
        return False

    def look_for_hidden(self) -> None:
        """Note leaves that a forward has hidden in attributes since the watch began.

        An input that the model keeps is none of its parameters.
        """
        record = self._record
        if record.spread:
            return
        for _, leaf in anatomy.hidden_leaves(self.modules):
            if id(leaf) not in record.hidden and id(leaf) not in record.inputs:
                loss_reading.note_outsider(record, leaf)

    def _enter(self, parameter: Parameter) -> None:
        self._record.parameters[id(parameter.tensor)] = parameter
        self._gradient_log.open(parameter)

    def optimizer(self, optimizer: Optimizer) -> OptimizerSeen | None:
        """The entry of an optimizer; None if it holds no watched tensor."""
        known = self._optimizers.get(id(optimizer))
        keys = [id(tensor) for tensor in held_by(optimizer)]
        if known is not None and known.held == keys:
            return known
        if known is None and not any(key in self._record.parameters for key in keys):
            self._record.trained_elsewhere.update(keys)
            return None
        return self._enter_optimizer(optimizer, given=known.given if known else self._finds)

    def _search(self) -> None:
        """Find the optimizers of parameters that none has so far, if they were not given.

        One that did not step while others did is not expected to.
        """
        stepped = any(optimizer.steps for optimizer in self._record.optimizers)
        for optimizer in surroundings.optimizers_of(self._record.parameters):
            if id(optimizer) not in self._optimizers:
                self._enter_optimizer(optimizer, given=not stepped)
        unheld = [key for key, p in self._record.parameters.items() if not p.optimizers]
        others = surroundings.steppers_of(unheld) if unheld else []
        names = sorted({type(other).__name__ for other in others})
        self._record.all_optimizers_seen &= not others
        self._record.unseen += [not_torch(name) for name in names]

    def _look_at_outsiders(self) -> None:
        """Tell which parameters outside of the model got gradients, and which nobody trains."""
        record = self._record
        waiting = {key: outsider for key, outsider in record.outsiders.items() if _waits(outsider)}
        if not waiting:
            return
        for optimizer in surroundings.optimizers_of(waiting):
            record.trained_elsewhere.update(id(tensor) for tensor in held_by(optimizer))
        untrained = waiting.keys() - record.trained_elsewhere
        if untrained and surroundings.steppers_of(untrained):
            untrained = set()
        self._look_at_hidden(untrained)
        modules = surroundings.modules()
        for key, outsider in waiting.items():
            if key in record.hidden:
                continue
            place = surroundings.owner_of(outsider.tensor(), modules, record.modules)
            if place is not None:
                outsider.name, module = place
                outsider.in_network = surroundings.is_network(module)
                outsider.left_out = key in untrained and module.training

    def _look_at_hidden(self, untrained: Set[int]) -> None:
        """Find parameters that nobody trains in attributes of the model, made by a forward."""
        record = self._record
        often = min(len(record.real_backwards), 2)
        for place, leaf in anatomy.hidden_leaves(self.modules):
            known = record.outsiders.get(id(leaf))
            if id(leaf) not in untrained or known is None or known.backwards < often:
                continue
            if isinstance(leaf, nn.Parameter) or not record.grad_calls:  # it may be coordinates
                record.hidden.setdefault(id(leaf), place)

    def _enter_optimizer(self, optimizer: Optimizer, given: bool) -> OptimizerSeen:
        entry = self._optimizers.get(id(optimizer))
        if entry is None:
            index = len(self._record.optimizers)
            name = type(optimizer).__name__ + (f" (optimizer {index})" if index else "")
            entry = self._optimizers[id(optimizer)] = OptimizerSeen(name, optimizer, index, given)
            self._record.optimizers.append(entry)
        self._enter_tensors(entry)
        self._note_who_trains()
        return entry

    def _enter_tensors(self, optimizer: OptimizerSeen) -> None:
        known, held = self._record.parameters, held_by(optimizer.optimizer)
        optimizer.held = [id(tensor) for tensor in held]
        for position, tensor in enumerate(held):
            named = optimizer.given and not self._finds
            if named and id(tensor) not in known and not is_lazy(tensor):
                name = f"{optimizer.name} tensor {position} {tuple(tensor.shape)}"
                self._enter(Parameter(name, tensor, in_model=False, was_in_model=False))
        for parameter in optimizer.parameters:
            parameter.optimizers.remove(optimizer)
        times = Counter(optimizer.held)
        optimizer.parameters = [known[key] for key in times if key in known]
        for parameter in optimizer.parameters:
            parameter.optimizers.append(optimizer)
            if times[id(parameter.tensor)] > 1:
                self._record.duplicates.add(parameter.name)

    def predecessor(self, optimizer: OptimizerSeen) -> OptimizerSeen | None:
        """Another of its kind that stepped the same parameters last, and nobody wrote since."""
        held = frozenset(optimizer.held)
        version = sum(parameter.tensor._version for parameter in optimizer.parameters)
        others = [
            other
            for other in self._record.optimizers
            if other.steps and other is not optimizer
            if type(other.optimizer) is type(optimizer.optimizer)
            if frozenset(other.held) == held and other.version == version and other.has_state
        ]
        return max(others, key=lambda other: other.last_step, default=None)

    def finish(self) -> None:
        """Compare the model with its state at the start."""
        if self._finds and any(not p.optimizers for p in self._record.parameters.values()):
            self._search()
        if self._record.spread:
            return
        self.look_at_model()
        now = dict(anatomy.named_parameters(self.modules))
        still_there = {id(tensor) for tensor in now.values()}
        for key, parameter in self._record.parameters.items():
            parameter.in_model = key in still_there
        first_name: dict[int, str] = {}
        for name, key in self._names.items():
            partner = first_name.setdefault(key, name)
            if {name, partner} <= now.keys() and now[name] is not now[partner]:
                self._record.untied.append((partner, name))
        self._look_for_moves()
        for parameter in self._record.parameters.values():
            if parameter.escape is not None:
                parameter.escape.settle()
        self._look_at_outsiders()
        self._record.averaged_by = surroundings.averaged(self._record.parameters)

    def _look_for_moves(self) -> None:
        """Notice parameters that changed although no optimizer stepped them."""
        stepped = any(optimizer.steps for optimizer in self._record.optimizers)
        known = [p for p in self._record.parameters.values() if p.first_size is not None]
        for parameter, size in zip(known, _sizes(known), strict=True):
            begun, same = parameter.begun, size == parameter.first_size
            parameter.moved = not same or (begun is not None and begun.has_moved())
            parameter.moved_by_loop = not same and not (stepped and parameter.optimizers)


def not_torch(name: str) -> str:
    """Say in a report that an optimizer cannot be watched."""
    return f"the steps of {name}, which is no torch.optim.Optimizer"


def _waits(outsider: Outsider) -> bool:
    """True if a parameter has a gradient, and is as it was when it was first seen."""
    tensor = outsider.tensor()
    if tensor is None or not tensor.requires_grad or tensor.grad is None:
        return False
    now = elements(tensor, FEW)
    return now is not None and torch.equal(now, outsider.begun)


def _sizes(parameters: Sequence[Parameter]) -> list[float]:
    return norms([parameter.tensor for parameter in parameters])
