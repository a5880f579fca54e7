//! What else may be set: parameters of the query and keywords, which have to agree.

use std::path::PathBuf;
use std::time::Duration;

use super::HIDDEN;
use super::url::decode;
use crate::duration;
use crate::error::ConfigError;

/// Every query parameter.
pub(super) const PARAMETERS: [&str; 10] = [
    "ca_file",
    "cert_file",
    "command_timeout",
    "connect_timeout",
    "db",
    "key_file",
    "lease",
    "prefix",
    "sentinel_password",
    "sentinel_username",
];

/// The query, decoded, in the order written.
pub(super) struct Query<'a>(Vec<(&'a str, String)>);

impl<'a> Query<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self, String> {
        let mut pairs: Vec<(&str, String)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !PARAMETERS.contains(&name) {
                let known = PARAMETERS.join(", ");
                return Err(format!("there is no query parameter \"{name}\"; there are {known}"));
            }
            let value = decode(value).map_err(str::to_owned)?;
            if value.is_empty() {
                return Err(format!("give the query parameter {name} a value, or leave it out"));
            }
            if pairs.iter().any(|(other, _)| *other == name) {
                return Err(format!("write the query parameter {name} once"));
            }
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn merged_text(
        &self,
        name: &str,
        keyword: Option<String>,
    ) -> Result<Option<String>, ConfigError> {
        let hidden = name.contains("password");
        let show = |text: &String| if hidden { HIDDEN.to_owned() } else { text.clone() };
        once(name, keyword, self.value(name).map(str::to_owned), show)
    }

    pub(super) fn merged_path(
        &self,
        name: &str,
        keyword: Option<PathBuf>,
    ) -> Result<Option<PathBuf>, ConfigError> {
        once(name, keyword, self.value(name).map(PathBuf::from), |path| path.display().to_string())
    }

    pub(super) fn merged_duration(
        &self,
        name: &str,
        keyword: Option<Duration>,
    ) -> Result<Option<Duration>, ConfigError> {
        let in_url = self.value(name).map(|text| duration::parse(name, text)).transpose()?;
        once(name, keyword, in_url, |span| format!("{span:?}"))
    }
}

/// One setting from two places, which have to agree.
pub(super) fn once<T: PartialEq>(
    setting: &str,
    first: Option<T>,
    second: Option<T>,
    show: impl Fn(&T) -> String,
) -> Result<Option<T>, ConfigError> {
    match (first, second) {
        (Some(first), Some(second)) if first != second => {
            let remedy = format!("it is written twice, and once as {}: write it once", show(&second));
            Err(ConfigError::new(setting, show(&first), remedy))
        }
        (first, second) => Ok(first.or(second)),
    }
}

pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) fn number(text: &str) -> Result<u32, ConfigError> {
    // Servers count databases with a signed number.
    let number = text.parse::<u32>().ok().filter(|number| is_number(text) && *number <= i32::MAX as u32);
    number.ok_or_else(|| ConfigError::new("db", text, "write the number of a database, 0 or more"))
}

#[cfg(test)]
mod tests {
    use super::super::RedisOptions;
    use super::super::tests::{compile, options, refused};
    use super::*;

    #[test]
    fn settings_have_defaults_and_come_from_the_query_or_from_keywords() {
        let settings = compile("redis://host");
        assert_eq!(settings.command_timeout(), Duration::from_millis(50));
        assert_eq!(settings.connect_timeout(), Duration::from_secs(1));
        assert_eq!(settings.lease(), Duration::from_secs(3));
        assert_eq!(settings.prefix(), "hotplate");

        let url = "redis://host?command_timeout=20ms&connect_timeout=2&lease=1s&prefix=shop-1_a.b:c&db=2";
        let keywords = RedisOptions {
            command_timeout: Some(Duration::from_millis(20)),
            connect_timeout: Some(Duration::from_secs(2)),
            lease: Some(Duration::from_secs(1)),
            prefix: Some("shop-1_a.b:c".to_owned()),
            db: Some(2),
            ..options("redis://host/2")
        };
        let both = RedisOptions { url: url.to_owned(), ..keywords.clone() };
        for settings in [compile(url), keywords.compile().unwrap(), both.compile().unwrap()] {
            assert_eq!(settings.command_timeout(), Duration::from_millis(20));
            assert_eq!(settings.connect_timeout(), Duration::from_secs(2));
            assert_eq!(settings.lease(), Duration::from_secs(1));
            assert_eq!(settings.prefix(), "shop-1_a.b:c");
            assert_eq!(settings.db, 2);
        }
    }

    #[test]
    fn a_keyword_that_contradicts_the_url_is_refused() {
        let text = refused(RedisOptions { db: Some(2), ..options("redis://host/1") });
        assert_eq!(text, "db=1 cannot be used: it is written twice, and once as 2: write it once");
        let other = RedisOptions { lease: Some(Duration::from_secs(2)), ..options("redis://host?lease=1s") };
        assert!(refused(other).starts_with("lease="));
        let hidden = RedisOptions {
            sentinel_password: Some("hush".to_owned()),
            ..options("redis+sentinel://a/m?sentinel_password=silence")
        };
        let text = refused(hidden);
        assert!(text.starts_with("sentinel_password="), "{text}");
        assert!(!text.contains("hush") && !text.contains("silence"), "{text}");
    }
}
