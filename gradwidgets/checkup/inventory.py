"""Which modules, parameters and optimizers take part; it may grow while the loop runs."""

from __future__ import annotations

from torch import nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from gradwidgets.checkup import anatomy, measure
from gradwidgets.checkup.ledger import Ledger
from gradwidgets.checkup.record import ModuleSeen, OptimizerSeen, Parameter, Seen


class Inventory:
    """Enters everything into the record once, at the start and when it first shows up."""

    def __init__(
        self, modules: list[nn.Module], optimizers: list[Optimizer], seen: Seen, ledger: Ledger
    ) -> None:
        self.modules, self._seen, self._ledger = modules, seen, ledger
        self._optimizers: dict[int, OptimizerSeen] = {}
        self.look_at_model()
        self._names = {name: id(tensor) for name, tensor in anatomy.named_parameters(modules)}
        for optimizer in optimizers:
            self._enter_optimizer(optimizer, given=True)
        seen.hidden = anatomy.hidden_tensors(modules)
        seen.untied = anatomy.untied(modules)
        seen.ignored_flags = anatomy.ignored_flags(modules)
        parameters = list(seen.parameters.values())
        for parameter, size in zip(parameters, _sizes(parameters), strict=True):
            parameter.first_size = size
            if not measure.is_finite(size):
                seen.note_non_finite(f"parameter {parameter.name}, before the first event")

    def look_at_model(self) -> None:
        """Enter modules and parameters that are new."""
        for name, module in anatomy.named_modules(self.modules):
            if id(module) not in self._seen.modules:
                self._seen.modules[id(module)] = ModuleSeen(
                    name,
                    module,
                    owns_parameters=any(True for _ in module.parameters(recurse=False)),
                    is_layer=next(module.children(), None) is None,
                    is_outermost=any(module is given for given in self.modules),
                )
        for name, tensor in anatomy.named_parameters(self.modules):
            if id(tensor) not in self._seen.parameters:
                self._enter(Parameter(name, tensor, in_model=True, was_in_model=True))
        for seen in self._optimizers.values():
            self._enter_tensors(seen)

    def model_has_grown(self) -> bool:
        """Whether a parameter or a module was made or replaced since the last look."""
        parameters, modules = self._seen.parameters, self._seen.modules
        for known in modules.values():
            for tensor in anatomy.own_parameters(known.module):
                if id(tensor) not in parameters:
                    return True
            if not known.is_layer:
                for child in anatomy.own_children(known.module):
                    if id(child) not in modules:
                        return True
        return False

    def _enter(self, parameter: Parameter) -> None:
        self._seen.parameters[id(parameter.tensor)] = parameter
        self._ledger.open(parameter)

    def optimizer(self, optimizer: Optimizer) -> OptimizerSeen | None:
        """The record of an optimizer that steps; None if it concerns other tensors only."""
        known, held = self._optimizers.get(id(optimizer)), anatomy.held_by(optimizer)
        keys = [id(tensor) for tensor in held]
        if known is not None and known.held == keys:
            return known
        if known is None and not any(key in self._seen.parameters for key in keys):
            return None
        return self._enter_optimizer(optimizer, given=known is not None and known.given)

    def _enter_optimizer(self, optimizer: Optimizer, given: bool) -> OptimizerSeen:
        seen = self._optimizers.get(id(optimizer))
        if seen is None:
            index = len(self._seen.optimizers)
            name = type(optimizer).__name__ + (f" (optimizer {index})" if index else "")
            seen = self._optimizers[id(optimizer)] = OptimizerSeen(name, optimizer, index, given)
            self._seen.optimizers.append(seen)
        self._enter_tensors(seen)
        return seen

    def _enter_tensors(self, seen: OptimizerSeen) -> None:
        held = anatomy.held_by(seen.optimizer)
        seen.held = [id(tensor) for tensor in held]
        for position, tensor in enumerate(held):
            known = id(tensor) in self._seen.parameters or is_lazy(tensor)
            if not known and seen.given:
                name = f"{seen.name} tensor {position} {tuple(tensor.shape)}"
                self._enter(Parameter(name, tensor, in_model=False, was_in_model=False))
        for parameter in seen.parameters:
            parameter.optimizers.remove(seen)
        keys = dict.fromkeys(seen.held)
        seen.parameters = [self._seen.parameters[k] for k in keys if k in self._seen.parameters]
        for parameter in seen.parameters:
            parameter.optimizers.append(seen)
        for key in anatomy.duplicates(seen.optimizer):
            if key in self._seen.parameters:
                self._seen.duplicates.add(self._seen.parameters[key].name)

    def finish(self) -> None:
        """Compare the model with what it was."""
        self.look_at_model()
        now = dict(anatomy.named_parameters(self.modules))
        still_there = {id(tensor) for tensor in now.values()}
        for key, parameter in self._seen.parameters.items():
            parameter.in_model = key in still_there
        first_name: dict[int, str] = {}
        for name, key in self._names.items():
            partner = first_name.setdefault(key, name)
            if {name, partner} <= now.keys() and now[name] is not now[partner]:
                self._seen.untied.append((partner, name))
        self._look_for_moves()

    def _look_for_moves(self) -> None:
        """Whether parameters that no optimizer has moved are not what they were."""
        stepped = any(optimizer.steps for optimizer in self._seen.optimizers)
        known = [p for p in self._seen.parameters.values() if p.first_size is not None]
        still = [p for p in known if not (stepped and p.optimizers)]
        for parameter, size in zip(still, _sizes(still), strict=True):
            parameter.moved_by_loop = size != parameter.first_size
        self._seen.moved_by_hand = not stepped and any(p.moved_by_loop for p in still)


def _sizes(parameters: list[Parameter]) -> list[float]:
    return measure.norms([parameter.tensor for parameter in parameters])
