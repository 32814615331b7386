"""Wrong solutions of lesson 00, by exercise; its checks refuse them all."""

CLEAR = "    optimizer.zero_grad()\n"
STEP = """def {name}(model, optimizer, x, y{c}):
{first}    loss = nn.functional.mse_loss(model(x), y)
    loss.backward()
{line}    optimizer.step()
    return {end}
"""

WRONG = {
    "ex-moons": [
        'mask_that_stops = "all"\nslider_that_does_nothing = "accumulation_steps"',
        'mask_that_stops = 0.5\nslider_that_does_nothing = "accumulation_steps"',
        'mask_that_stops = 1.0\nslider_that_does_nothing = "l2"',
        "mask_that_stops = 1.0\nslider_that_does_nothing = None",
    ],
    "ex-step": [
        "def train_step(model, optimizer, x, y):\n    return 0.0",
        STEP.format(name="train_step", c="", first="", line="", end="loss.item()"),
        STEP.format(name="train_step", c="", first=CLEAR, line="", end="loss"),
        STEP.format(name="train_step", c="", first=CLEAR, line=CLEAR, end="loss.item()"),
    ],
    "ex-lab": ['digits.controls["scale"].value = 5.0', 'digits.controls["lr"].value = 1.0'],
}
