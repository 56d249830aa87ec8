use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{HOST, HeaderMap};
use hyper::{Method, Request};
use opencpm_domain::{Condition, Refusal};
use tokio::sync::Semaphore;

use crate::{Limits, body};

/// A request as far as no dialect matters.
pub(crate) struct Received {
    /// `GET` or `POST`.
    pub(crate) method: &'static str,
    /// The host as received: any bytes, or none.
    pub(crate) host: Vec<u8>,
    /// All headers. `Authorization` may be as good as a key for a while and is never logged.
    pub(crate) headers: HeaderMap,
    /// The query of a GET, the body of a POST.
    pub(crate) encoded: body::Bytes,
}

impl Received {
    /// Step 1 of contract 7.1, as far as it needs no decoding: size and method.
    pub(crate) async fn read(
        request: Request<Incoming>,
        limits: &Limits,
        memory: &Arc<Semaphore>,
    ) -> Result<Self, Refusal> {
        if request_line(&request) > limits.request_line {
            let message = format!("the request line is longer than {} bytes", limits.request_line);
            return Err(Refusal::new(Condition::TooLarge, message));
        }
        let host = host(&request);
        let (parts, sent) = request.into_parts();
        let (method, encoded) = match parts.method {
            Method::GET => ("GET", body::Bytes::from(parts.uri.query().unwrap_or_default())),
            Method::POST => ("POST", body::read(sent, limits, memory).await?),
            _ => return Err(Refusal::new(Condition::UnsupportedProtocol, "use GET or POST")),
        };
        Ok(Self { method, host, headers: parts.headers, encoded })
    }
}

/// Method, target and version, with the spaces between them.
fn request_line(request: &Request<Incoming>) -> usize {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    request.method().as_str().len() + target + " ".len() + " HTTP/1.1".len()
}

/// `Host` as received; on HTTP/2, `:authority` (contract section 1).
fn host(request: &Request<Incoming>) -> Vec<u8> {
    let header = request.headers().get(HOST).map(|value| value.as_bytes().to_vec());
    let authority = || request.uri().authority().map(|a| a.as_str().as_bytes().to_vec());
    match request.version() {
        hyper::Version::HTTP_2 => authority().or(header),
        _ => header.or_else(authority),
    }
    .unwrap_or_default()
}
