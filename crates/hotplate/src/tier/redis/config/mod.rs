//! Which Redis or Valkey, and how it is spoken to: a URL and keywords, checked once.
//!
//! [`RedisOptions`] holds what a developer wrote; [`RedisOptions::compile`] checks it and makes [`RedisSettings`].
//!
//! ```text
//! redis://[[user]:password@]host[:port][/db]                       rediss://  is the same over TLS
//! redis+unix:///path/to.sock[?db=1]                                unix://    is the same
//! redis+sentinel://[[user]:password@]host[:port],…/service[/db]    rediss+sentinel://
//! redis+cluster://[[user]:password@]host[:port],…                  rediss+cluster://
//! ```
//!
//! `valkey` may be written for `redis` everywhere. User, password, service and path are percent-decoded. Every other
//! setting is a query parameter or a keyword ([`RedisOptions`]); written twice, it has to say the same.
//!
//! # Scope
//!
//! Nothing here connects. Certificate files are looked at, so that a wrong path is found at start, and read again for
//! every connection, so that a renewed certificate is used.
//!
//! # Secrets
//!
//! A password is in no error and in no `Debug` output. An error about a URL that cannot be read shows only the parts
//! that cannot hold a password that somebody forgot to encode.

mod files;
mod query;
mod url;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use self::query::{Query, number, once};
use self::url::{
    Kind, PORT, SCHEMES, SENTINEL_PORT, Url, credentials, decode, encode, hosts, kind, redact, socket,
};
use crate::error::ConfigError;

/// How long a command may take unless set otherwise.
pub const DEFAULT_COMMAND_TIMEOUT: Duration = Duration::from_millis(50);

/// How long connecting may take unless set otherwise.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a process that died keeps a key from being loaded by others, unless set otherwise.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(3);

/// What every key in the server begins with unless set otherwise.
pub const DEFAULT_PREFIX: &str = "hotplate";

/// For both timeouts.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(1);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);
const SHORTEST_LEASE: Duration = Duration::from_millis(200);
const LONGEST_LEASE: Duration = Duration::from_secs(60);
const LONGEST_PREFIX: usize = 64;

/// Settings as they are written; nothing is checked yet. `None` leaves a setting to the URL, and then to its default.
#[derive(Clone, Default)]
pub struct RedisOptions {
    /// Where the server is, with user and password. See the head of this module.
    pub url: String,
    /// How long a command may take; more than zero, at most a minute.
    pub command_timeout: Option<Duration>,
    /// How long connecting may take, with everything that belongs to it; more than zero, at most a minute.
    pub connect_timeout: Option<Duration>,
    /// What every key in the server begins with: 1 to 64 letters, digits and `-_.:`. Caches with one prefix are one.
    pub prefix: Option<String>,
    /// How long a process that died keeps a key from being loaded by others; 200 ms to a minute.
    pub lease: Option<Duration>,
    /// User at the sentinels themselves.
    pub sentinel_username: Option<String>,
    /// Password at the sentinels themselves.
    pub sentinel_password: Option<String>,
    /// PEM file with the authorities that may have signed the server's certificate; else those of the system.
    pub ca_file: Option<PathBuf>,
    /// PEM file with a certificate to show to the server.
    pub cert_file: Option<PathBuf>,
    /// PEM file with the key of `cert_file`.
    pub key_file: Option<PathBuf>,
    /// Number of the database; not with a cluster, which has only one.
    pub db: Option<u32>,
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("url", &redact(&self.url))
            .field("command_timeout", &self.command_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("prefix", &self.prefix)
            .field("lease", &self.lease)
            .field("sentinel_username", &self.sentinel_username)
            .field("sentinel_password", &self.sentinel_password.as_ref().map(|_| HIDDEN))
            .field("ca_file", &self.ca_file)
            .field("cert_file", &self.cert_file)
            .field("key_file", &self.key_file)
            .field("db", &self.db)
            .finish()
    }
}

/// Checked settings: where the server is, and how it is spoken to.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    scheme: String,
    pub(super) place: Place,
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    /// 0 with a cluster.
    pub(super) db: u32,
    /// `None`: no TLS.
    pub(super) tls: Option<TlsFiles>,
    pub(super) command_timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) prefix: String,
    pub(super) lease: Duration,
}

/// Where the server is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// One server.
    Single(Host),
    /// One server, on this machine.
    Socket(PathBuf),
    /// The master that sentinels know by the name of the service. At least one sentinel.
    Sentinel { sentinels: Vec<Host>, service: String, user: Option<String>, password: Option<Secret> },
    /// A cluster that has at least these nodes. At least one.
    Cluster(Vec<Host>),
}

/// Name or address of a machine, without brackets, and a port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, port } = self;
        if name.contains(':') { write!(f, "[{name}]:{port}") } else { write!(f, "{name}:{port}") }
    }
}

/// Files for TLS, all PEM. `cert` and `key` come together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct TlsFiles {
    pub(super) ca: Option<PathBuf>,
    pub(super) identity: Option<(PathBuf, PathBuf)>,
}

const HIDDEN: &str = "***";

/// Text that `Debug` does not show.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl RedisOptions {
    /// Checks everything.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for the first setting that cannot be meant. It does not hold the password.
    ///
    /// # Cost
    ///
    /// Reads the certificate files, where there are any.
    pub fn compile(self) -> Result<RedisSettings, ConfigError> {
        let shown = redact(&self.url);
        let refuse = |remedy: &str| ConfigError::new("url", shown.clone(), remedy.to_owned());
        let url = Url::split(self.url.trim()).map_err(refuse)?;
        let scheme = url.scheme.to_ascii_lowercase();
        let (kind, tls) = kind(&scheme).ok_or_else(|| refuse(SCHEMES))?;
        let (user, password) = credentials(url.userinfo).map_err(refuse)?;
        let query = Query::read(url.query).map_err(|remedy| refuse(&remedy))?;

        let db = query.merged_text("db", None)?.map(|text| number(&text)).transpose()?;
        let mut db = once("db", self.db, db, u32::to_string)?;
        let sentinel_user = query.merged_text("sentinel_username", self.sentinel_username)?;
        let sentinel_password = query.merged_text("sentinel_password", self.sentinel_password)?;
        if kind != Kind::Sentinel && (sentinel_user.is_some() || sentinel_password.is_some()) {
            let setting = if sentinel_password.is_some() { "sentinel_password" } else { "sentinel_username" };
            return Err(ConfigError::new(setting, HIDDEN, "it is for redis+sentinel:// only: leave it out"));
        }

        let mut in_path = |text: &str, remedy| {
            let number = if text.is_empty() { None } else { Some(number(text).map_err(|_| refuse(remedy))?) };
            db = once("db", number, db, u32::to_string)?;
            Ok(())
        };
        let place = match kind {
            Kind::Single => {
                in_path(
                    url.path,
                    "write the number of a database, or nothing, after the host, as in redis://host/0",
                )?;
                let mut hosts = hosts(url.hosts, PORT).map_err(refuse)?;
                match (hosts.pop(), hosts.is_empty()) {
                    (Some(host), true) => Place::Single(host),
                    _ => {
                        return Err(refuse(
                            "write one host, or redis+cluster:// or redis+sentinel:// for several",
                        ));
                    }
                }
            }
            Kind::Socket => Place::Socket(socket(&url).map_err(refuse)?),
            Kind::Sentinel => {
                let (service, number) = url.path.split_once('/').unwrap_or((url.path, ""));
                in_path(number, "write the number of a database after the service, as in /service/0")?;
                let service = decode(service).map_err(refuse)?;
                if service.is_empty() {
                    return Err(refuse(
                        "write the name of the service the sentinels watch, as in redis+sentinel://host:26379/mymaster",
                    ));
                }
                Place::Sentinel {
                    sentinels: hosts(url.hosts, SENTINEL_PORT).map_err(refuse)?,
                    service,
                    user: sentinel_user,
                    password: sentinel_password.map(Secret),
                }
            }
            Kind::Cluster => {
                if !url.path.is_empty() || db.is_some_and(|db| db != 0) {
                    return Err(refuse("leave the database out: a cluster has only one"));
                }
                Place::Cluster(hosts(url.hosts, PORT).map_err(refuse)?)
            }
        };

        let within = |setting, keyword, default, shortest: Duration, longest: Duration| {
            let value = query.merged_duration(setting, keyword)?.unwrap_or(default);
            if (shortest..=longest).contains(&value) {
                return Ok(value);
            }
            let remedy = format!("write {shortest:?} to {longest:?}; the default is {default:?}");
            Err(ConfigError::new(setting, format!("{value:?}"), remedy))
        };
        let timeout =
            |setting, keyword, default| within(setting, keyword, default, SHORTEST_TIMEOUT, LONGEST_TIMEOUT);
        let command_timeout = timeout("command_timeout", self.command_timeout, DEFAULT_COMMAND_TIMEOUT)?;
        let connect_timeout = timeout("connect_timeout", self.connect_timeout, DEFAULT_CONNECT_TIMEOUT)?;
        let lease = within("lease", self.lease, DEFAULT_LEASE, SHORTEST_LEASE, LONGEST_LEASE)?;
        let prefix = query.merged_text("prefix", self.prefix)?.unwrap_or_else(|| DEFAULT_PREFIX.to_owned());
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if prefix.is_empty() || prefix.len() > LONGEST_PREFIX || !prefix.bytes().all(allowed) {
            return Err(ConfigError::new("prefix", prefix, "write 1 to 64 letters, digits and -_.: only"));
        }
        let tls = files::tls(
            tls,
            query.merged_path("ca_file", self.ca_file)?,
            query.merged_path("cert_file", self.cert_file)?,
            query.merged_path("key_file", self.key_file)?,
        )?;

        let db = db.unwrap_or(0);
        let password = password.map(Secret);
        Ok(RedisSettings {
            scheme,
            place,
            user,
            password,
            db,
            tls,
            command_timeout,
            connect_timeout,
            prefix,
            lease,
        })
    }
}

impl RedisSettings {
    /// The URL as it may be shown: without the password, and without what was in the query.
    #[must_use]
    pub fn display_url(&self) -> String {
        let credentials = match (&self.user, &self.password) {
            (Some(user), Some(_)) => format!("{}:{HIDDEN}@", encode(user).replace('/', "%2F")),
            (None, Some(_)) => format!(":{HIDDEN}@"),
            _ => String::new(),
        };
        let list = |hosts: &[Host], usual: u16| {
            let shown = hosts.iter().map(|host| {
                let text = host.to_string();
                let bare = text.strip_suffix(&format!(":{usual}")).map(str::to_owned);
                bare.unwrap_or(text)
            });
            shown.collect::<Vec<_>>().join(",")
        };
        let Self { scheme, db, .. } = self;
        match &self.place {
            Place::Single(host) => {
                format!("{scheme}://{credentials}{}/{db}", list(std::slice::from_ref(host), PORT))
            }
            Place::Socket(path) => {
                format!("{scheme}://{credentials}{}?db={db}", encode(&path.to_string_lossy()))
            }
            Place::Sentinel { sentinels, service, .. } => {
                let hosts = list(sentinels, SENTINEL_PORT);
                let service = encode(service).replace('/', "%2F");
                format!("{scheme}://{credentials}{hosts}/{service}/{db}")
            }
            Place::Cluster(nodes) => format!("{scheme}://{credentials}{}", list(nodes, PORT)),
        }
    }

    /// How long a command may take.
    #[must_use]
    pub fn command_timeout(&self) -> Duration {
        self.command_timeout
    }

    /// How long connecting may take.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// What every key in the server begins with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// How long a process that died keeps a key from being loaded by others.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.lease
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn options(url: &str) -> RedisOptions {
        RedisOptions { url: url.to_owned(), ..RedisOptions::default() }
    }

    pub(super) fn compile(url: &str) -> RedisSettings {
        options(url).compile().unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    #[track_caller]
    pub(super) fn refused(options: RedisOptions) -> String {
        let shown = format!("{options:?}");
        options.compile().map_or_else(|error| error.to_string(), |_| panic!("{shown} was taken"))
    }

    #[test]
    fn sentinels_have_a_user_and_a_password_of_their_own() {
        let settings = compile("redis+sentinel://u:p@a/m?sentinel_username=s&sentinel_password=t%40u");
        let Place::Sentinel { user, password, .. } = settings.place else { panic!("{settings:?}") };
        assert_eq!((user.as_deref(), password.as_ref().map(Secret::expose)), (Some("s"), Some("t@u")));
        assert_eq!(settings.user.as_deref(), Some("u"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_to_write() {
        for (url, expected) in [
            ("", "begin the URL with redis://"),
            ("localhost:6379", "begin the URL with redis://"),
            ("http://localhost", "begin the URL with redis://"),
            ("redis+what://localhost", "begin the URL with redis://"),
            ("rediss+unix:///run/redis.sock", "begin the URL with redis://"),
            ("redis://", "write a host after ://"),
            ("redis:///0", "write a host after ://"),
            ("redis://:6379", "write a host after ://"),
            ("redis+cluster://", "write a host after ://"),
            ("redis+cluster://a,,b", "write a host after ://"),
            ("redis+sentinel:///mymaster", "write a host after ://"),
            ("redis://a,b", "redis+cluster:// or redis+sentinel:// for several"),
            ("redis://host:", "write a port from 1 to 65535"),
            ("redis://host:0", "write a port from 1 to 65535"),
            ("redis://host:65536", "write a port from 1 to 65535"),
            ("redis://host:+1", "write a port from 1 to 65535"),
            ("redis://host:port", "write a port from 1 to 65535"),
            ("redis://::1", "write an IPv6 address in brackets"),
            ("redis://a:b:c", "write an IPv6 address in brackets"),
            ("redis://[::1", "close the bracket"),
            ("redis://[host]", "write an IPv6 address in the brackets"),
            ("redis://[::1]6379", "write a port from 1 to 65535"),
            ("redis://0.0.0.0", "the address of a server"),
            ("redis://[::]:6379", "the address of a server"),
            ("redis://my host", "write a host name of letters"),
            ("redis://host/zero", "write the number of a database"),
            ("redis://host/-1", "write the number of a database"),
            ("redis://host/0/1", "write the number of a database"),
            ("redis://host/4294967296", "write the number of a database"),
            ("redis://host?db=x", "write the number of a database"),
            ("redis://host/1?db=2", "write it once"),
            ("redis+sentinel://host", "the name of the service"),
            ("redis+sentinel://host//1", "the name of the service"),
            ("redis+sentinel://host/m/x", "write the number of a database after the service"),
            ("redis+cluster://host/1", "a cluster has only one"),
            ("redis+cluster://host?db=1", "a cluster has only one"),
            ("redis+unix://run/redis.sock", "write three slashes"),
            ("redis+unix:///", "write three slashes"),
            (
                "redis://host?timeout=1",
                "no query parameter \"timeout\"; there are ca_file, cert_file, command_timeout,",
            ),
            ("redis://host?prefix=a&prefix=a", "write the query parameter prefix once"),
            ("redis://host?prefix", "give the query parameter prefix a value"),
            ("redis://host?prefix=", "give the query parameter prefix a value"),
            ("redis://host?prefix=a{b}", "write 1 to 64 letters"),
            ("redis://host?prefix=a%20b", "write 1 to 64 letters"),
            ("redis://host?command_timeout=fast", "command_timeout=\"fast\" cannot be used"),
            ("redis://host?command_timeout=2m", "to 60s; the default is"),
            ("redis://host?connect_timeout=0", "connect_timeout=0 cannot be used"),
            ("redis://host?lease=100ms", "write 200ms to 60s; the default is 3s"),
            ("redis://host?lease=61s", "to 60s; the default is"),
            ("redis://host?sentinel_username=u", "it is for redis+sentinel:// only"),
            ("redis://host?ca_file=/ca.pem", "begin the URL with rediss://"),
            ("rediss://host?ca_file=/no/such/file", "write a file that can be read"),
            ("rediss://host?ca_file=/proc/self/status", "write a PEM file"),
            ("redis://host#0", "leave out what follows #"),
            ("redis://user@host", "write user:password@"),
            ("redis://user:@host", "write the password of the user as well"),
            ("redis://u:%zz@host", "percent-encode"),
            ("redis://u:%2@host", "percent-encode"),
            ("redis://u:%ff@host", "percent-encode"),
        ] {
            let text = refused(options(url));
            assert!(text.contains(expected), "{url}: {text}");
        }
        for prefix in ["", "{a}", &"x".repeat(65)] {
            let text = refused(RedisOptions { prefix: Some(prefix.to_owned()), ..options("redis://host") });
            assert!(text.starts_with("prefix="), "{text}");
        }
        let zero = RedisOptions { command_timeout: Some(Duration::ZERO), ..options("redis://host") };
        assert!(refused(zero).starts_with("command_timeout="));
    }

    #[test]
    fn whatever_is_written_is_read_or_refused_and_what_is_shown_names_the_same_place() {
        use proptest::prelude::*;

        let scheme = "(redis|rediss|unix|valkey[+]sentinel|redis[+]cluster)";
        let rest = r"(user:pw@)?[a-z0-9:@/?#%,=&.\[\]é]{0,24}";
        proptest!(|(scheme in scheme, rest in rest)| {
            let written = options(&format!("{scheme}://{rest}"));
            let _ = format!("{written:?}");
            if let Ok(settings) = written.compile() {
                let again = options(&settings.display_url()).compile();
                prop_assert_eq!(again.map(|again| again.place), Ok(settings.place));
            }
        });
    }
}
