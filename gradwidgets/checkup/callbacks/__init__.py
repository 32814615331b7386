"""Ready callbacks for other people's trainers; each file imports its own framework when it is used.

`callbacks.lightning`, `callbacks.hugging_face`, `callbacks.skorch` and `callbacks.fastai` have a
`CheckupCallback` for a trainer's list, and `callbacks.ignite` one with `attach`.
"""
