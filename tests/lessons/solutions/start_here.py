"""Solutions of lesson 00."""

NOTHING = 'slider_that_does_nothing = "accumulation_steps"'
SCALE = 'digits.controls["scale"].value = {}'


def step(*lines, arguments="model, optimizer, x, y"):
    return "\n    ".join([f"def train_step({arguments}):", *lines])


CLEAR, BACKWARD, STEP = "optimizer.zero_grad()", "loss.backward()", "optimizer.step()"
LOSS = "loss = nn.functional.mse_loss(model(x), y)"

RIGHT = {
    "ex-moons": [
        f"mask_that_stops = 1.0\n{NOTHING}",
        f"mask_that_stops = 1\n{NOTHING}",
        'mask_that_stops = 1.0\nslider_that_does_nothing = "accumulation steps"',
        'mask_that_stops = 1.0\nslider_that_does_nothing = "Accumulation steps"',
        f"import numpy as np\nmask_that_stops = np.float64(1)\n{NOTHING}",
        f"import torch\nmask_that_stops = torch.tensor(1.0).item()\n{NOTHING}",
    ],
    "ex-step": [
        step(CLEAR, LOSS, BACKWARD, STEP, "return loss.item()"),
        step(LOSS, CLEAR, BACKWARD, STEP, "return float(loss)"),
        step(LOSS, BACKWARD, STEP, CLEAR, "return loss.item()"),
        step(
            "model.zero_grad()",
            "loss = ((model(x) - y) ** 2).mean()",
            BACKWARD,
            STEP,
            "return loss.detach().item()",
        ),
        step(
            "optimizer.zero_grad(set_to_none=False)",
            LOSS,
            BACKWARD,
            STEP,
            "return float(loss.detach())",
        ),
        step(
            "for p in model.parameters():",
            "    p.grad = None",
            "loss = nn.MSELoss()(model(x), y)",
            BACKWARD,
            STEP,
            "import numpy as np",
            "return np.float64(loss.item())",
        ),
    ],
    "ex-lab": [SCALE.format(scale) for scale in (1.6, 1.7, 1.8, 2.0, 2.2)],
}

WRONG = {
    "ex-moons": [
        f'mask_that_stops = "all"\n{NOTHING}',
        f"mask_that_stops = True\n{NOTHING}",
        f"mask_that_stops = 0.5\n{NOTHING}",
        f"mask_that_stops = 0.9\n{NOTHING}",
        f"mask_that_stops = 100\n{NOTHING}",
        'mask_that_stops = 1.0\nslider_that_does_nothing = "l2"',
        'mask_that_stops = 1.0\nslider_that_does_nothing = "scale"',
        "mask_that_stops = 1.0\nslider_that_does_nothing = None",
        "mask_that_stops = 1.0\nslider_that_does_nothing = ...",
    ],
    "ex-step": [
        step("return 0.0"),
        step(LOSS, BACKWARD, STEP, "return loss.item()"),
        step(CLEAR, LOSS, BACKWARD, STEP, "return loss"),
        step(CLEAR, LOSS, BACKWARD, STEP),
        step(CLEAR, LOSS, BACKWARD, CLEAR, STEP, "return loss.item()"),
        step(CLEAR, LOSS, STEP, BACKWARD, "return loss.item()"),
        step(CLEAR, LOSS, BACKWARD, STEP, "return nn.functional.mse_loss(model(x), y).item()"),
        step(
            CLEAR, "loss = nn.functional.l1_loss(model(x), y)", BACKWARD, STEP, "return loss.item()"
        ),
        step(CLEAR, "loss = ((model(x) - y) ** 2).sum()", BACKWARD, STEP, "return loss.item()"),
        step(CLEAR, LOSS, BACKWARD, STEP, STEP, "return loss.item()"),
    ],
    "ex-lab": [
        *[SCALE.format(scale) for scale in (0.5, 1.0, 1.3, 3.0, 5.0, 10.0)],
        'digits.controls["lr"].value = 1.0',
        'digits.controls["scale"].value = 2.0\ndigits.controls["mask"].value = 0.1',
    ],
}
