//! The names under which things are stored.
//!
//! | name | what |
//! | --- | --- |
//! | `PREFIX:{KEY}:v` | a value |
//! | `PREFIX:{KEY}:l` | the lease of a key |
//! | `PREFIX:{KEY}:c` | a counter |
//! | `PREFIX:{log}:head`, `:state`, `:stream`, `:m0`, `:m1` | the log; see `lua/log.lua` |
//! | `PREFIX:{log}:n:NONCE` | that a record was appended, for ten minutes |
//! | `PREFIX:{reports}:told`, `:asked` | what processes tell of themselves, and that somebody asks |
//! | `PREFIX:notices` | the channel of [`crate::tier::shared::Notice`]s |
//!
//! `KEY` is the digest of a cache key in hexadecimal: no name carries a URL, a token or a user. What stands in braces is
//! the hash tag of Redis Cluster: value and lease of one key share a slot, and so do the parts of the log.

use crate::key::Key;

/// The names of one cache.
#[derive(Clone, Debug)]
pub(super) struct Names {
    prefix: String,
    log: [String; 5],
    reports: [String; 2],
    pub(super) notices: String,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        let part = |part: &str| format!("{prefix}:{{log}}:{part}");
        Self {
            prefix: prefix.to_owned(),
            log: ["head", "state", "stream", "m0", "m1"].map(part),
            reports: ["told", "asked"].map(|part| format!("{prefix}:{{reports}}:{part}")),
            notices: format!("{prefix}:notices"),
        }
    }

    pub(super) fn value(&self, key: Key) -> String {
        self.of_key(key, ":v")
    }

    pub(super) fn lease(&self, key: Key) -> String {
        self.of_key(key, ":l")
    }

    pub(super) fn counter(&self, key: Key) -> String {
        self.of_key(key, ":c")
    }

    /// As `{prefix}:{{{key}}}{part}`; made for every command.
    fn of_key(&self, key: Key, part: &str) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [[0; 2]; 16];
        let mut name = String::with_capacity(self.prefix.len() + 3 + 32 + part.len());
        name.push_str(&self.prefix);
        name.push_str(":{");
        for (byte, digits) in key.as_u128().to_be_bytes().into_iter().zip(&mut digits) {
            *digits = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        }
        // Never refused: digits are ASCII.
        name.push_str(std::str::from_utf8(digits.as_flattened()).unwrap_or_default());
        name.push('}');
        name.push_str(part);
        name
    }

    pub(super) fn head(&self) -> &str {
        &self.log[0]
    }

    pub(super) fn stream(&self) -> &str {
        &self.log[2]
    }

    /// The keys of every script that uses the log.
    pub(super) fn log(&self) -> [&[u8]; 5] {
        self.log.each_ref().map(|name| name.as_bytes())
    }

    /// The keys of the scripts that keep reports.
    pub(super) fn reports(&self) -> [&[u8]; 2] {
        self.reports.each_ref().map(|name| name.as_bytes())
    }

    pub(super) fn nonce(&self, nonce: u64) -> String {
        format!("{}:{{log}}:n:{nonce:016x}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_key_as_it_prints_in_the_braces_of_a_hash_tag() {
        let key = Key::from_u128(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        let names = Names::new("shop");
        assert_eq!(names.value(key), format!("shop:{{{key}}}:v"));
        assert_eq!(names.lease(Key::from_u128(1)), format!("shop:{{{}}}:l", Key::from_u128(1)));
    }
}
