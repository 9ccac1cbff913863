//! Certificates and keys: read at start and on reload, and what is wrong with them.
//!
//! *Control path*, on the main thread: where blocking harms nobody. What a key file contains is never said.

use crate::config::Tls;
use crate::config::go_text::go_error;
use crate::wire::tls::Acceptor;
use crate::wire::tls::acceptor::World;
use rustls::pki_types::CertificateDer;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use std::fs::{File, metadata};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

/// More than any bundle of authorities.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Everybody may read it.
const READABLE_BY_OTHERS: u32 = 0o004;

/// TLS as it was asked for, ready for handshakes, and what an operator should hear about it.
///
/// # Errors
/// The first thing that is wrong, with the name of its file or option.
pub fn load(tls: &Tls) -> Result<(Arc<Acceptor>, Vec<String>), String> {
    let acceptor = Acceptor::new(tls, &ThisMachine).map_err(|error| format!("tls: {error}"))?;
    let mut warnings = acceptor.warnings().to_vec();
    let keys = tls.certificates.iter().map(|files| &files.key);
    warnings.extend(keys.filter(|key| is_open_to_all(key)).map(|key| {
        let key = key.display();
        format!("The private key in {key} can be read by every user of this machine")
    }));
    Ok((Arc::new(acceptor), warnings))
}

fn is_open_to_all(path: &Path) -> bool {
    metadata(path).is_ok_and(|about| about.permissions().mode() & READABLE_BY_OTHERS != 0)
}

struct ThisMachine;

impl World for ThisMachine {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let failed = |what: &str, error: &std::io::Error| {
            format!("{what} {}: {}", path.display(), go_error(error))
        };
        let file = File::open(path).map_err(|error| failed("open", &error))?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| failed("read", &error))?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(format!(
                "{} is larger than {FILE_BYTES_MAX} bytes",
                path.display()
            ));
        }
        Ok(bytes)
    }

    fn system_authorities(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            return Err("no ca_file is given, and the system has no authorities".to_owned());
        }
        Ok(found.certs)
    }

    fn clock(&self) -> Arc<dyn TimeProvider> {
        Arc::new(DefaultTimeProvider)
    }
}
