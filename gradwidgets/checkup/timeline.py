"""The order of events: a counter for comparisons, and the list that the report shows."""

from __future__ import annotations

from gradwidgets.checkup.record import MOST_KEPT
from gradwidgets.checkup.report import Event


class Timeline:
    """Counts events; `now` is the number of the latest."""

    def __init__(self, events: list[Event]) -> None:
        self.now = 0
        self._events = events

    def tick(self, kind: str, detail: str = "") -> int:
        """Enter an event and return its number; one forward is many modules."""
        self.now += 1
        latest = self._events[-1] if self._events else None
        if latest is not None and latest.kind == kind and latest.detail == detail:
            latest.times += kind != "forward"
        elif len(self._events) < MOST_KEPT:
            self._events.append(Event(kind, detail))
        return self.now
