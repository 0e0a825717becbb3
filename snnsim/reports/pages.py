"""What all pages share: the frame with its style, how numbers are written, and pictures inside the file."""

import base64
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined

from snnsim.errors import InputError
from snnsim.files import write_text
from snnsim.reports import formats

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture:
    """A PNG inside a page: its content as a data URI, and its size in pixels."""

    title: str
    caption: str
    uri: str
    width: int
    height: int

    @classmethod
    def of(cls, content: bytes, title: str, caption: str, source: str) -> "Picture":
        """Take the content of a PNG file; ``source`` is what a message calls it.

        Raises
        ------
        InputError
            It is not a PNG.
        """
        if content[:8] != PNG_SIGNATURE:
            raise InputError(f"{source}: not a PNG image")
        # Width and height stand at a fixed place in the header.
        width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
        uri = f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"
        return cls(title, caption, uri, width, height)


def write_page(path: Path, template: str, **content: object) -> Path:
    """Fill a template of this folder and write the page.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    environment = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=formats.count,
        joules=formats.joules,
        percent=formats.percent,
        short=formats.short,
        digits=formats.digits,
    )
    write_text(path, environment.get_template(template).render(content))
    return path


def _template(name: str) -> str:
    return (resources.files("snnsim.reports") / name).read_text("utf-8")
