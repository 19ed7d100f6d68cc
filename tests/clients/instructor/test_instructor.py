"""Instructor, which asks for objects through OpenAI's client. It needs an older one, and so an environment of its own."""

from __future__ import annotations

from typing import Literal

import instructor
import openai
import pydantic
import pytest
from conftest import KEY, MODEL


class Tale(pydantic.BaseModel):
    """A tale."""

    animal: Literal["fox", "wolf"]
    pages: int = pydantic.Field(ge=1, le=99)


@pytest.mark.parametrize("mode", [instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA])
def test_objects_are_valid(server: str, mode: instructor.Mode) -> None:
    client = instructor.from_openai(openai.OpenAI(base_url=f"{server}/v1", api_key=KEY), mode=mode)
    messages = [{"role": "user", "content": "Tell me of an animal"}]
    tale = client.create(
        model=MODEL, messages=messages, response_model=Tale, max_retries=0, temperature=0, max_tokens=200
    )
    assert isinstance(tale, Tale)
