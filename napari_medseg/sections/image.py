"""Which image, and whose it is."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QFormLayout, QLineEdit, QWidget

from napari_medseg.models.reading import IMAGE_ENDINGS

from ..controller import PanelController
from .binding import button, follow, picker, text


class ImageSection(QWidget):
    """Picks an image layer, says what it is, and asks for the patient or file that it belongs to."""

    def __init__(self, controller: PanelController) -> None:
        super().__init__()
        self._controller, self._state, self._masks = controller, controller.state, controller.masks
        self.picker = picker(self, "The image to segment")
        self.about = text(self, "about")
        self.open = button(self, "Open ...", "Open images with their spacing and channels", self._open)
        self.group = QLineEdit(self)
        self.group.setToolTip(
            "Images of one patient or file are never split between learning and judging. Only a salted hash is stored."
        )
        form = QFormLayout(self)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Image", self.picker)
        form.addRow(self.about)
        form.addRow(self.open)
        form.addRow("Patient or file", self.group)
        self.picker.activated.connect(self._picked)
        self.group.textEdited.connect(lambda typed: setattr(self._state, "group", typed))
        follow(self._state, self.list_images, "image")
        self._masks.layers_changed.connect(self.list_images)
        follow(self._state, lambda: self.about.setText(self._state.image_about), "image_about")
        follow(self._state, self._show_group, "group")
        follow(self._state, lambda: self.group.setPlaceholderText(self._state.origin), "origin")

    def list_images(self) -> None:
        """Show the image layers by the names they have now."""
        images = self._masks.images()
        self.picker.blockSignals(True)
        self.picker.clear()
        for layer in images:
            self.picker.addItem(layer.name, layer)
        self.picker.setCurrentIndex(images.index(self._state.image) if self._state.image in images else -1)
        self.picker.blockSignals(False)
        self.picker.setEnabled(bool(images))

    def _open(self) -> None:
        endings = " ".join(f"*{ending}" for ending in IMAGE_ENDINGS)
        paths, _ = QFileDialog.getOpenFileNames(self, "Open images", "", f"Images ({endings})")
        self._controller.open_images([Path(path) for path in paths])

    def _picked(self, index: int) -> None:
        images = self._masks.images()
        if 0 <= index < len(images):
            self._state.image = images[index]

    def _show_group(self) -> None:
        if self.group.text() != self._state.group:
            self.group.setText(self._state.group)
