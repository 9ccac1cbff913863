//! An authority of a test's own, with certificates for its server and its clients, in files as servers want them.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

use super::Folder;

/// A folder with `ca.pem`, and `NAME.pem` and `NAME.key` for `server` and all others that were issued.
#[derive(Debug)]
pub(crate) struct Certificates {
    folder: Folder,
    issuer: Issuer<'static, KeyPair>,
    authority: CertificateDer<'static>,
}

impl Certificates {
    /// An authority, and a server certificate for `localhost`.
    pub(crate) fn create() -> Certificates {
        let key = KeyPair::generate().expect("a key");
        let mut params = named("an authority for tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a certificate");
        let certificates = Certificates {
            folder: Folder::create().expect("a folder"),
            issuer: Issuer::new(params, key),
            authority: certificate.der().clone(),
        };
        certificates.write("ca.pem", &certificate.pem());
        certificates.issue_server("server", "localhost");
        certificates
    }

    pub(crate) fn issue_server(&self, file: &str, name: &'static str) {
        let mut params = named(name);
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().expect("a name"))];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(file, &params);
    }

    /// A client certificate for an e-mail address.
    pub(crate) fn issue_client(&self, file: &str, email: &'static str) {
        let mut params = named(file);
        params.subject_alt_names = vec![SanType::Rfc822Name(email.try_into().expect("a name"))];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(file, &params);
    }

    pub(crate) fn issue(&self, file: &str, params: &CertificateParams) {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer);
        let certificate = certificate.expect("a certificate");
        self.write(&format!("{file}.pem"), &certificate.pem());
        self.write(&format!("{file}.key"), &key.serialize_pem());
    }

    pub(crate) fn path(&self, file: &str) -> String {
        let path = self.folder.path().join(file);
        path.to_str().expect("a plain path").to_owned()
    }

    /// A `tls` block with the server's certificate and the authority, and `more` in it.
    pub(crate) fn block(&self, more: &str) -> String {
        let [certificate, key, authority] =
            ["server.pem", "server.key", "ca.pem"].map(|file| self.path(file));
        format!(
            "tls {{ cert_file: \"{certificate}\", key_file: \"{key}\", ca_file: \"{authority}\"\n {more} }}"
        )
    }

    /// A client that trusts the authority.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        self.client_of(rustls::ALL_VERSIONS, None)
    }

    /// A client that speaks these versions only, and shows a certificate if it is asked for one.
    pub(crate) fn client_of(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        shown: Option<&str>,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).expect("an authority");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots);
        Arc::new(match shown {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let path = |end: &str| PathBuf::from(self.path(&format!("{file}.{end}")));
                let chain = CertificateDer::from_pem_file(path("pem")).expect("a certificate");
                let key = PrivateKeyDer::from_pem_file(path("key")).expect("a key");
                let builder = builder.with_client_auth_cert(vec![chain], key);
                builder.expect("certificate and key belong together")
            }
        })
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.path().join(file), text).expect("a file");
    }
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params
}
