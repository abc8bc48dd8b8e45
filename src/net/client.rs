//! The HTTP client of the process.

use std::time::Duration;

use reqwest::{Client, ClientBuilder, NoProxy, Proxy, redirect};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::environment::Environment;

/// Creates the HTTP client of the process. It uses rustls with ring, and trusts the root certificates that are compiled in.
///
/// The client does not follow redirects, because they would send a `Profile-Key` to another host. Idle connections are
/// closed after a few seconds, because Lambda freezes the process between two runs.
///
/// These environment variables change it:
///
/// - `HTTPS_PROXY` and `NO_PROXY` set a proxy for `https:` URLs. `http:` URLs never use a proxy: the configuration
///   accepts them for this machine only, which a proxy could not reach.
/// - `SSL_CERT_FILE` names a PEM file whose certificates are trusted too.
///
/// A value that cannot be used is ignored with a warning, because most requests may need none of it. The warning names the
/// variable only: the URL of a proxy may contain a password.
///
/// # Errors
///
/// Returns an error when the TLS backend cannot be set up. No input can cause that.
pub fn client_from_environment(environment: &Environment) -> Result<Client, reqwest::Error> {
    let var =
        |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, environment.non_blank_var(name)?)));
    let proxy = var(["HTTPS_PROXY", "https_proxy"]).and_then(|(name, url)| {
        let is_known = url.split_once("://").is_none_or(|(scheme, _)| matches!(scheme.trim(), "http" | "https"));
        let proxy = Proxy::https(url.trim()).ok().filter(|_| is_known);
        if proxy.is_none() {
            tracing::warn!("{name} is ignored, because it is not the `http://` or `https://` URL of a proxy");
        }
        proxy
    });
    let roots = trusted_roots(environment);
    match proxy {
        Some(proxy) => {
            let exceptions = var(["NO_PROXY", "no_proxy"]).and_then(|(_, hosts)| NoProxy::from_string(&hosts));
            builder(roots).proxy(proxy.no_proxy(exceptions)).build()
        }
        None => builder(roots).build(),
    }
}

/// Creates the same client as [`client_from_environment`], but ignores the environment.
///
/// # Errors
///
/// Returns an error when the TLS backend cannot be set up. No input can cause that.
pub fn client() -> Result<Client, reqwest::Error> {
    builder(compiled_in_roots()).build()
}

fn compiled_in_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// Returns the compiled-in root certificates and those of `SSL_CERT_FILE`.
fn trusted_roots(environment: &Environment) -> RootCertStore {
    let mut roots = compiled_in_roots();
    if let Some(path) = environment.non_blank_var("SSL_CERT_FILE")
        && let Err(reason) = add_certificates(&mut roots, &path)
    {
        tracing::warn!("SSL_CERT_FILE is ignored: {reason}");
    }
    roots
}

/// Adds the certificates of a PEM file. Those that are not valid are skipped, as long as there is another one.
fn add_certificates(roots: &mut RootCertStore, path: &str) -> Result<(), String> {
    let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|error| error.to_string())?;
    match roots.add_parsable_certificates(certificates) {
        (0, _) => Err("the file contains no certificate in PEM format, which starts with \
                       `-----BEGIN CERTIFICATE-----` at the beginning of a line"
            .to_owned()),
        _ => Ok(()),
    }
}

fn builder(roots: RootCertStore) -> ClientBuilder {
    let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(roots).with_no_client_auth());
    let builder = Client::builder()
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(Duration::from_secs(5))
        .pool_idle_timeout(Duration::from_secs(5));
    match tls {
        Ok(tls) => builder.tls_backend_preconfigured(tls),
        Err(_) => builder,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_in_ssl_cert_file_are_trusted_too() {
        let path = std::env::temp_dir().join(format!("{}-{}.pem", env!("CARGO_PKG_NAME"), std::process::id()));
        let trusted = |text: &str| {
            std::fs::write(&path, text).expect("a file");
            trusted_roots(&Environment::of([("SSL_CERT_FILE", path.display().to_string())])).len()
        };
        let compiled_in = compiled_in_roots().len();
        assert_eq!(trusted(PEM), compiled_in + 1);
        assert_eq!(trusted(&PEM.replace("MII", "???")), compiled_in, "an invalid file must be ignored");
        let unreadable = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("a file");
            add_certificates(&mut RootCertStore::empty(), &path.display().to_string()).expect_err("a reason")
        };
        let utf_16: Vec<_> = format!("\u{FEFF}{PEM}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        let der = CertificateDer::from_pem_slice(PEM.as_bytes()).expect("a certificate");
        for bytes in [
            b"",
            &*der,
            &*utf_16,
            format!("\u{FEFF}{PEM}").as_bytes(),
            PEM.replace("CERTIFICATE", "PKCS7").as_bytes(),
            PEM.replace('\n', "\n  ").replacen("-----B", "  -----B", 1).as_bytes(),
            PEM.replacen("MII", "AAA", 1).as_bytes(),
        ] {
            assert!(unreadable(bytes).contains("no certificate in PEM format"), "{bytes:?}");
        }
        std::fs::remove_file(&path).expect("the file can be removed");
        assert_eq!(trusted_roots(&Environment::of([("SSL_CERT_FILE", "/nowhere")])).len(), compiled_in);
    }

    const PEM: &str = "-----BEGIN CERTIFICATE-----
MIIBlTCCATugAwIBAgIUA9NiFUoQt+1e8UyKg0cdpzkM8UswCgYIKoZIzj0EAwIw
HzEdMBsGA1UEAwwUYSBwcm94eSBvZiBhIGNvbXBhbnkwIBcNMjYxMTI0MTYzMTA3
WhgPMjEyNjEwMzExNjMxMDdaMB8xHTAbBgNVBAMMFGEgcHJveHkgb2YgYSBjb21w
YW55MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAuD86Mdn5jAUKuV18ozy5cgr
7hpEd3Stf3z2vKq2l0Q8+/ruJv1jNzkeT9L91O8xemzsILfzCLKaisb/t7QQo6NT
MFEwHQYDVR0OBBYEFLYtamjZLmtaCT7qXxzQ2yilKocFMB8GA1UdIwQYMBaAFLYt
amjZLmtaCT7qXxzQ2yilKocFMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwID
SAAwRQIgde/TEDZT9q9tmyp+xLKBRos92vvHoljJkEBWd85rS4cCIQCIHgLOxZAV
vZS1Lpx9HgCUZfwirKgC5sBk/WG9zhXChw==
-----END CERTIFICATE-----
";

    /// Returns the first line that the proxy receives for a request to an `https:` URL, or `None` if it receives none.
    async fn first_line_at_the_proxy(exceptions: &str) -> Option<String> {
        use tokio::io::{AsyncBufReadExt as _, BufReader};
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let proxy = format!("http://{}", listener.local_addr().expect("an address"));
        let environment = Environment::of([("HTTPS_PROXY", proxy.as_str()), ("NO_PROXY", exceptions)]);
        let client = client_from_environment(&environment).expect("a client");
        // Nothing listens on port 9, so a request that bypasses the proxy fails.
        let request = client.get("https://localhost:9/").send();
        let proxy = async {
            let (stream, _) = listener.accept().await.expect("a connection");
            BufReader::new(stream).lines().next_line().await.expect("a line")
        };
        tokio::select! {
            line = proxy => line,
            error = request => {
                assert!(error.is_err());
                None
            }
        }
    }

    #[tokio::test]
    async fn https_requests_use_the_proxy_except_for_no_proxy_hosts() {
        assert_eq!(first_line_at_the_proxy("").await.as_deref(), Some("CONNECT localhost:9 HTTP/1.1"));
        assert_eq!(first_line_at_the_proxy("localhost").await, None);
    }
}
