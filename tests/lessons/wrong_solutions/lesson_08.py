"""Wrong solutions of lesson 08, by exercise; its checks refuse them all."""

CLIP = "def clip_held(optimizer, max_norm):\n"
HELD = "    held = [p for group in optimizer.param_groups for p in group['params']]\n"
AMP = """def amp_update(model, optimizer, scaler, group, max_norm, dtype):
    total = sum(len(x) for x, _ in group)
    optimizer.zero_grad()
    for x, y in group:
        with torch.amp.autocast("cpu", dtype=dtype):
            loss = cross_entropy(model(x), y) * len(x) / total
        scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    held = [p for each in optimizer.param_groups for p in each["params"]]
    nn.utils.clip_grad_norm_(held, max_norm)
    scaler.step(optimizer)
    scaler.update()
"""
UNSCALE = "    scaler.unscale_(optimizer)\n"
AUTOCAST = 'with torch.amp.autocast("cpu", dtype=dtype)'

WRONG = {
    "ex-moves": [
        "def moves(order):\n    return order.index('backward') < order.index('step')",
        "def moves(order):\n    return order[0] == 'zero_grad'",
        "def moves(order):\n    return True",
        "def moves(order):\n"
        "    return not order.index('backward') < order.index('zero_grad') < order.index('step')",
        "def moves(order):\n    return 1",
    ],
    "ex-clip": [
        CLIP + HELD + "    return nn.utils.clip_grad_norm_(held, max_norm)",
        CLIP + "    held = optimizer.param_groups[0]['params']\n"
        "    return nn.utils.clip_grad_norm_(held, max_norm).item()",
        CLIP + HELD + "    return sum(nn.utils.clip_grad_norm_(p, max_norm).item() for p in held)",
        CLIP + HELD + "    norm = nn.utils.clip_grad_norm_(held, max_norm).item()\n"
        "    return min(norm, max_norm)",
        CLIP + HELD + "    some = [p.grad for p in held if p.grad is not None]\n"
        "    norm = nn.utils.get_total_norm(some).item()\n"
        "    for g in some: g.mul_(max_norm / norm)\n    return norm",
    ],
    "ex-amp": [
        AMP.replace(UNSCALE, ""),
        AMP.replace("held, max_norm", "model.parameters(), max_norm"),
        AMP.replace("len(x) / total", "1 / len(group)"),
        AMP.replace("    scaler.update()\n", ""),
        AMP.replace("    optimizer.zero_grad()\n", ""),
        AMP.replace(AUTOCAST, "with torch.enable_grad()"),
        AMP.replace("scaler.scale(loss)", "loss")
        .replace(UNSCALE, "")
        .replace("scaler.step(optimizer)", "optimizer.step()"),
    ],
}
