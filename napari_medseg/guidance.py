"""What to do next, at each moment, in one sentence."""

from __future__ import annotations

from .state import PanelState


def next_step(state: PanelState) -> str:
    """The sentence at the top of the panel; a pure function of what the panel shows."""
    if state.image is None:
        return "Open an image: drag a file into the window, or take one from File > Open Sample > MedSeg."
    if not state.image_usable:
        return "This layer cannot be segmented as it is; pick or open another image."
    if state.segmenting is not None:
        return "Segmenting. You can go on looking around; Cancel stops it."
    if state.accepting:
        return "Writing your correction to the disk."
    if state.large and not state.in_part:
        if state.large_mask:
            return "Zoom in to where the mask is wrong, and press Edit here to correct that part of it."
        return "This image is large. Press Segment (S), or open a mask of it; then zoom in and press Edit here."
    if state.mask is None:
        return _before_segmenting(state)
    if not state.accepted:
        return "Correct the mask with clicks (Q), mask tools or the brush, then press Accept (Ctrl+Return)."
    if state.learning is not None:
        return "Accepted. The model is learning in the background; open the next image and go on."
    return _after_accepting(state)


def _before_segmenting(state: PanelState) -> str:
    choice = state.choice()
    if not state.engine_ready:
        return "The engine is starting; in a moment you can segment."
    if choice is None:
        return "Pick a model."
    if not choice.trained:
        return (
            "This network knows nothing yet: draw the mask in a new Labels layer, or press Segment (S) for an empty or "
            "a wild one to correct. Two corrected cases are enough to start."
        )
    return "Press Segment (S)."


def _after_accepting(state: PanelState) -> str:
    if state.corrections == 1:
        return "Accepted. Open an image of another patient or file: from two on, a new model can be compared."
    if state.held_out and not state.versions:
        return "Accepted. Press Fine-tune now to let the model learn from your corrections, or open the next image."
    return "Accepted. Open the next image."
