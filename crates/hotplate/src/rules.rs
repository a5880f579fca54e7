//! Rules: what a developer says about paths, compiled once.
//!
//! A rule is a set of directives for this cache alone, in the sense of RFC 9213, bound to a path
//! pattern and methods. The first rule that matches speaks; what it leaves open comes from the
//! defaults of the [`Settings`](crate::config::Settings) it stands in.

use std::time::Duration;

use hotplate_policy::control::LocalDirectives;

use crate::error::ConfigError;
use crate::key::QueryRule;
use crate::pattern::Pattern;
use crate::tags::TagTemplate;

/// What a request's cookies and a response's `Set-Cookie` mean for storing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Cookies {
    /// A request with `Cookie` gets and makes a stored response only if the response says it is for
    /// everyone, or the rule has a partition; a response with `Set-Cookie` is not stored.
    #[default]
    Guard,
    /// The application's answer does not depend on cookies; `Set-Cookie` still forbids storing.
    Ignore,
    /// As `Ignore`, and a response is stored and replayed *with* its `Set-Cookie`: everybody gets
    /// the same cookie.
    DangerStore,
}

/// A rule as it is written: nothing is checked yet. [`RuleOptions::compile`] makes a [`Rule`].
#[derive(Clone, Debug, Default)]
pub struct RuleOptions {
    /// The path pattern; see [`crate::pattern`].
    pub pattern: String,
    /// Methods in upper case; empty means `GET`, which includes `HEAD`. Any other method puts the
    /// request's body into the cache key.
    pub methods: Vec<String>,
    /// The freshness lifetime; `None` inherits the default of the settings.
    pub ttl: Option<Duration>,
    /// The lifetime told to clients; `None` inherits.
    pub client_ttl: Option<Duration>,
    /// Tag templates.
    pub tags: Vec<String>,
    /// How long after its end of freshness a response is served while it is refreshed.
    pub stale_while_revalidate: Option<Duration>,
    /// How long after its end of freshness a response is served when loading it fails.
    pub stale_if_error: Option<Duration>,
    /// What cookies mean.
    pub cookies: Cookies,
    /// Whether a partition is asked for: the caller knows how, the engine only that.
    pub partitioned: bool,
    /// Request fields that select between stored responses, beside those the response's `Vary` names.
    pub vary: Vec<String>,
    /// What of the query is in the key.
    pub query: QueryRule,
    /// Whether the rule's `ttl` outranks the response's own `Cache-Control` and `Expires`.
    pub override_response: bool,
    /// `false` forwards every request that matches.
    pub cache: bool,
    /// For methods other than `GET`: the largest request body that enters a key, in bytes.
    pub max_request_body: usize,
}

/// A compiled rule.
#[derive(Debug)]
pub struct Rule {
    pub(crate) pattern: Pattern,
    pub(crate) methods: Box<[Box<str>]>,
    pub(crate) directives: LocalDirectives,
    pub(crate) client_ttl: Option<Duration>,
    pub(crate) tags: Box<[TagTemplate]>,
    pub(crate) cookies: Cookies,
    pub(crate) partitioned: bool,
    pub(crate) vary: Box<[Box<str>]>,
    pub(crate) query: QueryRule,
    pub(crate) cache: bool,
    pub(crate) max_request_body: usize,
}

impl RuleOptions {
    /// Checks and compiles the rule.
    ///
    /// # Arguments
    ///
    /// `setting`: how errors name this rule, such as `rules[2]`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the part of the rule, its value and the remedy.
    pub fn compile(self, setting: &str) -> Result<Rule, ConfigError> {
        let pattern = Pattern::whole(&format!("{setting}.pattern"), &self.pattern)?;
        let tags_setting = format!("{setting}.tags");
        let tags = self
            .tags
            .iter()
            .map(|tag| TagTemplate::compile(&tags_setting, tag, &pattern))
            .collect::<Result<Vec<_>, _>>()?;
        let mut methods = Vec::with_capacity(self.methods.len().max(1));
        for method in &self.methods {
            methods.push(compile_method(&format!("{setting}.methods"), method, self.cache)?);
        }
        if methods.is_empty() {
            methods.push("GET".into());
        }
        let mut vary = Vec::with_capacity(self.vary.len());
        for name in &self.vary {
            if !is_token(name) || name == "*" {
                let remedy = "name one request field, as in vary=[\"Accept-Language\"]";
                return Err(ConfigError::new(format!("{setting}.vary"), name.as_str(), remedy));
            }
            vary.push(name.to_ascii_lowercase().into_boxed_str());
        }
        if !self.cache && self.ttl.is_some() {
            let remedy = "a rule that does not cache has no ttl: drop one of the two";
            return Err(ConfigError::new(format!("{setting}.cache"), "False", remedy));
        }
        Ok(Rule {
            pattern,
            methods: methods.into(),
            directives: LocalDirectives {
                ttl: self.ttl,
                stale_while_revalidate: self.stale_while_revalidate,
                stale_if_error: self.stale_if_error,
                no_store: false,
                override_response: self.override_response,
            },
            client_ttl: self.client_ttl,
            tags: tags.into(),
            cookies: self.cookies,
            partitioned: self.partitioned,
            vary: vary.into(),
            query: self.query,
            cache: self.cache,
            max_request_body: self.max_request_body,
        })
    }
}

impl Rule {
    /// Whether the rule speaks for this method and path. `HEAD` counts as `GET`.
    #[must_use]
    pub fn matches(&self, method: &str, path: &str) -> bool {
        let method = if method == "HEAD" { "GET" } else { method };
        self.methods.iter().any(|own| &**own == method) && self.pattern.matches(path)
    }

    /// The rule's pattern as it was written.
    #[must_use]
    pub fn pattern(&self) -> &str {
        self.pattern.as_str()
    }
}

/// Methods whose responses may be cached: those that are safe, and `POST`, of which a developer says that it is.
const CACHED: [&str; 4] = ["GET", "HEAD", "POST", "QUERY"];

fn compile_method(setting: &str, method: &str, cache: bool) -> Result<Box<str>, ConfigError> {
    let upper = method.to_ascii_uppercase();
    if !is_token(&upper) {
        return Err(ConfigError::new(setting, method, "write a method such as \"GET\" or \"POST\""));
    }
    if cache && !CACHED.contains(&upper.as_str()) {
        let remedy = "responses to this method are never cached: name GET, HEAD, POST or QUERY";
        return Err(ConfigError::new(setting, method, remedy));
    }
    Ok(if upper == "HEAD" { "GET".into() } else { upper.into() })
}

/// Whether the text is a token (RFC 9110 §5.6.2).
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn options(pattern: &str) -> RuleOptions {
        RuleOptions { pattern: pattern.into(), cache: true, ..RuleOptions::default() }
    }

    #[test]
    fn a_rule_without_methods_speaks_for_get_and_head() {
        let rule = options("/a").compile("rules[0]").unwrap();
        assert!(rule.matches("GET", "/a") && rule.matches("HEAD", "/a"));
        assert!(!rule.matches("POST", "/a") && !rule.matches("get", "/a"));
    }

    #[test]
    fn methods_that_write_cannot_be_cached() {
        for method in ["PUT", "delete", "PATCH", "CONNECT", "TRACE", "LOCK", "OPTIONS", "P OST", ""] {
            let rule = RuleOptions { methods: vec![method.into()], ..options("/a") };
            let error = rule.compile("rules[3]").unwrap_err().to_string();
            assert!(error.contains("rules[3].methods"), "{error}");
        }
    }

    #[test]
    fn a_rule_that_does_not_cache_has_no_ttl() {
        let rule = RuleOptions { cache: false, ttl: Some(Duration::from_secs(1)), ..options("/a") };
        assert!(rule.compile("rules[0]").is_err());
    }

    #[test]
    fn vary_takes_field_names_only() {
        let rule = RuleOptions { vary: vec!["Accept Language".into()], ..options("/a") };
        assert!(rule.compile("rules[0]").unwrap_err().to_string().contains("rules[0].vary"));
    }
}
