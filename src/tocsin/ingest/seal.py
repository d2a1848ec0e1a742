"""Encryption of what reaches the disk before it is redacted (AES-256-GCM).

Raw audit bodies can hold tokens and Secret data, and the spool stores them unparsed. A sealed
blob carries the id of its key, so a new key can seal while older ones still open. The
context (the row's metadata) is authenticated with the blob: any flipped bit in either is seen.
"""

import hashlib
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tocsin.model.errors import TocsinError

KEY_BYTES = 32
_ID_BYTES = 4
_NONCE_BYTES = 12
_HEADER_BYTES = _ID_BYTES + _NONCE_BYTES


class SealError(TocsinError):
    """A sealed blob that cannot be opened: it or its context was changed."""


class UnknownKeyError(SealError):
    """A blob sealed with a key that was not given."""


class Sealer:
    """Seals with one key; opens with that key and any older ones.

    Nonces are random, so one key should seal fewer than 2**32 blobs (a year at 125 a second).
    """

    def __init__(self, key: bytes, *older: bytes) -> None:
        self._id = _key_id(key)
        self._ciphers = {_key_id(each): AESGCM(each) for each in (key, *older)}

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Return `plain` encrypted, bound to `context`."""
        nonce = os.urandom(_NONCE_BYTES)
        return self._id + nonce + self._ciphers[self._id].encrypt(nonce, plain, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Return what was sealed; raise SealError when blob or context differ in any bit."""
        key_id, nonce = sealed[:_ID_BYTES], sealed[_ID_BYTES:_HEADER_BYTES]
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            message = f"sealed with another key (id {key_id.hex()})"
            raise UnknownKeyError(message)
        try:
            return cipher.decrypt(nonce, sealed[_HEADER_BYTES:], context)
        except (InvalidTag, ValueError) as error:
            message = "sealed data was changed"
            raise SealError(message) from error


def load_or_create_key(path: Path) -> bytes:
    """Return the key in `path` (64 hexadecimal digits), creating it on the first call.

    Processes that start together agree: each writes a whole key aside, and only one of them
    can link it to `path`.
    """
    try:
        if not path.exists():
            _create_key(path)
        mode = path.stat().st_mode
        text = path.read_text("ascii", "replace")
    except OSError as error:
        message = f"{path}: the key cannot be read or made: {error.strerror}"
        raise TocsinError(message) from error
    if mode & stat.S_IRWXO:
        message = f"{path}: the key is open to every user of this machine; chmod it to 0600"
        raise TocsinError(message)
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        message = f"{path}: not a key: {KEY_BYTES * 2} hexadecimal digits expected"
        raise TocsinError(message)
    return key


def _create_key(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            path.hardlink_to(aside)
    finally:
        aside.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _key_id(key: bytes) -> bytes:
    return hashlib.blake2b(key, digest_size=_ID_BYTES, person=b"tocsin-key-id").digest()
