"""The fields of a form as it was sent."""

from __future__ import annotations

from urllib.parse import parse_qs

from attrs import frozen
from starlette.requests import Request

from mesh_sync.errors import ConfigError
from mesh_sync.web.guard import BODY

MOST_FIELDS = 200


@frozen
class Form:
    """Its fields, by name; a name can come more than once."""

    fields: dict[str, list[str]]

    @classmethod
    def of(cls, request: Request) -> Form:
        """That of a request. Raise ConfigError when it is none that a page of ours sends."""
        try:
            text = request.scope[BODY].decode()
            return cls(parse_qs(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=MOST_FIELDS))
        except ValueError:
            raise ConfigError("this is no form of this page") from None

    def text(self, name: str) -> str:
        """The last value of a field, without spaces at its ends; empty if it was not sent."""
        return self.raw(name).strip()

    def raw(self, name: str) -> str:
        """The last value of a field, its lines ended as Unix does."""
        return self.fields.get(name, [""])[-1].replace("\r\n", "\n")

    def lines(self, name: str) -> list[str]:
        """Its lines that are not empty, or its words between commas."""
        return [word for line in self.raw(name).split("\n") for part in line.split(",") if (word := part.strip())]
