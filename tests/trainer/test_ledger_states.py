import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from napari_medseg.models.errors import LedgerError
from napari_medseg.trainer.ledger import AlreadyAccepted, CorrectionRecord, Ledger


class LedgerStates(RuleBasedStateMachine):
    """Any sequence of what people do, beside lists that say what should come of it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())

    @initialize()
    def a_new_project(self) -> None:
        self.ledger = Ledger.open(self.folder)
        self.accepted: list[tuple[int, int]] = []  # image, mask
        self.records: list[CorrectionRecord] = []
        self.patient: dict[int, str] = {}  # of an image, as first given
        self.side: dict[str, bool] = {}  # of a group: held out?
        self.versions: list[str] = []
        self.base = "nuclei"
        self.used: set[str] = set()  # names that versions were made from, or that were ever active
        self.chosen: str | None = None

    @rule(image=st.integers(0, 5), mask=st.integers(0, 2), patient=st.sampled_from(["", "a", "b", "c", "d"]))
    def accept(self, image: int, mask: int, patient: str) -> None:
        pixels, labels = np.full((4, 5), image, np.uint8), np.full((4, 5), mask, np.uint8)
        holding = [m for i, m in self.accepted if i == image][-1:]
        if holding == [mask]:
            with pytest.raises(AlreadyAccepted) as caught:
                self.ledger.add(pixels, labels, group=patient)
            assert caught.value.record == self.records[len(self.records) - 1 - self._newest_first().index(image)]
        else:
            self.records.append(self.ledger.add(pixels, labels, group=patient))
            self.accepted.append((image, mask))
            self.patient.setdefault(image, patient or f"image {image}")

    @rule(activate=st.booleans())
    def learn(self, activate: bool) -> None:
        name = f"v{len(self.versions) + 1}"
        assert self.ledger.add_version(name.encode(), {}, self.active, {}, "", activate=activate).name == name
        self.used.add(self.active)
        self.versions.append(name)
        if activate:
            self.chosen = name

    @rule(choice=st.sampled_from(["v1", "v2", "v3", "nuclei", "polyps", "unheard of"]))
    def choose(self, choice: str) -> None:
        if choice in {*self.versions, self.base, *self.used}:
            self.ledger.activate(choice)
            self.chosen = choice
            self.used.add(choice)
        else:
            with pytest.raises(LedgerError, match="no model"):
                self.ledger.activate(choice)

    @rule(base=st.sampled_from(["nuclei", "polyps"]))
    def name_the_base(self, base: str) -> None:
        self.ledger.set_base(base)
        self.base = base

    @rule()
    def reopen(self) -> None:
        self.ledger.close()
        self.ledger = Ledger.open(self.folder)

    @property
    def active(self) -> str:
        return self.chosen or self.base

    def _newest_first(self) -> list[int]:
        return [i for i, _ in reversed(self.accepted)]

    @invariant()
    def lists_what_was_accepted(self) -> None:
        assert self.ledger.corrections(all=True) == self.records
        latest = {image: k for k, (image, _) in enumerate(self.accepted)}
        assert self.ledger.corrections() == [self.records[k] for k in sorted(latest.values())]
        for record, (image, mask) in list(zip(self.records, self.accepted, strict=True))[-2:]:
            assert np.all(self.ledger.load_image(record).data == image)
            assert np.all(self.ledger.load_mask(record) == mask)

    @invariant()
    def keeps_patients_together_and_in_place(self) -> None:
        hashes = [(self.patient[image], r.group) for (image, _), r in zip(self.accepted, self.records, strict=True)]
        assert len(set(hashes)) == len({p for p, _ in hashes}) == len({h for _, h in hashes})
        for held_out, side in enumerate(self.ledger.split()):
            for record in side:
                assert self.side.setdefault(record.group, bool(held_out)) == bool(held_out)
        assert sum(map(len, self.ledger.split())) == len(self.ledger.corrections())

    @invariant()
    def knows_its_models(self) -> None:
        assert self.ledger.active() == self.active
        assert [m.name for m in self.ledger.models()] == self.versions
        assert [m.name for m in self.ledger.models() if m.active] == [v for v in self.versions if v == self.active]

    def teardown(self) -> None:
        try:
            assert self.ledger.verify() == []
            self.ledger.close()
        finally:
            shutil.rmtree(self.folder)


TestLedgerStates = LedgerStates.TestCase
TestLedgerStates.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)
