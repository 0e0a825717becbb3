"""How a specification is written: `Spec`, a map of options, and `Choice`, one name with its options."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, ClassVar, Self, cast

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError


class Spec(BaseModel):
    """A frozen map of options; unknown keys, text or truth values for numbers, and NaN are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @classmethod
    def keys(cls) -> dict[str, str]:
        """Attribute name of every key as written in YAML (they differ for Python's reserved words)."""
        return {field.alias or name: name for name, field in cls.model_fields.items()}

    def resolved(self) -> dict[str, Any]:
        """Plain data with every default filled in; keys without a value are left out."""
        values = {key: getattr(self, name) for key, name in self.keys().items()}
        return {key: _plain(value) for key, value in values.items() if value is not None}


class Choice(Spec):
    """Exactly one of the fields: ``name``, ``{name: {options}}``, or a short form ``{name: value}``.

    ``SHORT`` names, for each choice that has one, the option that a bare value stands for; ``NOUN`` is what
    messages call the choice.
    """

    SHORT: ClassVar[Mapping[str, str]] = {}
    NOUN: ClassVar[str] = "choice"

    @classmethod
    def of(cls, value: object) -> Self:
        """Validate any of the three forms.

        Raises
        ------
        pydantic.ValidationError
            The value is none of them; `snnsim.spec.faults` puts it into words.
        """
        return cls.model_validate(value)

    @classmethod
    def long_form(cls, value: object) -> object:
        """Write a bare name or a short form as ``{name: {options}}``; leave all else as it is."""
        if isinstance(value, str):
            return {value: {}}
        if isinstance(value, dict):
            return {name: cls._long_options(name, options) for name, options in value.items()}
        return value

    @classmethod
    def _long_options(cls, name: object, options: object) -> object:
        if options is None:
            return {}
        if isinstance(name, str) and name in cls.SHORT and not isinstance(options, (dict, Spec)):
            return {cls.SHORT[name]: options}
        return options

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: object) -> object:
        known = cls.keys()
        if not isinstance(value, (str, dict, cls)):
            raise rule(f"must name one {cls.NOUN}, alone or as the key of a map (got {show(value)})")
        if isinstance(value, str) and value not in known:
            raise rule(f"unknown {cls.NOUN} {value!r}{nearest(value, known)}")
        if isinstance(value, dict) and len(value) != 1:
            got = ", ".join(map(str, value)) or "none"
            raise rule(f"must have one key that names the {cls.NOUN}, its options indented below it (got {got})")
        return cls.long_form(value)

    @property
    def name(self) -> str:
        """The name that was chosen, as written in YAML."""
        (field,) = self.model_fields_set
        return type(self).model_fields[field].alias or field

    @property
    def options(self) -> Spec:
        """The options of the name that was chosen."""
        (field,) = self.model_fields_set
        return cast(Spec, getattr(self, field))

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe all three forms, for editors."""
        reference = handler(core)
        schema = handler.resolve_ref_schema(reference)
        options = schema.pop("properties")
        for name, option in options.items():
            option.pop("default", None)
            option.pop("title", None)
            if name in cls.SHORT:
                meant = handler.resolve_ref_schema(option["anyOf"][0])["properties"][cls.SHORT[name]]
                short = {key: value for key, value in meant.items() if key not in ("default", "title")}
                option["anyOf"].insert(0, short)
        form = {"type": "object", "properties": options, "minProperties": 1, "maxProperties": 1}
        form["additionalProperties"] = schema.pop("additionalProperties")
        schema.pop("type")
        schema["anyOf"] = [{"enum": list(options)}, form]
        return reference


def rule(message: str) -> PydanticCustomError:
    """Return the error by which a validator refuses a value, in our own words."""
    return PydanticCustomError("rule", "{text}", {"text": message})


def show(value: object) -> str:
    """Write a value as YAML would, in a few words."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return f"a map of {', '.join(map(str, list(value)[:4]))}" if value else "an empty map"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    try:
        text = repr(value)
    except ValueError:  # Python declines to write a number of thousands of digits
        text = "a number too long to show"
    return text if len(text) <= 60 else f"{text[:57]}..."


def nearest(word: str, words: Mapping[str, object] | Sequence[str]) -> str:
    """Say which known word was probably meant, or which there are."""
    swapped = [known for known in words if sorted(known) == sorted(word)]
    close = swapped or get_close_matches(word, list(words), n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; must be one of {', '.join(words)}"


def _kinds(annotation: Any) -> list[type[Spec]]:
    """Return the specifications that a field's annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return [annotation]
    return [kind for part in getattr(annotation, "__args__", ()) for kind in _kinds(part)]


def spec_kind(annotation: Any) -> type[Spec] | None:
    """Return the specification that a field holds, alone or in a list; None for plain values."""
    kinds = _kinds(annotation)
    return kinds[0] if kinds else None


def _plain(value: Any) -> Any:
    if isinstance(value, Spec):
        return value.resolved()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
