//! From what a developer wrote in Python to the engine's options. Checks types; meanings are checked there.

use std::time::Duration;

use hotplate::config::SettingsOptions;
use hotplate::duration;
use hotplate::error::ConfigError;
use hotplate::key::QueryRule;
use hotplate::rules::{Cookies, RuleOptions};
use hotplate_policy::profile::Profile;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDelta, PyDeltaAccess, PyFloat, PyInt, PyString};

use crate::error;

/// The seconds of a duration, which there must be.
#[pyfunction]
pub(crate) fn seconds(setting: &str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    match duration(setting, value)? {
        Some(duration) => Ok(duration.as_secs_f64()),
        None => {
            let remedy = "write seconds, a timedelta, or text such as \"5m\"";
            Err(error::config(value.py(), &ConfigError::new(setting, "None", remedy)))
        }
    }
}

/// Seconds, a `timedelta` or text; `None` stays `None`. Zero and less are refused.
pub(crate) fn duration(setting: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<Duration>> {
    if value.is_none() {
        return Ok(None);
    }
    let py = value.py();
    let parsed = if let Ok(delta) = value.cast::<PyDelta>() {
        let seconds = i64::from(delta.get_days()) * 86_400 + i64::from(delta.get_seconds());
        #[allow(clippy::cast_precision_loss, reason = "a lifetime needs no 52 bits of seconds")]
        duration::from_seconds(setting, seconds as f64 + f64::from(delta.get_microseconds()) / 1e6)
    } else if let Ok(text) = value.cast::<PyString>() {
        duration::parse(setting, text.to_str()?)
    } else if !value.is_instance_of::<PyBool>()
        && (value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>())
    {
        duration::from_seconds(setting, value.extract::<f64>().unwrap_or(f64::INFINITY))
    } else {
        Err(ConfigError::new(
            setting,
            value.repr()?.to_str()?,
            "write seconds, a timedelta, or text such as \"5m\" or \"1h30m\"",
        ))
    };
    parsed.map(Some).map_err(|error| error::config(py, &error))
}

/// As [`duration`], and zero is allowed: for what clients are told, and for stale windows.
pub(crate) fn duration_or_zero(setting: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<Duration>> {
    let text = value.cast::<PyString>().ok().and_then(|text| text.to_str().ok()).map(str::trim);
    let is_zero = if let Ok(delta) = value.cast::<PyDelta>() {
        (delta.get_days(), delta.get_seconds(), delta.get_microseconds()) == (0, 0, 0)
    } else {
        matches!(text, Some("0" | "0s" | "0ms" | "0m" | "0h"))
            || (!value.is_instance_of::<PyBool>()
                && value.extract::<f64>().is_ok_and(|seconds| seconds == 0.0))
    };
    if is_zero { Ok(Some(Duration::ZERO)) } else { duration(setting, value) }
}

/// A number of bytes, or text such as `64MiB`.
pub(crate) fn size(setting: &str, value: &Bound<'_, PyAny>) -> PyResult<u64> {
    let refuse = || -> PyResult<u64> {
        let remedy = "write bytes as a positive number, or text such as \"64MiB\" or \"1GB\"";
        Err(error::config(value.py(), &ConfigError::new(setting, value.repr()?.to_str()?, remedy)))
    };
    if value.is_instance_of::<PyBool>() {
        return refuse();
    }
    if let Ok(text) = value.cast::<PyString>() {
        return match parse_size(text.to_str()?) {
            Some(bytes) => Ok(bytes),
            None => refuse(),
        };
    }
    match value.extract::<u64>() {
        Ok(bytes) if bytes > 0 => Ok(bytes),
        _ => refuse(),
    }
}

fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit: u64 = match text[digits..].trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit).filter(|bytes| *bytes > 0)
}

/// A sequence of text. One text where several are meant is refused, as it would be read letter by letter.
pub(crate) fn texts(setting: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let refuse = |remedy: &'static str| -> PyResult<Vec<String>> {
        Err(error::config(value.py(), &ConfigError::new(setting, value.repr()?.to_str()?, remedy)))
    };
    if value.is_instance_of::<PyString>() {
        return refuse("write a list, as in [\"...\"]");
    }
    match value.extract::<Vec<String>>() {
        Ok(texts) => Ok(texts),
        Err(_) => refuse("write a list of text"),
    }
}

pub(crate) fn one_of<T: Copy>(setting: &str, value: &Bound<'_, PyAny>, known: &[(&str, T)]) -> PyResult<T> {
    let text = value.extract::<String>().ok();
    if let Some((_, meaning)) = known.iter().find(|(name, _)| text.as_deref() == Some(*name)) {
        return Ok(*meaning);
    }
    let names: Vec<String> = known.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let remedy = format!("write {}", names.join(" or "));
    Err(error::config(value.py(), &ConfigError::new(setting, value.repr()?.to_str()?, remedy)))
}

fn flag(setting: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    match value.extract::<bool>() {
        Ok(flag) => Ok(flag),
        Err(_) => {
            let error = ConfigError::new(setting, value.repr()?.to_str()?, "write True or False");
            Err(error::config(value.py(), &error))
        }
    }
}

/// The settings of the middleware, and the partition function of each rule.
pub(crate) struct Converted {
    pub(crate) options: SettingsOptions,
    /// One for each rule of the list, then the middleware's own.
    pub(crate) partitions: Vec<Option<Py<PyAny>>>,
    pub(crate) wait: Duration,
}

/// Reads the keyword arguments of `CacheMiddleware`.
pub(crate) fn settings(given: &Bound<'_, pyo3::types::PyDict>) -> PyResult<Converted> {
    let py = given.py();
    let get = |name: &str| -> PyResult<Bound<'_, PyAny>> {
        Ok(given.get_item(name)?.unwrap_or_else(|| py.None().into_bound(py)))
    };
    let default_partition = partition("partition", &get("partition")?)?;
    let mut rules = Vec::new();
    let mut partitions = Vec::new();
    let listed = get("rules")?;
    let Ok(listed) = listed.try_iter() else {
        let error =
            ConfigError::new("rules", listed.repr()?.to_str()?, "write a list, as in [Rule(\"/path\")]");
        return Err(error::config(py, &error));
    };
    for (index, written) in listed.enumerate() {
        let written = written?;
        let setting = format!("rules[{index}]");
        let (options, own) = rule(&setting, &written)?;
        partitions.push(own.or_else(|| default_partition.as_ref().map(|partition| partition.clone_ref(py))));
        rules.push(options);
    }
    let partitioned = default_partition.is_some();
    partitions.push(default_partition);
    let profile =
        one_of("profile", &get("profile")?, &[("safe", Profile::Safe), ("rfc9111", Profile::Rfc9111)])?;
    let directives = get("request_directives")?;
    let honor_request_directives = if directives.is_none() {
        profile == Profile::Rfc9111
    } else {
        one_of("request_directives", &directives, &[("honor", true), ("ignore", false)])?
    };
    let optional = |name: &str| -> PyResult<Option<Vec<String>>> {
        let value = get(name)?;
        if value.is_none() { Ok(None) } else { texts(name, &value).map(Some) }
    };
    let jitter = get("jitter")?;
    let Some(jitter) = jitter.extract::<f64>().ok().filter(|_| !jitter.is_instance_of::<PyBool>()) else {
        let error = ConfigError::new("jitter", jitter.repr()?.to_str()?, "write a fraction from 0 to 1");
        return Err(error::config(py, &error));
    };
    let options = SettingsOptions {
        ttl: duration("ttl", &get("ttl")?)?,
        client_ttl: duration_or_zero("client_ttl", &get("client_ttl")?)?,
        include: optional("include")?,
        exclude: texts("exclude", &get("exclude")?)?,
        rules,
        partitioned,
        max_body: size("max_body", &get("max_body")?)?,
        allowed_hosts: optional("allowed_hosts")?,
        x_cache: flag("x_cache", &get("x_cache")?)?,
        profile,
        honor_request_directives,
        jitter,
        ..SettingsOptions::default()
    };
    let wait = duration("wait_timeout", &get("wait_timeout")?)?.unwrap_or(Duration::from_secs(60));
    Ok(Converted { options, partitions, wait })
}

/// Reads one `Rule`.
fn rule(setting: &str, written: &Bound<'_, PyAny>) -> PyResult<(RuleOptions, Option<Py<PyAny>>)> {
    let Ok(pattern) = written.getattr("pattern").and_then(|pattern| pattern.extract::<String>()) else {
        let remedy = "write Rule(\"/path\", ...) with the pattern as text";
        return Err(error::config(
            written.py(),
            &ConfigError::new(setting, written.repr()?.to_str()?, remedy),
        ));
    };
    let part = |name: &str| format!("{setting}.{name}");
    let get = |name: &str| written.getattr(name);
    let query = get("query")?;
    let Ok(keep) = query.getattr("keep") else {
        let remedy = "write Query(sort=True), Query(keep=[...]) or Query(drop=[...])";
        let error = ConfigError::new(part("query"), query.repr()?.to_str()?, remedy);
        return Err(error::config(written.py(), &error));
    };
    let own_partition = partition(&part("partition"), &get("partition")?)?;
    let cookies =
        [("guard", Cookies::Guard), ("ignore", Cookies::Ignore), ("danger-store", Cookies::DangerStore)];
    let options = RuleOptions {
        pattern,
        methods: texts(&part("methods"), &get("methods")?)?,
        ttl: duration(&part("ttl"), &get("ttl")?)?,
        client_ttl: duration_or_zero(&part("client_ttl"), &get("client_ttl")?)?,
        tags: texts(&part("tags"), &get("tags")?)?,
        stale_while_revalidate: duration_or_zero(
            &part("stale_while_revalidate"),
            &get("stale_while_revalidate")?,
        )?,
        stale_if_error: duration_or_zero(&part("stale_if_error"), &get("stale_if_error")?)?,
        cookies: one_of(&part("cookies"), &get("cookies")?, &cookies)?,
        partitioned: own_partition.is_some(),
        vary: texts(&part("vary"), &get("vary")?)?,
        query: QueryRule::new(
            flag(&part("query.sort"), &query.getattr("sort")?)?,
            if keep.is_none() { None } else { Some(texts(&part("query.keep"), &keep)?) },
            texts(&part("query.drop"), &query.getattr("drop")?)?,
        ),
        override_response: flag(&part("override"), &get("override")?)?,
        cache: flag(&part("cache"), &get("cache")?)?,
        max_request_body: usize::try_from(size(&part("max_request_body"), &get("max_request_body")?)?)
            .unwrap_or(usize::MAX),
    };
    Ok((options, own_partition))
}

fn partition(setting: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
    if value.is_none() {
        return Ok(None);
    }
    if !value.is_callable() {
        let remedy = "write a function of the request's head that returns text, or None to forward";
        return Err(error::config(value.py(), &ConfigError::new(setting, value.repr()?.to_str()?, remedy)));
    }
    let waits = value.py().import("inspect")?.getattr("iscoroutinefunction")?;
    let call = value.getattr("__call__")?;
    if waits.call1((value,))?.is_truthy()? || waits.call1((call,))?.is_truthy()? {
        let remedy = "write a plain function, not async: a hit never waits";
        return Err(error::config(value.py(), &ConfigError::new(setting, value.repr()?.to_str()?, remedy)));
    }
    Ok(Some(value.clone().unbind()))
}
