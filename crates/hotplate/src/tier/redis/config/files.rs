//! The certificate files, looked at once: they are there, and they are what they should be.

use std::path::{Path, PathBuf};

use super::TlsFiles;
use crate::error::ConfigError;

/// Checks the files for TLS. `wanted`: the scheme says TLS.
pub(super) fn tls(
    wanted: bool,
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Option<TlsFiles>, ConfigError> {
    for (setting, file) in [("ca_file", &ca), ("cert_file", &cert), ("key_file", &key)] {
        let Some(file) = file else { continue };
        let shown = file.display().to_string();
        if !wanted {
            let remedy = "begin the URL with rediss:// (TLS), or leave it out";
            return Err(ConfigError::new(setting, shown, remedy));
        }
        check_pem(file).map_err(|remedy| ConfigError::new(setting, shown, remedy))?;
    }
    let alone =
        |setting, file: &Path, remedy| Err(ConfigError::new(setting, file.display().to_string(), remedy));
    let identity = match (cert, key) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        (Some(cert), None) => {
            return alone("cert_file", &cert, "write key_file as well: the certificate's key");
        }
        (None, Some(key)) => {
            return alone("key_file", &key, "write cert_file as well: the key's certificate");
        }
    };
    Ok(wanted.then_some(TlsFiles { ca, identity }))
}

fn check_pem(file: &Path) -> Result<(), String> {
    let bytes = std::fs::read(file).map_err(|error| format!("write a file that can be read ({error})"))?;
    let begin = b"-----BEGIN ";
    if bytes.windows(begin.len()).any(|window| window == begin) {
        return Ok(());
    }
    Err("write a PEM file: it has a line that starts with -----BEGIN".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::RedisOptions;
    use super::super::tests::{options, refused};
    use super::*;

    #[test]
    fn certificate_and_key_come_together_and_only_with_tls() {
        // This very file has the line that is looked for: -----BEGIN
        let pem = Some(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tier/redis/config/files.rs")));
        let one = RedisOptions { cert_file: pem.clone(), ..options("rediss://host") };
        assert!(refused(one).contains("write key_file as well"));
        let other = RedisOptions { key_file: pem.clone(), ..options("rediss://host") };
        assert!(refused(other).contains("write cert_file as well"));
        let plain = RedisOptions { cert_file: pem.clone(), ..options("redis+cluster://host") };
        assert!(refused(plain).contains("begin the URL with rediss://"));
        let (cert_file, key_file) = (pem.clone(), pem.clone());
        let all = RedisOptions { ca_file: pem, cert_file, key_file, ..options("rediss://host") };
        let files = all.compile().unwrap().tls.unwrap();
        assert!(files.ca.is_some() && files.identity.is_some());
    }
}
