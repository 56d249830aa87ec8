use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use opencpm_domain::{Condition, Refusal, SecretId, Timestamp};
use opencpm_operations::port::{Clock, Random};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::action::Action;
use crate::answer::{self, Body, Output, Style};
use crate::asked::Asked;
use crate::dialect::Dialect;
use crate::document::openapi;
use crate::judge::judge;
use crate::received::Received;
use crate::service::Service;
use crate::{Settings, body, v3};

/// The API behind any number of listeners.
pub struct Edge {
    service: Arc<dyn Service>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    settings: Settings,
    connections: Arc<Semaphore>,
    /// One permit for each byte of [`crate::Limits::body_memory`].
    body_memory: Arc<Semaphore>,
    /// Requests that are being carried out. They go on when their connection breaks.
    work: TaskTracker,
}

/// What may be logged of a request, as far as it was read: names that we know, and the key.
#[derive(Default)]
pub(crate) struct Trail {
    action: Option<&'static str>,
    secret_id: Option<SecretId>,
    client: Option<String>,
}

impl Trail {
    pub(crate) fn note(&mut self, asked: &Asked<'_>) {
        self.action = asked.action.map(Action::name);
        self.secret_id.clone_from(&asked.secret_id);
        // The client's name for itself (contract 2.1). Only what looks like one: a field in the
        // wrong place may hold anything.
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-; ".contains(&b);
        let is_name = |name: &&String| name.len() <= 64 && name.bytes().all(plain);
        self.client = asked.client.as_ref().filter(is_name).cloned();
    }
}

/// Where the OpenAPI document is.
const DOCUMENT: &str = "/openapi.json";

/// Made once: anybody may ask for it, and none of them shall cost anything.
static OPENAPI: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(openapi()));

type Answered = Response<Body>;

impl Edge {
    /// An edge that asks this service, tells the time by this clock, and names its requests with
    /// this randomness.
    pub fn new(
        service: Arc<dyn Service>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        settings: Settings,
    ) -> Arc<Self> {
        Arc::new(Self {
            service,
            clock,
            random,
            connections: Arc::new(Semaphore::new(settings.limits.connections)),
            body_memory: body::memory(&settings.limits),
            work: TaskTracker::new(),
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

    /// A name for a request, in its answer and in the log: a fresh UUID (contract section 4).
    pub(crate) fn request_id(&self) -> String {
        uuid::Builder::from_random_bytes(self.random.bytes()).into_uuid().to_string()
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
        let path = request.uri().path();
        let dialects = [Dialect::V2, Dialect::V3];
        Ok(match dialects.into_iter().find(|dialect| dialect.path() == path) {
            Some(dialect) => self.answer(dialect, request).await,
            None if path == DOCUMENT && request.method() == Method::GET => {
                json(StatusCode::OK, Body::from(OPENAPI.clone()))
            }
            None => nothing_here(),
        })
    }

    async fn answer(self: Arc<Self>, dialect: Dialect, request: Request<Incoming>) -> Answered {
        let request_id = self.request_id();
        let begun = Instant::now();
        let method = request.method().clone();
        let (trail, result) =
            match Received::read(request, &self.settings.limits, &self.body_memory).await {
                Ok(received) if dialect == Dialect::V3 && v3::is_a_look_around(&received) => {
                    return nothing_here();
                }
                Ok(received) => self.clone().carry_out(dialect, received).await,
                Err(refusal) => (Trail::default(), Err(refusal)),
            };
        log(&request_id, dialect, &method, &trail, &result, begun);
        match result {
            Ok(output) => {
                let style = Style { dialect, offset: self.settings.offset };
                json(StatusCode::OK, answer::success(output, style, &request_id))
            }
            Err(refusal) => {
                let body = answer::failure(&refusal, dialect, &request_id);
                let is_wrong_method =
                    !ours(&method) && refusal.condition == Condition::UnsupportedProtocol;
                if is_wrong_method { method_not_allowed(body) } else { json(StatusCode::OK, body) }
            }
        }
    }

    /// As a task of its own, so that a client that hangs up does not stop it half-way, and a
    /// defect in it is answered and reported.
    async fn carry_out(
        self: Arc<Self>,
        dialect: Dialect,
        received: Received,
    ) -> (Trail, Result<Output, Refusal>) {
        let edge = self.clone();
        let task = self.work.spawn(async move {
            let mut trail = Trail::default();
            let result = judge(&edge, dialect, &received, &mut trail).await;
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

/// One line for each request: never a query, a header or a body, and of the caller's own values
/// only the key's id and the client's name, in their narrow forms.
fn log(
    request_id: &str,
    dialect: Dialect,
    method: &Method,
    trail: &Trail,
    result: &Result<Output, Refusal>,
    begun: Instant,
) {
    let condition = result.as_ref().err().map(|refusal| refusal.condition);
    tracing::info!(
        request = request_id,
        method = if ours(method) { method.as_str() } else { "other" },
        path = dialect.path(),
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
fn method_not_allowed(body: Body) -> Answered {
    let mut response = json(StatusCode::METHOD_NOT_ALLOWED, body);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
    response
}

fn nothing_here() -> Answered {
    let [v2, v3] = [Dialect::V2, Dialect::V3].map(Dialect::path);
    let text = format!(
        "{{\"message\":\"there is nothing here; API 2.0 is at {v2}, API 3.0 at {v3} with POST, \
         their description at {DOCUMENT}\"}}"
    );
    json(StatusCode::NOT_FOUND, Body::from(Bytes::from(text)))
}

fn json(status: StatusCode, body: Body) -> Answered {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(answer::CONTENT_TYPE));
    response
}
