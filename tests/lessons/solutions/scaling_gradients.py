"""Solutions of lesson 03."""

CLEAR, BACKWARD, STEP = "optimizer.zero_grad()", "loss.backward()", "optimizer.step()"
LOSS = "loss = nn.functional.mse_loss(model(x), y)"
MUL = "for p in model.parameters(): p.grad.mul_(c)"
END = "return loss.item()"
LR = "optimizer.param_groups[0]['lr'] *= c"
HESSIAN = "H = torch.autograd.functional.hessian(loss, w)"


def step(*lines):
    return "\n    ".join(["def scaled_step(model, optimizer, x, y, c):", *lines])


def shorten(*lines):
    return "\n    ".join(["def shorten(optimizer, c):", *lines])


def largest(*lines):
    return "\n    ".join(["def largest_scale(loss, w, lr):", *lines])


RIGHT = {
    "ex-scaled": [
        step(CLEAR, LOSS, BACKWARD, MUL, STEP, END),
        step(LOSS, CLEAR, BACKWARD, "for p in model.parameters():", "    p.grad *= c", STEP, END),
        step(
            "loss = ((model(x) - y) ** 2).mean()",
            BACKWARD,
            "for p in model.parameters():",
            "    p.grad = c * p.grad",
            STEP,
            CLEAR,
            "return float(loss)",
        ),
        step(CLEAR, LOSS, "(c * loss).backward()", STEP, END),
        step(
            "model.zero_grad()",
            LOSS,
            BACKWARD,
            "torch._foreach_mul_([p.grad for p in model.parameters()], c)",
            STEP,
            "import numpy as np",
            "return np.float64(loss.item())",
        ),
        step(
            CLEAR,
            LOSS,
            "loss.backward(torch.tensor(c, dtype=loss.dtype))",
            STEP,
            "return loss.detach().item()",
        ),
    ],
    "ex-shorten": [
        shorten("for group in optimizer.param_groups:", "    group['lr'] *= c"),
        shorten("for group in optimizer.param_groups:", "    group['lr'] = c * group['lr']"),
        shorten(
            "for i in range(len(optimizer.param_groups)):",
            "    optimizer.param_groups[i]['lr'] *= c",
        ),
        shorten("[g.update(lr=g['lr'] * c) for g in optimizer.param_groups]"),
        shorten(
            "state = optimizer.state_dict()",
            "for group in state['param_groups']:",
            "    group['lr'] *= c",
            "optimizer.load_state_dict(state)",
        ),
        shorten("torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: c)", "return optimizer"),
    ],
    "ex-largest": [
        largest(HESSIAN, "return 2 / (lr * torch.linalg.eigvalsh(H)[-1].item())"),
        largest(HESSIAN, "return 2 / lr / torch.linalg.eigvalsh(H).max()"),
        largest(
            HESSIAN,
            "import numpy as np",
            "return np.float64(2) / (lr * np.linalg.eigvalsh(H.numpy())[-1])",
        ),
        largest(HESSIAN, "return 2 / (lr * torch.linalg.matrix_norm(H, ord=2).item())"),
        largest(
            "H = torch.func.hessian(loss)(w)",
            "return float(2 / (lr * torch.linalg.eigh(H).eigenvalues[-1]))",
        ),
        largest(
            "v = torch.ones_like(w)",
            "for _ in range(2000):",
            "    v = torch.autograd.functional.hvp(loss, w, v / v.norm())[1]",
            "return 2 / (lr * v.norm().item())",
        ),
    ],
}

WRONG = {
    "ex-scaled": [
        step(CLEAR, LOSS, BACKWARD, STEP, END),
        step(LOSS, BACKWARD, MUL, STEP, END),
        step(CLEAR, LOSS, BACKWARD, MUL, STEP, "return loss"),
        step(CLEAR, LOSS, BACKWARD, MUL, STEP),
        step(CLEAR, LOSS, BACKWARD, LR, STEP, END),
        step("old = optimizer.param_groups[0]['lr']", CLEAR, LOSS, BACKWARD, LR, STEP)
        + "\n    optimizer.param_groups[0]['lr'] = old\n    return loss.item()",
        step(CLEAR, LOSS, BACKWARD, CLEAR, STEP, END),
        step(CLEAR, LOSS, BACKWARD, STEP, MUL, END),
        step(CLEAR, LOSS, MUL.replace("p.grad", "p.data"), BACKWARD, STEP, END),
        step(CLEAR, LOSS, "loss = c * loss", BACKWARD, STEP, END),
        step(CLEAR, LOSS, BACKWARD, "model.weight.grad.mul_(c)", STEP, END),
        step(CLEAR, LOSS, BACKWARD, MUL, END),
    ],
    "ex-shorten": [
        shorten("optimizer.param_groups[0]['lr'] *= c"),
        shorten("for g in optimizer.param_groups: g['lr'] /= c"),
        shorten("for g in optimizer.param_groups: g['lr'] = 0.01 * c"),
        shorten("for g in optimizer.param_groups: g['lr'] = c"),
        shorten("for g in optimizer.param_groups: g['lr'] *= c * c"),
        shorten("for g in optimizer.param_groups:", "    for p in g['params']: p.grad.mul_(c)"),
        shorten("for g in optimizer.param_groups:", "    for p in g['params']: p.data.mul_(c)"),
        shorten("optimizer.defaults['lr'] *= c"),
        shorten("optimizer.lr = c"),
        shorten("pass"),
    ],
    "ex-largest": [
        largest("return 1 / lr"),
        largest("return 2 / lr"),
        largest(HESSIAN, "return 2 / torch.linalg.eigvalsh(H)[-1].item()"),
        largest(HESSIAN, "return 1 / (lr * torch.linalg.eigvalsh(H)[-1].item())"),
        largest(HESSIAN, "return 2 / (lr * torch.linalg.eigvalsh(H)[0].item())"),
        largest(HESSIAN, "return 2 / (lr * H.max().item())"),
        largest(HESSIAN, "return 2 / (lr * H.trace().item())"),
        largest(HESSIAN, "return 2 / (lr * torch.linalg.eigvalsh(H)[-1].item()) * 1.1"),
        largest(HESSIAN, "return str(2 / (lr * torch.linalg.eigvalsh(H)[-1].item()))"),
        largest("pass"),
    ],
}
