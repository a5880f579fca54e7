"""What every codec of hotplate puts before its bytes, and checks before it reads them.

| bytes | what |
| --- | --- |
| 4 | fingerprint: BLAKE2b of the codec's name, the version of this layout and what is read (annotation, schema) |
| 4 | length of the rest, big-endian |
| 32 | where there is a signing key: HMAC-SHA256 of the name, the fingerprint and the content |
| … | the content, as the codec writes it |

Which codec reads, and whether a signature is wanted, is said by the settings and never by stored bytes: bytes of
another codec, signed or not, are refused and not interpreted. A part of a value, or more than a value, is refused by
its length; damaged bytes are the shared tier's affair, which keeps a checksum of its own.
"""

import hashlib
import hmac
from abc import ABC, abstractmethod
from typing import Any, Final

from hotplate.errors import ConfigError, DecodeError, EncodeError

__all__ = ["MAX_DEPTH", "Framed", "secret"]

VERSION: Final = b"1"
MAX_DEPTH: Final = 200
"""How many containers may stand in each other, written or read."""
_HEAD: Final = 8
_MAC: Final = 32
_MAX_CONTENT: Final = 2**32 - 1
_MIN_SECRET_BYTES: Final = 32


def secret(signing_key: str | bytes) -> bytes:
    """The signing key as bytes. Fewer than 32 are a `ConfigError`, which does not show them."""
    if not isinstance(signing_key, str | bytes):
        raise ConfigError(f"signing_key must be text or bytes, not {type(signing_key).__name__}")
    key = signing_key.encode("utf-8", "surrogatepass") if isinstance(signing_key, str) else signing_key
    if len(key) < _MIN_SECRET_BYTES:
        raise ConfigError(
            f"signing_key has {len(key)} bytes, and needs {_MIN_SECRET_BYTES} or more: "
            "make one with `python -c 'import secrets; print(secrets.token_hex(32))'`"
        )
    return key


class Framed(ABC):
    """A codec of hotplate: the head above, around what `_write` and `_read` of a subclass say.

    `_read` may raise what it likes for content that is none; `decode` makes a `DecodeError` of it.
    """

    name: str
    """What the setting ``codec=`` calls it."""

    def __init__(self, name: str, reads: str = "", *, signing_key: bytes | None = None, signed_name: str = "") -> None:
        signed = b"signed" if signing_key else b"plain"
        parts = (name.encode(), VERSION, signed, reads.encode("utf-8", "surrogatepass"))
        self.name = name
        self._fingerprint = hashlib.blake2b(b"\0".join(parts), digest_size=4).digest()
        self._key = signing_key
        label = signed_name.encode("utf-8", "surrogatepass")
        self._signed_head = len(label).to_bytes(8, "big") + label + self._fingerprint

    def encode(self, value: Any) -> bytes:
        """The bytes of a value that `decode` gives back, equal and of the same type; else `EncodeError`."""
        content = self._write(value)
        if self._key is not None:
            content = self._mac(content) + content
        if len(content) > _MAX_CONTENT:
            raise EncodeError(f"value cannot be kept: it has {len(content)} bytes, more than 4 GiB")
        return b"%b%b%b" % (self._fingerprint, len(content).to_bytes(4, "big"), content)

    def decode(self, data: bytes) -> Any:
        """The value of these bytes; `DecodeError` for any others, whatever they are."""
        if data[:4] != self._fingerprint:
            if len(data) < _HEAD:
                raise DecodeError("malformed", "the stored bytes end within their head")
            raise DecodeError("other-codec", f"the stored bytes were not written by this {self.name} codec")
        content = data[_HEAD:]
        if len(content) != int.from_bytes(data[4:_HEAD], "big") or len(data) < _HEAD:
            raise DecodeError("malformed", "the stored bytes are not as long as they say")
        if self._key is not None:
            mac, content = content[:_MAC], content[_MAC:]
            if not hmac.compare_digest(mac, self._mac(content)):
                raise DecodeError("forged", "the stored bytes are not signed with signing_key for this name")
        try:
            return self._read(content)
        except DecodeError:
            raise
        # Not chained: the messages of parsers quote what they read, and a log is no place for cached values.
        except Exception as error:
            said = type(error).__name__
        raise DecodeError("malformed", f"the stored bytes do not read as a {self.name} value ({said})")

    def _mac(self, content: bytes) -> bytes:
        assert self._key is not None
        return hmac.digest(self._key, self._signed_head + content, "sha256")

    @abstractmethod
    def _write(self, value: Any) -> bytes:
        """The content for a value; `EncodeError` for one that would not come back as it is."""

    @abstractmethod
    def _read(self, content: bytes) -> Any:
        """The value of a content; any exception for one that is none."""
