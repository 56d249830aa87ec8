//! A request as its dialect reads it, before anything is known of its key (contract 7.1, steps 1
//! and 2). From here on the dialects differ in what a signature covers and in nothing else.

use opencpm_domain::{Refusal, SecretId, Span, Timestamp};
use opencpm_operations::authenticate::Caller;
use opencpm_operations::row::{Fingerprint, Unique, UsedNonce};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::action::{Action, Arguments, decode_form, decode_json};
use crate::dialect::Dialect;
use crate::form::Form;
use crate::json::Json;
use crate::received::Received;
use crate::settings::Settings;
use crate::signature::{Algorithm, Signed};
use crate::tc3::{self, Authorization};

/// What a request asks for, and on what proof.
pub(crate) struct Asked<'a> {
    pub(crate) dialect: Dialect,
    /// `None` for an unknown one.
    pub(crate) action: Option<&'static Action>,
    /// False where API 3.0 was asked for in a version that it does not have.
    pub(crate) is_right_version: bool,
    /// `None` for a text that cannot be a key's id: as unknown as any other.
    pub(crate) secret_id: Option<SecretId>,
    /// Unix seconds.
    pub(crate) timestamp: u64,
    /// Of a temporary key.
    pub(crate) token: Option<Zeroizing<String>>,
    /// What the client calls itself; for the log only.
    pub(crate) client: Option<String>,
    /// The parameters, and the signature over them.
    pub(crate) signed: Parameters<'a>,
}

/// The action's parameters and what proves that the key's owner sent them.
pub(crate) enum Parameters<'a> {
    /// API 2.0, and v1 of API 3.0: one signature over all fields.
    Form {
        form: Form,
        algorithm: Algorithm,
        /// `None` for one that is no base64.
        signature: Option<Vec<u8>>,
        nonce: u64,
    },
    /// TC3: one signature over the encoded text and some headers.
    Tc3 { authorization: Authorization, encoded: Encoded<'a> },
}

/// The parameters below a TC3 signature.
pub(crate) enum Encoded<'a> {
    /// Of a GET.
    Query(Form),
    /// Of a POST: JSON, decoded only after the signature was checked.
    Body(&'a [u8]),
}

impl Asked<'_> {
    /// Whether the key's owner signed this request.
    pub(crate) fn verifies(&self, request: &Received, key: &[u8], settings: &Settings) -> bool {
        let (method, host) = (request.method, request.host.as_slice());
        match &self.signed {
            Parameters::Form { form, algorithm, signature, .. } => {
                let path = self.dialect.path();
                let signed = Signed { method, host, path, form };
                let at_sign_rule =
                    self.dialect == Dialect::V2 && settings.at_sign_rule && method == "POST";
                signature.as_ref().is_some_and(|signature| {
                    signed.verifies(*algorithm, key, signature, at_sign_rule)
                })
            }
            Parameters::Tc3 { authorization, .. } => {
                tc3::verifies(authorization, request, self.timestamp, key, settings)
            }
        }
    }

    /// Whether another action or another body under the same signature would be noticed. The
    /// SDKs' TC3 signature leaves the action out, and may leave the body out (contract 2.3).
    pub(crate) fn covers_everything(&self, request: &Received) -> bool {
        match &self.signed {
            Parameters::Form { .. } => true,
            Parameters::Tc3 { authorization, .. } => {
                authorization.covers(tc3::ACTION) && !tc3::is_unsigned(request)
            }
        }
    }

    /// Decodes and checks the parameters (contract 7.1, step 9).
    pub(crate) fn arguments(
        &self,
        action: &'static Action,
        settings: &Settings,
    ) -> Result<Arguments, Refusal> {
        let (policy, offset) = (settings.policy, settings.offset);
        match &self.signed {
            Parameters::Form { form, .. } => {
                decode_form(action, self.dialect, form, policy, offset)
            }
            Parameters::Tc3 { encoded: Encoded::Query(form), .. } => {
                decode_form(action, self.dialect, form, policy, offset)
            }
            Parameters::Tc3 { encoded: Encoded::Body(body), .. } => {
                decode_json(action, Json::decode(body)?, policy, offset)
            }
        }
    }

    /// What makes the request unique (contract 2.6). Kept until its timestamp has left the clock
    /// window on both sides.
    pub(crate) fn unique(&self, caller: &Caller, window: Span) -> Unique {
        let expires = Timestamp::from_secs(self.timestamp) + window + Span::from_secs(1);
        match (&self.signed, self.dialect) {
            (Parameters::Form { nonce, .. }, Dialect::V2) => Unique::Nonce(UsedNonce {
                secret_id: caller.secret_id.clone(),
                timestamp: self.timestamp,
                nonce: *nonce,
                expires,
            }),
            _ => Unique::Fingerprint(Fingerprint { hash: self.fingerprint(caller), expires }),
        }
    }

    /// Key, time and signature, and the body where the signature may leave it out; nothing else
    /// that the signature does not cover, or a changed copy would count as another request. So
    /// not the encoding of a form: v1 signs what it means.
    fn fingerprint(&self, caller: &Caller) -> [u8; 32] {
        let (signature, body) = match &self.signed {
            Parameters::Form { signature, .. } => (signature.as_deref().unwrap_or_default(), None),
            Parameters::Tc3 { authorization, encoded: Encoded::Body(body) } => {
                (authorization.signature.as_slice(), Some(*body))
            }
            Parameters::Tc3 { authorization, .. } => (authorization.signature.as_slice(), None),
        };
        let key = caller.secret_id.as_str().as_bytes();
        let mut hash = Sha256::new();
        for part in [key, &self.timestamp.to_be_bytes(), signature] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(Sha256::digest(body.unwrap_or_default()));
        hash.finalize().into()
    }
}
