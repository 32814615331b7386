"""Wrong solutions of lesson 02, by exercise; its checks refuse them all."""

REMEMBER = """def remembering_step(model, memory, lr):
    with torch.no_grad():
        for p, total in zip(model.parameters(), memory):
            {first}
            {then}
"""
ROUND = """def one_round(model, optimizer, batches, held_out):
    measurements = []
    for x, y in batches:
        {clear}
        F.mse_loss(model(x), y).backward()
        {then}
        optimizer.step()
        measured = F.mse_loss(model(held_out[0]), held_out[1])
        measurements.append({kept})
        {last}
    return measurements
"""
CLEAR = "optimizer.zero_grad()"

WRONG = {
    "ex-remember": [
        REMEMBER.format(first="p.sub_(lr * p.grad)", then="total.add_(p.grad)"),
        REMEMBER.format(first="total.add_(p.grad)", then="p.add_(lr * total)"),
        REMEMBER.format(first="total.mul_(0.9).add_(p.grad)", then="p.sub_(lr * total)"),
        REMEMBER.format(first="total.add_(p.grad).div_(2)", then="p.sub_(lr * total)"),
        REMEMBER.format(first="total = total + p.grad", then="p.sub_(lr * total)"),
        REMEMBER.format(first="total.add_(p.grad)", then="p = p - lr * total"),
        "def remembering_step(model, memory, lr):\n"
        "    for p, total in zip(model.parameters(), memory):\n"
        "        total.add_(p.grad)\n"
        "        p.sub_(lr * total)",
    ],
    "ex-round": [
        ROUND.format(clear=CLEAR, then="", kept="measured", last=""),
        ROUND.format(clear=CLEAR, then="", kept="measured.detach()", last=""),
        ROUND.format(clear="", then="", kept="measured.item()", last=""),
        ROUND.format(clear="", then=CLEAR, kept="measured.item()", last=""),
        ROUND.format(clear=CLEAR, then="", kept="loss.item()", last="").replace(
            "F.mse_loss(model(x), y).backward()",
            "loss = F.mse_loss(model(x), y)\n        loss.backward()",
        ),
        ROUND.format(
            clear="", then="", kept="measured.item()", last=CLEAR + "; measured.backward()"
        ),
    ],
}
