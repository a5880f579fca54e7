//! `Cache-Control`, read into what a shared cache acts on.
//!
//! Two parsers, one for each direction, that cannot fail: every line, whatever its bytes, becomes a set of directives.
//! Names have no case, quoted strings are never searched for directives, and unknown directives change nothing.
//!
//! # When the field is wrong
//!
//! | form | meaning |
//! | --- | --- |
//! | a lifetime that is no number (`max-age=x`, `max-age=-1`, `max-age`) | [`Lifetime::Invalid`]: stale |
//! | a lifetime given twice, differently | the same: RFC 9111 §4.2.1 lets a cache take the first or call it stale |
//! | a quoted number (`max-age="60"`) | the number (RFC 9111 §5.2: recipients take both forms) |
//! | a stale window that is no number, or given twice | zero, or the smaller |
//! | a list of fields that is none (`no-cache=""`, `private="a b"`) | the whole response |
//! | a directive that restricts, badly written (`no-store foo`) | that directive |
//! | a directive that permits, badly written (`public foo`) | nothing |
//!
//! Reading list: RFC 9111 §5.2, §4.2.1, §5.4; RFC 5861 (`stale-*`); RFC 8246 (`immutable`).

use std::time::Duration;

use crate::directive::{Argument, Name, each};
use crate::fields::{Fields, is_token, trim_ows};
use crate::time::DeltaSeconds;

/// The cache directives of a response, from `Cache-Control` or a targeted field.
///
/// ```
/// use hotplate_policy::cache_control::{Lifetime, ResponseDirectives, Scope};
/// use hotplate_policy::fields::Fields;
/// use hotplate_policy::time::DeltaSeconds;
///
/// let fields = Fields::new(&[(b"Cache-Control", b"max-age=60, No-Cache, x=\"no-store\"")]);
/// let directives = ResponseDirectives::parse(fields);
/// assert_eq!(directives.max_age, Lifetime::Seconds(DeltaSeconds::new(60)));
/// assert_eq!(directives.no_cache, Scope::All);
/// assert!(!directives.no_store);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseDirectives<'a> {
    /// How long it is fresh, for every cache. RFC 9111 §5.2.2.1.
    pub max_age: Lifetime,
    /// How long it is fresh, for a shared cache; beats `max_age` and `Expires`. Only [`Lifetime::Seconds`] lets a
    /// response to a request with `Authorization` be shared. RFC 9111 §5.2.2.10.
    pub s_maxage: Lifetime,
    /// Nothing of it may be stored. RFC 9111 §5.2.2.5.
    pub no_store: bool,
    /// It, or the fields named, may not be reused without validation. RFC 9111 §5.2.2.4.
    pub no_cache: Scope<'a>,
    /// It, or the fields named, are for one user. RFC 9111 §5.2.2.7.
    pub private: Scope<'a>,
    /// It may be stored even where that is otherwise forbidden, as with `Authorization`. RFC 9111 §5.2.2.9.
    pub public: bool,
    /// Once stale it may not be used without validation. RFC 9111 §5.2.2.2.
    pub must_revalidate: bool,
    /// The same, for shared caches only. Also set by a badly written `must-revalidate`, which then forbids stale use
    /// but permits nothing. RFC 9111 §5.2.2.8.
    pub proxy_revalidate: bool,
    /// It may be stored only by a cache that understands its status code, and then in spite of `no_store`.
    /// RFC 9111 §5.2.2.3.
    pub must_understand: bool,
    /// Its content may not be transformed. RFC 9111 §5.2.2.6.
    pub no_transform: bool,
    /// It will not change while it is fresh. RFC 8246 §2.
    pub immutable: bool,
    /// How long after that it may be used stale while it is validated; zero when not a number. RFC 5861 §3.
    pub stale_while_revalidate: Option<DeltaSeconds>,
    /// How long after that it may be used stale in place of an error; zero when not a number. RFC 5861 §4.
    pub stale_if_error: Option<DeltaSeconds>,
    /// Whether the field is there at all, even empty.
    pub present: bool,
}

impl<'a> ResponseDirectives<'a> {
    /// Reads all `Cache-Control` lines of a response.
    ///
    /// Total and without allocation. Source: RFC 9111 §5.2.2.
    ///
    /// ```
    /// # use hotplate_policy::{cache_control::{Lifetime, ResponseDirectives}, fields::Fields};
    /// let twice: [(&[u8], &[u8]); 2] = [(b"cache-control", b"max-age=1"), (b"cache-control", b"max-age=9")];
    /// assert_eq!(ResponseDirectives::parse(Fields::new(&twice)).max_age, Lifetime::Invalid);
    /// ```
    #[must_use]
    pub fn parse(fields: Fields<'a>) -> Self {
        let mut directives = Self::default();
        for line in fields.lines("cache-control") {
            directives.present = true;
            each(line, |name, argument| directives.add(name, argument));
        }
        directives
    }

    fn add(&mut self, name: Name, argument: Argument<'a>) {
        let well_formed = argument != Argument::Malformed;
        match name {
            Name::MaxAge => self.max_age.add(argument.seconds()),
            Name::SMaxAge => self.s_maxage.add(argument.seconds()),
            Name::NoStore => self.no_store = true,
            Name::NoCache => self.no_cache.add(argument),
            Name::Private => self.private.add(argument),
            Name::Public => self.public |= argument == Argument::Absent,
            // `must-revalidate` forbids (stale use) and permits (sharing with `Authorization`, RFC 9111 §3.5).
            // Badly written it keeps the half that forbids.
            Name::MustRevalidate if argument == Argument::Absent => self.must_revalidate = true,
            Name::MustRevalidate | Name::ProxyRevalidate => self.proxy_revalidate = true,
            Name::MustUnderstand => self.must_understand |= argument == Argument::Absent,
            Name::NoTransform => self.no_transform = true,
            // RFC 8246 §2: an argument has no meaning and is ignored.
            Name::Immutable => self.immutable |= well_formed,
            Name::StaleWhileRevalidate => shortest(&mut self.stale_while_revalidate, argument),
            Name::StaleIfError => shortest(&mut self.stale_if_error, argument),
            Name::MaxStale | Name::MinFresh | Name::OnlyIfCached => {}
        }
    }
}

/// A freshness lifetime as a directive gave it.
///
/// ```
/// use hotplate_policy::cache_control::Lifetime;
/// use hotplate_policy::time::DeltaSeconds;
///
/// assert_eq!(Lifetime::Seconds(DeltaSeconds::new(5)).seconds(), Some(5));
/// assert_eq!(Lifetime::Invalid.seconds(), Some(0));
/// assert_eq!(Lifetime::Absent.seconds(), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifetime {
    /// The directive is not there.
    #[default]
    Absent,
    /// It is there, and a number.
    Seconds(DeltaSeconds),
    /// It is there and not a number, or there twice and not the same: the response is stale (RFC 9111 §4.2.1).
    Invalid,
}

impl Lifetime {
    /// The lifetime to act on in seconds: `None` when not given, zero when invalid.
    ///
    /// ```
    /// # use hotplate_policy::cache_control::Lifetime;
    /// assert_eq!(Lifetime::Invalid.seconds(), Some(0));
    /// ```
    #[must_use]
    pub const fn seconds(self) -> Option<u32> {
        match self {
            Self::Absent => None,
            Self::Seconds(seconds) => Some(seconds.as_secs()),
            Self::Invalid => Some(0),
        }
    }

    fn add(&mut self, seconds: Option<DeltaSeconds>) {
        *self = match (*self, seconds) {
            (Self::Absent, Some(new)) => Self::Seconds(new),
            (Self::Seconds(old), Some(new)) if old == new => Self::Seconds(old),
            _ => Self::Invalid,
        };
    }
}

/// What a `no-cache` or `private` directive covers.
///
/// ```
/// use hotplate_policy::cache_control::{ResponseDirectives, Scope};
/// use hotplate_policy::fields::Fields;
///
/// let fields = Fields::new(&[(b"Cache-Control", b"private=\"Set-Cookie, X-User\"")]);
/// let private = ResponseDirectives::parse(fields).private;
/// assert!(private.covers_field(b"x-user") && !private.is_all());
/// assert!(!private.covers_field(b"etag"));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope<'a> {
    /// Nothing: the directive is not there.
    #[default]
    Absent,
    /// The whole response.
    All,
    /// Only the fields named; the rest of the response is as if the directive were not there.
    Fields(FieldNames<'a>),
}

impl<'a> Scope<'a> {
    /// Whether the whole response is covered.
    ///
    /// ```
    /// # use hotplate_policy::cache_control::Scope;
    /// assert!(Scope::All.is_all() && !Scope::Absent.is_all());
    /// ```
    #[must_use]
    pub const fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// Whether the field of this name, in any case, is named by the directive's argument.
    ///
    /// ```
    /// # use hotplate_policy::cache_control::Scope;
    /// assert!(!Scope::All.covers_field(b"etag"), "whether all is covered is another question");
    /// ```
    #[must_use]
    pub fn covers_field(&self, field: &[u8]) -> bool {
        matches!(self, Self::Fields(names) if names.contains(field))
    }

    fn add(&mut self, argument: Argument<'a>) {
        self.add_list(match argument {
            Argument::Token(list) | Argument::Quoted(list) => Some(list),
            Argument::Absent | Argument::Malformed => None,
        });
    }

    /// Widens by a list of names; `None`, an unreadable list and one list too many widen to everything.
    pub(crate) fn add_list(&mut self, list: Option<&'a [u8]>) {
        let names = match *self {
            Self::All => return,
            Self::Absent => FieldNames::default(),
            Self::Fields(names) => names,
        };
        *self = list.and_then(|list| names.with(list)).map_or(Self::All, Self::Fields);
    }
}

/// How often a response may repeat a directive with a list of fields before it is covered as a whole.
const MOST_LISTS: usize = 4;

/// The field names a `no-cache` or `private` directive lists, borrowed from the field's value.
///
/// ```
/// use hotplate_policy::cache_control::{ResponseDirectives, Scope};
/// use hotplate_policy::fields::Fields;
///
/// let fields = Fields::new(&[(b"Cache-Control", b"no-cache=\"a,b\", no-cache=c")]);
/// let Scope::Fields(names) = ResponseDirectives::parse(fields).no_cache else { unreachable!() };
/// assert_eq!(names.iter().collect::<Vec<_>>(), [b"a", b"b", b"c"]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldNames<'a> {
    lists: [&'a [u8]; MOST_LISTS],
}

impl<'a> FieldNames<'a> {
    /// The names, as written and in order.
    ///
    /// ```
    /// # use hotplate_policy::cache_control::FieldNames;
    /// assert_eq!(FieldNames::default().iter().count(), 0);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.lists.into_iter().flat_map(list_of_names)
    }

    /// Whether a field of this name, in any case, is listed.
    ///
    /// ```
    /// # use hotplate_policy::cache_control::FieldNames;
    /// assert!(!FieldNames::default().contains(b"set-cookie"));
    /// ```
    #[must_use]
    pub fn contains(&self, field: &[u8]) -> bool {
        self.iter().any(|listed| listed.eq_ignore_ascii_case(field))
    }

    /// These names and those of one more list, or `None` if it is empty, is no list of names, or finds no room.
    fn with(mut self, list: &'a [u8]) -> Option<Self> {
        let mut names = list_of_names(list).peekable();
        names.peek()?;
        let free = self.lists.iter_mut().find(|list| list.is_empty())?;
        *free = list;
        names.all(is_token).then_some(self)
    }
}

fn list_of_names(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',').map(trim_ows).filter(|name| !name.is_empty())
}

/// The cache directives of a request.
///
/// They are advice: a cache may ignore them. What is badly written counts where that leads to a fresher answer
/// (`max-age`, `min-fresh`) and is dropped where it would lead to a staler one.
///
/// ```
/// use hotplate_policy::cache_control::{MaxStale, RequestDirectives};
/// use hotplate_policy::fields::Fields;
///
/// let fields = Fields::new(&[(b"cache-control", b"max-stale, only-if-cached")]);
/// let directives = RequestDirectives::parse(fields);
/// assert_eq!(directives.max_stale, Some(MaxStale::Any));
/// assert!(directives.only_if_cached);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestDirectives {
    /// Nothing older than this is wanted; the smallest if repeated, zero if not a number. RFC 9111 §5.2.1.1.
    pub max_age: Option<DeltaSeconds>,
    /// It must stay fresh for at least this long; the greatest if repeated, [`DeltaSeconds::MAX`] if not a number.
    /// RFC 9111 §5.2.1.3.
    pub min_fresh: Option<DeltaSeconds>,
    /// Stale is accepted; the least if repeated, no time at all if not a number. RFC 9111 §5.2.1.2.
    pub max_stale: Option<MaxStale>,
    /// A stored response must be validated first. RFC 9111 §5.2.1.4.
    pub no_cache: bool,
    /// Nothing of this exchange may be stored. RFC 9111 §5.2.1.5.
    pub no_store: bool,
    /// Only a stored response is wanted, else 504. RFC 9111 §5.2.1.7.
    pub only_if_cached: bool,
    /// Stale is accepted in place of an error for this long; the least if repeated, zero if not a number. RFC 5861 §4.
    pub stale_if_error: Option<DeltaSeconds>,
    /// The content may not be transformed. RFC 9111 §5.2.1.6.
    pub no_transform: bool,
}

impl RequestDirectives {
    /// Reads all `Cache-Control` lines of a request, or its `Pragma` when there are none.
    ///
    /// Total and without allocation. Source: RFC 9111 §5.2.1, §5.4.
    ///
    /// ```
    /// # use hotplate_policy::{cache_control::RequestDirectives, fields::Fields};
    /// let lines: [(&[u8], &[u8]); 2] = [(b"pragma", b"no-cache"), (b"cache-control", b"max-age=5")];
    /// assert!(RequestDirectives::parse(Fields::new(&lines[..1])).no_cache);
    /// assert!(!RequestDirectives::parse(Fields::new(&lines)).no_cache);
    /// ```
    #[must_use]
    pub fn parse(fields: Fields<'_>) -> Self {
        let mut directives = Self::default();
        let mut present = false;
        for line in fields.lines("cache-control") {
            present = true;
            directives.read_line(line);
        }
        if !present {
            for line in fields.lines("pragma") {
                directives.read_pragma(line);
            }
        }
        directives
    }

    /// Adds the directives of one `Cache-Control` line, for a caller that walks the head itself.
    ///
    /// ```
    /// # use hotplate_policy::cache_control::RequestDirectives;
    /// let mut directives = RequestDirectives::default();
    /// directives.read_line(b"no-cache");
    /// directives.read_line(b"no-store");
    /// assert!(directives.no_cache && directives.no_store);
    /// ```
    pub fn read_line(&mut self, line: &[u8]) {
        each(line, |name, argument| self.add(name, argument));
    }

    /// Adds what one `Pragma` line says. Call it only for a request without `Cache-Control`.
    ///
    /// Source: RFC 9111 §5.4.
    ///
    /// ```
    /// # use hotplate_policy::cache_control::RequestDirectives;
    /// let mut directives = RequestDirectives::default();
    /// directives.read_pragma(b"x, No-Cache");
    /// assert!(directives.no_cache);
    /// ```
    pub fn read_pragma(&mut self, line: &[u8]) {
        each(line, |name, _| self.no_cache |= name == Name::NoCache);
    }

    fn add(&mut self, name: Name, argument: Argument<'_>) {
        match name {
            Name::MaxAge => shortest(&mut self.max_age, argument),
            Name::MinFresh => {
                self.min_fresh = self.min_fresh.max(Some(argument.seconds().unwrap_or(DeltaSeconds::MAX)));
            }
            Name::MaxStale => {
                let stated = match argument {
                    Argument::Absent => MaxStale::Any,
                    _ => MaxStale::Seconds(argument.seconds().unwrap_or_default()),
                };
                self.max_stale = Some(self.max_stale.map_or(stated, |earlier| earlier.least(stated)));
            }
            Name::NoCache => self.no_cache = true,
            Name::NoStore => self.no_store = true,
            Name::NoTransform => self.no_transform = true,
            Name::OnlyIfCached => self.only_if_cached = true,
            Name::StaleIfError => shortest(&mut self.stale_if_error, argument),
            Name::Immutable
            | Name::MustRevalidate
            | Name::MustUnderstand
            | Name::Private
            | Name::ProxyRevalidate
            | Name::Public
            | Name::SMaxAge
            | Name::StaleWhileRevalidate => {}
        }
    }
}

/// How stale a response a request accepts. RFC 9111 §5.2.1.2.
///
/// ```
/// use hotplate_policy::cache_control::MaxStale;
/// use hotplate_policy::time::DeltaSeconds;
/// use std::time::Duration;
///
/// assert!(MaxStale::Any.accepts(Duration::MAX));
/// assert!(!MaxStale::Seconds(DeltaSeconds::new(5)).accepts(Duration::from_secs(6)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxStale {
    /// Of any age: the directive has no argument.
    Any,
    /// Past its freshness lifetime by no more than this.
    Seconds(DeltaSeconds),
}

impl MaxStale {
    /// Whether a response that has been stale for this long is accepted.
    ///
    /// ```
    /// # use hotplate_policy::{cache_control::MaxStale, time::DeltaSeconds};
    /// assert!(MaxStale::Seconds(DeltaSeconds::new(5)).accepts(std::time::Duration::from_secs(5)));
    /// ```
    #[must_use]
    pub fn accepts(self, staleness: Duration) -> bool {
        match self {
            Self::Any => true,
            Self::Seconds(seconds) => staleness <= seconds.duration(),
        }
    }

    fn least(self, other: Self) -> Self {
        match (self, other) {
            (Self::Any, least) | (least, Self::Any) => least,
            (Self::Seconds(one), Self::Seconds(two)) => Self::Seconds(one.min(two)),
        }
    }
}

/// Keeps the smaller of what was stated so far and now; what is no number counts as zero.
fn shortest(stated: &mut Option<DeltaSeconds>, argument: Argument<'_>) {
    let now = argument.seconds().unwrap_or_default();
    *stated = Some(stated.map_or(now, |earlier| earlier.min(now)));
}

#[cfg(test)]
mod tests;
