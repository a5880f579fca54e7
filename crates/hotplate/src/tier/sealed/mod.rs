//! The sealed form of a value in the shared tier: bytes that say what they are, when they began to load and whether
//! they are still what was written.
//!
//! Whoever else can write to the shared storage is not trusted to write values. Without a key a [`Sealer`] tells
//! accidents; with one it tells forgery too, and nobody else can read what is stored.
//!
//! # Layout, version 1
//!
//! Numbers are little-endian. The stamp stands at a fixed place ([`STAMP_AT`]), because scripts in the storage compare
//! it.
//!
//! | bytes | what |
//! | --- | --- |
//! | 4 | magic `HPS1` (the last byte is the version) |
//! | 1 | kind: 1 response, 2 value, 3 vary record, 4 search record |
//! | 1 | bit 0: compressed; bit 1: encrypted; the others are 0 |
//! | 2 | 0 |
//! | 8, 8, 8 | stamp: epoch, position, request time (milliseconds since 1970, two's complement) |
//! | 4, 24 | where encrypted: id of the key, nonce |
//! | 8 | where not: checksum, XXH3-64 of what is above, the digest of the cache key and the payload |
//! | … | the payload |
//! | 16 | where encrypted: the tag |
//!
//! The *digest of the cache key* is [`Key::as_u128`] in 16 bytes. It is not stored, and yet a value that is found under
//! another key does not open.
//!
//! * **Compressed**, the payload is its length in 8 bytes and one zstd frame of it.
//! * **Encrypted**, it is (after compression) what XChaCha20-Poly1305 makes of it under a random nonce; the tag covers
//!   everything that stands before the payload, and the digest of the cache key.
//! * The **id** of a key is the first 4 bytes of what BLAKE3 derives from it in the context
//!   `hotplate 2026 encryption key id`: it tells which of several keys to try, and nothing of the key.
//!
//! **To add a field:** raise the version and let [`Sealer::open`] refuse the older one: it is a miss, and the next load
//! stores the new form. A new kind needs no new version: who does not know it refuses it.
//!
//! # Scope
//!
//! What is not hidden, whatever the key: kind, stamp, the cache key it is stored under and about how long the payload
//! is. Compressed, its length also tells how repetitive it is: do not compress where a payload joins secrets with what
//! an attacker chooses. What is not prevented: that an older value of the same key is put back, as it was; its stamp
//! comes with it, so what has been invalidated since stays invalid.
//!
//! Whatever does not open is a miss with an [`OpenError`], never a panic; and takes no more memory than its own bytes
//! and the length it declares, at most 256 MiB.

use std::fmt;

use bytes::Bytes;
use hotplate_policy::time::Timestamp;
use xxhash_rust::xxh3::Xxh3Default;

use super::shared::{Head, Stamp};
use crate::error::ConfigError;
use crate::key::Key;

mod compression;
mod crypt;
#[cfg(test)]
mod tests;

pub use crypt::parse_encryption_key;

/// Where the stamp begins in a sealed value: epoch, position and request time, 8 bytes each, little-endian.
pub const STAMP_AT: usize = 8;

/// How many bytes the stamp takes.
pub const STAMP_BYTES: usize = 24;

const MAGIC: [u8; 4] = *b"HPS1";
const HEAD_BYTES: usize = STAMP_AT + STAMP_BYTES;
const KIND_AT: usize = 4;
const FLAGS_AT: usize = 5;
const CHECKSUM_BYTES: usize = 8;
const ENCRYPTED_HEAD_BYTES: usize = HEAD_BYTES + crypt::KEY_ID_BYTES + crypt::NONCE_BYTES;

const COMPRESSED: u8 = 1;
const ENCRYPTED: u8 = 2;

/// What a payload is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// A stored response, as [`Entry::encode`](crate::entry::Entry::encode) writes it.
    Response,
    /// A value a program stored.
    Value,
    /// Which fields of a request the responses to a path were selected by.
    VaryRecord,
    /// Which parameters of a query the responses to a path differ by, as `No-Vary-Search` says it.
    SearchRecord,
    /// What a process tells of itself.
    Report,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Response, Self::Value, Self::VaryRecord, Self::SearchRecord, Self::Report];

    const fn code(self) -> u8 {
        match self {
            Self::Response => 1,
            Self::Value => 2,
            Self::VaryRecord => 3,
            Self::SearchRecord => 4,
            Self::Report => 5,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// How values are to be sealed. The default: neither encrypted nor compressed.
#[derive(Clone, Default)]
pub struct SealerOptions {
    /// Secrets of 32 bytes each ([`parse_encryption_key`]). The first writes, all read: put a new one first, and take
    /// the old one away when what it wrote has expired. None: nothing is encrypted.
    pub encryption_keys: Vec<Vec<u8>>,
    /// Payloads of more bytes than this are compressed, where that saves at least a tenth. `None`: none are.
    pub compress_above: Option<u64>,
}

/// Says how many keys there are, and nothing more of them.
impl fmt::Debug for SealerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealerOptions")
            .field("encryption_keys", &format_args!("({} keys)", self.encryption_keys.len()))
            .field("compress_above", &self.compress_above)
            .finish()
    }
}

impl SealerOptions {
    /// Makes the sealer. The bytes of the keys are wiped, whether it succeeds or not.
    ///
    /// # Errors
    ///
    /// A key that has not 32 bytes (`encryption_keys`; the error does not show it), or a threshold above the 256 MiB
    /// beyond which nothing is compressed (`compress_above`).
    pub fn compile(self) -> Result<Sealer, ConfigError> {
        let keys = crypt::Keys::new(self.encryption_keys)?;
        if let Some(bytes) = self.compress_above.filter(|bytes| *bytes > compression::MOST_BYTES) {
            let remedy = "payloads above 268435456 bytes are never compressed; write fewer, or None to compress nothing";
            return Err(ConfigError::new("compress_above", bytes.to_string(), remedy));
        }
        Ok(Sealer { keys, compress_above: self.compress_above })
    }
}

/// Seals values for the shared tier, and opens them.
#[derive(Debug)]
pub struct Sealer {
    keys: crypt::Keys,
    compress_above: Option<u64>,
}

/// A sealed value, opened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Opened {
    /// What the payload is.
    pub kind: Kind,
    /// When it began to load.
    pub stamp: Stamp,
    /// What was sealed. A slice of the sealed bytes, which it then keeps in memory, where they are neither compressed
    /// nor encrypted.
    pub payload: Bytes,
}

impl Sealer {
    /// Seals a value for the place under `key`, where alone it will open.
    ///
    /// **Cost**: copies the payload, and where configured compresses and encrypts it; for long ones that takes
    /// milliseconds.
    ///
    /// # Errors
    ///
    /// Only where it is to be encrypted and the operating system has no randomness: then it is not stored.
    pub fn seal(&self, key: Key, kind: Kind, stamp: Stamp, payload: &[u8]) -> Result<Bytes, Unsealable> {
        let long = self.compress_above.is_some_and(|above| payload.len() as u64 > above);
        let compressed = if long { compression::compress(payload) } else { None };
        let writing = self.keys.writing();
        let flags =
            if compressed.is_some() { COMPRESSED } else { 0 } | if writing.is_some() { ENCRYPTED } else { 0 };
        let payload = compressed.as_deref().unwrap_or(payload);
        let head = head(kind.code(), flags, stamp);
        let place = place(key);
        let sealed = match writing {
            Some(secret) => secret.encrypt(&head, place, payload)?,
            None => [&head, &checksum(&head, place, payload)[..], payload].concat(),
        };
        Ok(sealed.into())
    }

    /// Opens what was found under `key`.
    ///
    /// **Cost**: reads all of it. Copies it only where it is compressed or encrypted.
    ///
    /// # Errors
    ///
    /// [`OpenError`] for whatever was not sealed by a sealer of this version with one of these keys, for this place.
    pub fn open(&self, key: Key, sealed: &Bytes) -> Result<Opened, OpenError> {
        let head = sealed.first_chunk::<HEAD_BYTES>().ok_or(OpenError::Length)?;
        if head[..KIND_AT] != MAGIC {
            return Err(OpenError::Version);
        }
        let flags = head[FLAGS_AT];
        if flags & !(COMPRESSED | ENCRYPTED) != 0 || head[FLAGS_AT + 1..STAMP_AT] != [0, 0] {
            return Err(OpenError::Version);
        }
        let encrypted = flags & ENCRYPTED != 0;
        let payload = match (encrypted, self.keys.writing()) {
            (true, _) => self.decrypted(key, sealed)?,
            // Else whoever can write to the storage could leave out the encryption.
            (false, Some(_)) => return Err(OpenError::Clear),
            (false, None) => checked(key, sealed, head)?,
        };
        let kind = Kind::from_code(head[KIND_AT]).ok_or(OpenError::Kind)?;
        let compressed = flags & COMPRESSED != 0;
        let payload = if compressed { compression::decompress(&payload)?.into() } else { payload };
        Ok(Opened { kind, stamp: stamp(head), payload })
    }

    fn decrypted(&self, key: Key, sealed: &Bytes) -> Result<Bytes, OpenError> {
        let (head, rest) = sealed.split_at_checked(ENCRYPTED_HEAD_BYTES).ok_or(OpenError::Length)?;
        self.keys.decrypt(head, place(key), rest).map(Bytes::from)
    }
}

fn checked(key: Key, sealed: &Bytes, head: &[u8; HEAD_BYTES]) -> Result<Bytes, OpenError> {
    let rest = sealed.get(HEAD_BYTES..).unwrap_or_default();
    let (written, payload) = rest.split_first_chunk::<CHECKSUM_BYTES>().ok_or(OpenError::Length)?;
    if checksum(head, place(key), payload) != *written {
        return Err(OpenError::Checksum);
    }
    Ok(sealed.slice(HEAD_BYTES + CHECKSUM_BYTES..))
}

fn head(kind: u8, flags: u8, stamp: Stamp) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..KIND_AT].copy_from_slice(&MAGIC);
    head[KIND_AT] = kind;
    head[FLAGS_AT] = flags;
    let numbers = [stamp.head.epoch, stamp.head.position, stamp.request_time.unix_millis().cast_unsigned()];
    for (to, number) in head[STAMP_AT..].chunks_exact_mut(8).zip(numbers) {
        to.copy_from_slice(&number.to_le_bytes());
    }
    head
}

fn stamp(head: &[u8; HEAD_BYTES]) -> Stamp {
    let mut numbers = [0; STAMP_BYTES / 8];
    let (chunks, _) = head[STAMP_AT..].as_chunks::<8>();
    for (number, bytes) in numbers.iter_mut().zip(chunks) {
        *number = u64::from_le_bytes(*bytes);
    }
    let [epoch, position, request_time] = numbers;
    Stamp {
        head: Head { epoch, position },
        request_time: Timestamp::from_unix_millis(request_time.cast_signed()),
    }
}

/// The digest of a cache key: what binds a value to its place.
const fn place(key: Key) -> [u8; 16] {
    key.as_u128().to_le_bytes()
}

fn checksum(head: &[u8; HEAD_BYTES], place: [u8; 16], payload: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = Xxh3Default::new();
    hasher.update(head);
    hasher.update(&place);
    hasher.update(payload);
    hasher.digest().to_le_bytes()
}

/// Why a sealed value does not open. Each is a miss.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum OpenError {
    /// It does not begin like a sealed value of this version.
    Version,
    /// It ends early.
    Length,
    /// It is not what was written, or not for this key.
    Checksum,
    /// What was written is of a kind this version does not know.
    Kind,
    /// It is encrypted with a key this sealer does not have.
    UnknownKey,
    /// It is not encrypted, and this sealer has keys.
    Clear,
    /// It was not written by somebody who has the key, or not for this place; or it was damaged.
    Forged,
    /// What was written cannot be decompressed to the length it declares.
    Compression,
    /// It declares a length above 256 MiB, or one for which there is no memory.
    TooLarge,
}

impl OpenError {
    /// Every error.
    pub const ALL: [Self; 9] = [
        Self::Version,
        Self::Length,
        Self::Checksum,
        Self::Kind,
        Self::UnknownKey,
        Self::Clear,
        Self::Forged,
        Self::Compression,
        Self::TooLarge,
    ];

    /// Whether the value may be good for a process with other keys or of another version, as during a deployment.
    #[must_use]
    pub const fn may_be_readable_elsewhere(self) -> bool {
        matches!(self, Self::Version | Self::UnknownKey | Self::Clear | Self::Kind)
    }

    /// The word for logs and numbers.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Length => "length",
            Self::Checksum => "checksum",
            Self::Kind => "kind",
            Self::UnknownKey => "unknown-key",
            Self::Clear => "clear",
            Self::Forged => "forged",
            Self::Compression => "compression",
            Self::TooLarge => "too-large",
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "not a sealed value of this version",
            Self::Length => "a sealed value that ends early",
            Self::Checksum => "a sealed value whose checksum is wrong",
            Self::Kind => "a sealed value of an unknown kind",
            Self::UnknownKey => "a sealed value encrypted with an unknown key",
            Self::Clear => "a sealed value that is not encrypted, where all must be",
            Self::Forged => "a sealed value that is not what a holder of the key wrote here",
            Self::Compression => "a sealed value that cannot be decompressed",
            Self::TooLarge => "a sealed value that is too large when decompressed",
        })
    }
}

impl std::error::Error for OpenError {}

/// A value could not be encrypted, and is not to be stored: the operating system has no randomness (its error is the
/// source), or the value has 256 GiB.
#[derive(Clone, Debug)]
pub struct Unsealable {
    source: Option<getrandom::Error>,
}

impl fmt::Display for Unsealable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value could not be encrypted")
    }
}

impl std::error::Error for Unsealable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
