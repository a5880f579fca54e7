//! Names by which the interpreter is asked for things, made when the module is imported.
//!
//! A text that is made when it is first used (`pyo3::intern!`) lets go of the interpreter in between: a process that another
//! thread forks off at that moment would wait for the rest for ever.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;

/// A text that is there once.
pub(crate) struct Name(&'static str, PyOnceLock<Py<PyString>>);

impl Name {
    #[inline]
    pub(crate) fn get<'py>(&self, py: Python<'py>) -> &Bound<'py, PyString> {
        self.1.get_or_init(py, || PyString::intern(py, self.0).unbind()).bind(py)
    }
}

macro_rules! names {
    ($($name:ident = $text:literal,)*) => {
        $(pub(crate) static $name: Name = Name($text, PyOnceLock::new());)*

        /// Makes all of them.
        pub(crate) fn prepare(py: Python<'_>) {
            $($name.get(py);)*
        }
    };
}

names! {
    BODY = "body",
    CALL_SOON = "call_soon",
    CALL_SOON_THREADSAFE = "call_soon_threadsafe",
    DONE = "done",
    EXTEND = "extend",
    EXTENSIONS = "extensions",
    FLUSH = "flush",
    GET = "GET",
    GET_LOOP = "get_loop",
    HASH = "__hash__",
    HEADERS = "headers",
    HOTPLATE = "hotplate",
    METHOD = "method",
    MORE_BODY = "more_body",
    NEED_BODY = "need-body",
    PATH = "path",
    QUALNAME = "__qualname__",
    QUERY_STRING = "query_string",
    RAISED = "raised",
    RAW_PATH = "raw_path",
    RESPONSE_BODY = "http.response.body",
    RESPONSE_PATHSEND = "http.response.pathsend",
    RESPONSE_START = "http.response.start",
    RESPONSE_ZEROCOPYSEND = "http.response.zerocopysend",
    ROOT_PATH = "root_path",
    SCHEME = "scheme",
    SEEK = "seek",
    SERVER = "server",
    SET_RESULT = "set_result",
    STALE = "stale",
    STATUS = "status",
    TRACEBACK = "__traceback__",
    TRAILERS = "trailers",
    TYPE = "type",
    WAIT = "wait",
}
