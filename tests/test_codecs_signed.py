"""Pickles and signatures: nothing is unpickled that is not authenticated."""

import pickle
import threading
from collections import OrderedDict
from typing import Any

import pytest

from hotplate.codecs import codec_for, difference
from hotplate.errors import ConfigError
from tests.codec_values import KEY, Foo, Point, Size, Toy, refusal, token


class Trap:
    sprung = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (setattr, (Trap, "sprung", True))


def test_pickle_without_authentication_is_refused_with_the_reason() -> None:
    with pytest.raises(
        ConfigError, match=r"without signing_key and without encryption_keys: reading a pickle can run code"
    ):
        codec_for(Any, "pickle")


@pytest.mark.parametrize("settings", [{"signing_key": KEY}, {"signing_key": b"k" * 32}, {"encrypted": True}])
def test_pickle_keeps_any_object_where_entries_are_authenticated(settings: Any) -> None:
    codec = codec_for(Any, "pickle", **settings)
    value = [Toy(id=1), Point(1), Size.SMALL, OrderedDict(a=1)]
    assert difference(value, codec.decode(codec.encode(value))) is None


@pytest.mark.parametrize("key", ["", "short", b"x" * 31])
def test_a_short_signing_key_is_refused_and_not_shown(key: str | bytes) -> None:
    with pytest.raises(ConfigError, match=r"signing_key has \d+ bytes, and needs 32") as caught:
        codec_for(Any, signing_key=key)
    assert "short" not in str(caught.value)


def test_a_signing_key_must_be_text_or_bytes() -> None:
    with pytest.raises(ConfigError, match="signing_key must be text or bytes, not int"):
        codec_for(Any, signing_key=7)  # type: ignore[arg-type]


def test_a_forged_pickle_is_refused_before_it_is_read() -> None:
    codec: Any = codec_for(Any, "pickle", signing_key=KEY)
    content = bytes(32) + pickle.dumps(Trap())
    assert token(codec, codec._fingerprint + len(content).to_bytes(4, "big") + content) == "forged"
    assert Trap.sprung is False


@pytest.mark.parametrize("name", ["auto", "json", "msgpack", "pickle"])
def test_every_changed_byte_of_a_signed_value_is_found(name: str) -> None:
    codec = codec_for(Any, name, signing_key=KEY)
    stored = codec.encode(["value"])
    for index in range(len(stored)):
        changed = bytearray(stored)
        changed[index] ^= 1
        assert token(codec, bytes(changed)) == ("other-codec" if index < 4 else "malformed" if index < 8 else "forged")


@pytest.mark.parametrize("other", [{"signing_key": "l" * 32}, {"signing_key": KEY, "name": "another"}])
def test_a_signature_of_another_key_or_name_is_forged(other: Any) -> None:
    stored = codec_for(Any, "pickle", signing_key=KEY, name="one").encode(1)
    assert token(codec_for(Any, "pickle", **other), stored) == "forged"


def test_unsigned_bytes_are_not_read_by_a_codec_that_signs() -> None:
    stored = codec_for(Any, "pickle", encrypted=True).encode(1)
    assert token(codec_for(Any, "pickle", signing_key=KEY, encrypted=True), stored) == "other-codec"


def test_what_cannot_be_pickled_is_refused() -> None:
    assert "cannot be pickled" in str(refusal(codec_for(Any, "pickle", encrypted=True), threading.Lock()))


def test_a_pickle_that_raises_is_malformed() -> None:
    codec: Any = codec_for(Any, "pickle", encrypted=True)
    content = pickle.dumps(Foo()).replace(b"Foo", b"Goo")
    assert token(codec, codec._fingerprint + len(content).to_bytes(4, "big") + content) == "malformed"
