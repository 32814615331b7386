"""The service behind `gradwidgets class`: what a class answered, and how far each has come.

It stands outside `gradwidgets`, loads no torch, and runs on the lecturer's machine or as a service
of a JupyterHub. It needs tornado, which comes with every Jupyter server. Learners' kernels speak to
it through `gradwidgets.lessons.classroom`, and only where they are given its address.

All it offers is JSON over HTTP, below its address. Each request carries
`Authorization: token TOKEN`, with a server's token of the hub or with the room's word; with the
word `X-Learner: ID` too, an id that the learner's side has drawn.

| request | who | body | answer |
|---|---|---|---|
| PUT api/answers/KEY | a learner | `{"choice": TEXT}` | `{"kept": true}`; false: another counts |
| PUT api/passed/KEY | a learner | `{}` | the same, of a solved exercise |
| GET api/me | a learner | | all that is kept of them |
| PUT api/me | a learner | `{"name": TEXT}` | `{}`; an empty name removes it |
| DELETE api/me | a learner | | `{}`; nothing is kept of them any more |
| GET api/asked | a learner | | `{"key", "question", "choices"}`, or `{}` |
| PUT api/asked | the lecturer | `{"key", "question", "choices"}` | `{"votes", "phones", "word"}` |
| GET api/class | the lecturer | | a list of `{"learner", "answered", "passed"}` |
| DELETE api/class | the lecturer | | `{}`; nothing is kept any more |

A question counts as asked for half a minute; the lecturer's side repeats its PUT and is told the
votes so far. What is refused is answered with a status of 400 or more and `{"error": TEXT}`.
`vote` is a page for phones.
"""

from gradwidgets_class.store import Store

__all__ = ["Store"]
