use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use opencpm_domain::{Condition, Refusal, SecretId, Timestamp};
use opencpm_operations::port::Clock;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use crate::action::Action;
use crate::service::Service;
use crate::{Settings, body, v2};

/// The API behind any number of listeners.
pub struct Edge {
    service: Arc<dyn Service>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    connections: Arc<Semaphore>,
    /// One permit for each byte of [`crate::Limits::body_memory`].
    body_memory: Arc<Semaphore>,
    /// Requests that are being carried out. They go on when their connection breaks.
    work: TaskTracker,
    requests: AtomicU64,
}

/// A request as far as no dialect matters.
pub(crate) struct Received {
    /// `GET` or `POST`.
    pub(crate) method: &'static str,
    /// The host as received: any bytes, or none.
    pub(crate) host: Vec<u8>,
    /// The query of a GET, the body of a POST.
    pub(crate) encoded: body::Bytes,
}

/// What may be logged of a request, as far as it was read: names that we know, and the key.
#[derive(Default)]
pub(crate) struct Trail {
    action: Option<&'static str>,
    secret_id: Option<SecretId>,
    client: Option<String>,
}

impl Trail {
    pub(crate) fn note(&mut self, action: Option<&'static Action>, secret_id: Option<&SecretId>) {
        self.action = action.map(Action::name);
        self.secret_id = secret_id.cloned();
    }

    /// The client's name for itself (contract 2.1). Only what looks like one: a field in the
    /// wrong place may hold anything.
    pub(crate) fn note_client(&mut self, name: &str) {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-; ".contains(&b);
        if name.len() <= 64 && name.bytes().all(plain) {
            self.client = Some(name.to_owned());
        }
    }
}

type Answered = Response<Full<Bytes>>;

impl Edge {
    /// An edge that asks this service and tells the time by this clock.
    pub fn new(service: Arc<dyn Service>, clock: Arc<dyn Clock>, settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            service,
            clock,
            connections: Arc::new(Semaphore::new(settings.limits.connections)),
            body_memory: body::memory(&settings.limits),
            work: TaskTracker::new(),
            requests: AtomicU64::new(0),
            settings,
        })
    }

    pub(crate) fn service(&self) -> &dyn Service {
        &*self.service
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn connections(&self) -> &Arc<Semaphore> {
        &self.connections
    }

    /// Waits for the requests that are being carried out.
    pub(crate) async fn finish_work(&self) {
        self.work.close();
        self.work.wait().await;
    }

    /// Answers one request. The path alone selects the dialect (contract section 1).
    pub(crate) async fn respond(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Answered, Infallible> {
        Ok(match request.uri().path() {
            v2::PATH => self.respond_v2(request).await,
            _ => nothing_here(),
        })
    }

    async fn respond_v2(self: Arc<Self>, request: Request<Incoming>) -> Answered {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        let method = request.method().clone();
        let (trail, result) = match self.receive(request).await {
            Ok(received) => self.clone().carry_out(received).await,
            Err(refusal) => (Trail::default(), Err(refusal)),
        };
        log(number, &method, &trail, &result, begun);
        let is_refused_method = !ours(&method)
            && matches!(&result, Err(refusal) if refusal.condition == Condition::UnsupportedProtocol);
        let body = result.unwrap_or_else(|refusal| v2::failure(&refusal));
        if is_refused_method { method_not_allowed(body) } else { json(StatusCode::OK, body) }
    }

    /// Step 1 of contract 7.1, as far as it needs no decoding: size and method.
    async fn receive(&self, request: Request<Incoming>) -> Result<Received, Refusal> {
        let limits = &self.settings.limits;
        if request_line(&request) > limits.request_line {
            let message = format!("the request line is longer than {} bytes", limits.request_line);
            return Err(Refusal::new(Condition::TooLarge, message));
        }
        let host = host(&request);
        let (method, encoded) = match *request.method() {
            Method::GET => {
                let query = request.uri().query().unwrap_or_default();
                ("GET", body::Bytes::from(query))
            }
            Method::POST => {
                ("POST", body::read(request.into_body(), limits, &self.body_memory).await?)
            }
            _ => return Err(Refusal::new(Condition::UnsupportedProtocol, "use GET or POST")),
        };
        Ok(Received { method, host, encoded })
    }

    /// As a task of its own, so that a client that hangs up does not stop it half-way, and a
    /// defect in it is answered and reported.
    async fn carry_out(
        self: Arc<Self>,
        received: Received,
    ) -> (Trail, Result<v2::Answer, Refusal>) {
        let edge = self.clone();
        let task = self.work.spawn(async move {
            let mut trail = Trail::default();
            let result = v2::judge(&edge, &received, &mut trail).await;
            (trail, result)
        });
        task.await.unwrap_or_else(|error| {
            tracing::error!(panicked = error.is_panic(), "a request was not carried out");
            (Trail::default(), Err(Condition::ServerBug.into()))
        })
    }
}

fn ours(method: &Method) -> bool {
    [Method::GET, Method::POST].contains(method)
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

/// One line for each request: never a query or a body, and of the caller's own values only the
/// key's id and the client's name, in their narrow forms.
fn log(
    number: u64,
    method: &Method,
    trail: &Trail,
    result: &Result<v2::Answer, Refusal>,
    begun: Instant,
) {
    let condition = result.as_ref().err().map(|refusal| refusal.condition);
    tracing::info!(
        request = number,
        method = if ours(method) { method.as_str() } else { "other" },
        path = v2::PATH,
        action = trail.action.unwrap_or("-"),
        secret_id = trail.secret_id.as_ref().map_or("-", SecretId::as_str),
        client = trail.client.as_deref().unwrap_or("-"),
        code = condition.map_or(0, |condition| condition.row().code.unwrap_or(0)),
        condition = ?condition,
        micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
        "answered"
    );
}

/// The only answer of the API with a status other than 200 (contract section 1).
fn method_not_allowed(body: v2::Answer) -> Answered {
    let mut response = json(StatusCode::METHOD_NOT_ALLOWED, body);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
    response
}

fn nothing_here() -> Answered {
    let text = format!("{{\"message\":\"there is nothing here; API 2.0 is at {}\"}}", v2::PATH);
    json(StatusCode::NOT_FOUND, Zeroizing::new(text.into_bytes()))
}

fn json(status: StatusCode, body: v2::Answer) -> Answered {
    let mut response = Response::new(Full::new(Bytes::from_owner(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(v2::CONTENT_TYPE));
    response
}
