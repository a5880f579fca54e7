//! What the random worlds have, and what names it.

use hotplate::key::{Key, KeyParts};
use hotplate::log::Target;

/// The paths of the random worlds.
pub const PATHS: [&str; 3] = ["/p/0", "/p/1", "/q/0"];

/// How many targets there are.
pub const TARGETS: usize = 11;

pub fn primary_key(path: &str) -> Key {
    Key::of(&KeyParts {
        method: "GET",
        scheme: b"https",
        authority: b"example.org",
        path: path.as_bytes(),
        ..KeyParts::default()
    })
}

/// What an invalidation may name, and which of [`PATHS`] that covers.
pub fn target(number: usize) -> (Target<'static>, [bool; 3]) {
    match number {
        0 => (Target::Everything, [true; 3]),
        1 => (Target::Prefix(b"/p"), [true, true, false]),
        2 => (Target::Path(b"/p/0"), [true, false, false]),
        3 => (Target::Path(b"/q/0"), [false, false, true]),
        4 => (Target::Tag("kind:p"), [true, true, false]),
        5 => (Target::Tag("name:0"), [true, false, true]),
        6 => (Target::Key(primary_key("/p/1")), [false, true, false]),
        7 => (Target::Uri { authority: b"example.org", path: b"/p/1" }, [false, true, false]),
        8 => (Target::Prefix(b"/"), [true; 3]),
        9 => (Target::Key(primary_key("/q/0")), [false, false, true]),
        _ => (Target::Tag("name:1"), [false, true, false]),
    }
}
