import pytest

from lab.benchmarks import covered


def file(statements, lines, branches=0, taken=0):
    summary = {"num_statements": statements, "covered_lines": lines, "percent_covered": 12.5}
    return {"summary": summary | {"num_branches": branches, "covered_branches": taken}}


REPORT = {
    "files": {
        "bays/models.py": file(60, 60, 8, 6),
        "bays/naming.py": file(40, 29, 2, 2),
        "fusion/types.py": file(10, 9),
        "lab/machine.py": file(900, 0),
    }
}


def test_lines_and_branches_of_each_package():
    found = covered.covered(REPORT)
    bar, branches = found["bays"]
    assert (bar.figure, bar.holds, branches) == (89.0, False, 80.0)
    bar, branches = found["fusion"]
    assert (bar.figure, bar.holds, branches) == (90.0, True, 0.0)
    assert found["all"][0].figure == pytest.approx(100 * 98 / 110)  # without the lab


def test_a_package_that_no_test_runs_fails():
    assert not covered.covered(REPORT)["dags"][0].holds


@pytest.mark.parametrize(("lines", "status"), [(10, 0), (8, 1)])
def test_the_command_fails_where_a_bar_does(lines, status, monkeypatch, capsys):
    files = {f"{package}/a.py": file(10, 10, 4, 3) for package in covered.PACKAGES} | {"fusion/a.py": file(10, lines)}
    monkeypatch.setattr(covered, "_report", lambda: {"files": files})
    assert covered.main() == status
    row = next(line for line in capsys.readouterr().out.splitlines() if "fusion" in line)
    assert f"{lines * 10:.1f} %" in row
    assert ("fails" in row) is bool(status)
