//! Secrets: how they are written, told apart and used.
//!
//! XChaCha20-Poly1305, as in <https://datatracker.ietf.org/doc/html/draft-irtf-cfrg-xchacha>: its nonces are long enough
//! to be drawn at random by any number of processes that share a key and know nothing of each other.

use std::fmt;

use chacha20poly1305::aead::{AeadInOut, Tag};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};

use super::{OpenError, Unsealable};
use crate::error::ConfigError;

pub(super) const KEY_ID_BYTES: usize = 4;
pub(super) const NONCE_BYTES: usize = 24;
pub(super) const TAG_BYTES: usize = 16;

/// Bytes of a secret.
const SECRET_BYTES: usize = 32;

const SETTING: &str = "encryption_keys";
const KEY_ID_CONTEXT: &str = "hotplate 2026 encryption key id";
const REMEDY: &str = "a key is 32 random bytes as text; make one with \
                      `python -c \"import secrets; print(secrets.token_urlsafe(32))\"`";

type KeyId = [u8; KEY_ID_BYTES];

/// The bytes of an encryption key from its text.
///
/// # Arguments
///
/// `text`: 32 bytes in base64, of either alphabet and with or without the `=` at its end (44 or 43 characters), or in
/// hexadecimal (64 digits). White space around it does not matter: a file with a secret often ends with a line feed.
///
/// # Errors
///
/// Anything else. The error says how long the text is, and nothing more of it.
pub fn parse_encryption_key(text: &str) -> Result<Vec<u8>, ConfigError> {
    let digits = text.trim_ascii().as_bytes();
    let parsed = match digits.len() {
        64 => from_digits(digits, 4, hexadecimal),
        44 => digits.strip_suffix(b"=").and_then(|digits| from_digits(digits, 6, base64)),
        43 => from_digits(digits, 6, base64),
        _ => None,
    };
    parsed.ok_or_else(|| {
        let value = format!("(a text of {} characters)", text.chars().count());
        ConfigError::new(SETTING, value, REMEDY)
    })
}

/// The bytes of digits of so many bits each, most significant first; what is left over must be zero.
fn from_digits(digits: &[u8], bits: u32, value: impl Fn(u8) -> Option<u8>) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(SECRET_BYTES);
    let (mut pending, mut pending_bits) = (0_u32, 0);
    for digit in digits {
        pending = pending << bits | u32::from(value(*digit)?);
        pending_bits += bits;
        if pending_bits >= 8 {
            pending_bits -= 8;
            bytes.push((pending >> pending_bits) as u8);
            pending &= (1 << pending_bits) - 1;
        }
    }
    (pending == 0 && bytes.len() == SECRET_BYTES).then_some(bytes)
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn base64(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'-' | b'+' => Some(62),
        b'_' | b'/' => Some(63),
        _ => None,
    }
}

/// The keys of a sealer: the first writes, all read. May be empty.
pub(super) struct Keys(Box<[SecretKey]>);

/// One key, ready for use.
pub(super) struct SecretKey {
    id: KeyId,
    cipher: XChaCha20Poly1305,
}

/// How many there are: nothing else of them may be seen.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} keys)", self.0.len())
    }
}

impl Keys {
    /// Takes the secrets, and wipes the bytes they came in.
    pub(super) fn new(mut secrets: Vec<Vec<u8>>) -> Result<Self, ConfigError> {
        let count = secrets.len();
        let keys = secrets.iter().enumerate().map(|(index, secret)| {
            SecretKey::new(secret).ok_or_else(|| {
                let value = format!("(key {} of {count} has {} bytes)", index + 1, secret.len());
                ConfigError::new(SETTING, value, REMEDY)
            })
        });
        let keys = keys.collect::<Result<_, _>>().map(Self);
        for secret in &mut secrets {
            secret.fill(0);
        }
        // Else the compiler may see that nobody reads the zeros.
        std::hint::black_box(&secrets);
        keys
    }

    /// The key that writes.
    pub(super) fn writing(&self) -> Option<&SecretKey> {
        self.0.first()
    }

    /// What was encrypted. `head` ends with the id of the key and the nonce; `rest` with the tag.
    pub(super) fn decrypt(&self, head: &[u8], place: [u8; 16], rest: &[u8]) -> Result<Vec<u8>, OpenError> {
        let (before, nonce) = head.split_last_chunk::<NONCE_BYTES>().ok_or(OpenError::Length)?;
        let (_, id) = before.split_last_chunk::<KEY_ID_BYTES>().ok_or(OpenError::Length)?;
        let (encrypted, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(OpenError::Length)?;
        let (nonce, tag) = (XNonce::from(*nonce), Tag::<XChaCha20Poly1305>::from(*tag));
        let associated = [head, &place].concat();
        let mut refusal = OpenError::UnknownKey;
        // An id is short: two keys may share one.
        for key in self.0.iter().filter(|key| key.id == *id) {
            let mut payload = encrypted.to_vec();
            let opened =
                key.cipher.decrypt_inout_detached(&nonce, &associated, payload.as_mut_slice().into(), &tag);
            if opened.is_ok() {
                return Ok(payload);
            }
            refusal = OpenError::Forged;
        }
        Err(refusal)
    }
}

impl SecretKey {
    fn new(secret: &[u8]) -> Option<Self> {
        let secret = <&[u8; SECRET_BYTES]>::try_from(secret).ok()?;
        let digest = blake3::derive_key(KEY_ID_CONTEXT, secret);
        let (id, _) = digest.split_first_chunk::<KEY_ID_BYTES>()?;
        Some(Self { id: *id, cipher: XChaCha20Poly1305::new(secret.into()) })
    }

    /// The head, the id of this key, a new nonce, the payload encrypted, the tag.
    ///
    /// `place`: what the value is bound to besides its head, and is not in it.
    pub(super) fn encrypt(
        &self,
        head: &[u8],
        place: [u8; 16],
        payload: &[u8],
    ) -> Result<Vec<u8>, Unsealable> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| Unsealable { source: Some(error) })?;
        let head_bytes = head.len() + KEY_ID_BYTES + NONCE_BYTES;
        let mut sealed = Vec::with_capacity(head_bytes + payload.len() + TAG_BYTES);
        sealed.extend_from_slice(head);
        sealed.extend_from_slice(&self.id);
        sealed.extend_from_slice(&nonce);
        let associated = [sealed.as_slice(), &place].concat();
        sealed.extend_from_slice(payload);
        let encrypting = sealed.get_mut(head_bytes..).unwrap_or_default();
        let tag = self.cipher.encrypt_inout_detached(&XNonce::from(nonce), &associated, encrypting.into());
        sealed.extend_from_slice(&tag.map_err(|_| Unsealable { source: None })?);
        Ok(sealed)
    }
}
