//! Who answers: what a server says of itself, and whether it will do.

use std::collections::HashMap;
use std::fmt;

use redis::Value;

use super::errors::{ConnectError, Obstacle};

/// The oldest servers that have what the shared tier uses.
pub(super) const OLDEST_REDIS: Version = Version { major: 7, minor: 0, patch: 0 };
const OLDEST_VALKEY: Version = Version { major: 7, minor: 2, patch: 0 };

pub(super) const NEEDED: &str = "Redis 7.0 or later, or Valkey 7.2 or later, is needed";

/// Who answers; in a cluster, the node that was asked first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::tier::redis) struct Server {
    /// Host and port, or the path of a socket.
    pub(super) address: String,
    /// Redis, or what says that it is.
    pub(super) product: Product,
    /// The product's own version.
    pub(super) version: Version,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let product = match self.product {
            Product::Redis => "Redis",
            Product::Valkey => "Valkey",
        };
        write!(f, "{product} {} at {}", self.version, self.address)
    }
}

/// Which server it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Product {
    Redis,
    Valkey,
}

/// The version of a server.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Version {
    pub(super) major: u32,
    pub(super) minor: u32,
    pub(super) patch: u32,
}

impl Version {
    /// Reads `7`, `7.2`, `7.2.5` and `7.2.5-rc1`.
    fn read(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(|part| {
            let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            part.split_at(digits).0.parse().ok()
        });
        let mut next = || numbers.next().flatten();
        Some(Self { major: next()?, minor: next().unwrap_or(0), patch: next().unwrap_or(0) })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// What a server says of itself in answer to `HELLO`.
pub(super) struct Hello {
    pub(super) server: Server,
    pub(super) mode: String,
    pub(super) role: String,
}

/// The answer to `HELLO`, if it is that of a server that will do.
pub(super) fn understand(address: String, said: &HashMap<String, Value>) -> Result<Hello, ConnectError> {
    let text = |name| match said.get(name) {
        Some(Value::BulkString(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Some(Value::SimpleString(text)) => text.clone(),
        _ => String::new(),
    };
    let Some(version) = Version::read(&text("version")) else {
        let sentence = format!("{address} does not tell its version: {NEEDED}");
        return Err(ConnectError::new(Obstacle::Protocol, sentence));
    };
    let (product, oldest) = match text("server").as_str() {
        "valkey" => (Product::Valkey, OLDEST_VALKEY),
        _ => (Product::Redis, OLDEST_REDIS),
    };
    let server = Server { address, product, version };
    if version < oldest {
        return Err(ConnectError::new(Obstacle::Unsupported, format!("{server} is too old: {NEEDED}")));
    }
    Ok(Hello { server, mode: text("mode"), role: text("role") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_are_too_old_are_refused_by_name_and_version() {
        let said = |server: &str, version: &str| {
            let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
            let pairs =
                [("server", server), ("version", version), ("mode", "standalone"), ("role", "master")];
            let map = pairs.map(|(name, value)| (name.to_owned(), text(value)));
            understand("host:6379".to_owned(), &map.into_iter().collect())
        };
        for (server, version) in [
            ("redis", "7.0.0"),
            ("redis", "7.0.15"),
            ("redis", "8.2"),
            ("redis", "255.255.255"),
            ("valkey", "7.2.0"),
            ("valkey", "8.1.1-rc2"),
            ("something", "7.2.4"),
        ] {
            let hello = said(server, version).unwrap_or_else(|error| panic!("{server} {version}: {error}"));
            assert_eq!(hello.server.product == Product::Valkey, server == "valkey");
        }
        for (server, version, words) in [
            ("redis", "6.2.14", "Redis 6.2.14 at host:6379 is too old: Redis 7.0 or later, or Valkey 7.2"),
            ("valkey", "7.1.9", "Valkey 7.1.9 at host:6379 is too old"),
            ("redis", "new", "host:6379 does not tell its version"),
            ("redis", "", "host:6379 does not tell its version"),
        ] {
            let text = said(server, version).map_or_else(|error| error.to_string(), |_| String::new());
            assert!(text.starts_with(words), "{server} {version}: {text}");
        }
    }
}
