//! Field lines of an answer as Python has them: pairs of bytes.
//!
//! Nearly all lines of a hit are the same as those of the hit before it: the content type, the length, an age of so many
//! seconds. Pairs and bytes cannot be changed, so one object does for all: to find it takes a third of what it takes
//! to make it, and nobody has to free it.

use std::sync::{Mutex, TryLockError};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyTuple};

/// So many pairs are kept; a power of two.
const PLACES: usize = 512;

/// Longer values are made each time.
const MOST_BYTES: usize = 128;

/// The names nearly every answer has, made once. Of the first eight the values come again and again; those of the others are
/// a response's own.
const NAMES: [&[u8]; 12] = [
    b"age",
    b"vary",
    b"x-cache",
    b"cache-status",
    b"content-type",
    b"cache-control",
    b"content-length",
    b"content-encoding",
    b"etag",
    b"link",
    b"expires",
    b"last-modified",
];
const REPEATED: usize = 8;

struct Kept {
    name: usize,
    value: Py<PyBytes>,
    pair: Py<PyTuple>,
}

static KEPT: Mutex<Vec<Option<Kept>>> = Mutex::new(Vec::new());

/// The pair of a name and a value.
pub(crate) fn of<'py>(py: Python<'py>, name: &[u8], value: &[u8]) -> PyResult<Bound<'py, PyTuple>> {
    let Some(known) = NAMES.iter().position(|known| *known == name) else {
        return PyTuple::new(py, [PyBytes::new(py, name), PyBytes::new(py, value)]);
    };
    if known >= REPEATED || value.len() > MOST_BYTES {
        return PyTuple::new(py, [name_object(py, known), PyBytes::new(py, value)]);
    }
    // Without the interpreter's lock another thread may be here: it is not worth waiting for.
    let mut kept = match KEPT.try_lock() {
        Ok(kept) => kept,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => {
            return PyTuple::new(py, [name_object(py, known), PyBytes::new(py, value)]);
        }
    };
    if kept.is_empty() {
        kept.resize_with(PLACES, || None);
    }
    let place = &mut kept[place(known, value)];
    if let Some(found) = place
        && found.name == known
        && found.value.as_bytes(py) == value
    {
        return Ok(found.pair.bind(py).clone());
    }
    let bytes = PyBytes::new(py, value);
    let pair = PyTuple::new(py, [name_object(py, known), bytes.clone()])?;
    *place = Some(Kept { name: known, value: bytes.unbind(), pair: pair.clone().unbind() });
    Ok(pair)
}

/// Where a pair is kept: by the name, the length, and the beginning and end of the value. What meets there pushes the other
/// out.
fn place(name: usize, value: &[u8]) -> usize {
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let (first, last) = (value.first_chunk::<8>(), value.last_chunk::<8>());
    let text = match (first, last) {
        (Some(first), Some(last)) => u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(23),
        _ => number(value),
    };
    let mixed = (text ^ (name as u64) << 56 ^ (value.len() as u64) << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 40) as usize % PLACES
}

/// Makes the names of field lines: when the module is imported, as [`crate::names`] are.
pub(crate) fn prepare(py: Python<'_>) {
    name_objects(py);
}

fn name_object(py: Python<'_>, place: usize) -> Bound<'_, PyBytes> {
    name_objects(py)[place].bind(py).clone()
}

fn name_objects(py: Python<'_>) -> &[Py<PyBytes>] {
    static OBJECTS: PyOnceLock<Vec<Py<PyBytes>>> = PyOnceLock::new();
    OBJECTS.get_or_init(py, || NAMES.iter().map(|name| PyBytes::new(py, name).unbind()).collect())
}
