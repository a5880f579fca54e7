//! What a client asks.

use hotplate::exchange::{Partition, Request};
use hotplate_policy::fields::Fields;

/// A request. It is for `https://example.org` unless it says otherwise.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: String,
    pub scheme: String,
    pub authority: String,
    pub root: String,
    /// As it stands in the request line, with `root` before it.
    pub raw_path: String,
    pub path: String,
    pub query: String,
    pub fields: Vec<(String, Vec<u8>)>,
    pub body: Option<Vec<u8>>,
    /// The server has read the body because the engine asked for it.
    pub reads_body: bool,
    pub partition: Option<Partition>,
}

/// `GET` for a path, with its query if there is one.
pub fn get(target: &str) -> Ask {
    request("GET", target)
}

/// `HEAD` for a path.
pub fn head(target: &str) -> Ask {
    request("HEAD", target)
}

/// `POST` to a path.
pub fn post(target: &str, body: &str) -> Ask {
    Ask { body: Some(body.into()), ..request("POST", target) }
        .field("content-length", &body.len().to_string())
}

/// Any method.
pub fn request(method: &str, target: &str) -> Ask {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Ask {
        method: method.into(),
        scheme: "https".into(),
        authority: "example.org".into(),
        root: String::new(),
        raw_path: path.into(),
        path: path.into(),
        query: query.into(),
        fields: vec![("host".into(), b"example.org".to_vec())],
        body: None,
        reads_body: false,
        partition: None,
    }
}

impl Ask {
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    pub fn host(mut self, authority: &str) -> Self {
        self.authority = authority.into();
        self.fields[0].1 = authority.into();
        self
    }

    /// The application is mounted under this prefix.
    pub fn mounted(mut self, root: &str) -> Self {
        self.root = root.into();
        self.raw_path = format!("{root}{}", self.raw_path);
        self
    }

    /// The path as the application sees it, where that differs from the request line.
    pub fn decoded(mut self, path: &str) -> Self {
        self.path = path.into();
        self
    }

    pub fn scheme(mut self, scheme: &str) -> Self {
        self.scheme = scheme.into();
        self
    }

    /// Who asks, for rules with a partition.
    pub fn by(mut self, name: &str) -> Self {
        self.partition = Some(Partition::Name(name.into()));
        self
    }

    pub fn partition(mut self, partition: Partition) -> Self {
        self.partition = Some(partition);
        self
    }

    /// As the engine takes it.
    pub fn request<'a>(&'a self, lines: &'a [(&'a [u8], &'a [u8])], body_refused: bool) -> Request<'a> {
        Request {
            method: &self.method,
            scheme: self.scheme.as_bytes(),
            authority: self.authority.as_bytes(),
            raw_path: self.raw_path.as_bytes(),
            root: &self.root,
            path: &self.path,
            query: self.query.as_bytes(),
            fields: Fields::new(lines),
            body: if self.reads_body && !body_refused { self.body.as_deref() } else { None },
        }
    }
}
