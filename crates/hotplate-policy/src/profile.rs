//! Which of two readings of the RFCs a cache follows.
//!
//! Both profiles obey every "MUST" of RFC 9111. They differ where the RFC leaves room: what may be
//! kept of answers that were made for one person, and how malformed input is read. Each difference
//! is written beside the branch that makes it, so `grep Profile::` lists them all.

use core::fmt;

/// Which reading of RFC 9111 decides.
///
/// | Case | [`Safe`](Self::Safe) | [`Rfc9111`](Self::Rfc9111) |
/// |---|---|---|
/// | request has `Cookie` | needs a shareable response, a partition, or cookies ignored | no matter |
/// | response has `Set-Cookie` | not stored unless allowed | no matter |
/// | malformed `Age` | the response is stale | the field is ignored (RFC 9111 §5.1) |
/// | no lifetime and no `no-cache` | not stored | stored when it can be validated |
/// | `s-maxage` | stale reuse when a stale window is given | never reused stale (RFC 9111 §5.2.2.10) |
///
/// ```
/// use hotplate_policy::profile::Profile;
///
/// assert_eq!(Profile::default(), Profile::Safe);
/// assert_eq!(Profile::from_name("rfc9111"), Some(Profile::Rfc9111));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// For applications whose authors did not think of caches: credentials keep a response private
    /// until it says otherwise.
    #[default]
    Safe,
    /// The letter of RFC 9111 for a shared cache; the conformance run uses it.
    Rfc9111,
}

impl Profile {
    /// The name used in settings: `safe` or `rfc9111`.
    ///
    /// ```
    /// use hotplate_policy::profile::Profile;
    ///
    /// assert_eq!(Profile::Rfc9111.name(), "rfc9111");
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Rfc9111 => "rfc9111",
        }
    }

    /// The profile of that name, or `None` for any other text; names are lower case.
    ///
    /// ```
    /// use hotplate_policy::profile::Profile;
    ///
    /// assert_eq!(Profile::from_name("safe"), Some(Profile::Safe));
    /// assert_eq!(Profile::from_name("Safe"), None);
    /// ```
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "safe" => Some(Self::Safe),
            "rfc9111" => Some(Self::Rfc9111),
            _ => None,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Profile;

    #[test]
    fn every_name_reads_back() {
        for profile in [Profile::Safe, Profile::Rfc9111] {
            assert_eq!(Profile::from_name(&profile.to_string()), Some(profile));
        }
    }
}
