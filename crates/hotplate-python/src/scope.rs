//! ASGI scopes: of a client, as the engine's request, and of a load. What is borrowed here lives as long as the call.

use hotplate::exchange::{CLIENT_ONLY_FIELDS, LoadRequest, Request};
use hotplate::key::percent_decode;
use hotplate_policy::fields::Fields;
use pyo3::Borrowed;
use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::exchange::Exchange;
use crate::names;

/// One name and value, kept alive while their bytes are borrowed.
pub(crate) type Line<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>);

/// The parts of a scope the engine needs, kept alive while they are borrowed.
pub(crate) struct Held<'py> {
    method: Bound<'py, PyString>,
    scheme: Option<Bound<'py, PyString>>,
    path: Bound<'py, PyString>,
    root: Option<Bound<'py, PyString>>,
    raw_path: Option<Bound<'py, PyBytes>>,
    quoted: Vec<u8>,
    query: Option<Bound<'py, PyBytes>>,
    headers: Vec<Line<'py>>,
    server: Vec<u8>,
}

impl<'py> Held<'py> {
    /// Reads a scope of type `http`.
    pub(crate) fn read(scope: &Bound<'py, PyDict>) -> PyResult<Self> {
        let py = scope.py();
        let need = |name: &Bound<'py, PyString>| {
            scope.get_item(name)?.ok_or_else(|| PyKeyError::new_err(name.clone().unbind()))
        };
        let method = need(names::METHOD.get(py))?.cast_into::<PyString>()?;
        let path = need(names::PATH.get(py))?.cast_into::<PyString>()?;
        let text = |name: &Bound<'py, PyString>| -> PyResult<Option<Bound<'py, PyString>>> {
            Ok(scope.get_item(name)?.and_then(|value| value.cast_into::<PyString>().ok()))
        };
        let bytes = |name: &Bound<'py, PyString>| -> PyResult<Option<Bound<'py, PyBytes>>> {
            Ok(scope.get_item(name)?.and_then(|value| value.cast_into::<PyBytes>().ok()))
        };
        let raw_path = bytes(names::RAW_PATH.get(py))?;
        // Middleware outside may have rewritten the path and left the raw one as it came; what routes is the path.
        let raw_path = raw_path.filter(|raw| path.to_str().is_ok_and(|path| says(raw.as_bytes(), path)));
        let quoted = if raw_path.is_none() { quote(path.to_str()?) } else { Vec::new() };
        let headers = lines(&need(names::HEADERS.get(py))?)?;
        let has_host = headers.iter().any(|(name, _)| name.as_bytes().eq_ignore_ascii_case(b"host"));
        Ok(Self {
            method,
            scheme: text(names::SCHEME.get(py))?,
            root: text(names::ROOT_PATH.get(py))?,
            query: bytes(names::QUERY_STRING.get(py))?,
            server: if has_host { Vec::new() } else { server(scope)? },
            path,
            raw_path,
            quoted,
            headers,
        })
    }

    /// The field lines, borrowed.
    pub(crate) fn lines(&self) -> Vec<(&[u8], &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect()
    }

    /// The request over `lines` that [`Held::lines`] gave.
    pub(crate) fn request<'a>(
        &'a self,
        lines: &'a [(&'a [u8], &'a [u8])],
        authority: &'a [u8],
        body: Option<&'a [u8]>,
    ) -> PyResult<Request<'a>> {
        let path = self.path.to_str()?;
        let root = match &self.root {
            Some(root) => root.to_str()?.trim_end_matches('/'),
            None => "",
        };
        let inside = path.strip_prefix(root).filter(|rest| rest.starts_with('/'));
        Ok(Request {
            method: self.method.to_str()?,
            scheme: match &self.scheme {
                Some(scheme) => scheme.to_str()?.as_bytes(),
                None => b"http",
            },
            authority,
            raw_path: self.raw_path.as_ref().map_or(self.quoted.as_slice(), |raw| raw.as_bytes()),
            root: if inside.is_some() { root } else { "" },
            path: inside.unwrap_or(path),
            query: self.query.as_ref().map_or(b"", |query| query.as_bytes()),
            fields: Fields::new(lines),
            body,
        })
    }

    /// `Host` as the client named it. Several `Host` lines are an authority of their own, so that such a
    /// request shares nothing with one for either host.
    pub(crate) fn authority<'a>(
        &'a self,
        lines: &[(&'a [u8], &'a [u8])],
        joined: &'a mut Vec<u8>,
    ) -> &'a [u8] {
        let mut hosts =
            lines.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"host")).map(|(_, value)| *value);
        let Some(first) = hosts.next() else { return &self.server };
        let mut more = hosts.peekable();
        if more.peek().is_none() {
            return first;
        }
        joined.extend_from_slice(first);
        for host in more {
            joined.extend_from_slice(b", ");
            joined.extend_from_slice(host);
        }
        joined
    }
}

/// The name and value of each item of an ASGI header list.
pub(crate) fn lines<'py>(headers: &Bound<'py, PyAny>) -> PyResult<Vec<Line<'py>>> {
    if let Ok(list) = headers.cast::<PyList>() {
        let mut lines = Vec::with_capacity(list.len());
        for item in list.iter() {
            lines.push(line(&item)?);
        }
        return Ok(lines);
    }
    headers.try_iter()?.map(|item| line(&item?)).collect()
}

/// The name and value of one item of it.
pub(crate) fn line<'py>(item: &Bound<'py, PyAny>) -> PyResult<Line<'py>> {
    let (name, value) = match item.cast::<PyTuple>() {
        // Borrowed from the pair, and counted once.
        Ok(pair) => {
            return Ok((as_bytes(pair.get_borrowed_item(0)?)?, as_bytes(pair.get_borrowed_item(1)?)?));
        }
        Err(_) => (item.get_item(0)?, item.get_item(1)?),
    };
    Ok((as_bytes(name.as_borrowed())?, as_bytes(value.as_borrowed())?))
}

fn as_bytes<'py>(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    match value.cast::<PyBytes>() {
        Ok(bytes) => Ok(bytes.to_owned()),
        Err(_) => Err(PyTypeError::new_err("header names and values are bytes")),
    }
}

/// `host:port` of `scope["server"]`, for HTTP/1.0 clients that name no host.
fn server(scope: &Bound<'_, PyDict>) -> PyResult<Vec<u8>> {
    let Some(server) = scope.get_item(names::SERVER.get(scope.py()))?.filter(|server| !server.is_none())
    else {
        return Ok(Vec::new());
    };
    let host: String = server.get_item(0)?.extract()?;
    let port: Option<u32> = server.get_item(1)?.extract()?;
    Ok(port.map_or_else(|| host.clone(), |port| format!("{host}:{port}")).into_bytes())
}

/// Whether a raw path is this path, percent-encoded.
fn says(raw: &[u8], path: &str) -> bool {
    raw == path.as_bytes() || String::from_utf8_lossy(&percent_decode(raw)) == path
}

/// Percent-encodes a path whose raw form the server did not give (RFC 3986 §3.3).
fn quote(path: &str) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte) {
            quoted.push(byte);
        } else {
            quoted.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    quoted
}

/// The scope as a dictionary; servers give one, and a mapping of another kind is copied.
pub(crate) fn as_dict<'py>(scope: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    match scope.cast::<PyDict>() {
        Ok(dict) => Ok(dict.clone()),
        Err(_) => Ok(scope.py().get_type::<PyDict>().call1((scope,))?.cast_into::<PyDict>()?),
    }
}

/// A copy of a client's scope to load with: without the client's own conditions, and without ways to send a body that
/// cannot be recorded.
pub(crate) fn for_load<'py>(
    scope: &Bound<'py, PyDict>,
    request: &LoadRequest,
    exchange: &Bound<'py, Exchange>,
) -> PyResult<Bound<'py, PyDict>> {
    let py = scope.py();
    let copy = scope.copy()?;
    let headers = PyList::empty(py);
    if let Some(given) = scope.get_item(names::HEADERS.get(py))? {
        for item in given.try_iter()? {
            let item = item?;
            let (name, _) = line(&item)?;
            if !CLIENT_ONLY_FIELDS.iter().any(|own| name.as_bytes().eq_ignore_ascii_case(own.as_bytes())) {
                headers.append(item)?;
            }
        }
    }
    for (name, value) in &request.add {
        headers.append((PyBytes::new(py, name.as_bytes()), PyBytes::new(py, value)))?;
    }
    copy.set_item(names::HEADERS.get(py), headers)?;
    if request.as_get {
        copy.set_item(names::METHOD.get(py), names::GET.get(py))?;
    }
    if let Some(extensions) = scope.get_item(names::EXTENSIONS.get(py))?
        && let Ok(extensions) = extensions.cast::<PyDict>()
    {
        let kept = extensions.copy()?;
        for bypassing in ["http.response.pathsend", "http.response.zerocopysend"] {
            if kept.contains(bypassing)? {
                kept.del_item(bypassing)?;
            }
        }
        copy.set_item(names::EXTENSIONS.get(py), kept)?;
    }
    copy.set_item(names::HOTPLATE.get(py), exchange)?;
    Ok(copy)
}

/// What [`for_load`] makes different.
const OF_THE_LOAD: [&str; 4] = ["headers", "method", "extensions", "hotplate"];

/// Sets in a client's scope what the application has left in that of its load: middleware outside reads what the router
/// found. What is of the load alone stays the client's.
pub(crate) fn give_back(of_load: &Bound<'_, PyDict>, scope: &Bound<'_, PyAny>) -> PyResult<()> {
    let dict = scope.cast::<PyDict>().ok();
    // One is a copy of the other: nearly all that was in it stands in the same place still.
    let mut theirs = dict.into_iter().flatten();
    let mut left = Vec::with_capacity(8);
    for (name, value) in of_load {
        let is_theirs = theirs.next().is_some_and(|(own, theirs)| own.is(&name) && theirs.is(&value));
        let is_of_load = || name.extract::<&str>().is_ok_and(|name| OF_THE_LOAD.contains(&name));
        if !is_theirs && !is_of_load() {
            left.push((name, value));
        }
    }
    for (name, value) in left {
        match dict {
            Some(dict) => dict.set_item(name, value)?,
            None => scope.set_item(name, value)?,
        }
    }
    Ok(())
}
