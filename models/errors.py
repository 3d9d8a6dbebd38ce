"""What can go wrong, said so that a clinician can act on it.

A message has what happened, what was kept and what to do next; the traceback goes to the log. Every error
that is somebody's input and not our mistake is a `MedSegError`, so the panel and the command line show its
text and nothing else.
"""


class MedSegError(Exception):
    """Base of all errors whose text is meant for the person at the desk."""


class ImageError(MedSegError, ValueError):
    """An image or a mask cannot be read, or cannot be used as it is."""


class ModelError(MedSegError, ValueError):
    """A network, its weights or its card cannot be used."""


class PromptError(MedSegError, ValueError):
    """A click, scribble, box or lasso that cannot be used; says why."""


class LedgerError(MedSegError, RuntimeError):
    """The project cannot be read or written; nothing was changed."""


class EngineError(MedSegError, RuntimeError):
    """The predictor or the trainer cannot be reached, or died."""


class ImageNotSentError(EngineError):
    """The predictor has not got the image that it is asked about; it can be sent, and asked again."""


class CancelledError(MedSegError):
    """The user asked for it to stop."""
