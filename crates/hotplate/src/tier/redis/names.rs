//! The names under which things are stored.
//!
//! | name | what |
//! | --- | --- |
//! | `PREFIX:{KEY}:v` | a value |
//! | `PREFIX:{KEY}:l` | the lease of a key |
//! | `PREFIX:{log}:head`, `:state`, `:stream`, `:m0`, `:m1` | the log; see `lua/log.lua` |
//! | `PREFIX:{log}:n:NONCE` | that a record was appended, for ten minutes |
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
    pub(super) notices: String,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        let part = |part: &str| format!("{prefix}:{{log}}:{part}");
        Self {
            prefix: prefix.to_owned(),
            log: ["head", "state", "stream", "m0", "m1"].map(part),
            notices: format!("{prefix}:notices"),
        }
    }

    pub(super) fn value(&self, key: Key) -> String {
        format!("{}:{{{key}}}:v", self.prefix)
    }

    pub(super) fn lease(&self, key: Key) -> String {
        format!("{}:{{{key}}}:l", self.prefix)
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

    pub(super) fn nonce(&self, nonce: u64) -> String {
        format!("{}:{{log}}:n:{nonce:016x}", self.prefix)
    }
}
