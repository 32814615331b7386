"""Lesson 09 has no lab."""

from tests.lessons.instructions import Instruction

INSTRUCTIONS: list[Instruction] = []
