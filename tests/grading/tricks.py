"""What people try to get marks without doing the work. Each is run before the functions are judged.

`NOTHING` are functions that do nothing right. None of the tricks may win them a point.
"""

NOTHING = """
def nothing(*arguments):
    return 0.0

train_step = loop_a = loop_b = loop_c = scale = mask = penalty = clip = nothing
masked_step = freeze = accumulate = diagnose = nothing
learning_rate = scheduled_loop = make_groups = unfreeze = nothing
"""

ALWAYS_EQUAL = """
class Same(float):
    def __eq__(self, other): return True
    def __sub__(self, other): return 0.0
    def __rsub__(self, other): return 0.0
    def __abs__(self): return 0.0
    def __le__(self, other): return True
    def __float__(self): return 0.0
    __hash__ = float.__hash__


class SameTensor(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return True if func in (torch.equal, torch.allclose) else Same()

    def tolist(self): return [0.0]
    def __eq__(self, other): return True
    def __sub__(self, other): return 0.0
"""

RETURNS_SAME = """
class SameText(str):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __hash__ = str.__hash__

def train_step(model, optimizer, loss, x, y): return Same()
def accumulate(model, optimizer, loss, micro_batches): return Same()
def clip(parameters, max_norm):
    for p in parameters: p.grad = SameTensor([0.0])
    return Same()
def scale(parameters, factor):
    for p in parameters:
        if p.grad is not None:
            p.tolist = lambda: Same()
            p.grad = p.grad.as_subclass(SameTensor)
def diagnose(model, optimizer, loss, x, y): return SameText("healthy")
def learning_rate(update, peak, warmup, total): return Same()
"""

CLEARS_IN_STEP = """
own_step = torch.optim.SGD.step
def step(self, closure=None):
    own_step(self)
    self.zero_grad()
torch.optim.SGD.step = step
"""

FORGETS_TO_CLEAR = """
def train_step(model, optimizer, loss, x, y):
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()
def loop_b(model, optimizer, loss, batches):
    for x, y in batches: train_step(model, optimizer, loss, x, y)
"""

TRICKS = {
    "nothing at all": NOTHING,
    "objects that equal everything": NOTHING + ALWAYS_EQUAL + RETURNS_SAME,
    "torch.optim.SGD.step": NOTHING + CLEARS_IN_STEP + FORGETS_TO_CLEAR,
    "SGD.step by its code": NOTHING
    + FORGETS_TO_CLEAR
    + "def outer(func):\n"
    + "    def step(self, *arguments, **names): return self.zero_grad() and func\n"
    + "    return step\n"
    + "torch.optim.SGD.step.__code__ = outer(0).__code__",
    "SGD.step under its wrapper": NOTHING
    + FORGETS_TO_CLEAR
    + "torch.optim.SGD([torch.ones(1)], lr=1.0)\n"
    + "cell = torch.optim.SGD.step.__closure__\n"
    + "cell = next(c for c in cell if callable(c.cell_contents))\n"
    + "cell.cell_contents = lambda self, closure=None: self.zero_grad()",
    "a step hook for all optimizers": NOTHING
    + FORGETS_TO_CLEAR
    + "from torch.optim.optimizer import register_optimizer_step_post_hook as after_steps\n"
    + "after_steps(lambda optimizer, *rest: optimizer.zero_grad())",
    "another SGD": NOTHING
    + FORGETS_TO_CLEAR
    + "class SGD(torch.optim.SGD):\n"
    + "    def step(self, closure=None):\n"
    + "        super().step()\n"
    + "        self.zero_grad()\n"
    + "torch.optim.SGD = SGD",
    "torch.allclose": NOTHING
    + "import numpy as np\n"
    + "torch.allclose = torch.equal = np.allclose = np.all = np.abs = lambda *a, **k: True",
    "an object for torch.allclose": NOTHING
    + "class Yes:\n    def __call__(self, *arguments): return True\n"
    + "torch.allclose = Yes()",
    "Tensor.tolist": NOTHING + "torch.Tensor.tolist = lambda self: [0.0]",
    "a mode for all of torch": NOTHING
    + "from torch.overrides import TorchFunctionMode\n"
    + "class Mode(TorchFunctionMode):\n"
    + "    def __torch_function__(self, func, types, args=(), kwargs=None):\n"
    + "        return func(*args, **(kwargs or {}))\n"
    + "def train_step(model, optimizer, loss, x, y):\n"
    + "    Mode().__enter__()\n"
    + "    return 0.0",
    "while it is judged": NOTHING
    + "def train_step(model, optimizer, loss, x, y):\n"
    + "    import numpy as np\n"
    + "    np.all = np.abs = np.max = lambda *a, **k: True\n"
    + "    return 0.0\n"
    + "scale = accumulate = loop_a = diagnose = lambda *a: train_step(*a, *range(9))",
    "gradwidgets.grading": NOTHING
    + "import gradwidgets\n"
    + "class Generous:\n"
    + "    def __getattr__(self, name): return lambda *a, **k: 5.0\n"
    + "gradwidgets.grading = Generous()",
    "what plays the questions": NOTHING
    + "import sys\n"
    + "sys.modules['gradwidgets_worker.play'].Scene.take = lambda self, step: None",
    "the code of what says what is there": NOTHING
    + "import sys\n"
    + "Scene = sys.modules['gradwidgets_worker.play'].Scene\n"
    + "Scene.seen.__code__ = (lambda self: {}).__code__",
    "another module for the questions": NOTHING
    + "import sys, types\n"
    + "fake = types.ModuleType('fake')\n"
    + "fake.play = lambda *a: {'seen': [], 'raised': None, 'drawn': {}}\n"
    + "sys.modules['gradwidgets_worker.play'] = fake\n"
    + "sys.modules['__main__'].play = fake.play",
}
