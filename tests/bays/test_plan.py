"""A bay as a picture: figures by geometry, and files that open."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from bays import load_bay
from bays.__main__ import main
from bays.checking import floor_view
from bays.plan import figures, lines


def test_the_figures_are_of_the_tracked_floor():
    bay = load_bay("demo_bay")
    found = figures(bay, floor_view(bay))
    tracked = 20 * 145 + 20 * 145 - 9 * 20 - 22 * 20  # both sides, without the aisle and the turn-over area
    assert found.tracked_m2 == pytest.approx(tracked, abs=20)
    assert found.blind_m2 == 0
    assert 0 < found.alone_m2 < 0.1 * tracked
    assert 2 < found.expected_cm < 30


def test_a_bay_without_cameras_sees_nothing():
    bay = load_bay("demo_bay").model_copy(update={"cameras": ()})
    found = figures(bay, floor_view(bay))
    assert found.blind_m2 == found.tracked_m2
    assert np.isnan(found.expected_cm)


def test_floor_that_no_area_names_is_told():
    bay = load_bay("demo_bay")
    areas = {name: area for name, area in bay.layout.areas.items() if name != "A13"}
    bay = bay.model_copy(update={"layout": bay.layout.model_copy(update={"areas": areas})})
    said = list(lines(bay, figures(bay, floor_view(bay))))
    assert said[-1] == "300 m² between areas are in none, x 44 to 59, y 0 to 20"


@pytest.mark.parametrize("ending", ["svg", "html", "png"])
def test_a_plan_is_a_file_that_opens(make_bay, tmp_path, capsys, ending):
    make_bay("yard", description="A & B")
    path = tmp_path / f"plan.{ending}"
    assert main(["plan", "yard", "--out", str(path)]) == 0
    assert "seen by no camera: 0 m²" in capsys.readouterr().out
    if ending == "png":
        with Image.open(path) as image:
            assert image.size == (158 * 8, 437)
            assert len(image.getcolors(100_000)) > 5
    else:
        text = path.read_text()
        svg = text[text.index("<svg") : text.index("</svg>") + 6]
        names = {element.text for element in ET.fromstring(svg).iter() if element.text and element.text.strip()}
        assert {"A18(T/O)", "C_2", "D_11"} <= names


def test_a_plan_of_another_kind_is_refused(make_bay, tmp_path, capsys):
    make_bay("yard")
    assert main(["plan", "yard", "--out", str(tmp_path / "plan.pdf")]) == 2
    assert main(["plan", "yard", "--out", str(tmp_path / "no" / "plan.svg")]) == 2
    assert list(tmp_path.glob("plan*")) == []
