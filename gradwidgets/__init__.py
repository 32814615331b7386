"""Gradwidgets: learn what `.grad` does by changing it."""
