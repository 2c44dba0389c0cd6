"""What was read, held against what it should be."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from mpdviz.errors import BadInput

Model = TypeVar("Model", bound=BaseModel)
SHOWN = 80
"""Characters of a wrong value that a message shows."""


def checked(model: type[Model], content: Any, what: str, remedy: str) -> Model:
    """`content` as a `model`.

    Raises:
        BadInput: it is none; names the first place that is wrong.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        where = f"{place}: " if place else ""
        raise BadInput(f"{what} is damaged ({where}{first['msg'][:SHOWN].lower()})", remedy) from None
    except RecursionError:
        raise BadInput(f"{what} is nested too deep", remedy) from None
