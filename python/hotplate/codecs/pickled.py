"""Any object that `pickle` takes, for those who have said who may write to the shared tier.

Reading a pickle can run code. So there is no such codec without a proof that the bytes come from a holder of a key: by
the signature that the head carries (`hotplate.codecs.frame` checks it before anything here sees the content), or by the
encryption of the shared tier, which authenticates every entry.
"""

import pickle
from typing import Any

from hotplate.codecs.frame import Framed
from hotplate.codecs.refusals import live_remedy
from hotplate.errors import ConfigError, EncodeError

__all__ = ["PickleCodec"]

_PROTOCOL = 5


class PickleCodec(Framed):
    """Keeps what `pickle` keeps. Raises `ConfigError` without `signing_key` and without `encrypted`.

    Values are not compared with what comes back: what an object keeps of itself is its class's affair.
    """

    def __init__(
        self, annotation: str = "", *, signing_key: bytes | None = None, encrypted: bool = False, signed_name: str = ""
    ) -> None:
        if signing_key is None and not encrypted:
            raise ConfigError(
                'codec "pickle" without signing_key and without encryption_keys: reading a pickle can run code, so '
                'whoever can write to the server could run theirs here; set one of the two, or use the codec "auto"'
            )
        super().__init__("pickle", annotation, signing_key=signing_key, signed_name=signed_name)

    def _write(self, value: Any) -> bytes:
        try:
            return pickle.dumps(value, protocol=_PROTOCOL)
        # An object's own methods take part, and may raise anything.
        except Exception as error:
            what = f"`$` is `{type(value).__qualname__}` and cannot be pickled ({error})"
            raise EncodeError(f"value cannot be kept: {what}; {live_remedy}") from None

    def _read(self, content: bytes) -> Any:
        return pickle.loads(content)  # noqa: S301 (signed, or authenticated by encryption: the constructor saw to it)
