//! Why there is no connection: in one sentence, with the address and without the password.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::{ErrorKind, RedisError};

use super::Way;
use super::server::NEEDED;
use crate::tier::redis::config::Place;

/// What was in the way. From the least telling to the most: of several, the last is reported.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Obstacle {
    /// Nobody answers there, or not in time.
    Unreachable,
    /// Whoever answers does not speak the protocol.
    Protocol,
    /// The server refused for a reason of its own.
    Refused,
    /// A replica answers, or the sentinels know no master.
    NotMaster,
    /// The server is too old, or of another kind than the URL says.
    Unsupported,
    /// No trusted connection: certificates, or a server without TLS.
    Tls,
    /// User, password or permissions.
    Denied,
}

/// There is no connection. One sentence says why, with the address; the source has what the other end said.
#[derive(Debug)]
pub(in crate::tier::redis) struct ConnectError {
    /// What was in the way.
    pub(super) obstacle: Obstacle,
    pub(super) sentence: Cow<'static, str>,
    pub(super) source: Option<Box<dyn Error + Send + Sync>>,
}

impl ConnectError {
    pub(super) fn new(obstacle: Obstacle, sentence: impl Into<Cow<'static, str>>) -> Self {
        Self { obstacle, sentence: sentence.into(), source: None }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// The most telling of the errors met on the way.
pub(super) struct Noted(pub(super) Option<ConnectError>);

impl Noted {
    pub(super) fn note(&mut self, error: ConnectError) {
        if self.0.as_ref().is_none_or(|noted| noted.obstacle < error.obstacle) {
            self.0 = Some(error);
        }
    }
}

impl Way<'_> {
    pub(super) fn too_late(&self, address: &str, after: Duration) -> ConnectError {
        // A server without TLS takes what it is sent for a command that has not ended yet.
        let hint =
            if self.settings.tls.is_some() { "; if it speaks no TLS, write redis:// in the URL" } else { "" };
        ConnectError::new(Obstacle::Unreachable, format!("{address} did not answer within {after:?}{hint}"))
    }

    /// Whether the connection was made, and ended without TLS being spoken.
    fn hung_up(&self, error: &RedisError) -> bool {
        let by_system = error.source().is_some();
        by_system
            && self.settings.tls.is_none()
            && error.is_connection_dropped()
            && !error.is_connection_refusal()
    }

    /// An error of the client, with what it means. Its text is kept only where no password is in it: servers that do
    /// not know a command repeat what they were sent.
    pub(super) fn failed(&self, address: &str, error: RedisError) -> ConnectError {
        let obstacle = obstacle(&error, self.settings.tls.is_some());
        let sentence = match obstacle {
            Obstacle::Unreachable if self.hung_up(&error) => {
                format!("{address} hung up: if it speaks TLS only, write rediss:// in the URL")
            }
            Obstacle::Unreachable => format!("{address} does not answer"),
            Obstacle::Protocol => format!("{address} does not answer as Redis does"),
            Obstacle::Refused => format!("{address} refused the connection"),
            Obstacle::NotMaster => format!("{address} is not a master"),
            Obstacle::Unsupported => format!("{address} does not speak RESP3: {NEEDED}"),
            Obstacle::Tls => format!(
                "{address} has no TLS that can be trusted: check ca_file, cert_file, and the host name in the certificate"
            ),
            Obstacle::Denied => {
                format!("{address} denied the authentication: check user, password and permissions")
            }
        };
        let text = error.to_string();
        let of_sentinel = match &self.settings.place {
            Place::Sentinel { password, .. } => password.as_ref(),
            _ => None,
        };
        let secrets = [self.settings.password.as_ref(), of_sentinel];
        let repeats = text.contains(UNKNOWN_COMMAND)
            || secrets.into_iter().flatten().any(|secret| text.contains(secret.expose()));
        // The words only: the client's errors have the same words again below themselves.
        let source = (!repeats).then(|| text.into());
        ConnectError { obstacle, sentence: sentence.into(), source }
    }
}

fn obstacle(error: &RedisError, over_tls: bool) -> Obstacle {
    let says = |words| error.detail().is_some_and(|detail| detail.contains(words));
    match error.kind() {
        _ if matches!(error.code(), Some("WRONGPASS" | "NOAUTH" | "NOPERM")) => Obstacle::Denied,
        ErrorKind::AuthenticationFailed => Obstacle::Denied,
        // A server that refuses the database tells why in words only.
        ErrorKind::Server(_) | ErrorKind::Extension if says("no permissions") => Obstacle::Denied,
        ErrorKind::Server(_) | ErrorKind::Extension if says(UNKNOWN_COMMAND) => Obstacle::Unsupported,
        ErrorKind::RESP3NotSupported => Obstacle::Unsupported,
        ErrorKind::Server(_) | ErrorKind::Extension => Obstacle::Refused,
        ErrorKind::Io | ErrorKind::InvalidClientConfig if over_tls && is_of_tls(error) => Obstacle::Tls,
        ErrorKind::Io | ErrorKind::InvalidClientConfig => Obstacle::Unreachable,
        _ => Obstacle::Protocol,
    }
}

/// With this servers begin to repeat what they were sent.
const UNKNOWN_COMMAND: &str = "unknown command";

/// Whether TLS said it, not the operating system.
fn is_of_tls(error: &RedisError) -> bool {
    let Some(source) = error.source() else {
        return error.kind() == ErrorKind::InvalidClientConfig;
    };
    let source = source.downcast_ref::<Arc<dyn Error + Send + Sync>>();
    match source.and_then(|source| source.downcast_ref::<std::io::Error>()) {
        Some(io) => {
            // A server that does not know TLS hangs up.
            io.kind() == std::io::ErrorKind::UnexpectedEof
                || io.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
        }
        None => true,
    }
}
