"""A bay's file: shown, and a change to it checked and shown as a difference. Nothing here writes a file."""

import difflib
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from bay_observation.errors import ConfigError
from bays import bay_ids
from bays.editing import read_text
from bays.loading import bay_file, parse_bay
from dashboard.api.access import BayId, User, may
from dashboard.api.answers import answer
from dashboard.api.models import BayFile, CheckedFile, ProposedFile
from dashboard.api.routes.bays import area_outlines, camera_views

router = APIRouter(tags=["set-up"])


def editable_bay(bay_id: BayId, user: User) -> str:
    """The bay of the address, whether or not its file is right, for a person who may correct it."""
    if not may(user, "PUT", bay_id):
        raise HTTPException(403, f"no right to correct bay {bay_id}")
    if bay_id not in bay_ids():
        raise HTTPException(404, f"there is no bay {bay_id}")
    return bay_id


EditableBay = Annotated[str, Depends(editable_bay)]


@router.get("/bays/{bay_id}/file", response_model=BayFile)
def show_file(request: Request, bay: EditableBay) -> Response:
    """The bay's YAML file, for who may correct the bay: it names the cameras' hosts."""
    return answer(request, BayFile(bay_id=bay, name=bay_file(bay).name, text=read_text(bay_file(bay))))


@router.post("/bays/{bay_id}/file/check", response_model=CheckedFile)
def check_file(bay: EditableBay, proposed: ProposedFile) -> CheckedFile:
    """What a changed file would be: its faults, the difference to the file as it is, and its floor. It is not kept."""
    path = bay_file(bay)
    before = read_text(path).splitlines(keepends=True)
    after = proposed.text.splitlines(keepends=True)
    diff = "".join(difflib.unified_diff(before, after, f"a/bays/{path.name}", f"b/bays/{path.name}"))
    try:
        found = parse_bay(path, proposed.text, bay)
    except ConfigError as error:
        faults = str(error).replace(f"{path.parent}/", "").splitlines()
        return CheckedFile(bay_id=bay, faults=faults, diff=diff, width=0, height=0, areas=[], cameras=[])
    return CheckedFile(
        bay_id=bay,
        faults=[],
        diff=diff,
        width=found.layout.width,
        height=found.layout.height,
        areas=area_outlines(found),
        cameras=camera_views(found),
    )
