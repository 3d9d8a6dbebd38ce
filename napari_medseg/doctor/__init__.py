"""What is wrong with this installation or project, and the remedy. Looks, and changes nothing.

Each module has one check: a generator of `Finding`s. Whatever may crash or hang for good - Qt, OpenGL, torch - is tried
in a process of its own (`screen_probe`, `models.device_survey`). No check imports torch, napari or Qt here.
"""
