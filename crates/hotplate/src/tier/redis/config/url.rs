//! The URL as it is written: its parts, what each of them means, and the same URL without what is secret.

use std::net::Ipv6Addr;
use std::path::PathBuf;

use super::query::{PARAMETERS, is_number};
use super::{HIDDEN, Host};

pub(super) const PORT: u16 = 6379;
pub(super) const SENTINEL_PORT: u16 = 26379;

pub(super) const SCHEMES: &str = "begin the URL with redis://, rediss:// (TLS), redis+unix://, redis+sentinel:// or \
     redis+cluster:// (valkey may be written for redis), or write memory:// for a cache of this process alone";
const ENCODE: &str = "percent-encode special characters in user and password: / as %2F, ? as %3F, # as %23, @ as %40, \
     : as %3A, % as %25";

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Single,
    Socket,
    Sentinel,
    Cluster,
}

/// What a scheme in lower case means, and whether it means TLS.
pub(super) fn kind(scheme: &str) -> Option<(Kind, bool)> {
    if scheme == "unix" {
        return Some((Kind::Socket, false));
    }
    let (family, kind) = match scheme.split_once('+') {
        None => (scheme, Kind::Single),
        Some((family, "unix")) => (family, Kind::Socket),
        Some((family, "sentinel")) => (family, Kind::Sentinel),
        Some((family, "cluster")) => (family, Kind::Cluster),
        Some(_) => return None,
    };
    match family {
        "redis" | "valkey" => Some((kind, false)),
        "rediss" | "valkeys" if kind != Kind::Socket => Some((kind, true)),
        _ => None,
    }
}

/// The parts of a URL, as they were written.
pub(super) struct Url<'a> {
    pub(super) scheme: &'a str,
    pub(super) userinfo: Option<&'a str>,
    pub(super) hosts: &'a str,
    /// Without the slash it begins with, and without those it ends with.
    pub(super) path: &'a str,
    pub(super) query: &'a str,
}

impl<'a> Url<'a> {
    pub(super) fn split(text: &'a str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or(SCHEMES)?;
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (userinfo, hosts) = match authority.rsplit_once('@') {
            Some((userinfo, hosts)) => (Some(userinfo), hosts),
            None => (None, authority),
        };
        if rest.contains('#') {
            return Err("leave out what follows #; in user and password write %23 for it");
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        // The tail of a password with a slash or a question mark in it.
        let in_path = userinfo.is_none() && !hosts.is_empty() && path.contains('@');
        if in_path || (query.contains('@') && !names_are_known(query)) {
            return Err(ENCODE);
        }
        let path = path.strip_prefix('/').unwrap_or(path).trim_end_matches('/');
        Ok(Self { scheme, userinfo, hosts, path, query })
    }
}

fn names_are_known(query: &str) -> bool {
    query.split('&').all(|pair| pair.split_once('=').is_some_and(|(name, _)| PARAMETERS.contains(&name)))
}

/// The URL for an error: what may be part of a password that was not encoded is not shown.
pub(super) fn redact(text: &str) -> String {
    let Some((scheme, rest)) = text.trim().split_once("://") else {
        return HIDDEN.to_owned();
    };
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (userinfo, hosts) = match authority.rsplit_once('@') {
        Some((userinfo, hosts)) => match userinfo.split_once(':') {
            Some((user, password)) if !password.is_empty() => (format!("{user}:{HIDDEN}@"), hosts),
            _ => (format!("{HIDDEN}@"), hosts),
        },
        None => (String::new(), authority),
    };
    // What stands where a port belongs and is none may be the password of somebody who forgot the host.
    let is_odd = |host: &str| match host.rsplit_once(':') {
        Some((name, port)) => name.is_empty() || !(port.ends_with(']') || is_number(port)),
        None => false,
    };
    if tail.contains(['@', '#']) || hosts.split(',').any(is_odd) {
        return format!("{scheme}://{HIDDEN}");
    }
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| match pair.split_once('=') {
        Some((name, _)) if PARAMETERS.contains(&name) && !name.contains("password") => pair.to_owned(),
        Some((name, _)) => format!("{name}={HIDDEN}"),
        None => HIDDEN.to_owned(),
    });
    let query = query.collect::<Vec<_>>().join("&");
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{scheme}://{userinfo}{hosts}{path}{mark}{query}")
}

pub(super) fn credentials(userinfo: Option<&str>) -> Result<(Option<String>, Option<String>), &'static str> {
    let Some(userinfo) = userinfo.filter(|text| !text.is_empty()) else {
        return Ok((None, None));
    };
    let Some((user, password)) = userinfo.split_once(':') else {
        return Err("write user:password@, or :password@ for a password alone, before the host");
    };
    let user = Some(decode(user)?).filter(|user| !user.is_empty());
    let password = decode(password)?;
    match (&user, password.is_empty()) {
        (None, true) => Ok((None, None)),
        (Some(_), true) => Err("write the password of the user as well: user:password@"),
        _ => Ok((user, Some(password))),
    }
}

pub(super) fn hosts(text: &str, usual: u16) -> Result<Vec<Host>, &'static str> {
    const REMEDY: &str = "write a host after ://, as in redis://localhost:6379/0, or several, with commas between, \
         for sentinels and clusters";
    text.split(',')
        .map(|text| {
            let (name, port) = match text.strip_prefix('[') {
                Some(rest) => {
                    let (name, port) = rest.split_once(']').ok_or("close the bracket of the IPv6 address")?;
                    name.parse::<Ipv6Addr>()
                        .map_err(|_| "write an IPv6 address in the brackets, as in [::1]:6379")?;
                    (name, port)
                }
                None if text.matches(':').count() > 1 => {
                    return Err("write an IPv6 address in brackets, as in [::1]:6379");
                }
                None => text.split_at(text.find(':').unwrap_or(text.len())),
            };
            let port = match port.strip_prefix(':') {
                _ if name.is_empty() => return Err(REMEDY),
                None if port.is_empty() => usual,
                Some(port) if is_number(port) => match port.parse() {
                    Ok(0) | Err(_) => return Err("write a port from 1 to 65535"),
                    Ok(port) => port,
                },
                _ => return Err("write a port from 1 to 65535 after the colon"),
            };
            if matches!(name, "0.0.0.0" | "::") {
                return Err("write the address of a server: 0.0.0.0 and [::] are what a server listens on");
            }
            let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
            if !name.bytes().all(in_name) {
                return Err("write a host name of letters, digits, dots and hyphens, or an address");
            }
            Ok(Host { name: name.to_owned(), port })
        })
        .collect()
}

pub(super) fn socket(url: &Url<'_>) -> Result<PathBuf, &'static str> {
    const REMEDY: &str = "write three slashes and the path of the socket, as in redis+unix:///run/redis.sock";
    if !url.hosts.is_empty() || url.path.is_empty() {
        return Err(REMEDY);
    }
    Ok(PathBuf::from(format!("/{}", decode(url.path)?)))
}

pub(super) fn decode(text: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(ENCODE);
        };
        bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
    }
    String::from_utf8(bytes).map_err(|_| "percent-encode the bytes of UTF-8")
}

/// Percent-encodes all but slashes and what never needs it.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::super::tests::{compile, options, refused};
    use super::super::{Place, RedisOptions, Secret};
    use super::*;

    fn host(name: &str, port: u16) -> Host {
        Host { name: name.to_owned(), port }
    }

    #[test]
    fn every_scheme_says_where_the_server_is_and_whether_tls_is_spoken() {
        let sentinel = |sentinels, service: &str| Place::Sentinel {
            sentinels,
            service: service.to_owned(),
            user: None,
            password: None,
        };
        let two = || vec![host("a", 1), host("b", 2)];
        let socket = |path: &str| Place::Socket(PathBuf::from(path));
        for (url, place, tls, db) in [
            ("redis://localhost", Place::Single(host("localhost", 6379)), false, 0),
            ("redis://localhost/", Place::Single(host("localhost", 6379)), false, 0),
            ("REDIS://localhost:7000/3/", Place::Single(host("localhost", 7000)), false, 3),
            (" valkey://10.0.0.1/3?db=3 ", Place::Single(host("10.0.0.1", 6379)), false, 3),
            ("redis://host?db=4", Place::Single(host("host", 6379)), false, 4),
            ("rediss://my_host.example.org", Place::Single(host("my_host.example.org", 6379)), true, 0),
            ("valkeys://[::1]", Place::Single(host("::1", 6379)), true, 0),
            ("redis://[2001:db8::1]:7000/1", Place::Single(host("2001:db8::1", 7000)), false, 1),
            ("redis+unix:///run/redis.sock", socket("/run/redis.sock"), false, 0),
            ("valkey+unix:///run/a%20b.sock?db=1", socket("/run/a b.sock"), false, 1),
            ("unix:///run/a@b.sock", socket("/run/a@b.sock"), false, 0),
            ("redis+sentinel://a:1,b:2/mymaster", sentinel(two(), "mymaster"), false, 0),
            ("rediss+sentinel://a:1,b:2/my%2Fmaster/5", sentinel(two(), "my/master"), true, 5),
            ("valkey+sentinel://a/m", sentinel(vec![host("a", 26379)], "m"), false, 0),
            ("redis+cluster://a:1,b:2", Place::Cluster(two()), false, 0),
            ("redis+cluster://a:1,b:2/?db=0", Place::Cluster(two()), false, 0),
            ("rediss+cluster://[::1]:1,b", Place::Cluster(vec![host("::1", 1), host("b", 6379)]), true, 0),
            ("valkey+cluster://a", Place::Cluster(vec![host("a", 6379)]), false, 0),
            ("valkeys+cluster://a", Place::Cluster(vec![host("a", 6379)]), true, 0),
        ] {
            let settings = compile(url);
            assert_eq!(settings.place, place, "{url}");
            assert_eq!(settings.tls.is_some(), tls, "{url}");
            assert_eq!(settings.db, db, "{url}");
        }
    }

    #[test]
    fn user_and_password_are_percent_decoded() {
        for (url, user, password) in [
            ("redis://host", None, None),
            ("redis://@host", None, None),
            ("redis://:@host", None, None),
            ("redis://:secret@host", None, Some("secret")),
            ("redis://user:secret@host", Some("user"), Some("secret")),
            ("redis://a%40b:%2f%3A%25%C3%A9@host", Some("a@b"), Some("/:%é")),
            ("redis://user:with@at:and@host", Some("user"), Some("with@at:and")),
            ("redis+sentinel://user:secret@a,b/m", Some("user"), Some("secret")),
            ("unix://user:secret@/run/redis.sock", Some("user"), Some("secret")),
        ] {
            let settings = compile(url);
            assert_eq!(settings.user.as_deref(), user, "{url}");
            assert_eq!(settings.password.as_ref().map(Secret::expose), password, "{url}");
        }
    }

    #[test]
    fn the_url_that_is_shown_has_no_password() {
        for (url, shown) in [
            ("redis://user:secret@host/0", "redis://user:***@host/0"),
            ("redis://:secret@host:6379", "redis://:***@host/0"),
            ("redis://host:7000/2", "redis://host:7000/2"),
            ("rediss://a%40b:secret@[::1]:7000", "rediss://a%40b:***@[::1]:7000/0"),
            ("valkey+unix://u:secret@/run/x.sock?db=1", "valkey+unix://u:***@/run/x.sock?db=1"),
            (
                "redis+sentinel://u:secret@a:26379,b:1/m/2?sentinel_password=secret",
                "redis+sentinel://u:***@a,b:1/m/2",
            ),
            ("redis+cluster://:secret@a,b:7000", "redis+cluster://:***@a,b:7000"),
        ] {
            let settings = compile(url);
            assert_eq!(settings.display_url(), shown);
            let options = options(url);
            assert!(!format!("{settings:?}{options:?}").contains("secret"), "{settings:?}{options:?}");
        }
        let keyword =
            RedisOptions { sentinel_password: Some("hush".to_owned()), ..options("redis+sentinel://host/m") };
        assert!(!format!("{keyword:?}{:?}", keyword.clone().compile()).contains("hush"));
    }

    #[test]
    fn no_error_shows_a_password_however_the_url_is_wrong() {
        for url in [
            "redis://:hush!hush@",
            "redis://:hush!hush@host:port",
            "redis://user:hush!hush@host/zero",
            "redis://user:hush!hush@host?what=hush",
            "redis://user:hush!hush@host?sentinel_password=hush",
            "redis://host?sentinel_password=hush",
            "redis://host?password=hush",
            "redis+what://user:hush@host",
            "redis://hush@host",
            "redis://hush:@host",
            "redis://:hush",
            "redis://:hush/0",
            "redis://user:hush",
            "redis://user:hush/hush@host",
            "redis://user:hush?hush@host",
            "redis://user:hush?hush=hush@host",
            "redis://user:hush#hush@host",
            "redis://:hush#hush",
            "redis://user:hu@hush/hush@host",
            "redis://user:hu@hush?hush=1@host",
            "redis://user:%zzhush@host",
            ":hush@host",
            "redis:hush@host",
        ] {
            let text = format!("{:?} {}", options(url), refused(options(url)));
            assert!(!text.contains("hush"), "{url}: {text}");
        }
    }
}
