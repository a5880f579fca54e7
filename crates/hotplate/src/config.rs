//! Settings of the HTTP side, checked once and never changed afterwards.
//!
//! [`SettingsOptions`] holds what a developer wrote; [`SettingsOptions::compile`] checks it and makes
//! [`Settings`], in which every rule carries the defaults it left open.

use std::time::Duration;

use hotplate_policy::profile::Profile;
use hotplate_policy::reason::Reason;

use crate::error::ConfigError;
use crate::key::QueryRule;
use crate::pattern::{Beginning, Opening, Pattern};
use crate::rules::{Cookies, Rule, RuleOptions};

/// The largest response body that is stored unless set otherwise: 8 MiB.
pub const DEFAULT_MAX_BODY: u64 = 8 << 20;

/// The largest request body that enters a cache key unless set otherwise: 64 KiB.
pub const DEFAULT_MAX_REQUEST_BODY: usize = 64 << 10;

/// Settings as they are written; nothing is checked yet.
#[derive(Clone, Debug)]
pub struct SettingsOptions {
    /// Freshness lifetime of responses that say nothing themselves; `None`: they are not stored.
    pub ttl: Option<Duration>,
    /// Lifetime told to clients in `Cache-Control` and `Expires`; `None`: what the application says.
    pub client_ttl: Option<Duration>,
    /// Only these paths are cached; `None`: all.
    pub include: Option<Vec<String>>,
    /// These paths are never cached; wins over `include` and rules.
    pub exclude: Vec<String>,
    /// The first that matches speaks.
    pub rules: Vec<RuleOptions>,
    /// Whether the caller can name a partition for requests that no rule speaks for.
    pub partitioned: bool,
    /// Bodies above this many bytes pass through and are not stored.
    pub max_body: u64,
    /// Only requests for these hosts are cached (`*.example.org` covers all hosts below it); a port in
    /// the request is ignored. `None`: every host, each with entries of its own.
    pub allowed_hosts: Option<Vec<String>>,
    /// Whether responses carry `X-Cache` beside `Cache-Status`.
    pub x_cache: bool,
    /// Safe defaults, or the letter of RFC 9111.
    pub profile: Profile,
    /// Whether a request's `Cache-Control` is honoured (RFC 9111 §5.2.1 makes that advisory).
    /// `no-store` in a request always keeps its response out of the cache.
    pub honor_request_directives: bool,
    /// Each lifetime is shortened by a random part of up to this fraction, 0 to 1.
    pub jitter: f64,
    /// How long a key is remembered as not worth waiting for after its answer could not be stored.
    pub hit_for_miss: Duration,
    /// After a failed load that was answered with a stale response: how long until the next attempt.
    pub retry_after: Duration,
}

impl Default for SettingsOptions {
    fn default() -> Self {
        Self {
            ttl: None,
            client_ttl: None,
            include: None,
            exclude: Vec::new(),
            rules: Vec::new(),
            partitioned: false,
            max_body: DEFAULT_MAX_BODY,
            allowed_hosts: None,
            x_cache: false,
            profile: Profile::Safe,
            honor_request_directives: false,
            jitter: 0.0,
            hit_for_miss: Duration::from_secs(30),
            retry_after: Duration::from_secs(5),
        }
    }
}

/// Checked settings.
#[derive(Debug)]
pub struct Settings {
    include: Option<Box<[Pattern]>>,
    exclude: Box<[Pattern]>,
    rules: Box<[Rule]>,
    /// What the pattern of each rule begins with.
    beginnings: Box<[Beginning]>,
    default_rule: Rule,
    allowed_hosts: Option<Box<[HostPattern]>>,
    pub(crate) max_body: u64,
    pub(crate) x_cache: bool,
    pub(crate) profile: Profile,
    pub(crate) honor_request_directives: bool,
    pub(crate) jitter: f64,
    pub(crate) hit_for_miss: Duration,
    pub(crate) retry_after: Duration,
}

#[derive(Debug)]
enum HostPattern {
    Exact(Box<[u8]>),
    Below(Box<[u8]>),
}

impl SettingsOptions {
    /// Checks everything and compiles patterns, rules and templates.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for the first setting that cannot be meant, with its value and the remedy.
    pub fn compile(self) -> Result<Settings, ConfigError> {
        if !(0.0..=1.0).contains(&self.jitter) {
            let remedy = "write a fraction from 0 to 1, as in 0.1 for lifetimes up to 10 % shorter";
            return Err(ConfigError::new("jitter", self.jitter.to_string(), remedy));
        }
        if self.max_body == 0 {
            return Err(ConfigError::new(
                "max_body",
                "0",
                "write the largest body to store, in bytes, at least 1",
            ));
        }
        let include = match self.include {
            Some(patterns) if patterns.is_empty() => {
                let remedy = "nothing would be cached: name a path, or leave include out";
                return Err(ConfigError::new("include", "[]", remedy));
            }
            Some(patterns) => Some(compile_patterns("include", &patterns)?),
            None => None,
        };
        let allowed_hosts = match self.allowed_hosts {
            Some(hosts) if hosts.is_empty() => {
                let remedy = "nothing would be cached: name a host, or leave allowed_hosts out";
                return Err(ConfigError::new("allowed_hosts", "[]", remedy));
            }
            Some(hosts) => {
                Some(hosts.iter().map(|host| compile_host(host)).collect::<Result<Box<[_]>, _>>()?)
            }
            None => None,
        };
        let inherit = |mut rule: Rule| {
            if rule.cache && rule.directives.ttl.is_none() {
                rule.directives.ttl = self.ttl;
            }
            rule.client_ttl = rule.client_ttl.or(self.client_ttl);
            rule.partitioned |= self.partitioned;
            rule
        };
        let mut rules = Vec::with_capacity(self.rules.len());
        for (index, rule) in self.rules.into_iter().enumerate() {
            rules.push(inherit(rule.compile(&format!("rules[{index}]"))?));
        }
        let default_rule = inherit(
            RuleOptions {
                pattern: "*".into(),
                cache: true,
                cookies: Cookies::Guard,
                query: QueryRule::default(),
                max_request_body: DEFAULT_MAX_REQUEST_BODY,
                ..RuleOptions::default()
            }
            .compile("rules")?,
        );
        Ok(Settings {
            include,
            exclude: compile_patterns("exclude", &self.exclude)?,
            beginnings: rules.iter().map(|rule| Beginning::of(&rule.pattern)).collect(),
            rules: rules.into(),
            default_rule,
            allowed_hosts,
            max_body: self.max_body,
            x_cache: self.x_cache,
            profile: self.profile,
            honor_request_directives: self.honor_request_directives,
            jitter: self.jitter,
            hit_for_miss: self.hit_for_miss,
            retry_after: self.retry_after,
        })
    }
}

/// Which rule speaks for a request.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RuleId {
    /// The rule at this place of the list.
    Listed(usize),
    /// No rule of the list: the settings themselves.
    Default,
}

impl Settings {
    /// Whether `include` and `exclude` let the path be cached.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        !self.exclude.iter().any(|pattern| pattern.matches(path))
            && self.include.as_ref().is_none_or(|include| include.iter().any(|pattern| pattern.matches(path)))
    }

    /// Whether the host may have stored responses. A port is ignored.
    #[must_use]
    pub fn allows_host(&self, authority: &[u8]) -> bool {
        let Some(hosts) = &self.allowed_hosts else { return true };
        let host = strip_port(authority);
        hosts.iter().any(|pattern| match pattern {
            HostPattern::Exact(exact) => host.eq_ignore_ascii_case(exact),
            HostPattern::Below(suffix) => {
                host.len() > suffix.len() && host[host.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
            }
        })
    }

    /// The rule for a method and path: the first of the list that matches, else the default one,
    /// which speaks for `GET` and `HEAD`. `None`: this method is not cached here.
    #[must_use]
    pub fn rule_for(&self, method: &str, path: &str) -> Option<RuleId> {
        let opening = Opening::of(path);
        let mut beginnings = self.beginnings.iter().zip(&self.rules);
        match beginnings.position(|(beginning, rule)| beginning.admits(opening) && rule.matches(method, path))
        {
            Some(index) => Some(RuleId::Listed(index)),
            None => matches!(method, "GET" | "HEAD").then_some(RuleId::Default),
        }
    }

    /// The rule by which a request for this method and path is looked up.
    ///
    /// # Errors
    ///
    /// Why none of them is.
    pub fn looked_up_by(&self, method: &str, path: &str) -> Result<RuleId, Reason> {
        self.looked_up_by_rule(self.rule_for(method, path), path)
    }

    /// As [`Settings::looked_up_by`], of what [`Settings::rule_for`] gave for the same path.
    pub(crate) fn looked_up_by_rule(&self, rule: Option<RuleId>, path: &str) -> Result<RuleId, Reason> {
        if !self.covers(path) {
            return Err(Reason::Excluded);
        }
        let id = rule.ok_or(Reason::Method)?;
        if self.rule(id).cache { Ok(id) } else { Err(Reason::RuleSaysNo) }
    }

    /// The patterns of the rules, in order.
    pub fn rule_patterns(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.pattern.as_str())
    }

    /// The rule behind an id that [`Settings::rule_for`] gave.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> &Rule {
        match id {
            RuleId::Listed(index) => self.rules.get(index).unwrap_or(&self.default_rule),
            RuleId::Default => &self.default_rule,
        }
    }
}

fn compile_patterns(setting: &str, patterns: &[String]) -> Result<Box<[Pattern]>, ConfigError> {
    patterns.iter().map(|pattern| Pattern::prefix_or_glob(setting, pattern)).collect()
}

fn compile_host(host: &str) -> Result<HostPattern, ConfigError> {
    let refuse = || {
        let remedy = "write a host without scheme, path and port, as in \"example.org\" or \"*.example.org\"";
        Err(ConfigError::new("allowed_hosts", host, remedy))
    };
    let (bare, below) = match host.strip_prefix("*.") {
        Some(bare) => (bare, true),
        None => (host, false),
    };
    let is_address = bare.starts_with('[') && bare.ends_with(']');
    if bare.is_empty() || bare.contains(['/', '*', ' ', '@']) || (bare.contains(':') && !is_address) {
        return refuse();
    }
    Ok(if below {
        HostPattern::Below(format!(".{bare}").into_bytes().into())
    } else {
        HostPattern::Exact(bare.as_bytes().into())
    })
}

/// The host of an authority, without its port; an IPv6 address keeps its brackets.
fn strip_port(authority: &[u8]) -> &[u8] {
    match authority.iter().rposition(|byte| *byte == b':') {
        Some(colon) if !authority[colon..].contains(&b']') => &authority[..colon],
        _ => authority,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn settings(edit: impl FnOnce(&mut SettingsOptions)) -> Result<Settings, ConfigError> {
        let mut options =
            SettingsOptions { ttl: Some(Duration::from_secs(30)), ..SettingsOptions::default() };
        edit(&mut options);
        options.compile()
    }

    #[test]
    fn exclude_wins_over_include() {
        let settings = settings(|options| {
            options.include = Some(vec!["/api".into()]);
            options.exclude = vec!["/api/admin".into()];
        })
        .unwrap();
        assert!(settings.covers("/api/products"));
        assert!(!settings.covers("/api/admin/users"));
        assert!(!settings.covers("/other"));
    }

    #[test]
    fn the_first_rule_that_matches_speaks_and_inherits_what_it_leaves_open() {
        let rule = |pattern: &str, ttl| RuleOptions {
            pattern: pattern.into(),
            cache: true,
            ttl,
            ..Default::default()
        };
        let settings = settings(|options| {
            options.client_ttl = Some(Duration::from_secs(5));
            options.rules = vec![rule("/a/{x}", Some(Duration::from_secs(1))), rule("/a/*", None)];
        })
        .unwrap();
        assert_eq!(settings.rule_for("GET", "/a/1"), Some(RuleId::Listed(0)));
        assert_eq!(settings.rule_for("HEAD", "/a/1/2"), Some(RuleId::Listed(1)));
        assert_eq!(settings.rule_for("GET", "/b"), Some(RuleId::Default));
        assert_eq!(settings.rule_for("POST", "/b"), None);
        let second = settings.rule(RuleId::Listed(1));
        assert_eq!(second.directives.ttl, Some(Duration::from_secs(30)));
        assert_eq!(second.client_ttl, Some(Duration::from_secs(5)));
    }

    #[test]
    fn hosts_are_compared_without_case_and_port() {
        let settings = settings(|options| {
            options.allowed_hosts = Some(vec!["Example.org".into(), "*.shop.example".into(), "[::1]".into()]);
        })
        .unwrap();
        for (authority, allowed) in [
            ("example.org", true),
            ("EXAMPLE.ORG:8000", true),
            ("a.shop.example:443", true),
            ("shop.example", false),
            ("evilshop.example", false),
            ("[::1]:80", true),
            ("", false),
        ] {
            assert_eq!(settings.allows_host(authority.as_bytes()), allowed, "{authority}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        type Edit = fn(&mut SettingsOptions);
        let cases: [(&str, Edit); 6] = [
            ("jitter", |options| options.jitter = 1.5),
            ("jitter", |options| options.jitter = f64::NAN),
            ("max_body", |options| options.max_body = 0),
            ("include", |options| options.include = Some(vec![])),
            ("exclude", |options| options.exclude = vec!["admin".into()]),
            ("allowed_hosts", |options| options.allowed_hosts = Some(vec!["https://example.org".into()])),
        ];
        for (setting, edit) in cases {
            let error = settings(edit).unwrap_err().to_string();
            assert!(error.contains(setting), "{setting}: {error}");
        }
    }
}
