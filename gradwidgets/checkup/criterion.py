"""Facts about a loss that its graph tells: what it measures, of which inputs, in which shapes."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.autograd.graph import Node

from gradwidgets.checkup.graph import leaves, nodes, operation, saved, shape

Shape = tuple[int, ...]

ERRORS = {
    "BinaryCrossEntropy",
    "BinaryCrossEntropyWithLogits",
    "CtcLoss",
    "HuberLoss",
    "MseLoss",
    "MultiMarginLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
}
_LIKELIHOODS = {"LogSoftmax", "LogSigmoid"}
_RESHAPING = {
    "Alias",
    "Clone",
    "Gather",
    "Index",
    "Permute",
    "ReshapeAlias",
    "Select",
    "Slice",
    "Squeeze",
    "ToCopy",
    "Transpose",
    "Unsqueeze",
    "UnsafeView",
    "View",
}
_REDUCING = {"Mean", "Sum"}
_PASSING = _RESHAPING | _REDUCING | {"Sqrt"}
_LINEAR = _RESHAPING | _REDUCING | {"Add", "Div", "MaskedSelect", "Mul", "Neg", "Rsub", "Sub"}


def _tracked(node: Node) -> list[Node]:
    """The operands that the graph goes on with."""
    return [below for below, _ in node.next_functions if below is not None]


def _constant(node: Node) -> Tensor | None:
    """The constant factor of a multiplication or division, None if both operands are tracked."""
    if operation(node) not in ("Mul", "Div") or len(_tracked(node)) != 1:
        return None
    value = saved(node, "other" if node.next_functions[0][0] is not None else "self")
    return torch.as_tensor(value) if isinstance(value, (Tensor, int, float)) else None


def _through(node: Node | None, passing: Iterable[str] = _RESHAPING) -> Node | None:
    """The first node below that does more than those: reshape, or choose elements."""
    while node is not None and operation(node) in passing and node.next_functions:
        node = node.next_functions[0][0]
    return node


# Which way it goes


def direction(node: Node | None, depth: int = 30) -> int:
    """+1 if minimising this loss lowers an error, -1 if it raises one, 0 if unknown.

    Known errors are torch's criteria, squared or absolute differences from a constant and negative
    log-likelihoods written as a sum; known opposites are log-likelihoods. Signs are followed
    through negation, scaling and reduction.
    """
    if node is None or not depth:
        return 0
    kind, below = operation(node), [child for child, _ in node.next_functions]
    if kind in ERRORS or (kind in ("Pow", "Abs") and _is_difference(below[0])):
        return +1
    if is_likelihood(node):
        return -1
    if kind.startswith("NllLoss"):  # of probabilities instead of log-probabilities: unknown
        return max(0, -direction(below[0], depth - 1))
    if kind in ("Add", "Sub"):
        signed = zip((+1, +1 if kind == "Add" else -1), below, strict=False)
        signs = {sign * direction(term, depth - 1) for sign, term in signed if term is not None}
        return signs.pop() if len(signs) == 1 and 0 not in signs else _of_sum(node, depth - 1)
    sign = _sign_of_factor(node)
    return sign and sign * direction(below[0], depth - 1)


def is_likelihood(node: Node) -> bool:
    """True for a log-likelihood: of classes, of a yes or no, or of a Gaussian."""
    kind, below = operation(node), [child for child, _ in node.next_functions]
    if kind in _LIKELIHOODS:
        return True
    if kind == "Log":
        inner = _through(below[0], {*_RESHAPING, "Clamp", "Add", "Div"})
        return inner is not None and operation(inner) in ("Softmax", "Sigmoid")
    if kind != "Sub":
        return False
    normalised = len(below) > 1 and below[1] is not None and operation(below[1]) == "Logsumexp"
    return normalised or _is_gaussian(node)


def _is_gaussian(node: Node) -> bool:
    """True for -(x - mean)^2 / ... - log scale - ..., as `torch.distributions.Normal` writes it."""
    inner: Node | None = node
    while inner is not None and operation(inner) == "Sub":
        rest = inner.next_functions[1][0]
        if rest is not None and operation(rest) != "Log":
            return False
        inner = inner.next_functions[0][0]
    for kind in ("Div", "Neg", "Pow"):
        if inner is None or operation(inner) != kind:
            return False
        inner = inner.next_functions[0][0]
    return inner is not None and operation(inner) == "Sub"


def _sign_of_factor(node: Node) -> int:
    """The sign of the factor on an operation's first operand; 0 if unknown."""
    kind, below = operation(node), [child for child, _ in node.next_functions]
    if kind in _PASSING:
        return +1
    if kind in ("Neg", "Rsub"):
        return -1
    if kind in ("Mul", "Div") and below[1:] in ([], [None]):
        return _constant_sign(node, positive_only=_ends_in_likelihood(below[0]))
    return 0


def _is_difference(node: Node | None) -> bool:
    """True for a subtraction with one constant operand, the target (possibly broadcast)."""
    if node is None or operation(node) != "Sub":
        return False
    return sum(below is None for below, _ in node.next_functions) == 1


def _ends_in_likelihood(node: Node | None) -> bool:
    """True for a log-likelihood: rewards multiply these, and may rightly be negative."""
    return node is not None and any(
        is_likelihood(n) or (operation(n) in ("Add", "Sub") and _pairs(_terms((n, 0)))[0])
        for n in nodes([node], True)
    )


def _constant_sign(node: Node, positive_only: bool) -> int:
    """The sign of a constant factor; 0 if unknown or mixed, or negative with `positive_only`."""
    factor = _constant(node)
    if factor is None:
        return 0
    if bool((factor >= 0).all()):
        return +1
    return -1 if factor.dim() == 0 and not positive_only else 0


# Likelihoods that are written as a sum

Edge = tuple[Node, int]
"""A tensor in the graph: the node that made it, and which of its results it is."""

Log = tuple[int, tuple[str, Edge]]
"""The logarithm of a positive tensor: its sign, and ("log", tensor), or ("as", tensor) if that
is the logarithm itself. Powers, factors and constant summands are left out.
"""

_SAME = _RESHAPING - {"Gather", "Index", "Select", "Slice"} | {"Expand", "T"}
_MOST_TERMS = 16


def _of_sum(node: Node, depth: int) -> int:
    """The direction of a sum in which pairs of terms are a negative log-likelihood."""
    terms = _terms((node, 0))
    signs, rest = _pairs(terms)
    signs |= {sign * direction(below, depth) for sign, (below, _) in rest} if signs else set()
    return signs.pop() if len(signs) == 1 else 0


def _terms(start: Edge) -> list[tuple[int, Edge]]:
    """The terms of a sum with their signs, without numbers that multiply them and reductions."""
    waiting: list[tuple[int, Edge]] = [(+1, start)]
    found: list[tuple[int, Edge]] = []
    while waiting and len(waiting) + len(found) <= _MOST_TERMS:
        sign, edge = waiting.pop()
        kind, below = operation(edge[0]), _edges(edge[0])
        factor = _sign_of_number(edge[0])
        if kind in ("Add", "Sub") and len(edge[0].next_functions) == 2:
            second = -1 if kind == "Sub" else +1
            signed = zip((sign, second * sign), edge[0].next_functions, strict=True)
            waiting += [(of, (term, index)) for of, (term, index) in signed if term is not None]
        elif factor and below:
            waiting.append((sign * factor, below[0]))
        else:
            found.append((sign, edge))
    return found if not waiting else []


def _edges(node: Node) -> list[Edge]:
    return [(below, index) for below, index in node.next_functions if below is not None]


def _sign_of_number(node: Node) -> int:
    """The sign of a number that multiplies a tensor; +1 where it is only reshaped or reduced."""
    kind = operation(node)
    if kind in _SAME | _REDUCING | {"Neg"}:
        return -1 if kind == "Neg" else +1
    number = _constant(node)
    if number is None or number.numel() != 1 or not number or node.next_functions[0][0] is None:
        return 0  # for each element another, or a number divided by the tensor
    return +1 if bool(number > 0) else -1


def _pairs(terms: list[tuple[int, Edge]]) -> tuple[set[int], list[tuple[int, Edge]]]:
    """The signs of the pairs of terms that are a negative log-likelihood, and the other terms.

    A pair is an error divided by a scale and the logarithm of that scale (Gauss, Laplace), or a
    rate and the logarithm of that rate times minus the counts (Poisson).
    """
    signs, rest = set(), list(terms)
    for first in terms:
        for second in terms:
            if first in rest and second in rest and first is not second:
                sign = _sign_of_pair(first, second)
                if sign:
                    signs.add(sign)
                    rest = [term for term in rest if term is not first and term is not second]
    return signs, rest


def _sign_of_pair(first: tuple[int, Edge], second: tuple[int, Edge]) -> int:
    (sign, edge), (other_sign, other) = first, second
    weighed = _weighed_error(edge[0])
    if weighed is not None:
        error, (log_sign, log) = weighed
        found = _logarithm(other)
        same = found[1] == log and other_sign * found[0] == sign * error * log_sign
        return sign * error if same else 0
    counted = _counted_logarithm(other[0])
    if counted is not None:
        log_sign, log = _log_of(edge)
        same = counted[1] == log and other_sign * counted[0] == -sign * log_sign
        return sign if same else 0
    return 0


def _weighed_error(node: Node) -> tuple[int, Log] | None:
    """The direction of an error that is divided by a scale, and the logarithm of that scale."""
    kind, below = operation(node), _edges(node)
    if kind == "Pow" and operation(below[0][0]) == "Div":
        divided = _edges(below[0][0])
        if len(divided) == 2 and _is_difference(divided[0][0]):
            return +1, _log_of(divided[1])
    if kind not in ("Mul", "Div") or len(below) != 2:
        return None
    for (error, _), scale in (below, reversed(below)) if kind == "Mul" else (below,):
        way = direction(error, 5)
        if way:
            sign, log = _log_of(scale)
            return way, (sign if kind == "Div" else -sign, log)
    return None


def _counted_logarithm(node: Node) -> Log | None:
    """The logarithm that is multiplied by a constant count for each element."""
    kind, below = operation(node), _edges(node)
    if kind == "Xlogy" and len(below) == 1:
        return _log_of(below[0])
    counts = _constant(node) if kind == "Mul" else None
    if counts is None or bool((counts < 0).any()):
        return None
    return _logarithm(below[0])


def _log_of(edge: Edge) -> Log:
    """The logarithm of a tensor."""
    sign, (node, index) = _core(edge, {"Pow", "Sqrt", "Reciprocal", "Rsqrt"})
    if operation(node) == "Exp":
        power, inner = _core(_edges(node)[0], {"Neg"})
        return sign * power, ("as", inner)
    return sign, ("log", (node, index))


def _logarithm(edge: Edge) -> Log:
    """The tensor as a logarithm: of what `log` was given, or of its exponential."""
    sign, (node, index) = _core(edge, {"Neg"})
    if operation(node) == "Log":
        power, log = _log_of(_edges(node)[0])
        return sign * power, log
    return sign, ("as", (node, index))


def _core(edge: Edge, passing: set[str]) -> tuple[int, Edge]:
    """The tensor that another is made from by those operations, numbers, clamping, reshaping."""
    sign = +1
    while True:
        node, below = edge[0], _edges(edge[0])
        way = _sign_of_core(node) if operation(node) in _PLAIN | passing else 0
        if not way or len(below) != 1:
            return sign, edge
        sign, edge = sign * way, below[0]


_PLAIN = _SAME | {"Add", "Clamp", "ClampMin", "Div", "Mul"}


def _sign_of_core(node: Node) -> int:
    """-1 for what falls where its operand rises."""
    kind = operation(node)
    if kind in ("Mul", "Div"):
        return _sign_of_number(node)
    if kind == "Pow":
        exponent = saved(node, "exponent")
        known = isinstance(exponent, (int, float)) and exponent
        return (+1 if exponent > 0 else -1) if known else 0
    return -1 if kind in ("Neg", "Reciprocal", "Rsqrt") else +1


# Which shapes it compares


def spread(root: Node) -> tuple[Shape, Shape, bool] | None:
    """Shapes before and after a broadcast by mistake, and whether it was by a factor.

    Predictions of shape (N, 1) and constant targets of shape (N,), or the reverse, give (N, N):
    every prediction is compared with every target. A factor for each sample does the same to
    losses. Only nodes between the loss and the last module with parameters are looked at, only
    where the other operand needs no gradient, and where the result is summed as it is: sums over
    one dimension that go on through something curved are kernels or histograms, made on purpose.
    """
    end = list(nodes([root], stop_at_layers=True))
    candidates = [(node, found) for node in end if (found := _widened(node)) is not None]
    bends = _bends_above(end) if candidates else {}
    for node, found in candidates:
        if not any(size < math.prod(found[1]) for size in bends[node]):
            weighed = operation(node) in ("Mul", "Div") and not _is_label(node)
            return None if _pairs_on_purpose(root, found[1]) else (*found, weighed)
    return None


def _bends_above(end: list[Node]) -> dict[Node, frozenset[int]]:
    """For each node of the loss, the sizes of tensors that it is bent by on its way to the root.

    A tensor of more than one element is bent by what is not linear; size 0 stands for a kernel.
    """
    bends: dict[Node, frozenset[int]] = {end[0]: frozenset()}
    for node in end:
        size, kind, above = math.prod(shape(node) or ()), operation(node), bends[node]
        if size > 1 and kind not in _LINEAR:
            above = above | {0 if kind in _KERNELS else size}
        for below in _tracked(node):
            bends.setdefault(below, above)
    return bends


_KERNELS = {"Exp", "Sigmoid", "Tanh", "Softmax", "LogSoftmax", "Erf"}


def _widened(node: Node) -> tuple[Shape, Shape] | None:
    """Shapes before and after, if a node compares or weighs each of one with each of another."""
    kind = operation(node)
    if kind in ERRORS:
        return _enlarged(node.next_functions[0][0])
    tracked = [(below, index) for below, index in node.next_functions if below is not None]
    if kind == "Sub" and len(tracked) == 2:
        return _counted(*tracked)
    if kind not in ("Sub", "Expand", "Mul", "Div") or len(tracked) != 1:
        return None
    before, after = shape(*tracked[0]), shape(node)
    if not before or not after or math.prod(after) != math.prod(before) * before[0]:
        return None
    if before[0] < 2:
        return None
    if kind in ("Mul", "Div") and not _is_label(node):
        return (before, after) if _weighs_losses(node, before, after) else None
    return before, after


def _counted(rate: Edge, product: Edge) -> tuple[Shape, Shape] | None:
    """Shapes before and after in `exp(prediction) - counts * prediction`, as of Poisson."""
    if operation(rate[0]) != "Exp" or operation(product[0]) != "Mul":
        return None
    logarithms, same = _edges(rate[0]), _edges(product[0])
    before, after = shape(*rate), shape(*product)
    square = before and after and math.prod(after) == math.prod(before) ** 2 > 1
    return (before, after) if square and before and after and logarithms == same else None


def _is_label(node: Node) -> bool:
    """True if predictions are multiplied by labels of -1 and +1, as a margin loss does."""
    labels = _constant(node) if operation(node) == "Mul" else None
    if labels is None or labels.numel() < 2 or labels.is_complex():
        return False
    return bool((labels.abs() == 1).all()) and bool(labels.max() > labels.min())


def _enlarged(node: Node | None) -> tuple[Shape, Shape] | None:
    """Shapes before and after, if a criterion expanded the predictions to match the targets."""
    if node is None or operation(node) != "Expand":
        return None
    below, index = node.next_functions[0]
    before, after = below and shape(below, index), shape(node)
    if before and after and 1 < math.prod(before) < math.prod(after):
        return before, after
    return None


def _weighs_losses(node: Node, before: Shape, after: Shape) -> bool:
    """True if losses or log-likelihoods, one for each sample, are multiplied by a square."""
    square = len(after) == 2 and after[0] == after[1] and math.prod(before) == after[0]
    if not square:
        return False
    inside = nodes(_tracked(node), stop_at_layers=True)
    return any(operation(n).startswith("NllLoss") or _measures(n) for n in inside)


def _measures(node: Node) -> bool:
    return operation(node) in ERRORS or is_likelihood(node) or operation(node) in ("Pow", "Abs")


def _pairs_on_purpose(root: Node, after: Shape) -> bool:
    """True if the loss also compares each prediction with each other, as energy distances do."""
    for node in nodes([root], stop_at_layers=True):
        if operation(node) == "Sub" and len(_tracked(node)) == 2 and shape(node) == after:
            shapes = [shape(below, index) for below, index in node.next_functions if below]
            if all(s != after for s in shapes):
                return True
    return False


# What it is given

_CLASSES = {"Softmax": "the result of softmax", "Sigmoid": "the result of sigmoid"}
_CUT = {**_CLASSES, "Relu": "the result of relu, of which none is below 0"}
_RAW = dict.fromkeys(("Addmm", "Mm", "Bmm", "Convolution"), "the raw output of a layer")
_TAKES = {
    "LogSoftmax": ("logits: it applies softmax itself", _CLASSES),
    "LogSigmoid": ("logits: it applies sigmoid itself", _CLASSES),
    "BinaryCrossEntropyWithLogits": ("logits: it applies sigmoid itself", _CUT),
    "NllLoss": ("log-probabilities", {**_CLASSES, **_RAW}),
    "NllLoss2D": ("log-probabilities", {**_CLASSES, **_RAW}),
}
_NAMES = {
    "LogSoftmax": "cross_entropy (log_softmax)",
    "LogSigmoid": "logsigmoid",
    "BinaryCrossEntropyWithLogits": "binary_cross_entropy_with_logits",
    "NllLoss": "nll_loss",
    "NllLoss2D": "nll_loss",
}


JUDGED = {*_TAKES, "Sub", "Mul"}
"""The operations that `misfit` and `is_switched_off` look at."""


def misfit(node: Node) -> tuple[str, str, str] | None:
    """A criterion, what it takes, and what it is given instead, if that is so."""
    kind = operation(node)
    if kind in ("Sub", "Mul"):
        return _misfit_of_difference(node)
    if kind not in _TAKES:
        return None
    takes, wrong = _TAKES[kind]
    below = node.next_functions[0][0]
    if kind.startswith("NllLoss") and below is not None and operation(below) == "LogSoftmax":
        return _misfit_of_classes(node, below)
    inner = _through(below)
    given = wrong.get(operation(inner)) if inner is not None else None
    return (_NAMES[kind], takes, given) if given else None


def _misfit_of_classes(loss: Node, logarithms: Node) -> tuple[str, str, str] | None:
    """`nll_loss` right after log_softmax: over another dimension than the classes', or of relu."""
    dimensions, axis = len(shape(logarithms) or ()), saved(logarithms, "dim")
    if not dimensions or not isinstance(axis, int):
        return None
    classes = 1 if dimensions > 1 else 0
    if axis not in (classes, classes - dimensions, classes - dimensions + _UNSIGNED):
        takes = "log-probabilities, which sum to one over the classes"
        return _NAMES[operation(loss)], takes, f"those of log_softmax over dimension {axis}"
    inner = _through(logarithms.next_functions[0][0])
    if inner is not None and operation(inner) == "Relu":
        return _NAMES["LogSoftmax"], _TAKES["LogSoftmax"][0], _CUT["Relu"]
    return None


_UNSIGNED = 2**64
"""Added to a negative dimension that a node saves as a number without a sign."""


def _misfit_of_difference(node: Node) -> tuple[str, str, str] | None:
    """`logits - logsumexp(logits)` of probabilities, or kl_div of probabilities."""
    operands = [child for child, _ in node.next_functions]
    if len(operands) != 2:
        return None
    left, right = operands
    if left is not None and right is not None and operation(right) == "Logsumexp":
        given = _given(left)
        takes = "logits: it applies softmax itself"
        return ("Categorical(logits=...)", takes, given) if given else None
    given = _given(_divergence(node))
    return ("kl_div", "log-probabilities, then probabilities", given) if given else None


def _given(node: Node | None) -> str:
    inner = _through(node)
    return _CLASSES.get(operation(inner), "") if inner is not None else ""


def _divergence(node: Node) -> Node | None:
    """The input of kl_div: `target log target - target * input`, or the same with log_target."""
    minuend, product = node, node
    if operation(node) == "Sub":
        product = _tracked(node)[0]
    else:
        minuend = _tracked(node)[0]
    if operation(minuend) != "Sub" or minuend.next_functions[0][0] is not None:
        return None
    target = _constant(product) if operation(product) == "Mul" else None
    if target is None or not _holds_distributions(target):
        return None
    return _tracked(product if minuend is node else minuend)[0]


def _holds_distributions(target: Tensor) -> bool:
    if target.dim() < 2 or bool((target < 0).any()):
        return False
    sums = [target.sum(axis) for axis in range(target.dim())]
    return any(torch.allclose(total, torch.ones_like(total), atol=1e-3) for total in sums)


# Whether its target is part of the graph


def attached(root: Node) -> str:
    """Name what trains along in a loss although it should be a constant; "" if nothing does."""
    for node in nodes([root], stop_at_layers=True):
        kind, operands = operation(node), _tracked(node)
        if len(operands) == 2 and kind in ERRORS and _is_target_of(*operands):
            return "the target"
        if kind in ("Pow", "Abs") and operands and operation(operands[0]) == "Sub":
            sides = _tracked(operands[0])
            if len(sides) == 2 and _is_target_of(*sides):
                return "the target"
        if kind == "Mul" and len(operands) == 2 and _weighs_a_likelihood(*operands):
            return "the advantage"
    return ""


def _is_target_of(left: Node, right: Node) -> bool:
    """True if one side is computed by bootstrapping from the parameters that the other trains."""
    for target, prediction in ((left, right), (right, left)):
        if _bootstraps(target) and not _bootstraps(prediction):
            return bool(_leaves(target) & _leaves(prediction))
    return False


def _bootstraps(node: Node) -> bool:
    """True for `reward + discount * value`, with a constant reward for each sample."""
    inner = _through(node)
    if inner is None or operation(inner) != "Add" or len(_tracked(inner)) != 1:
        return False
    if len(inner.next_functions) != 2:
        return False
    inner, discounted = _tracked(inner)[0], False
    while (factor := _constant(inner)) is not None:
        if bool(((factor < 0) | (factor > 1)).any()):
            return False
        inner, discounted = _tracked(inner)[0], True
    value = _through(inner, _RESHAPING - {"Gather", "Index"})
    return discounted or (value is not None and operation(value) in ("Max", "Amax"))


def _weighs_a_likelihood(left: Node, right: Node) -> bool:
    """True if a log-likelihood is multiplied by `return - value`, with parameters of its own."""
    for likelihood, factor in ((left, right), (right, left)):
        if not _ends_in_likelihood(likelihood) or _ends_in_likelihood(factor):
            continue
        inner = _through(factor, {*_RESHAPING, "Div"})
        if inner is not None and operation(inner) == "Sub":
            return bool(_leaves(factor) - _leaves(likelihood))
    return False


def _leaves(node: Node) -> set[int]:
    return {id(leaf) for leaf in leaves([node])}


# By what it is divided


def factor(root: Node) -> tuple[float, Node]:
    """The constant that multiplies a loss at its end, and the node that it multiplies."""
    product, node = 1.0, root
    while (value := _constant(node)) is not None and value.numel() == 1:
        number = float(value)
        if not number:
            break
        product = product / number if operation(node) == "Div" else product * number
        node = _tracked(node)[0]
    return product, node


def is_switched_off(node: Node) -> bool:
    """True for 0 times a single number: a term of the loss that is kept, and does not count."""
    size = shape(node)
    if operation(node) != "Mul" or size is None or math.prod(size) != 1:
        return False
    number = _constant(node)
    return number is not None and number.numel() == 1 and number.is_cpu and not number


def is_mean(node: Node) -> bool:
    """True unless a loss is a sum over samples, which is divided by their number."""
    return operation(node) != "Sum" and saved(node, "reduction") != _SUM


_MEAN, _SUM = 1, 2  # as criteria save their reduction


def tokens(node: Node, factor: float) -> tuple[float, int, float] | None:
    """Count the targets in a cross-entropy, and all, and tell what their mean is multiplied by.

    Args:
        node: The mean or the sum of the losses of all targets.
        factor: What it is multiplied by.
    """
    counted, total = None, 0
    if operation(node).startswith("NllLoss") and saved(node, "weight") is None:
        weight, target = saved(node, "total_weight"), saved(node, "target")
        if isinstance(weight, Tensor) and isinstance(target, Tensor):
            counted, total = float(weight), target.numel()
            factor = factor if saved(node, "reduction") == _MEAN else factor * counted
    elif operation(node) == "Sum":
        mask = _constant(_tracked(node)[0])
        if mask is not None and bool(((mask == 0) | (mask == 1)).all()):
            counted, total = float(mask.sum()), mask.numel()
            factor *= counted
    return (counted, total, factor) if counted and total > 1 else None
