"""checkup and its rivals on the collection of loops: `make scorecard` writes SCORECARD.md."""
