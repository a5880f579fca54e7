"""An application by its name, ``main:app``, as servers take it: imported from the directory the program is run in."""

import sys
import traceback
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any

from hotplate.cli.ends import USAGE, End

__all__ = ["application"]


def application(name: str, *, is_factory: bool = False) -> Any:
    """The application ``MODULE:ATTRIBUTE``; with ``is_factory``, what calling it gives.

    Importing runs the module: whatever it does at import is done. Ends the program where there is no such application.
    """
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        raise End(USAGE, f"{name!r} names no application: write MODULE:APP, as in main:app")
    directory = str(Path.cwd())
    if directory not in sys.path:
        sys.path.insert(0, directory)
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise End(
                USAGE, f"there is no module {error.name} in {directory}: run this where the server runs"
            ) from None
        raise _raised(f"{module_name} cannot be imported", error) from error
    except Exception as error:
        raise _raised(f"{module_name} cannot be imported", error) from error
    try:
        found: Any = reduce(getattr, attribute.split("."), module)
    except AttributeError:
        raise End(USAGE, f"the module {module_name} has no {attribute}") from None
    if is_factory:
        try:
            found = found()
        except Exception as error:
            raise _raised(f"{name} cannot be called", error) from error
    if not callable(found):
        raise End(USAGE, f"{name} is no ASGI application, but a {type(found).__name__}")
    return found


def _raised(what: str, error: Exception) -> End:
    """What went wrong in somebody else's code: the exception, and the line that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return End(USAGE, f"{what}: {type(error).__name__}: {error}{place}")
