"""Values of annotated types, through Pydantic: models, dataclasses, typed dicts, named tuples, enums, nested.

The content is what Pydantic writes as JSON, read again by `TypeAdapter.validate_json`; its first byte is ``J``. Not
everything is the same after that: bytes that are no text, NaN, a zone with rules, a datetime in a union with str. So
what was written is read at once, and compared with the value part by part. Where they differ, the value is written
once more in its Python form, by the self-describing format of `hotplate.codecs.plain`, and read by `validate_python`;
its first byte is ``P``. Where that differs too, the value is refused. All this is paid when a value is stored.

Fields go by their names and not by their aliases, since an alias may hold in one direction only; computed fields are
computed again. Which fields were set is not kept: all are, afterwards.
"""

import inspect
import json
from collections.abc import Callable
from enum import Enum
from importlib import import_module
from types import ModuleType
from typing import Any, get_args, get_origin

from hotplate.codecs.annotations import annotation_text
from hotplate.codecs.differences import first_difference
from hotplate.codecs.frame import Framed
from hotplate.codecs.paths import Place, place_text
from hotplate.codecs.plain import NotKeptError, read, written
from hotplate.codecs.refusals import changed, is_live, live_remedy
from hotplate.errors import ConfigError, EncodeError

__all__ = ["TypedCodec"]


class TypedCodec(Framed):
    """Keeps values of one annotated type, and gives back equal ones of the same types all the way down.

    Raises `ConfigError` where the type cannot be kept at all, or Pydantic 2 is not installed. A value is refused
    (`EncodeError`) that would come back otherwise: a subclass of the model that is annotated, a field that is excluded,
    a secret, an instance that was never valid.
    """

    def __init__(self, annotation: Any, *, signing_key: bytes | None = None, signed_name: str = "") -> None:
        text = annotation_text(annotation)
        pydantic = _pydantic(text)
        _refuse_live(annotation, text)
        try:
            adapter = pydantic.TypeAdapter(annotation)
            schema = _schema(adapter)
        except Exception as error:
            said = str(error).partition("\n")[0]
            raise ConfigError(
                f"values of `{text}` cannot be kept in the shared tier ({said}): {live_remedy}"
            ) from error
        super().__init__("typed", f"{text}\n{schema}", signing_key=signing_key, signed_name=signed_name)
        self._validate_json: Callable[..., Any] = adapter.validator.validate_json
        self._validate_python: Callable[..., Any] = adapter.validator.validate_python
        self._to_json: Callable[..., bytes] = adapter.dump_json
        self._to_python: Callable[..., Any] = adapter.dump_python
        self._invalid = pydantic.ValidationError
        # By the names of fields, where Pydantic can do that (2.11 and later); else by alias in both directions.
        by_name = "by_name" in inspect.signature(adapter.validate_json).parameters
        self._reading: dict[str, Any] = {"by_alias": False, "by_name": True} if by_name else {}
        self._reading["strict"] = False
        self._writing: dict[str, Any] = {"by_alias": not by_name, "round_trip": True, "warnings": False}

    def _write(self, value: Any) -> bytes:
        if is_live(type(value)):
            raise _refused("$", f"is `{type(value).__qualname__}`", live_remedy)
        try:
            return self._checked(value, self._json_content)
        except EncodeError as error:
            as_json = error
        try:
            return self._checked(value, self._python_content)
        except EncodeError as error:
            # The one that knows where in the value; the first of them if both do.
            refusal = as_json if as_json.path != "$" or error.path == "$" else error
        raise refusal

    def _read(self, content: bytes) -> Any:
        form = content[:1]
        if form == b"J":
            return self._validate_json(content[1:], **self._reading)
        if form == b"P":
            return self._validate_python(read(content[1:]), **self._reading)
        raise ValueError("no such form")

    def _json_content(self, value: Any) -> bytes:
        return b"J" + self._to_json(value, **self._writing)

    def _python_content(self, value: Any) -> bytes:
        return b"P" + written(self._to_python(value, **self._writing), _substitute)

    def _checked(self, value: Any, make: Callable[[Any], bytes]) -> bytes:
        """The content, if it reads as the value again; else an `EncodeError` that says where it does not."""
        try:
            content = make(value)
            again = self._read(content)
        except EncodeError:
            raise
        except self._invalid as error:
            raise _invalid(error) from None
        # Serialisers and validators are the application's: what they raise says that the value is not kept.
        except Exception as error:
            raise _refused("$", f"cannot be written ({type(error).__name__}: {error})", live_remedy) from None
        found = first_difference(value, again)
        if found is not None:
            raise changed(*found, codec="typed")
        return content


def _pydantic(text: str) -> ModuleType:
    try:
        pydantic = import_module("pydantic")
    except ImportError:
        raise ConfigError(f"values of `{text}` are kept with the help of Pydantic 2: pip install pydantic") from None
    if not hasattr(pydantic, "TypeAdapter"):
        raise ConfigError(f"values of `{text}` are kept with the help of Pydantic 2, and 1 is installed: upgrade it")
    return pydantic


def _refuse_live(annotation: Any, text: str) -> None:
    stack = [annotation]
    while stack:
        part = stack.pop()
        if isinstance(part, type) and is_live(part):
            raise ConfigError(
                f"values of `{text}` cannot be kept in the shared tier: `{part.__qualname__}` is bound to its process "
                f"or session; {live_remedy}"
            )
        origin = get_origin(part)
        if origin is not None:
            stack.extend((origin, *get_args(part)))


def _schema(adapter: Any) -> str:
    """The JSON schemas of what is read and written, as one text; empty where the type has none."""
    generator = import_module("pydantic.json_schema").GenerateJsonSchema
    quiet = type("_Quiet", (generator,), {"emit_warning": lambda self, kind, detail: None})
    try:
        schemas = [adapter.json_schema(mode=mode, schema_generator=quiet) for mode in ("validation", "serialization")]
    except Exception:
        return ""
    return json.dumps(schemas, sort_keys=True)


def _substitute(part: Any) -> Any:
    """What stands for a part that the self-describing format does not keep: validation makes the part of it again."""
    if isinstance(part, Enum):
        return part.value
    kind: Any
    for kind in (str, int, float, tuple, list, dict, set, frozenset, bytes):
        if isinstance(part, kind) and type(part) is not kind:
            return kind(part)
    if type(part).__module__.partition(".")[0] in ("pathlib", "ipaddress"):
        return str(part)
    raise NotKeptError(part)


def _invalid(error: Any) -> EncodeError:
    """What does not read again as what was annotated: it never was valid, or its own form is refused."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place: Place = None
    for step in first["loc"]:
        place = place if step == "[key]" else (place, step)
    remedy = "return a value that its own annotation accepts (was it made with `model_construct`?)"
    return _refused(place_text(place), f"would not be valid again ({first['msg']})", remedy)


def _refused(path: str, what: str, remedy: str) -> EncodeError:
    return EncodeError(f"value cannot be kept: `{path}` {what}; {remedy}", path=path)
