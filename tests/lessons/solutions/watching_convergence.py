"""Solutions of lesson 10."""


def stop(*lines):
    return "\n    ".join(["import math\n\ndef stop(losses, threshold, beta):", *lines])


def smoothing(
    start="losses[0]",
    first='if not math.isfinite(loss): return n, "not finite"',
    line="beta * smooth + (1 - beta) * loss",
    below="smooth < threshold",
    found='n, "threshold"',
    last="pass",
):
    return stop(
        f"smooth = {start}",
        "for n, loss in enumerate(losses):",
        f"    {first}",
        f"    smooth = {line}",
        f"    if {below}:",
        f"        return {found}",
        f"    {last}",
        "return None",
    )


def why(*lines):
    return "\n    ".join(["def why_jump(before, after):", *lines])


def ordered(first, second, third, compare="after[what] > 2 * before[what]"):
    names = {"loss": "data", "gradient": "gradients", "step": "learning rate"}
    order = {what: names[what] for what in (first, second, third)}
    return why(
        f"for what, cause in {order}.items():",
        f"    if {compare}:",
        "        return cause",
        "return 'nothing'",
    )


NEXT = "loss if n == 0 else beta * smooth + (1 - beta) * loss"
FINITE = 'if not math.isfinite(loss): return n, "not finite"'

RIGHT = {
    "ex-stop": [
        smoothing(),
        smoothing(line=NEXT),
        smoothing(first="if loss != loss or abs(loss) == math.inf: return n, 'not finite'"),
        smoothing(found="[n, 'threshold']"),
        stop(
            "import numpy as np",
            "mean = np.float64(losses[0])",
            "for n in np.arange(len(losses)):",
            "    if not np.isfinite(losses[n]):",
            "        return n, 'not finite'",
            "    mean = mean + (1 - beta) * (losses[n] - mean)",
            "    if mean < threshold:",
            "        return n, 'threshold'",
        ),
        stop(
            "mean, n = None, -1",
            "for loss in losses:",
            "    n += 1",
            "    if not torch.isfinite(torch.tensor(loss)):",
            "        return (n, 'not finite')",
            "    mean = loss if mean is None else mean * beta + loss * (1 - beta)",
            "    if threshold > mean:",
            "        return (n, 'threshold')",
            "return None",
        ),
        stop(
            "good = []",
            "for loss in losses:",
            "    if not math.isfinite(loss):",
            "        return len(good), 'not finite'",
            "    good.append(loss)",
            "    if smoothed(good, beta)[-1] < threshold:",
            "        return len(good) - 1, 'threshold'",
        ),
    ],
    "ex-jump": [
        ordered("loss", "gradient", "step"),
        ordered("loss", "gradient", "step", compare="after[what] / before[what] > 2"),
        ordered("loss", "gradient", "step", compare="before[what] * 2 < after[what]"),
        why(
            "jumps = {what: after[what] > 2 * before[what] for what in before}",
            "if jumps['loss']:",
            "    return 'data'",
            "elif jumps['gradient']:",
            "    return 'gradients'",
            "elif jumps['step']:",
            "    return 'learning rate'",
            "return 'nothing'",
        ),
        why(
            "import numpy as np",
            "names = ['data', 'gradients', 'learning rate', 'nothing']",
            "jumps = [after[w] > 2 * before[w] for w in ('loss', 'gradient', 'step')]",
            "return np.array(names)[int(np.argmax([*jumps, True]))]",
        ),
        why(
            "order = [('loss', 'data'), ('gradient', 'gradients'), ('step', 'learning rate')]",
            "found = [cause for what, cause in order if after[what] > 2 * before[what]]",
            "return (found + ['nothing'])[0]",
        ),
    ],
}

WRONG = {
    "ex-stop": [
        stop("pass"),
        stop("return 0"),
        smoothing(first="pass", line="loss", last=FINITE),
        smoothing(line="loss"),
        smoothing(first="pass"),
        smoothing(start="0.0"),
        smoothing(first='if math.isnan(loss): return n, "not finite"'),
        smoothing(line="(1 - beta) * smooth + beta * loss"),
        smoothing(found='n + 1, "threshold"'),
        smoothing(found="n"),
        smoothing(below="loss < threshold"),
    ],
    "ex-jump": [
        why("return 'learning rate'"),
        why("return None"),
        why("return 'gradient'"),
        ordered("gradient", "loss", "step"),
        ordered("step", "gradient", "loss"),
        ordered("loss", "step", "gradient"),
        ordered("loss", "gradient", "step", compare="after[what] > 1.2 * before[what]"),
        ordered("loss", "gradient", "step", compare="after[what] > 5 * before[what]"),
        ordered("loss", "gradient", "step", compare="after[what] - before[what] > 2"),
        ordered("loss", "gradient", "step", compare="after[what] > before[what] + 1"),
        ordered("loss", "gradient", "step", compare="before[what] > 2 * after[what]"),
    ],
}
