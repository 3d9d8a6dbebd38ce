"""What a training writes down as it goes: a table for people and spreadsheets, and events for TensorBoard."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from lightning.fabric.loggers import TensorBoardLogger

from napari_medseg.models.durable import explained, write


@dataclass(frozen=True)
class LogRow:
    """One line of log.csv.

    Attributes:
        step: number of the step, from 1.
        epoch: how often each image was learned from so far, on average.
        seconds: of training so far, validation included.
        lr: learning rate of the step.
        loss: mean over the steps since the line before.
        val_dice: mean Dice of the validation images, if they were looked at after this step.
        best_dice: highest of these so far.
    """

    step: int
    epoch: float
    seconds: float
    lr: float
    loss: float
    val_dice: float | None = None
    best_dice: float | None = None


class TrainingLog:
    """OUT/log.csv and OUT/tensorboard; a training that goes on forgets what it wrote after its last checkpoint.

    Args:
        folder: OUT.
        step: the last step that was done.

    Raises:
        WriteError: the folder cannot be written.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._file = folder / "log.csv"
        write(self._file, self._up_to(step).encode())
        self._events = TensorBoardLogger(folder, name="tensorboard", version="", purge_step=step + 1)

    def add(self, row: LogRow) -> None:
        """Write a line; it is there at once for whoever looks.

        Raises:
            WriteError: the folder cannot be written.
        """
        with explained(self._file):
            with self._file.open("a", encoding="utf-8", newline="") as file:
                csv.writer(file).writerow(["" if value is None else value for value in asdict(row).values()])
            figures = {name: value for name, value in asdict(row).items() if name != "step" and value is not None}
            self._events.log_metrics(figures, row.step)

    def close(self) -> None:
        """Write what is left."""
        self._events.finalize("success")

    def _up_to(self, step: int) -> str:
        """The header and the lines up to a step; a line that a crash cut short is none."""
        names = [field.name for field in fields(LogRow)]
        text = io.StringIO()
        table = csv.writer(text)
        table.writerow(names)
        if step and self._file.is_file():
            with self._file.open(encoding="utf-8", errors="replace", newline="") as file:
                for line in list(csv.reader(file))[1:]:
                    if len(line) == len(names) and line[0].isdecimal() and int(line[0]) <= step:
                        table.writerow(line)
        return text.getvalue()
