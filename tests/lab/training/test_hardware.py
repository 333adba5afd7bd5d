"""A training takes the GPU where there is one, and all cores."""

import os

import pytest
import torch

from lab.training.hardware import Hardware, computes_in_bfloat16, cores


def test_a_gpu_is_taken_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    found = Hardware.find()
    assert (found.device, found.on_gpu, found.mixed_precision) == ("cuda:0", True, True)
    assert found.batch > Hardware.find("cpu").batch
    assert Hardware.find("cuda:1").for_ultralytics()["device"] == 1


def test_without_one_the_cpu_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    found = Hardware.find()
    assert (found.device, found.on_gpu) == ("cpu", False)
    assert found.for_ultralytics() == {"device": "cpu", "workers": 0, "amp": False}


def test_cores_are_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5})
    assert cores() == 3


@pytest.mark.parametrize(
    ("able", "expected"),
    [
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, False),
        ({"avx2": True, "avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"neon": True, "bf16": True}, True),
        ({"neon": True}, False),
    ],
)
def test_a_cpu_trains_in_bfloat16_only_where_it_multiplies_it(
    able: dict[str, bool], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert computes_in_bfloat16(torch.device("cpu")) is expected
