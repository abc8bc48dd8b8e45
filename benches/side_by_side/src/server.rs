//! The HTTP server of every stand-in, with TLS where the real service uses it.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::Error;

/// A complete request.
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: String,
    /// The query, which is empty if there is none.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Request {
    /// The value of a header, if it is text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// An answer.
pub type Reply = Response<Full<Bytes>>;

/// An answer with a status and a body.
pub fn reply(status: u16, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    reply
}

/// A handler of requests.
pub trait Service: Clone + Send + Sync + 'static {
    /// Answers a request.
    fn answer(&self, request: Request) -> impl Future<Output = Reply> + Send;
}

/// A service on a port. It stops when it is dropped.
pub struct Server {
    port: u16,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts a server on a free port of the loopback interface.
    pub fn start(runtime: &Handle, tls: Option<&TlsAcceptor>, service: &impl Service) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let mut listeners = vec![listener];
        // Also listens on IPv6 if possible, because some clients resolve `localhost` to IPv6 first.
        listeners.extend(TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port))).ok());
        let mut accepting = JoinSet::new();
        for listener in listeners {
            listener.set_nonblocking(true)?;
            accepting.spawn_on(accept(listener, tls.cloned(), service.clone()), runtime);
        }
        let task = runtime.spawn(async move {
            accepting.join_all().await;
        });
        Ok(Self { port, task })
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, service: impl Service) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        connections.spawn(serve(stream, tls.clone(), service.clone()));
    }
}

/// Ignores broken connections, because the product reports them.
async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, service: impl Service) {
    let _ = stream.set_nodelay(true);
    let answer = service_fn(|request: hyper::Request<Incoming>| async {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let (path, query) = (head.uri.path().to_owned(), head.uri.query().unwrap_or_default().to_owned());
        let request = Request { method: head.method, path, query, headers: head.headers, body };
        Ok::<_, hyper::Error>(service.answer(request).await)
    });
    let http = http1::Builder::new();
    let _ = match tls {
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => http.serve_connection(TokioIo::new(stream), answer).await,
            Err(_) => Ok(()),
        },
        None => http.serve_connection(TokioIo::new(stream), answer).await,
    };
}

/// TLS for `localhost`, and the certificate of its authority.
pub struct Tls {
    /// The acceptor of connections.
    pub acceptor: TlsAcceptor,
    /// The certificate of the authority, as PEM.
    pub authority: String,
}

impl Tls {
    /// Creates an authority for this run and a certificate issued by it.
    pub fn new() -> Result<Self, Error> {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        authority.distinguished_name.push(DnType::CommonName, "make bench");
        let authority_key = KeyPair::generate()?;
        let pem = authority.self_signed(&authority_key)?.pem();

        let key = KeyPair::generate()?;
        let mut leaf = CertificateParams::new(["localhost".to_owned()])?;
        leaf.use_authority_key_identifier_extension = true;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let leaf = leaf.signed_by(&key, &Issuer::new(authority, authority_key))?;
        let mut config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::from(key))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), authority: pem })
    }
}
