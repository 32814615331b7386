"""Notebooks of people who want points for functions that they did not write, or to do harm.

Each is judged on the four functions of homework 1 and earns nothing, but for what `DESERVED` says.
"""

from tests.grading.tricks import NOTHING, TRICKS

FORWARD = """
import torch
def up(name):
    import sys
    frame = sys._getframe()
    while frame:
        if name in frame.f_locals:
            return frame.f_locals[name]
        frame = frame.f_back
"""

WRITE = """
import json, os, struct
def write(message, descriptors=range(3, 64)):
    body = json.dumps(message).encode()
    for descriptor in descriptors:
        try:
            os.write(descriptor, struct.pack('>I', len(body)) + body)
        except OSError:
            pass
"""

DRAWN = "{'torch': '0x0', 'random': '0x0', 'numpy': '0x0'}"
ANSWER = f"{{'id': n, 'seen': [], 'raised': None, 'drawn': {DRAWN}}}"

HOSTILE = {
    **{f"trick: {name}": [source] for name, source in TRICKS.items()},
    "np.abs = np.isnan": ["import numpy as np\nnp.abs = np.isnan\n" + NOTHING],
    "reads the oracle out of the frames": [
        NOTHING
        + FORWARD
        + "def train_step(model, optimizer, loss, x, y):\n"
        + "    case = up('case')\n"
        + "    value = case.step(x.numpy(), y.numpy())\n"
        + "    for p, w in zip(model.parameters(), case.expected): p.data = torch.tensor(w)\n"
        + "    return float(value)\n"
    ],
    "replaces runpy": [
        "import runpy\nrunpy.run_module = lambda *a, **k: {'grade': lambda *a: 5.0}\n" + NOTHING
    ],
    "a package of its own in the folder": [
        "from pathlib import Path\n"
        "for name in ('gradwidgets', 'gradwidgets_worker'):\n"
        "    Path(name, 'grading').mkdir(parents=True)\n"
        "    Path(name, '__init__.py').write_text('')\n"
        "    Path(name, 'grading/__init__.py').write_text('grade = lambda *a: 5.0')\n" + NOTHING
    ],
    "hooks of the shell that show points": [
        "import sys\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "shell.events.register('post_run_cell', lambda *_: sys.displayhook(5.0))\n" + NOTHING,
        "sys.displayhook(5.0)\n5.0",
    ],
    "another player in the worker": [
        NOTHING + "import sys\n"
        "for module in list(sys.modules.values()):\n"
        "    if getattr(module, 'play', None) and 'worker' in module.__name__:\n"
        "        module.play = lambda question, function: {'seen': [], 'raised': None,\n"
        "            'drawn': dict.fromkeys(('torch', 'random', 'numpy'), '0x0')}\n"
        "import gradwidgets_worker.play as inner\n"
        "inner.Scene.seen = lambda self: {'parameters': [], 'gradients': [], 'training': True,\n"
        "    'groups': [], 'given': [], 'returned': {'type': 'float', 'value': '0x1p+0'}}\n"
    ],
    "answers in advance": [NOTHING + WRITE + f"for n in range(100): write({ANSWER})"],
    "answers from a thread": [
        NOTHING + WRITE + "import threading, time\n"
        "def answer():\n"
        "    for n in range(1000):\n"
        f"        write({ANSWER})\n"
        "        time.sleep(0.01)\n"
        "threading.Thread(target=answer, daemon=True).start()\n"
    ],
    "forks, and the child answers": [
        NOTHING + "import os\nif os.fork():\n    import time\n    time.sleep(3600)\n"
    ],
    "closes all descriptors": [NOTHING + "import os\nos.closerange(0, 256)\n"],
    "frames of four gigabytes": [
        NOTHING + "import os\nfor d in range(3, 64):\n"
        "    try: os.write(d, b'\\xff' * 4)\n"
        "    except OSError: pass\n"
    ],
    "nests deeply": [
        NOTHING + "import os, struct\nbody = b'{\"a\":' + b'[' * 400000 + b']' * 400000 + b'}'\n"
        "for d in range(3, 64):\n"
        "    try: os.write(d, struct.pack('>I', len(body)) + body)\n"
        "    except OSError: pass\n"
    ],
    "json says what it likes": [
        NOTHING + 'import json\njson.dumps = lambda *a, **k: \'{"id": 0, "missing": true}\'\n'
    ],
    "nan and infinity everywhere": [
        NOTHING + "def train_step(model, optimizer, loss, x, y):\n"
        "    for p in model.parameters(): p.data = p.data * float('nan')\n"
        "    return float('nan')\n"
        "def loop_a(model, optimizer, loss, batches):\n"
        "    for p in model.parameters(): p.data.fill_(float('inf'))\n"
        "loop_b = loop_c = loop_a\n"
    ],
    "huge arrays": [
        NOTHING + "def train_step(model, optimizer, loss, x, y):\n"
        "    for p in model.parameters(): p.data = torch.zeros(3000, 3000)\n"
        "    return 0.0\n"
        "loop_a = loop_b = loop_c = lambda model, *a: train_step(model, *[None] * 4)\n"
    ],
    "arrays without values": [
        NOTHING + "def train_step(model, optimizer, loss, x, y):\n"
        "    for p in model.parameters(): p.data = torch.zeros(0)\n"
        "    return 0.0\n"
        "loop_a = loop_b = loop_c = lambda model, *a: train_step(model, *[None] * 4)\n"
    ],
    "half of the bits": [
        NOTHING + "def train_step(model, optimizer, loss, x, y):\n"
        "    for p in model.parameters(): p.data = p.data.to(torch.bfloat16)\n"
        "    return 0.0\n"
    ],
    "everything is equal to everything": [
        NOTHING + "import torch\n"
        "torch.Tensor.__eq__ = torch.Tensor.__le__ = lambda *a: True\n"
        "torch.Tensor.__sub__ = lambda self, other: self * 0\n"
    ],
    "encodes what it should be": [
        NOTHING + "import gradwidgets_worker.play as inner\n"
        "inner.encoded = lambda array: {'dtype': 'float32', 'shape': [10 ** 12], 'bytes': ''}\n"
    ],
    "texts that harm a terminal": [
        NOTHING + "def train_step(*a):\n"
        "    raise ValueError('\\x1b]0;owned\\x07\\ud800<script>alert(1)</script>')\n"
    ],
    "leaves by os._exit": [NOTHING + "import os\nos._exit(0)\n"],
    "kills itself and all it sees": [
        NOTHING + "import os, signal\n"
        "for name in os.listdir('/proc'):\n"
        "    if name.isdigit():\n"
        "        try: os.kill(int(name), signal.SIGKILL)\n"
        "        except OSError: pass\n"
    ],
    "signals that never come": [
        NOTHING + "import signal\n"
        "for number in range(1, 32):\n"
        "    try: signal.signal(number, signal.SIG_IGN)\n"
        "    except OSError: pass\n"
        "while True: pass\n"
    ],
    "code at the end": [
        NOTHING + "import atexit\n"
        "class Late:\n"
        "    def __del__(self): print('5.0')\n"
        "late = Late()\n"
        "atexit.register(lambda: print('5.0'))\n"
        "raise SystemExit(5)\n"
    ],
    "starts a program that goes on": [
        NOTHING + "import subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3600)'],\n"
        "                 start_new_session=True)\n"
    ],
    "traces its parent": [
        NOTHING + "import ctypes, os\n"
        "libc = ctypes.CDLL(None)\n"
        "print(libc.ptrace(16, os.getppid(), 0, 0), libc.ptrace(16, 1, 0, 0))\n"
    ],
    "sitecustomize": [
        "from pathlib import Path\nimport site, sys\n"
        "for folder in (*sys.path, *site.getsitepackages(), '.'):\n"
        "    for name in ('sitecustomize.py', 'usercustomize.py', 'own.pth'):\n"
        "        try: Path(folder, name).write_text('import os; os._exit(0)')\n"
        "        except OSError: pass\n" + NOTHING
    ],
    "a fork bomb": [
        NOTHING + "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass\n"
    ],
    "all the memory": [
        NOTHING + "kept = []\nwhile True:\n    try: kept.append(bytearray(10 ** 8))\n"
        "    except MemoryError: pass\n"
    ],
    "all the disk": [
        NOTHING + "n = 0\nwhile n < 10 ** 4:\n    n += 1\n"
        "    try: open(f'f{n}', 'wb').write(b'x' * 10 ** 7)\n    except OSError: pass\n"
    ],
    "fifty megabytes of text": [
        NOTHING + "print('x' * 50_000_000)\nimport os\nos.write(1, b'y' * 50_000_000)\n"
    ],
}
"""Name: the cells."""

DESERVED = {
    "trick: torch.optim.SGD.step": {"train_step": 4.0},
    "trick: a step hook for all optimizers": {"train_step": 4.0},
    "trick: another SGD": {"train_step": 4.0},
}
"""Who forgets to clear earns 4 of 5 for `train_step`, with a hook at `step` and without.

A `step` that moves nothing earns nothing.
"""
