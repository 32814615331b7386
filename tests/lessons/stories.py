"""What must be seen in the outputs of the cells that settle claims, whatever is drawn.

A cell whose figures depend on a draw has an entry here: the part of its figures on which the
verdict rests. `seeds.py` holds it to that with other seeds.
"""

import re
from math import isnan


def rows(text):
    """The lines of a table; in each the words or numbers that stand two spaces apart."""
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines() if line.strip()]


def row(text, label):
    """What stands after a label, numbers as numbers."""
    (found,) = (each[1:] for each in rows(text) if each[0] == label)
    return [_number(each) for each in found]


def column(text, place):
    """A column of a table from its second line on, numbers as numbers."""
    return [_number(each[place]) for each in rows(text)[1:]]


def _number(text):
    try:
        return float(text)
    except ValueError:
        return text


def run_far(text):
    below = all(row(text, scale)[1] < row(text, scale)[0] for scale in ("0.10", "1.00", "10.00"))
    return below and row(text, "100.00")[1] == "above"


def noise(text):
    *table, momentum = rows(text)[1:]
    full, small = (
        [[*map(float, each[2:])] for each in table if each[0] == size] for size in ["64", "8"]
    )
    steady = all(max(means) < 1.2 * min(means) for means in full)
    grows = all(means[-1] > 1.5 * means[0] for means in small[:2])
    return steady and grows and momentum[0].endswith("last loss inf")


def idle(text):
    with_none, with_zeros = column(text, 2), column(text, 3)
    return set(with_none) == {0} and with_zeros[0] == 0 and min(with_zeros[1:]) > 0


def scaled(text):
    same_as_lr = [row(text, name)[0] for name in ("SGD", "SGD, momentum")]
    unchanged = [row(text, name)[1] for name in ("Adam", "AdamW", "RMSprop", "Adagrad")]
    neither = [*row(text, "SGD, weight decay"), *row(text, "Adam, weight decay")]
    return set(same_as_lr + unchanged) == {0} and min(*neither, *row(text, "RAdam")) > 0


def drifts(text):
    moved, shares = column(text, 1), column(text, 3)
    return moved == sorted(moved) and set(shares) == {0.9}


PLAIN = ("SGD", "RMSprop", "Adagrad")
"""Without decay these do not move what is masked."""


def masked_late(text):
    table = [each for each in rows(text) if len(each) > 1]  # Muon's line stands above it
    late = {each[0]: float(each[1]) for each in table[1:]}
    return all((late[name] == 0) == (name in PLAIN) for name in late)


def only_zeros_move(text):
    others = [each for place in (2, 3, 4) for each in column(text, place)]
    return masked_late(text) and set(others) == {0}


def unit_is_worst(text):
    none, random, unit = (row(text, name) for name in ("no mask", "random", "unit"))
    return all(u < r < n for u, r, n in zip(unit, random, none, strict=True))


def no_dropout(text):
    away = [abs(float(each[1])) for each in rows(text)[3:]]
    return "gradient: 0.000000" in text and sum(away) / len(away) > 0.1


def half_is_exact(text):
    exact = column(text, 1) + column(text, 3)
    return set(exact) == {0} and min(column(text, 2)) > 0.001


def ends_elsewhere(text):
    away = column(text, 1)
    return set(away[:3]) == {0} and min(away[3:]) > 0.01


def others_decay(text):
    gaps = {each[0]: float(each[1]) for each in rows(text)[1:]}
    return all((gap > 0.001) == (name in ("AdamW", "SGD, maximize")) for name, gap in gaps.items())


def hardly_zero(text):
    line, after = row(text, "L1 line"), row(text, "L1 after the step")
    return line[0] == 0 and line[1] >= 15 and after[0] >= 15


def division_matters(text):
    sgd, adam, decayed = column(text, 2)
    return sgd > 1 and adam == 0 and decayed > 0.1


def uneven(text):
    even, ragged = rows(text)[1:]
    return even[1:] == ["0.00", "0.00"] and float(ragged[1]) > 0.1 and ragged[2] == "0.00"


def what_counts(text):
    right = [row(text, name)[1] for name in ("plain", "class weights", "12 of 64 are padding")]
    wrong = [row(text, name)[0] for name in ("class weights", "12 of 64 are padding")]
    return {*right, row(text, "plain")[0]} == {0} and min(*wrong, *row(text, "contrastive")) > 0.02


def mixes(text):
    still = row(text, "BatchNorm after eval()") + row(text, "LayerNorm")
    one, mean = row(text, "Dropout")
    return set(still) == {0} and min(row(text, "BatchNorm")) > 0.1 and mean < one / 3


def left_out(text):
    """The update rules of lesson 07 that differ from those of torch."""
    return [each[0] for each in rows(text)[1:] if each[2] == "False"] == ["printed"]


def resumed(text):
    lines = rows(text)[1:]
    plain, rmsprop = (next(e for e in lines if e[0] == name) for name in ("SGD", "RMSprop"))
    same = all(each[-1] == "True" for each in lines) and plain[-3] == plain[-2]
    return same and float(rmsprop[-2]) > 3 * float(rmsprop[-3])


def swapped(text):
    losses = re.findall(r"last loss (\S+)", text)
    return len(losses) == 5 and len(set(losses[2:])) == 1 and "LBFGS    TypeError" in text


def lbfgs(text):
    nowhere, before, inside = column(text, 1)
    return nowhere == before > 0 and inside == 0


def rest_counts(text):
    steps = column(text, 2)
    return steps[1] < 0.7 * steps[0] and steps[2] > steps[1]


def unscaled_first(text):
    without, with_ = map(float, re.findall(r"step: (\S+)", text))
    return without < 1e-4 and with_ > 0.05


def skips_all(text):
    kept, recreated = map(int, re.findall(r"(\d+) of 100 skipped", text))
    return kept < 50 and recreated == 100


def moves_more(text):
    cleared, never = (
        {each[0]: each[2:] for each in rows(text)[1:] if each[1] == said}
        for said in ("True", "False")
    )
    longer = all(
        float(never[name][0]) > 3 * float(cleared[name][0])
        and float(never[name][1]) > 2 * float(cleared[name][1])
        for name in ("random targets", "targets to learn")
    )
    clipped = "the same, clipped"
    still = never["the same, GradScaler"][0] == "0.000"
    return longer and never[clipped][0] == cleared[clipped][0] and still


def slice_drops_bias(text):
    grown = [abs(float(each)) for each in re.findall(r"bias.grad (\S+)", text)]
    out = [each[0] for each in rows(text) if each[-1] == "0.0e+00"]
    return "(64, 5)" in text and grown == sorted(grown) and out == ["linear2.bias"]


def depth(text):
    lines = [each[0:1] + [float(e) for e in each[1:]] for each in rows(text)[1:]]
    (_, deep, usual, large, _, blown) = lines
    return deep[3] < 1e-10 and large[3] == 0 < usual[3] and isnan(blown[4])


def kept(text):
    return len(set(column(text, 1))) == 1 and len(set(column(text, 2))) == 4


def floor(text):
    early, late = re.search(r"200 updates (\S+), after 1000 (\S+)", text).groups()
    return early == late


def flatters(text):
    losses = column(text, 3)
    return all(
        smoothed < single for single, smoothed in zip(losses[::2], losses[1::2], strict=True)
    )


def overfits(text):
    losses = column(text, 1)
    return losses == sorted(set(losses))


def three_jumps(text):
    def up(name):
        return [each > 2 for each in row(text, name)]

    return (up("learning rate"), up("gradients"), up("data"), up("nothing")) == (
        [False, False, True],
        [False, True, True],
        [True, True, True],
        [False, False, False],
    )


def rest_or_not(text):
    constant = float(re.search(r"the loss (\S+)", text)[1])
    arrived, small, shrinks = (
        row(text, name) for name in ("it has arrived", "lr too small", "lr shrinks by 0.8")
    )
    silent = [row(text, name) for name in ("silent ReLUs", "ten sigmoid layers")]
    moving = min(small[1], shrinks[1]) > 1 and arrived[2] < min(small[2], shrinks[2])
    return moving and arrived[2] < constant / 2 and all(e[1:] == [0, constant] for e in silent)


def rounds_away(text):
    float32, bfloat16 = map(float, re.findall(r"': '(\S+)'", text))
    return float32 < 0.005 < bfloat16 and text.endswith("verdict: true if\n")


def two_processes(text):
    *_, first, second = rows(text)
    far = all(float(own) > 0.1 and float(after) == 0 for _, own, after in (first, second))
    return far and text.count(": True") == 2


def unequal_shares(text):
    even, *others = rows(text)[2:]
    apart = float(even[1]) == 0 and all(float(each[1]) > 0.05 for each in others)
    return apart and all(each[2] == "True" for each in [even, *others])


def ddp(text):
    alone, mean = row(text, "one process"), row(text, "mean of the ranks")
    near = all(abs(one - other) <= 0.01 for one, other in zip(alone, mean, strict=True))
    differ = row(text, "rank 0")[0] != row(text, "rank 1")[0]
    return ": True" in text and near and differ and alone[1] < alone[0]


STORIES = {
    "start_here": {"run-far": run_far},
    "autograd_and_grad": {
        "unused-run": lambda text: "zero .grad is tensor([[0.]])\nforgotten  .grad is None" in text
    },
    "clearing_gradients": {"noise-run": noise, "idle-run": idle},
    "scaling_gradients": {
        "half-run": lambda text: column(text, 1)[0] == 0.5 and set(column(text, 2)) == {0},
        "adam-run": scaled,
    },
    "masking_gradients": {
        "momentum-run": drifts,
        "table": masked_late,
        "freeze": only_zeros_move,
        "unit-run": unit_is_worst,
        "average": no_dropout,
    },
    "penalties": {
        "half-run": half_is_exact,
        "rest-run": ends_elsewhere,
        "decay-run": others_decay,
        "zeros-run": hardly_zero,
    },
    "accumulation": {
        "adam-run": division_matters,
        "ragged-run": uneven,
        "tokens-run": what_counts,
        "norm-run": mixes,
        "clip-run": lambda text: row(text, "once")[1] == 0 and row(text, "each time")[1] > 0.1,
    },
    "inside_the_optimizer": {
        "six": left_out,
        "resume-run": resumed,
        "swap": swapped,
        "lbfgs-run": lbfgs,
    },
    "the_training_loop": {
        "head-run": rest_counts,
        "scale-run": unscaled_first,
        "recreated-run": skips_all,
    },
    "why_do_my_parameters_not_update": {
        "tiny-run": moves_more,
        "slice-run": slice_drops_bias,
        "hidden-run": lambda text: "weight moved: 0.0\ncheckup: unregistered" in text,
        "sizes-depth": depth,
    },
    "watching_convergence": {
        "kept-run": kept,
        "floor-run": floor,
        "noise-run": flatters,
        "heart-run": overfits,
        "jump-run": three_jumps,
        "flat-run": rest_or_not,
    },
    "documentation": {"lora-merge-run": rounds_away},
    "beyond_one_process": {
        "halves-run": two_processes,
        "uneven-run": unequal_shares,
        "ddp-run": ddp,
    },
}
"""By lesson and cell: true if a text shows what the verdict rests on."""
