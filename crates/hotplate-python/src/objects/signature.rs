//! The key of a call.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyInt, PyString, PyTuple};

/// How the key of a call is made.
pub(super) struct Keys {
    /// A function of the arguments that gives it.
    make: Option<Py<PyAny>>,
    /// The types of the arguments count too.
    pub(super) typed: bool,
    positional: Vec<Parameter>,
}

/// A parameter that can be given by its position.
struct Parameter {
    /// `None` where it cannot be given by name.
    name: Option<Py<PyString>>,
    default: Option<Py<PyAny>>,
}

impl Keys {
    /// `positional`: pairs of a name or `None`, and a tuple of the default or of nothing.
    pub(super) fn new(
        make: Option<&Bound<'_, PyAny>>,
        typed: bool,
        positional: Vec<(Option<Bound<'_, PyString>>, Bound<'_, PyTuple>)>,
    ) -> Self {
        let positional = positional.into_iter().map(|(name, default)| Parameter {
            name: name.map(Bound::unbind),
            default: default.get_item(0).ok().map(Bound::unbind),
        });
        Self { make: make.map(|make| make.clone().unbind()), typed, positional: positional.collect() }
    }

    /// The key of a call: the argument itself if there is one and it is text or a number, else a tuple of all.
    pub(super) fn of<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Some(make) = &self.make {
            return make.bind(args.py()).call(args, kwargs);
        }
        match kwargs.filter(|kwargs| !kwargs.is_empty()) {
            None if !self.typed => Ok(short(args)),
            kwargs => self.in_full(args, kwargs),
        }
    }

    /// As [`Keys::of`] for one argument by position: most often it is the key itself, and no tuple is made.
    pub(super) fn of_one<'py>(&self, only: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if self.make.is_none() && !self.typed && is_short(only) {
            return Ok(only.clone());
        }
        self.of(&PyTuple::new(only.py(), [only])?, None)
    }

    /// What is given by name is put where it would stand by position, and what is left out between by its default. The
    /// rest follows by name, and then the types.
    fn in_full<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = args.py();
        let mut items: Vec<Bound<'py, PyAny>> = args.iter().collect();
        let mut values = items.len();
        if let Some(kwargs) = kwargs {
            let rest = kwargs.copy()?;
            for parameter in self.positional.iter().skip(items.len()) {
                if rest.is_empty() {
                    break;
                }
                let given = match &parameter.name {
                    Some(name) => rest.get_item(name)?,
                    None => None,
                };
                match (given, &parameter.name, &parameter.default) {
                    (Some(given), Some(name), _) => {
                        rest.del_item(name)?;
                        items.push(given);
                    }
                    (_, _, Some(default)) => items.push(default.bind(py).clone()),
                    // The call will say what is missing.
                    _ => break,
                }
            }
            values = items.len();
            let mut named = rest
                .iter()
                .map(|(name, value)| Ok((name.extract::<String>()?, name, value)))
                .collect::<PyResult<Vec<_>>>()?;
            if !named.is_empty() {
                named.sort_by(|one, other| one.0.cmp(&other.0));
                items.push(mark(py)?);
                items.extend(named.into_iter().flat_map(|(_, name, value)| [name, value]));
            }
        }
        if self.typed {
            let from_names = items.iter().skip(values + 2).step_by(2);
            let types: Vec<_> =
                items.iter().take(values).chain(from_names).map(|item| item.get_type()).collect();
            items.push(mark(py)?);
            items.extend(types.into_iter().map(Bound::into_any));
        }
        PyTuple::new(py, items).map(|items| short(&items))
    }

    pub(super) fn made(&self) -> Option<&Py<PyAny>> {
        self.make.as_ref()
    }

    pub(super) fn defaults(&self) -> impl Iterator<Item = &Py<PyAny>> {
        self.positional.iter().filter_map(|parameter| parameter.default.as_ref())
    }
}

fn short<'py>(args: &Bound<'py, PyTuple>) -> Bound<'py, PyAny> {
    if args.len() == 1
        && let Ok(only) = args.get_borrowed_item(0)
        && is_short(&only)
    {
        return only.to_owned();
    }
    args.clone().into_any()
}

fn is_short(only: &Bound<'_, PyAny>) -> bool {
    only.is_exact_instance_of::<PyString>() || only.is_exact_instance_of::<PyInt>()
}

/// Parts a key: nobody else has it.
fn mark(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static MARK: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let mark =
        MARK.get_or_try_init(py, || py.import("builtins")?.getattr("object")?.call0().map(Bound::unbind))?;
    Ok(mark.bind(py).clone())
}
