"""Prompts in the window: tools for the mouse, what they mean for the object in work, and what the predictor answers."""

from .prompting import Prompting

__all__ = ["Prompting"]
