//! Under which index of the engine a key stands, and whether two keys are the same.

use pyo3::prelude::*;
use pyo3::types::{PyInt, PyString, PyTuple};

use crate::names;

/// Python's hash of both -1 and -2.
const SHARED_HASH: isize = -2;

/// Where -1 stands instead.
const MINUS_ONE: u64 = 0x9E37_79B9_7F4A_7C15;

/// Tuples in tuples are read so deep; below, Python's hash has to do.
const DEEPEST: u8 = 4;

/// The index of a key: equal keys have the same one. Different keys that share one replace each other.
///
/// Python's hash, except where that is the same for keys people use side by side: -1 and -2, alone and in tuples.
///
/// Runs `__hash__`, and for a key of hash -2 its `__eq__`. Fails as they do.
pub(super) fn of(key: &Bound<'_, PyAny>) -> PyResult<u64> {
    nested(key, DEEPEST)
}

fn nested(key: &Bound<'_, PyAny>, deeper: u8) -> PyResult<u64> {
    if key.is_exact_instance_of::<PyString>() {
        return key.hash().map(isize::cast_unsigned).map(widen);
    }
    if !key.is_exact_instance_of::<PyInt>()
        && deeper > 0
        && let Ok(tuple) = key.cast::<PyTuple>()
        && is_hashed_as_tuple(tuple)?
    {
        let mut mixed = widen(tuple.len());
        for item in tuple.iter_borrowed() {
            mixed = (mixed.rotate_left(5) ^ nested(&item, deeper - 1)?).wrapping_mul(MINUS_ONE);
        }
        return Ok(mixed ^ (mixed >> 32));
    }
    let hash = key.hash()?;
    if hash == SHARED_HASH && key.eq(-1)? { Ok(MINUS_ONE) } else { Ok(widen(hash.cast_unsigned())) }
}

fn widen(number: usize) -> u64 {
    number as u64
}

/// Whether a tuple, or an object of a class derived from it such as a named tuple, is hashed by its items.
fn is_hashed_as_tuple(tuple: &Bound<'_, PyTuple>) -> PyResult<bool> {
    if tuple.is_exact_instance_of::<PyTuple>() {
        return Ok(true);
    }
    let py = tuple.py();
    let name = names::HASH.get(py);
    Ok(tuple.get_type().getattr(name)?.is(&py.get_type::<PyTuple>().getattr(name)?))
}

/// Whether two keys are the same, as a `dict` sees it. Runs `__eq__` and fails as it does.
pub(super) fn is_same(stored: &Bound<'_, PyAny>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(stored.is(key) || stored.eq(key)?)
}
