"""The pipeline benchmark's arithmetic: what is compared with what."""

import pytest

from bay_observation.errors import ClusterError
from lab.benchmarks.pipeline import bars_of, comparison_table, main, stages_table
from lab.benchmarks.timeline import ACCOUNTS, TASKS
from lab.cluster.settings import BASE_ENV, read_env, section_of_base_env


def slot(*batches):
    """A slot of batches of (total, work); the work is done in run_inference, the rest is waiting of capture_images."""
    return {
        "total_s": max(total for total, _ in batches),
        "batches": [
            {
                "bay": "4bay",
                "total_s": total,
                "work_s": work,
                "own_share_s": total - work,
                "seconds": seconds(total, work),
            }
            for total, work in batches
        ],
    }


def seconds(total, work):
    spent = {task: dict.fromkeys(ACCOUNTS, 0.0) for task in TASKS}
    spent["capture_images"]["waiting"] = total - work
    spent["run_inference"]["work"] = work
    return spent


CASE = {
    "alone": [slot((10, 7)), slot((12, 9)), slot((8, 5))],
    "together": [slot((10, 5), (13, 5), (12, 5)), slot((16, 5), (11, 5), (11, 5)), slot((12, 5), (11, 5), (12, 5))],
}


def test_the_bars_take_medians_and_three_bays_until_the_last_of_them():
    share, ratio = bars_of(CASE)
    assert (share.figure, share.bar, share.holds) == (3, 3.5, True)
    assert ratio.figure == pytest.approx(13 / 10)
    assert ratio.holds
    assert ratio.spread == "1.2 to 1.6"


def test_a_share_and_a_ratio_above_their_bars_fail():
    slow = {"alone": [slot((14, 4))], "together": [slot((24, 4), (20, 4), (20, 4))]}
    share, ratio = bars_of(slow)
    assert (share.figure, ratio.figure) == (10, pytest.approx(24 / 14))
    assert not share.holds
    assert not ratio.holds


def cells(table, column):
    return list(table.columns[column].cells)


def test_the_table_of_stages_adds_up_to_the_whole_batch():
    table = stages_table(CASE["alone"], "")
    assert cells(table, 0) == [*TASKS, "whole batch"]
    assert cells(table, len(ACCOUNTS) + 1)[-1] == "3.00"
    assert cells(table, len(ACCOUNTS) + 2)[-1] == "10.00"


def test_before_and_after_stand_side_by_side():
    table = comparison_table({"before": CASE, "after": {"alone": [slot((5, 4))], "together": [slot((6, 5))]}})
    assert [column.header for column in table.columns[1:]] == ["before", "after"]
    assert cells(table, 1) == ["10.00", "3.00", "7.00", "13.00", "7.00", "5.00", "1.30 x", "2.33 x"]
    assert cells(table, 2) == ["5.00", "1.00", "4.00", "6.00", "1.00", "5.00", "1.20 x", "1.00 x"]


def test_a_machine_that_cannot_do_it_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.setattr("lab.benchmarks.pipeline.missing", lambda: "ip (iproute2)")
    assert main([]) == 2
    assert "no cluster on this machine: ip (iproute2)" in capsys.readouterr().err


def test_before_leaves_out_what_makes_it_fast_and_keeps_what_makes_it_work():
    speed = section_of_base_env("Speed of the orchestration")
    assert "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME" in speed
    kept = set(read_env(BASE_ENV)) - speed
    assert {"AIRFLOW__CORE__EXECUTOR", "AIRFLOW__TRIGGERER__QUEUES_ENABLED"} <= kept
    assert speed <= set(read_env(BASE_ENV))


def test_a_section_that_is_not_there_is_named():
    with pytest.raises(ClusterError, match="no section 'Luck'"):
        section_of_base_env("Luck")
