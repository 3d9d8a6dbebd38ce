from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from napari_medseg.models.devices import choose_device, choose_precision, fastest_precision, threads_of_one_core
from napari_medseg.models.errors import ModelError

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("has", "precision"),
    [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": False, "avx2": True}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_half_precision_is_for_processors_that_have_it(
    monkeypatch: pytest.MonkeyPatch, has: dict[str, bool], precision: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has, raising=False)
    assert fastest_precision(CPU) is precision


def test_a_torch_that_cannot_tell_computes_with_all_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert fastest_precision(CPU) is torch.float32


def test_segmenting_and_learning_keep_all_digits_without_a_gpu() -> None:
    assert choose_precision("auto", CPU) is torch.float32


def test_an_unknown_precision_or_device_is_named() -> None:
    with pytest.raises(ModelError, match="'float8'"):
        choose_precision("float8", CPU)
    with pytest.raises(ModelError, match="'abacus'"):
        choose_device("abacus")


def test_threads_that_compute_alone_leave_others_as_many_cores_as_they_had() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with threads_of_one_core(4, "alone") as alone, ThreadPoolExecutor(1) as other:
            assert {begun.result() for begun in [alone.submit(torch.get_num_threads) for _ in range(20)]} == {1}
            assert other.submit(torch.get_num_threads).result() == 3
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
