//! A client of API 2.0, as anybody could write one: the command line has no other door.

pub(crate) mod answer;
pub(crate) mod profile;
mod signature;
mod tls;

use std::sync::Arc;
use std::time::{Duration, Instant};

use opencpm_domain::Condition;
use opencpm_operations::port::{Clock, Random};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::exit::Exit;
use crate::output::clean;
use answer::Answer;
use profile::Profile;

/// The path of API 2.0 (contract section 1).
const PATH: &str = "/v2/index.php";

/// A list of a whole fleet may take a while; a server that is gone shows sooner.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Asks one deployment with one key.
pub(crate) struct Client {
    http: reqwest::Client,
    url: Url,
    profile: Profile,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// A request did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Not an `https://` or `http://` address.
    #[error("the endpoint {0} is not an address like https://cpm.example.com")]
    Endpoint(String),
    /// Whom to trust.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// The HTTP library does not start.
    #[error("HTTP cannot be set up")]
    Http(#[source] reqwest::Error),
    /// No answer.
    #[error("no answer from {endpoint}")]
    NoAnswer {
        /// Who was asked.
        endpoint: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// An answer that is none of API 2.0.
    #[error("{endpoint} does not speak API 2.0: it answered with HTTP status {status}")]
    NotOurs {
        /// Who was asked.
        endpoint: String,
        /// What came.
        status: StatusCode,
    },
    /// An answer of API 2.0 whose content is not the documented one.
    #[error("the answer to {action} is not what API 2.0 documents")]
    Unexpected {
        /// What was asked.
        action: &'static str,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The service said no.
    #[error("{} [{}]", clean(message), clean(code_desc))]
    Refused {
        /// API 2.0 code.
        code: i64,
        /// Its name.
        code_desc: String,
        /// What the service says; carries the code in front.
        message: String,
    },
}

impl ClientError {
    /// Whether the service refused with the code of this condition; some conditions share one.
    pub(crate) fn is(&self, condition: Condition) -> bool {
        let expected = condition.row().code.map(i64::from);
        matches!(self, Self::Refused { code, .. } if Some(*code) == expected)
    }

    /// How the command ends.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Refused { code, .. } => Exit::of_code(*code),
            _ => Exit::LOCAL,
        }
    }
}

impl Client {
    /// Prepares the connection; nothing is sent yet.
    pub(crate) fn new(
        profile: Profile,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, ClientError> {
        let url = address(&profile.endpoint)?;
        // A proxy of the environment would see plain requests and is in the way of loopback.
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(profile.ca.as_deref())?)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .timeout(ANSWER_LIMIT);
        let http = builder.build().map_err(ClientError::Http)?;
        Ok(Self { http, url, profile, clock, random })
    }

    /// What the client was told to use.
    pub(crate) fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Asks, and returns `data` as the service sent it. Never logs a parameter.
    pub(crate) async fn call(
        &self,
        action: &'static str,
        parameters: Parameters,
    ) -> Result<Value, ClientError> {
        let begun = Instant::now();
        let answered = self.exchange(action, parameters).await;
        let code = match &answered {
            Ok(_) => Some(0),
            Err(ClientError::Refused { code, .. }) => Some(*code),
            Err(_) => None,
        };
        tracing::debug!(
            action,
            endpoint = %self.profile.endpoint,
            micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
            code,
            "asked"
        );
        answered
    }

    async fn exchange(
        &self,
        action: &'static str,
        parameters: Parameters,
    ) -> Result<Value, ClientError> {
        let request = self.http.post(self.url.clone()).form(&self.signed(action, parameters).0);
        let no_answer =
            |source| ClientError::NoAnswer { endpoint: self.profile.endpoint.clone(), source };
        let response = request.send().await.map_err(no_answer)?;
        self.check_form(&response)?;
        let body = response.bytes().await.map_err(no_answer)?;
        let unexpected = |source| ClientError::Unexpected { action, source };
        let answer: Answer = serde_json::from_slice(&body).map_err(unexpected)?;
        if answer.code == 0 {
            return Ok(answer.data);
        }
        let Answer { code, code_desc, message, .. } = answer;
        Err(ClientError::Refused { code, code_desc, message })
    }

    /// As [`Self::call`], read into a type.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        action: &'static str,
        parameters: Parameters,
    ) -> Result<T, ClientError> {
        let data = self.call(action, parameters).await?;
        read(action, data)
    }

    fn signed(&self, action: &'static str, parameters: Parameters) -> Parameters {
        let profile = &self.profile;
        let nonce = u32::from_le_bytes(self.random.bytes());
        let mut all = parameters
            .with("Action", action)
            .with("Nonce", nonce)
            .with("RequestClient", concat!("opencpm_", env!("CARGO_PKG_VERSION")))
            .with("SecretId", &profile.secret_id)
            .with("SignatureMethod", "HmacSHA256")
            .with("Timestamp", self.clock.now().as_secs());
        if let Some(token) = &profile.token {
            all = all.with("Token", token.expose_secret());
        }
        let signature = signature::sign(&profile.secret_key, &host(&self.url), PATH, &mut all.0);
        all.with("Signature", signature)
    }

    fn check_form(&self, response: &Response) -> Result<(), ClientError> {
        let json = response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
        if response.status() == StatusCode::OK && json {
            return Ok(());
        }
        let (endpoint, status) = (self.profile.endpoint.clone(), response.status());
        Err(ClientError::NotOurs { endpoint, status })
    }
}

/// Reads `data` into a type.
pub(crate) fn read<T: DeserializeOwned>(
    action: &'static str,
    data: Value,
) -> Result<T, ClientError> {
    serde_json::from_value(data).map_err(|source| ClientError::Unexpected { action, source })
}

/// The parameters of a request. Wiped when dropped: one may be a password.
#[derive(Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// No parameter yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// One more.
    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.0.push((name.to_owned(), value.to_string()));
        self
    }

    /// One more where there is a value.
    pub(crate) fn with_some(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// A list: `name.0`, `name.1` and so on (contract section 3).
    pub(crate) fn with_list<T: ToString>(
        self,
        name: &str,
        values: impl IntoIterator<Item = T>,
    ) -> Self {
        let numbered = values.into_iter().enumerate();
        numbered.fold(self, |all, (n, value)| all.with(&format!("{name}.{n}"), value))
    }

    /// A secret.
    pub(crate) fn with_secret(self, name: &str, value: &SecretString) -> Self {
        self.with(name, value.expose_secret())
    }
}

impl Drop for Parameters {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        self.0.iter_mut().for_each(|(_, value)| value.zeroize());
    }
}

fn address(endpoint: &str) -> Result<Url, ClientError> {
    let wrong = || ClientError::Endpoint(endpoint.to_owned());
    let mut url = Url::parse(endpoint).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
        return Err(wrong());
    }
    url.set_path(PATH);
    url.set_query(None);
    Ok(url)
}

/// The `Host` header as the HTTP library will send it.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signed_host_carries_the_port_only_where_the_header_does() {
        let host_of = |endpoint| host(&address(endpoint).unwrap());
        assert_eq!(host_of("https://cpm.example.com"), "cpm.example.com");
        assert_eq!(host_of("https://cpm.example.com:443/"), "cpm.example.com");
        assert_eq!(host_of("http://127.0.0.1:8080"), "127.0.0.1:8080");
        assert_eq!(host_of("https://[::1]:8443"), "[::1]:8443");
    }

    #[test]
    fn an_endpoint_that_is_no_address_is_named() {
        for wrong in ["cpm.example.com", "ftp://x", "127.0.0.1:80", ""] {
            let error = address(wrong).unwrap_err();
            assert!(error.to_string().contains(wrong), "{error}");
        }
    }

    #[test]
    fn a_list_counts_from_zero() {
        let names: Vec<_> = Parameters::new().with_list("instanceIds", ["a", "b"]).0.clone();
        assert_eq!(names[0], ("instanceIds.0".into(), "a".into()));
        assert_eq!(names[1], ("instanceIds.1".into(), "b".into()));
    }
}
