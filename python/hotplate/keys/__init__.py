"""How the arguments of a cached function become the text of a key, and how templates are filled.

Flow: ``key_function`` reads the function's parameters once (``parameters``), decides which of them enter the key
(``classes`` knows what must not by accident), and compiles a function with the same parameter list (``functions``).
So Python itself binds positional, keyword and default forms: one call in any form is one key. A default key has the
text of every argument by type (``values``); a key template has the fields that it names (``templates``).

Not here: where a key is kept, and when it is invalidated.
"""

from hotplate.keys.functions import key_function, names_text, text_function

__all__ = ["key_function", "names_text", "text_function"]
