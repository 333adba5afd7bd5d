"""The yard's own numbers of blocks."""

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from bay_observation.errors import ConfigError
from dashboard.api.access import Bay, User, WritableBay
from dashboard.api.answers import answer
from dashboard.api.history import history
from dashboard.api.models import BlockNumber, BlockNumbers
from dashboard.api.routes.floor import TRACK_ID
from tracking.history import BlockName, BlockNames

router = APIRouter(tags=["names"])

Name = Annotated[str, Path(max_length=32, description="the yard's own number, as 4412P")]


class NameGiven(BaseModel):
    """Which block is to have which number."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=32, description="the yard's own number, as 4412P")]
    track_id: Annotated[str, Field(pattern=TRACK_ID)]
    move: Annotated[bool, Field(description="though another block has it")] = False


@router.get("/bays/{bay_id}/names", response_model=BlockNumbers)
def list_names(request: Request, bay: Bay) -> Response:
    """Blocks that have a number, and how certain it is that they are still those blocks."""
    found = [_number(name) for name in BlockNames(history(), bay.bay_id).held()]
    return answer(request, BlockNumbers(bay_id=bay.bay_id, names=found))


@router.post("/bays/{bay_id}/names", response_model=BlockNumber)
def give_name(bay: WritableBay, given: NameGiven, user: User) -> BlockNumber:
    """Give a block that stands in the bay a number; 409 where another block has it."""
    names = BlockNames(history(), bay.bay_id)
    holder = next((one.track_id for one in names.held() if one.name == given.name), given.track_id)
    if holder != given.track_id and not given.move:
        raise HTTPException(409, f"{given.name} is the number of {holder}: say `move` to take it from there")
    try:
        return _number(names.give(given.track_id, given.name, _person(user), move=given.move))
    except ConfigError as error:
        raise HTTPException(422, str(error)) from error


@router.post("/bays/{bay_id}/names/{name}/take", status_code=204)
def take_name(bay: WritableBay, name: Name, user: User) -> None:
    """Take a number from its block."""
    BlockNames(history(), bay.bay_id).take(name, _person(user))


def _person(user: Any) -> str:
    return str(user.get_name())[:96]


def _number(name: BlockName) -> BlockNumber:
    return BlockNumber(
        name=name.name,
        track_id=name.track_id,
        slot=name.slot,
        given_by=name.given_by,
        given_at=name.given_at,
        probability=name.probability,
        alternatives=dict(name.alternatives),
    )
