//! What the application answers in one run.

use hotplate::exchange::Dependency;

/// A scripted answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub fields: Vec<(String, Vec<u8>)>,
    pub chunks: Vec<Vec<u8>>,
    /// Whether the last chunk is said to be the last.
    pub complete: bool,
    /// The exception it ends with.
    pub raises: Option<String>,
    pub trailers: bool,
    pub dependency: Option<Dependency>,
}

/// A 200 in one chunk, with its length.
pub fn ok(body: &str) -> Reply {
    Reply { chunks: vec![body.into()], ..status(200) }.field("content-length", &body.len().to_string())
}

/// An answer with this status and no content.
pub fn status(status: u16) -> Reply {
    Reply {
        status,
        fields: Vec::new(),
        chunks: vec![Vec::new()],
        complete: true,
        raises: None,
        trailers: false,
        dependency: None,
    }
}

impl Reply {
    /// An exception and nothing else.
    pub fn raise(error: &str) -> Self {
        Self { status: 0, raises: Some(error.into()), ..status(0) }
    }

    /// A 200 in several chunks, without a length.
    pub fn chunked(chunks: &[&str]) -> Self {
        Self { chunks: chunks.iter().map(|chunk| (*chunk).into()).collect(), ..status(200) }
    }

    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    pub fn cache_control(self, value: &str) -> Self {
        self.field("cache-control", value)
    }

    pub fn etag(self, value: &str) -> Self {
        self.field("etag", value)
    }

    pub fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(own, _)| own != name);
        self
    }

    /// The application returns before it has said which chunk is the last.
    pub fn cut_short(mut self) -> Self {
        self.complete = false;
        self
    }

    /// The application raises after what it sent, before it has said which chunk is the last.
    pub fn then_raises(mut self, error: &str) -> Self {
        self.complete = false;
        self.raises = Some(error.into());
        self
    }

    pub fn with_trailers(mut self) -> Self {
        self.trailers = true;
        self
    }

    pub fn dependency(mut self, dependency: Dependency) -> Self {
        self.dependency = Some(dependency);
        self
    }

    pub(super) fn raises_before_head(&self) -> Option<&str> {
        self.raises.as_deref().filter(|_| self.status == 0)
    }
}
