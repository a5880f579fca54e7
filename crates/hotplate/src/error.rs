//! Errors of configuration: found when something is set, never while requests are served.
//!
//! There is no error type for serving. Bytes from the network get the safer decision and a
//! [`Reason`](hotplate_policy::reason::Reason).

use std::borrow::Cow;
use std::fmt;

/// A setting cannot be meant. Says which, what was given, and what to write instead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigError {
    setting: Cow<'static, str>,
    value: String,
    remedy: Cow<'static, str>,
}

impl ConfigError {
    /// An error for `setting`, which was given `value`; `remedy` is a phrase that says what to write.
    pub fn new(
        setting: impl Into<String>,
        value: impl Into<String>,
        remedy: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { setting: Cow::Owned(setting.into()), value: value.into(), remedy: remedy.into() }
    }

    /// The setting, such as `rules[2].ttl`.
    #[must_use]
    pub fn setting(&self) -> &str {
        &self.setting
    }

    /// What was given.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={} cannot be used: {}", self.setting, Quoted(&self.value), self.remedy)
    }
}

impl std::error::Error for ConfigError {}

/// Numbers and literals bare, everything else in quotation marks, long text cut.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 120;
        let text = self.0;
        let bare = text.parse::<f64>().is_ok()
            || matches!(text, "True" | "False" | "None")
            || text.starts_with(['[', '{', '<', '(', '\'', '"']);
        if text.chars().count() > MOST {
            let cut: String = text.chars().take(MOST).collect();
            return write!(f, "\"{cut}…\"");
        }
        if bare { f.write_str(text) } else { write!(f, "\"{text}\"") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_setting_value_and_remedy() {
        let error = ConfigError::new("ttl", "5 parsecs", "write seconds or text such as \"5m\"");
        assert_eq!(
            error.to_string(),
            "ttl=\"5 parsecs\" cannot be used: write seconds or text such as \"5m\""
        );
        assert_eq!(ConfigError::new("ttl", "-1", "x").to_string(), "ttl=-1 cannot be used: x");
        assert!(ConfigError::new("a", "x".repeat(500), "y").to_string().len() < 200);
    }
}
