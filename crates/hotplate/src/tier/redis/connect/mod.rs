//! Connections to the server that [`RedisSettings`] name, ready to be used: authenticated, in the right database, in
//! RESP3, with somebody at the other end who can do what the shared tier needs.
//!
//! ```text
//! one server, socket    ──────────────────────────────────────────► HELLO: version? role? ──► Link
//! sentinels             ──► each in turn: who is the master? ─────► HELLO: version? role? ──► Link
//! cluster               ──► each node in turn: HELLO: version? a cluster? ──► all nodes   ──► Link
//! ```
//!
//! `HELLO` tells version, mode and role in one round trip, and unlike `ROLE` and `INFO` it is open to every user.
//!
//! # Scope
//!
//! A [`Link`] to one server ends with its connection: whoever wants another calls [`connect`] again, which asks the
//! sentinels again. A [`Link`] to a cluster follows its cluster by itself. Nothing here retries, waits between
//! attempts, or knows what is stored.
//!
//! # Secrets
//!
//! No [`ConnectError`] holds a password, not even where a server repeats it.

mod certificates;
mod cluster;
mod errors;
mod link;
mod sentinel;
mod server;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, RedisResult, TlsCertificates, Value,
};
use tokio::time::timeout;

pub(super) use self::errors::ConnectError;
pub(super) use self::link::{Link, subscribe};

use self::certificates::certificates;
use self::errors::{Noted, Obstacle};
use self::link::Wire;
use self::server::{Hello, understand};
use super::config::{Host, Place, RedisSettings, Secret};

/// What servers call these connections.
const NAME: &str = "hotplate";

/// Who hears what the server says unasked. Called by the connection's own task: must not wait.
pub(super) type Pushes = Arc<dyn AsyncPushSender>;

/// What a connection is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// Commands that are answered at once: each has the command timeout.
    Commands,
    /// Commands that wait for something to happen. None has a timeout; the caller sees to it.
    Tail,
}

/// Opens a connection and makes sure that it can be used.
///
/// # Arguments
///
/// `pushes`: hears what the server says unasked, such as messages of channels ([`subscribe`]), and that the connection
/// has ended.
///
/// # Errors
///
/// [`ConnectError`], at the latest when the connect timeout has passed.
///
/// # Cost
///
/// Needs a tokio runtime with time and I/O, on which the connection lives. Reads the certificate files. May be dropped.
pub(super) async fn connect(
    settings: &RedisSettings,
    purpose: Purpose,
    pushes: Option<Pushes>,
) -> Result<Link, ConnectError> {
    let certificates = settings.tls.as_ref().map(certificates).transpose()?;
    let way = Way { settings, purpose, pushes, certificates };
    let mut noted = Noted(None);
    let end = timeout(settings.connect_timeout, way.go(&mut noted)).await;
    end.unwrap_or_else(|_| Err(way.given_up(&mut noted)))
}

/// One call of [`connect`].
struct Way<'a> {
    settings: &'a RedisSettings,
    purpose: Purpose,
    pushes: Option<Pushes>,
    certificates: Option<TlsCertificates>,
}

impl Way<'_> {
    /// Where it leads, for errors.
    fn target(&self) -> String {
        let list = |hosts: &[Host]| hosts.iter().map(Host::to_string).collect::<Vec<_>>().join(",");
        match &self.settings.place {
            Place::Single(host) => host.to_string(),
            Place::Socket(path) => path.display().to_string(),
            Place::Sentinel { sentinels, .. } => format!("the sentinels {}", list(sentinels)),
            Place::Cluster(nodes) => format!("the cluster {}", list(nodes)),
        }
    }

    async fn go(&self, noted: &mut Noted) -> Result<Link, ConnectError> {
        match &self.settings.place {
            Place::Single(host) => self.to_master(&self.address(host)).await,
            Place::Socket(path) => self.to_master(&ConnectionAddr::Unix(path.clone())).await,
            Place::Sentinel { sentinels, service, user, password } => {
                let login = login(user.as_deref(), password.as_ref()).set_skip_set_lib_name();
                self.by_sentinels(sentinels, service, &login, noted).await
            }
            Place::Cluster(nodes) => self.to_cluster(nodes, noted).await,
        }
    }

    /// A server that is to be written to, alone.
    async fn to_master(&self, address: &ConnectionAddr) -> Result<Link, ConnectError> {
        let mut config = unhurried();
        if self.purpose == Purpose::Commands {
            config = config.set_response_timeout(Some(self.settings.command_timeout));
        }
        if let Some(pushes) = &self.pushes {
            config = config.set_push_sender(Arc::clone(pushes));
        }
        let (connection, hello) = self.open(address, &config).await?;
        let address = &hello.server.address;
        let (obstacle, what) = match (hello.mode.as_str(), hello.role.as_str()) {
            ("cluster", _) => {
                (Obstacle::Unsupported, "is a node of a cluster: write redis+cluster:// in the URL")
            }
            ("sentinel", _) => (Obstacle::Unsupported, "is a sentinel: write redis+sentinel:// in the URL"),
            (_, "master") => return Ok(Link { wire: Wire::One(connection), server: Arc::new(hello.server) }),
            _ => (
                Obstacle::NotMaster,
                "is a replica, which cannot be written to: write the address of the master",
            ),
        };
        Err(ConnectError::new(obstacle, format!("{address} {what}")))
    }

    /// A connection whose other end is new enough.
    async fn open(
        &self,
        address: &ConnectionAddr,
        config: &AsyncConnectionConfig,
    ) -> Result<(MultiplexedConnection, Hello), ConnectError> {
        let shown = show(address);
        let opened = async {
            let client = self.client(address, self.login())?;
            let connection = client.get_multiplexed_async_connection_with_config(config).await?;
            // Belongs to connecting, not to the commands that have a timeout.
            let mut asking = connection.clone();
            asking.set_response_timeout(self.settings.connect_timeout);
            let mut command = Cmd::new();
            command.arg("HELLO").arg(3).arg("SETNAME").arg(NAME);
            let said = command.query_async::<HashMap<String, Value>>(&mut asking).await?;
            Ok((connection, said))
        };
        let (connection, said) = opened.await.map_err(|error| self.failed(&shown, error))?;
        Ok((connection, understand(shown, &said)?))
    }

    fn address(&self, host: &Host) -> ConnectionAddr {
        let Host { name, port } = host.clone();
        if self.settings.tls.is_some() {
            ConnectionAddr::TcpTls { host: name, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(name, port)
        }
    }

    fn login(&self) -> RedisConnectionInfo {
        let RedisSettings { user, password, db, .. } = self.settings;
        let version = env!("CARGO_PKG_VERSION");
        login(user.as_deref(), password.as_ref()).set_db(i64::from(*db)).set_lib_name(NAME, version)
    }

    fn info(&self, address: &ConnectionAddr, login: RedisConnectionInfo) -> RedisResult<ConnectionInfo> {
        Ok(address.clone().into_connection_info()?.set_redis_settings(login).set_tcp_settings(tcp()))
    }

    fn client(&self, address: &ConnectionAddr, login: RedisConnectionInfo) -> RedisResult<Client> {
        let info = self.info(address, login)?;
        match (&self.certificates, address) {
            (Some(certificates), ConnectionAddr::TcpTls { .. }) => {
                Client::build_with_tls(info, certificates.clone())
            }
            _ => Client::open(info),
        }
    }

    fn share(&self, steps: usize) -> Duration {
        self.settings.connect_timeout / u32::try_from(steps + 1).unwrap_or(u32::MAX)
    }

    async fn within<T>(
        &self,
        share: Duration,
        address: &str,
        step: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        timeout(share, step).await.unwrap_or_else(|_| Err(self.too_late(address, share)))
    }

    fn given_up(&self, noted: &mut Noted) -> ConnectError {
        noted.0.take().unwrap_or_else(|| self.too_late(&self.target(), self.settings.connect_timeout))
    }
}

/// For connections whose time the caller limits.
fn unhurried() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None)
}

fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn login(user: Option<&str>, password: Option<&Secret>) -> RedisConnectionInfo {
    let mut login = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3);
    if let Some(user) = user {
        login = login.set_username(user);
    }
    if let Some(password) = password {
        login = login.set_password(password.expose());
    }
    login
}

fn show(address: &ConnectionAddr) -> String {
    match address {
        ConnectionAddr::Tcp(name, port) | ConnectionAddr::TcpTls { host: name, port, .. } => {
            Host { name: name.clone(), port: *port }.to_string()
        }
        other => other.to_string(),
    }
}
