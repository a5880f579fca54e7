"""Functions from arguments to text, compiled once per decorated function.

The source of each has the parameter list of the decorated function, and one f-string: integers and ASCII text are
written in it without a call, all else by ``values`` or ``templates``. Everything the source refers to is in its
namespace under a name that no parameter has, so a parameter may be called ``type``, ``str`` or anything else.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from hotplate.errors import ConfigError, UnkeyableError
from hotplate.keys.classes import Refused, is_left_out
from hotplate.keys.parameters import Subject, entering, excluded, read, remedies
from hotplate.keys.templates import Field, Template, field_text, parse
from hotplate.keys.values import value_text, writer_of

__all__ = ["KeyCode", "key_code", "key_function", "names_text", "text_function"]

_LEFT_OUT_TEXT = "_"
_RESULT = "result"
_STARS: dict[object, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


class KeyCode:
    """How the key of a call is made, to be compiled."""

    def __init__(
        self,
        code: "_Code",
        subject: Subject,
        parameters: str,
        fast: list[str],
        slow: list[str],
        explain: Callable[..., UnkeyableError] | None = None,
    ) -> None:
        self._code = code
        self._subject = subject
        self._parameters = parameters
        self._fast = fast
        self._slow = slow
        self._explain = explain

    def key(self) -> Callable[..., str]:
        """The key of a call: takes what the function takes (``self`` or ``cls`` first) and returns text."""
        code = self._code
        return code.function(self._subject.name, self._parameters, self._fast, self._slow, explain=self._explain)

    def lookup(
        self,
        recall: Callable[[Any, str], Any],
        plan: object,
        missing: object,
        otherwise: Callable[[str, tuple[Any, ...], dict[str, Any]], Any],
        *,
        copied: Callable[[Any], Any] | None = None,
        is_async: bool,
    ) -> Callable[..., Any]:
        """What takes what the function takes and gives ``recall(plan, key)``.

        ``otherwise(key, args, kwargs)`` stands for ``missing``, awaited in a coroutine function; ``args`` and
        ``kwargs`` have the defaults in them. ``copied`` makes what is returned of what was recalled.
        """
        code = self._code
        text, value = code.name("text"), code.name("value")
        look = f"{code.constant('recall', recall)}({code.constant('plan', plan)},{text})"
        call = f"{code.constant('otherwise', otherwise)}({text},{','.join(code.passed_on())})"
        then = [
            f" {value}={look}",
            f" if {value} is {code.constant('missing', missing)}:",
            f"  return {'await ' if is_async else ''}{call}",
            f" return {value}" if copied is None else f" return {code.constant('copied', copied)}({value})",
        ]
        return code.function(
            self._subject.name,
            self._parameters,
            self._fast,
            self._slow,
            explain=self._explain,
            take=f"{text}=",
            then=then,
            is_async=is_async,
        )


def key_function(
    function: Callable[..., Any],
    *,
    key: str | None = None,
    prefix: str | None = None,
    exclude: Iterable[str] = (),
) -> Callable[..., str]:
    """The key of a call; see ``key_code``."""
    return key_code(function, key=key, prefix=prefix, exclude=exclude).key()


def key_code(
    function: Callable[..., Any],
    *,
    key: str | None = None,
    prefix: str | None = None,
    exclude: Iterable[str] = (),
) -> KeyCode:
    """How the key of a call is made.

    Without ``key`` the text is ``module.qualname:name=value,...`` with every argument by type: ``1``, ``True``, ``1.0``
    and ``"1"`` are four. ``prefix`` replaces module and qualname. ``exclude`` names parameters on which the result does
    not depend. Responses, background tasks and database sessions are left out; a request or a dependency that cannot be
    keyed is refused until ``exclude`` or a template says what is meant: one user's result could reach another.

    ``key`` is a template. With several fields, ``%`` and the character after a field are percent-encoded in its text,
    so that ``{a}:{b}`` never gives two calls one key. A function made inside another one has the name of all its
    copies: what it closes over is not in the key.

    Raises ``ConfigError`` for settings that cannot be meant and ``UnkeyableError`` where an annotation tells that a
    parameter cannot be keyed. The returned function raises ``UnkeyableError`` for such a value, and ``TypeError`` as
    ``function`` itself would for arguments that do not fit.
    """
    setting = "key" if key is not None else "cached"
    subject = read(function, setting)
    names = excluded(subject, exclude)
    if key is None:
        return _default_key(subject, prefix, names)
    if prefix is not None:
        raise ConfigError(f"prefix={prefix!r} has no meaning beside key={key!r}; write it into the template")
    template = parse(key, "key", percent_encode=True)
    _check_names(template, subject, subject.names)
    for field in template.fields:
        if field.name in names:
            raise ConfigError(
                f"{template} names `{field.name}`, which exclude= leaves out; leave it out of one of them"
            )
    if not template.fields:
        missing = [one.name for one in entering(subject, names, refuse=False)]
        if missing:
            raise ConfigError(
                f"{template} gives every call of {subject.label} one key; name a parameter, such as "
                f"key='{key}:{{{missing[0]}}}', or write exclude={missing!r} if the result does not depend on them"
            )
    return _template_code(subject, template)


def text_function(
    function: Callable[..., Any],
    template: str,
    *,
    with_result: bool = False,
    setting: str = "tags",
    percent_encode: bool = False,
) -> Callable[..., str]:
    """A tag, a key or a prefix of a call: takes what ``function`` takes, after its result if ``with_result``.

    ``{result.id}`` names the result, unless the function has a parameter ``result``: then that is meant. Texts of
    fields are written as they are; ``percent_encode`` writes them as ``key_function`` does, for a key that one made.
    Raises ``ConfigError``; the returned function raises ``UnkeyableError`` for a value without text.
    """
    subject = read(function, setting)
    parsed = parse(template, setting, percent_encode=percent_encode)
    _check_names(parsed, subject, [*subject.names, _RESULT] if with_result else subject.names)
    return _template_code(subject, parsed, with_result=with_result).key()


def names_text(template: str, setting: str, *, percent_encode: bool = False) -> Callable[[Mapping[str, object]], str]:
    """The same for an event, whose names come with it: takes the mapping of names to values.

    Raises ``ConfigError``; the returned function raises ``UnkeyableError`` for a name that is not there.
    """
    parsed = parse(template, setting, percent_encode=percent_encode)
    code = _Code(())
    given = code.name("names")
    fast, slow = _pieces(code, parsed, lambda field: f"{given}[{field.name!r}]", None)

    def explain(error: Exception, names: Mapping[str, object]) -> UnkeyableError:
        for field in parsed.fields:
            if field.name not in names:
                there = ", ".join(f"`{name}`" for name in names) or "none"
                return UnkeyableError(f"{parsed} names `{field.name}`, which was not given; names given: {there}")
        return UnkeyableError(f"{parsed} cannot be filled: {_said(error)}")

    return code.function("text", given, fast, slow, explain=explain, arguments=[given])


def _default_key(subject: Subject, prefix: str | None, exclude: frozenset[str]) -> KeyCode:
    if prefix is None:
        if subject.prefix is None:
            raise ConfigError(
                f"cached: {subject.label} has no name of its own (a lambda, a bound method, a callable object); "
                "give prefix=, a key template, or decorate a function made with def"
            )
        prefix = subject.prefix
    elif not prefix:
        raise ConfigError(f"prefix={prefix!r} is no text; give a name such as prefix='products'")
    code = _Code(subject.parameters)

    def other(value: object, name: str) -> str:
        try:
            return value_text(value)
        except Refused as refused:
            if is_left_out(type(value)) and writer_of(type(value)) is None:
                return _LEFT_OUT_TEXT
            error = _unkeyable(subject, name, value, refused)
        except RecursionError:
            error = _unkeyable(subject, name, value, Refused(None, "it is nested too deep"))
        raise error

    call = code.constant("other", other)
    fast = [repr(f"{prefix}:")]
    slow = [repr(f"{prefix}:")]
    for position, parameter in enumerate(entering(subject, exclude)):
        stars = _STARS.get(parameter.kind, "")
        label = repr(f"{',' if position else ''}{stars}{parameter.name}=")
        rest = f"{call}({parameter.name},{parameter.name!r})"
        fast += [label, _placed(rest if stars else code.argument(parameter, rest))]
        slow += [label, _placed(rest)]
    return KeyCode(code, subject, code.parameter_list(), fast, slow)


def _template_code(subject: Subject, template: Template, *, with_result: bool = False) -> KeyCode:
    code = _Code(subject.parameters)
    result = code.name("result")
    own = set(subject.names)
    base = {_RESULT: result} if with_result and _RESULT not in own else {}
    fast, slow = _pieces(code, template, lambda field: base.get(field.name, field.name), subject)

    def explain(error: Exception) -> UnkeyableError:
        return UnkeyableError(f"{subject.label}: {template} cannot be filled: {_said(error)}")

    parameters = code.parameter_list(result if with_result else None)
    has_path = any(field.path for field in template.fields)
    return KeyCode(code, subject, parameters, fast, slow, explain if has_path else None)


def _pieces(
    code: "_Code", template: Template, base: Callable[[Field], str], subject: Subject | None
) -> tuple[list[str], list[str]]:
    """The pieces of a template's text, fast and slow; ``base`` is the source of a field's name."""
    fields = template.fields

    def other(value: object, position: int) -> str:
        try:
            return field_text(value, fields[position])
        except Refused as refused:
            error = _no_text(template, fields[position], value, refused, subject)
        raise error

    call = code.constant("other", other)
    fast: list[str] = []
    slow: list[str] = []
    position = 0
    for piece in template.pieces:
        if isinstance(piece, str):
            fast.append(repr(piece))
            slow.append(repr(piece))
        else:
            source = base(piece) + piece.path
            fast.append(_placed(code.field(piece, position, source, call)))
            slow.append(_placed(f"{call}({source},{position})"))
            position += 1
    return fast, slow


def _check_names(template: Template, subject: Subject, names: list[str]) -> None:
    for field in template.fields:
        if field.name not in names:
            there = ", ".join(f"`{name}`" for name in names) or "none"
            raise ConfigError(
                f"{template} names `{field.name}`, which is no parameter of {subject.label}; it can name: {there}"
            )


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _class_named(cls: type) -> str:
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _unkeyable(subject: Subject, name: str, value: object, refused: Refused) -> UnkeyableError:
    cls = refused.cls or type(value)
    has = "is" if cls is type(value) else f"is {_class_named(type(value))} and has in it"
    return UnkeyableError(
        f"{subject.label}: parameter `{name}` cannot enter the key: it {has} {_class_named(cls)}: {refused.reason}. "
        f"{remedies(subject, name, cls)}."
    )


def _no_text(
    template: Template, field: Field, value: object, refused: Refused, subject: Subject | None
) -> UnkeyableError:
    where = f"{subject.label}: {template}" if subject else str(template)
    return UnkeyableError(
        f"{where}: {{{field.source}}} is {_class_named(type(value))}: {refused.reason}. Name an attribute of it that "
        f"is text, a number, a date, a UUID or an enum's member, such as {{{field.source}.id}}, "
        "or give its class a method __cache_key__(self) -> str."
    )


class _Code:
    """Source under construction, and the namespace it will run in."""

    def __init__(self, parameters: tuple[inspect.Parameter, ...]) -> None:
        self.parameters = parameters
        self.mark = "_h"
        while any(parameter.name.startswith(self.mark) for parameter in parameters):
            self.mark += "_"
        self.namespace: dict[str, Any] = {"__builtins__": {}}
        self.type = self.constant("type", type)
        self.int = self.constant("int", int)
        self.str = self.constant("str", str)
        self.bool = self.constant("bool", bool)
        self.float = self.constant("float", float)
        self.quote = self.constant("quote", "'")

    def name(self, name: str) -> str:
        """A name that no parameter has."""
        return f"{self.mark}_{name}"

    def constant(self, name: str, value: object) -> str:
        """The name of ``value`` in the source."""
        name = self.name(name)
        self.namespace[name] = value
        return name

    def argument(self, parameter: inspect.Parameter, rest: str) -> str:
        """The text of an argument in a default key; ``rest`` writes what is no common scalar."""
        name = parameter.name
        number = f"{name} if {self.type}({name}) is {self.int} else "
        text = f"{self.quote}+{name}+{self.quote} if {self._is_ascii(name)} and {self.quote} not in {name} else "
        nothing = f"None if {name} is None else "
        # NaN is left to `rest`, which refuses it.
        rest = (
            f"{name} if {self.type}({name}) is {self.bool} or {self.type}({name}) is {self.float} and {name} == {name} "
            f"else {rest}"
        )
        if parameter.annotation is str or isinstance(parameter.default, str):
            return text + number + nothing + rest
        if parameter.default is None:
            return nothing + number + text + rest
        return number + text + nothing + rest

    def field(self, field: Field, position: int, source: str, call: str) -> str:
        """The text of a field; ``call`` writes what is neither int nor plain text."""
        if field.spec:
            return f"{call}({source},{position})"
        # A path is evaluated once: an attribute may be a property.
        name = self.name(f"value{position}") if field.path or not source.isidentifier() else source
        first = source if name == source else f"({name}:={source})"
        sign = f" and {self.constant('sign', -1)} < {name}" if "-" in field.escaped else ""
        clean = "".join(
            f" and {self.constant(f'escaped{position}_{index}', character)} not in {name}"
            for index, character in enumerate(field.escaped)
        )
        return (
            f"{name} if {self.type}({first}) is {self.int}{sign} "
            f"else {name} if {self._is_ascii(name)}{clean} else {call}({name},{position})"
        )

    def parameter_list(self, first: str | None = None) -> str:
        """The decorated function's own, with its defaults as objects; ``first`` is one more before them."""
        kinds = [parameter.kind for parameter in self.parameters]
        listed = [first] if first else []
        if first and inspect.Parameter.POSITIONAL_ONLY not in kinds:
            listed.append("/")
        starred = inspect.Parameter.VAR_POSITIONAL in kinds
        for index, parameter in enumerate(self.parameters):
            if parameter.kind is parameter.KEYWORD_ONLY and not starred:
                listed.append("*")
                starred = True
            default = ""
            if parameter.default is not parameter.empty:
                default = f"={self.constant(f'default{index}', parameter.default)}"
            listed.append(f"{_STARS.get(parameter.kind, '')}{parameter.name}{default}")
            if parameter.kind is parameter.POSITIONAL_ONLY and kinds[index + 1 : index + 2] != [parameter.kind]:
                listed.append("/")
        return ",".join(listed)

    def passed_on(self) -> tuple[str, str]:
        """The arguments of a call, with defaults: the source of a tuple and of a dictionary."""
        args: list[str] = []
        kwargs: list[str] = []
        for parameter in self.parameters:
            if parameter.kind is parameter.KEYWORD_ONLY:
                kwargs.append(f"{parameter.name!r}:{parameter.name}")
            elif parameter.kind is parameter.VAR_KEYWORD:
                kwargs.append(f"**{parameter.name}")
            else:
                args.append(f"{_STARS.get(parameter.kind, '')}{parameter.name}")
        return f"({''.join(f'{one},' for one in args)})", f"{{{','.join(kwargs)}}}"

    def function(
        self,
        name: str,
        parameters: str,
        fast: list[str],
        slow: list[str],
        *,
        explain: Callable[..., UnkeyableError] | None = None,
        arguments: Iterable[str] = (),
        take: str = "return ",
        then: Iterable[str] = (),
        is_async: bool = False,
    ) -> Callable[..., Any]:
        """The compiled function.

        ``fast`` and ``slow`` are the pieces of the text. ``slow`` is for an integer too long for decimal text, which
        the f-string refuses. ``explain`` makes the error for an attribute or an index that is not there. The text is
        returned, or what else ``take`` does with it; ``then`` are the lines after that.
        """
        made = self.name("made")
        value_error = self.constant("value_error", ValueError)
        lines = [f"{'async ' if is_async else ''}def {made}({parameters}):", " try:", f"  {take}{' '.join(fast)}"]
        lines += [f" except {value_error}:", f"  {take}{' '.join(slow)}"]
        if explain is not None:
            caught = self.constant("caught", (AttributeError, LookupError, TypeError))
            error = self.name("error")
            call = f"{self.constant('explain', explain)}({','.join([error, *arguments])})"
            lines += [f" except {self.constant('said', UnkeyableError)}:", "  raise"]
            lines += [f" except {caught} as {error}:", f"  raise {call} from {error}"]
        lines += then
        # The names in it are identifiers, the texts are literals by repr(), and all else is in the namespace.
        exec(compile("\n".join(lines), "<hotplate key>", "exec"), self.namespace)  # noqa: S102
        function = self.namespace[made]
        function.__name__ = name.rpartition(".")[2]
        function.__qualname__ = name
        return cast("Callable[..., Any]", function)

    def _is_ascii(self, name: str) -> str:
        return f"{self.type}({name}) is {self.str} and {name}.isascii()"


def _placed(expression: str) -> str:
    """The expression in an f-string."""
    return f'f"{{({expression})}}"'
