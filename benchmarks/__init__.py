"""What gradwidgets costs, measured side by side with the same thing done without it."""
