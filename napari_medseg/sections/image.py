"""Which image, and whose it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QFormLayout, QHBoxLayout, QLineEdit, QProgressBar, QWidget

from napari_medseg.models.formats.kinds import IMAGE_ENDINGS

from ..controller import PanelController
from ..opening.choosing import PartsDialog
from .binding import button, follow, picker, show_share, text

MASK_ENDINGS = (".nii", ".nii.gz", ".nrrd", ".mha", ".dcm", ".tif", ".tiff", ".png")
"""Of files that masks are kept in, for the file dialog; others can be chosen there, too."""


class ImageSection(QWidget):
    """Picks an image layer, says what it is, and asks for the patient or file that it belongs to."""

    def __init__(self, controller: PanelController) -> None:
        super().__init__()
        self._controller, self._state, self._masks = controller, controller.state, controller.masks
        self.picker = picker(self, "The image to segment")
        self.about, self.notices = text(self, "about"), text(self, "about")
        self.open = button(self, "Open ...", "Open images with their spacing, place and channels", self._open)
        self.open_folder = button(
            self, "Open folder ...", "Open a DICOM series, or an OME-Zarr image, by its folder", self._open_folder
        )
        self.open_mask = button(
            self, "Open mask ...", "Open a mask of this image that was made before, to correct it", self._open_mask
        )
        self.open_mask_folder = button(
            self,
            "Open mask folder ...",
            "Open a mask of this image that is a folder: OME-Zarr labels, or an OME-Zarr image with labels",
            self._open_mask_folder,
        )
        self.opening = text(self, "status")
        self.copying = QWidget(self)
        self.bar = QProgressBar(self.copying)
        self.cancel = button(self.copying, "Cancel", "Stop; the mask that is shown stays", self._cancel)
        _in_row(QHBoxLayout(self.copying), self.bar, self.cancel)
        self.dialog: PartsDialog | None = None
        self.group = QLineEdit(self)
        self.group.setToolTip(
            "Images of one patient or file are never split between learning and judging. Only a salted hash is stored."
        )
        form = QFormLayout(self)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Image", self.picker)
        form.addRow(self.about)
        form.addRow(self.notices)
        form.addRow(_beside(self.open, self.open_folder))
        form.addRow(_beside(self.open_mask, self.open_mask_folder))
        form.addRow(self.opening)
        form.addRow(self.copying)
        form.addRow("Patient or file", self.group)
        self.picker.activated.connect(self._picked)
        self.group.textEdited.connect(lambda typed: setattr(self._state, "group", typed))
        follow(self._state, self.list_images, "image")
        self._masks.layers_changed.connect(self.list_images)
        follow(self._state, lambda: self.about.setText(self._state.image_about), "image_about")
        follow(self._state, self._allow_masks, "image_usable", "opening_share")
        follow(self._state, self._show_share, "opening_share")
        follow(self._state, self._show_notices, "image_notices")
        follow(self._state, self._show_opening, "opening")
        follow(self._state, self._ask, "choosing")
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
        endings = " ".join(f"*{ending} *{ending.upper()}" for ending in IMAGE_ENDINGS)
        paths, _ = QFileDialog.getOpenFileNames(self, "Open images", "", f"Images ({endings});;All files (*)")
        self._controller.open_images([Path(path) for path in paths])

    def _open_folder(self) -> None:
        if folder := QFileDialog.getExistingDirectory(self, "Open a DICOM series or an OME-Zarr image"):
            self._controller.open_images([Path(folder)])

    def _open_mask(self) -> None:
        endings = " ".join(f"*{ending} *{ending.upper()}" for ending in MASK_ENDINGS)
        path, _ = QFileDialog.getOpenFileName(self, "Open a mask", "", f"Masks ({endings});;All files (*)")
        if path:
            self._controller.mask_file.open(Path(path))

    def _open_mask_folder(self) -> None:
        if folder := QFileDialog.getExistingDirectory(self, "Open a mask that is an OME-Zarr folder"):
            self._controller.mask_file.open(Path(folder))

    def _allow_masks(self) -> None:
        for opens in (self.open_mask, self.open_mask_folder):
            opens.setEnabled(self._state.image_usable and self._state.opening_share is None)

    def _show_share(self) -> None:
        """Only the masks of large images take so long that they can be cancelled."""
        share = self._state.opening_share
        show_share(self.bar, share)
        self.copying.setVisible(share is not None)
        self.cancel.setEnabled(True)  # for the next one

    def _cancel(self) -> None:
        self._controller.mask_file.cancel()
        self.cancel.setEnabled(False)

    def _ask(self) -> None:
        """Offer what there is to choose from, one file or folder at a time."""
        choice = self._state.choosing
        if choice is not None and self.dialog is None:
            self.dialog = PartsDialog(self, choice, self._chosen)
            self.dialog.open()

    def _chosen(self, keys: Sequence[str]) -> None:
        self.dialog = None
        self._controller.opening.choose(keys)

    def _show_notices(self) -> None:
        """What is to be known of the image stays in sight as long as it is the chosen one."""
        self.notices.setText("\n".join(f"Note: {said}" for said in self._state.image_notices))
        self.notices.setVisible(bool(self._state.image_notices))

    def _show_opening(self) -> None:
        self.opening.setText(self._state.opening)
        self.opening.setVisible(bool(self._state.opening))

    def _picked(self, index: int) -> None:
        images = self._masks.images()
        if 0 <= index < len(images):
            self._masks.pick(images[index])

    def _show_group(self) -> None:
        if self.group.text() != self._state.group:
            self.group.setText(self._state.group)


def _beside(*widgets: QWidget) -> QHBoxLayout:
    """Widgets in a row, equally wide."""
    row = QHBoxLayout()
    _in_row(row, *widgets)
    return row


def _in_row(row: QHBoxLayout, *widgets: QWidget) -> None:
    row.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        row.addWidget(widget, 1)
