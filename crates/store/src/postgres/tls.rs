//! TLS as libpq's URLs mean it: `sslmode` says whether to encrypt and whether to verify, `sslrootcert` by what.
//!
//! | sslmode | encrypted | the server's certificate |
//! |---|---|---|
//! | disable | no | |
//! | prefer (default) | if the server can | not verified, unless `sslrootcert` is given |
//! | require | yes | not verified, unless `sslrootcert` is given |
//! | verify-ca, verify-full | yes | verified, the name too, against `sslrootcert` or the system's roots |

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::OpenError;

/// A database URL, without what only this file reads.
pub(crate) struct Url {
    pub text: String,
    verify: bool,
    roots: Option<PathBuf>,
}

impl Url {
    pub(crate) fn parse(text: &str) -> Result<Self, OpenError> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(OpenError::Url("it does not begin with postgres:// or postgresql://".into()));
        }
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        let (mut kept, mut verify, mut roots) = (Vec::new(), false, None);
        for pair in query.split('&').filter(|it| !it.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", "verify-ca" | "verify-full")) => {
                    verify = true;
                    kept.push("sslmode=require");
                }
                Some(("sslmode", "allow")) => kept.push("sslmode=prefer"),
                Some(("sslrootcert", "system")) => verify = true,
                Some(("sslrootcert", file)) => roots = Some(PathBuf::from(unescaped(file)?)),
                _ => kept.push(pair),
            }
        }
        let text = if kept.is_empty() { address.to_owned() } else { format!("{address}?{}", kept.join("&")) };
        Ok(Self { text, verify: verify || roots.is_some(), roots })
    }
}

/// `%2F` and its like, read.
fn unescaped(text: &str) -> Result<String, OpenError> {
    let wrong = || OpenError::Url("sslrootcert is not a path".into());
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let (digits, after) = after.split_at_checked(2).ok_or_else(wrong)?;
            let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
            rest = after;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

/// What connects as the URL asks.
pub(crate) fn connector(url: &Url) -> Result<MakeRustlsConnect, OpenError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let refused = |error: rustls::Error| OpenError::Url(format!("TLS cannot be set up: {error}"));
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(refused)?;
    let config = match &url.roots {
        Some(file) => {
            let unreadable = |cause: String| OpenError::Url(format!("sslrootcert {}: {cause}", file.display()));
            let certificates = CertificateDer::pem_file_iter(file).map_err(|error| unreadable(error.to_string()))?;
            let mut roots = RootCertStore::empty();
            for certificate in certificates {
                let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
                roots.add(certificate).map_err(|error| unreadable(error.to_string()))?;
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        None if url.verify => builder.with_platform_verifier().map_err(refused)?.with_no_client_auth(),
        None => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider))).with_no_client_auth()
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

/// Takes any certificate: `sslmode=require` encrypts, and says nothing of who is at the other end.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libpq_says_of_tls_is_read() {
        let url = Url::parse("postgres://h/d?sslmode=verify-full&connect_timeout=3&sslrootcert=%2Fetc%2Fca.pem")
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(url.text, "postgres://h/d?sslmode=require&connect_timeout=3");
        assert!(url.verify && url.roots == Some("/etc/ca.pem".into()));
        let plain = Url::parse("postgresql://h/d?sslmode=require").unwrap_or_else(|error| panic!("{error}"));
        assert!(!plain.verify && plain.roots.is_none());
        assert!(Url::parse("mysql://h/d").is_err());
    }
}
