"""Which model, and what it shall answer with."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QFormLayout, QWidget

from ..bringing_in import ENDINGS
from ..controller import PanelController
from ..state import ModelChoice
from .binding import button, follow, picker, text

ANSWERS = {"instances": "Objects, one label each", "mask": "Mask, one label a class"}


class ModelSection(QWidget):
    """Picks a model by its card."""

    def __init__(self, controller: PanelController) -> None:
        super().__init__()
        self._controller, self._state = controller, controller.state
        self.picker = picker(self, "The model that segments, and that learns from your corrections")
        self.about = text(self, "about")
        self.weights = text(self, "about")
        self.answer = picker(self, "What the mask holds")
        self.from_file = button(
            self,
            "From file ...",
            "Weights that MedSeg made (.safetensors), or published ones for the encoder of the picked network",
            self._open,
        )
        form = QFormLayout(self)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Model", self.picker)
        form.addRow(self.about)
        form.addRow(self.weights)
        form.addRow("Answer", self.answer)
        form.addRow(self.from_file)
        self.picker.activated.connect(self._picked)
        self.answer.activated.connect(self._answer_picked)
        follow(self._state, self._list_models, "models", "model", "active")
        follow(self._state, self._list_answers, "models", "model", "answer")

    def _list_models(self) -> None:
        names = [choice.name for choice in self._state.models]
        titles = [
            f"{choice.title} (active)" if choice.name == self._state.active else choice.title
            for choice in self._state.models
        ]
        if titles != [self.picker.itemText(row) for row in range(self.picker.count())]:
            self.picker.clear()
            self.picker.addItems(titles)
        self.picker.setCurrentIndex(names.index(self._state.model) if self._state.model in names else -1)
        choice = self._state.choice()
        self.about.setText(_about(choice) if choice else "")
        self.weights.setText(choice.weights_from if choice else "")
        self.weights.setVisible(bool(self.weights.text()))

    def _list_answers(self) -> None:
        choice = self._state.choice()
        answers = choice.answers if choice else ()
        self.answer.clear()
        for answer in answers:
            labels = ", ".join(choice.labels.values()) if choice and answer == "mask" else ""
            self.answer.addItem(f"{ANSWERS[answer]} ({labels})" if labels else ANSWERS[answer], answer)
        self.answer.setCurrentIndex(answers.index(self._state.answer) if self._state.answer in answers else -1)
        self.answer.setEnabled(len(answers) > 1)

    def _picked(self, index: int) -> None:
        self._state.model = self._state.models[index].name

    def _answer_picked(self, index: int) -> None:
        self._state.answer = self.answer.itemData(index)

    def _open(self) -> None:
        endings = " ".join(f"*{ending}" for ending in ENDINGS)
        path, _ = QFileDialog.getOpenFileName(self, "Weights", "", f"Weights ({endings})")
        if path:
            self._controller.add_model_file(Path(path))


def _about(choice: ModelChoice) -> str:
    """What is known of a model; of one that knows nothing yet, this first."""
    if choice.trained:
        return choice.about
    return f"Knows nothing yet: two corrected cases are enough to start. {choice.about}"
