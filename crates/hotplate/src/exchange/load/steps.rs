//! What an exchange is told beside the response, and what it says is to be done.

use std::time::Duration;

use hotplate_policy::control::LocalDirectives;

use crate::exchange::client::is_client_freshness;
use crate::exchange::response::Response;

/// What a handler says about its own response: outranks rules and response fields.
#[derive(Clone, Debug, Default)]
pub struct Dependency {
    /// Lifetimes, or that nothing is to be stored.
    pub directives: LocalDirectives,
    /// The lifetime told to clients.
    pub client_ttl: Option<Duration>,
    /// Tags, rendered.
    pub tags: Vec<String>,
}

/// Changes to the head the application sent, for the client.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Edits {
    /// Drop the application's `Cache-Control` and `Expires`: those appended here speak to the client.
    pub replace_freshness: bool,
    /// Lines to add at the end.
    pub append: Vec<(&'static str, Vec<u8>)>,
}

impl Edits {
    /// Whether the application's line of this name is dropped.
    #[must_use]
    pub fn replaces(&self, name: &[u8]) -> bool {
        (self.replace_freshness && is_client_freshness(name))
            || (name.eq_ignore_ascii_case(b"x-cache") && self.appends_x_cache())
    }

    /// Whether all of the application's lines stay.
    #[must_use]
    pub fn replaces_none(&self) -> bool {
        !self.replace_freshness && !self.appends_x_cache()
    }

    fn appends_x_cache(&self) -> bool {
        self.append.iter().any(|(name, _)| *name == "x-cache")
    }
}

/// What happens with the head.
#[derive(Debug)]
pub enum HeadStep<B> {
    /// Send it, edited; chunks follow as they come.
    Send(Edits),
    /// Keep it until the next chunk.
    Hold,
    /// The client's whole answer is this; what the application sends further is not for the client.
    Answer(Response<B>),
    /// Nothing of this run is for the client: run the application once more when it has returned (see
    /// [`Exchange::end`](super::Exchange::end)).
    Discard,
}

/// What happens with a chunk.
#[derive(Debug)]
pub enum ChunkStep<B> {
    /// Send it.
    Send,
    /// Send the head that was held, edited, then the chunk.
    SendHead(Edits),
    /// The client's whole answer is this: the head that was held and its body are complete.
    Answer(Response<B>),
    /// The client has its answer already.
    Drop,
}

/// How the load's request differs from the client's.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LoadRequest {
    /// Load with `GET` although the client sent `HEAD`.
    pub as_get: bool,
    /// Lines to add after the client's conditional and range fields were taken out.
    pub add: Vec<(&'static str, Vec<u8>)>,
}

/// The request fields that concern the client's own copy, not the stored response, and are left out of a load.
pub const CLIENT_ONLY_FIELDS: [&str; 6] =
    ["if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "if-range", "range"];
