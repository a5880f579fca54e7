//! What TLS is spoken with: the files, read again for each connection.

use std::path::Path;

use redis::{ClientTlsConfig, TlsCertificates};

use super::errors::{ConnectError, Obstacle};
use crate::tier::redis::config::TlsFiles;

/// Reads the files again for each connection, and sees to it that there is cryptography to use them with.
pub(super) fn certificates(files: &TlsFiles) -> Result<TlsCertificates, ConnectError> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails only if another thread was faster, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| ConnectError {
            obstacle: Obstacle::Tls,
            sentence: format!("the file {} cannot be read", path.display()).into(),
            source: Some(error.into()),
        })
    };
    let root_cert = files.ca.as_deref().map(read).transpose()?;
    let client_tls = match &files.identity {
        Some((cert, key)) => Some(ClientTlsConfig { client_cert: read(cert)?, client_key: read(key)? }),
        None => None,
    };
    Ok(TlsCertificates { client_tls, root_cert })
}
