"""The loss has the wrong shape or sign."""
