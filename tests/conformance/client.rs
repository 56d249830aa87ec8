//! The clients, the ways in which each can send, and what their users should know.
//! Facts are from contract section 8 and from the suite itself.

use opencpm_tests::Lab;
use serde_json::{Value, json};

use crate::case::{Case, MANY_PARAMETERS, NONCE_ZERO};
use crate::dialect::{Dialect, Operation};
use crate::trial::{authority, ca};

/// A published package.
pub(crate) struct Client {
    /// As in its registry; also its folder below `tests/clients`.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) runtime: Runtime,
    /// What must be there to run it.
    pub(crate) needs: &'static str,
    pub(crate) dialect: Dialect,
    /// Operations of its dialect that it does not know.
    pub(crate) lacks: &'static [Operation],
    pub(crate) ways: &'static [Way],
    /// Cases that only it knows.
    pub(crate) own: &'static [Case],
    pub(crate) traps: &'static [&'static str],
}

#[derive(Clone, Copy)]
pub(crate) enum Runtime {
    /// With a virtual environment of its own.
    Python,
    /// With a folder of packages of its own.
    Node,
}

/// How a client is told to send.
pub(crate) struct Way {
    pub(crate) method: &'static str,
    pub(crate) signature: &'static str,
    pub(crate) reach: Reach,
    /// Without the body under the signature (contract 2.3).
    pub(crate) unsigned: bool,
}

/// How a client comes to the lab.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// HTTPS at an address that it is told.
    Https,
    /// Plain HTTP at an address that it is told.
    Http,
    /// HTTPS to the one host that it knows, through a proxy.
    FixedHost,
}

/// The host that clients of API 2.0 have built in.
pub(crate) const FIXED_HOST: &str = "bm.api.qcloud.com:443";

impl Client {
    pub(crate) fn can(&self, operation: Operation) -> bool {
        self.dialect.action(operation).is_some() && !self.lacks.contains(&operation)
    }
}

impl Way {
    /// A heading.
    pub(crate) fn name(&self) -> String {
        let reach = match self.reach {
            Reach::Https => "",
            Reach::Http => ", plain HTTP",
            Reach::FixedHost => ", fixed host",
        };
        let unsigned = if self.unsigned { ", unsigned payload" } else { "" };
        format!("{} {}{reach}{unsigned}", self.method, self.signature)
    }

    /// As the clients' programs read it.
    pub(crate) fn as_json(&self, lab: &Lab) -> Value {
        let (scheme, url) = match self.reach {
            Reach::Http => ("http", &lab.ready.http),
            Reach::Https | Reach::FixedHost => ("https", &lab.ready.https),
        };
        json!({
            "method": self.method,
            "signature": self.signature,
            "scheme": scheme,
            "host": authority(url),
            "fixed_host": self.reach == Reach::FixedHost,
            "ca": ca(lab),
            "unsigned": self.unsigned,
        })
    }
}

const fn way(method: &'static str, signature: &'static str, reach: Reach) -> Way {
    Way { method, signature, reach, unsigned: false }
}

const SHA1: &str = "HmacSHA1";
const SHA256: &str = "HmacSHA256";

/// All that can run here.
pub(crate) const ALL: &[Client] = &[
    Client {
        name: "qcloudapi-sdk-python",
        about: "The Python SDK of API 2.0.",
        runtime: Runtime::Python,
        needs: "Python 3 with venv",
        dialect: Dialect::V2,
        lacks: &[],
        ways: &[
            way("GET", SHA1, Reach::Https),
            way("GET", SHA256, Reach::Https),
            way("POST", SHA1, Reach::Https),
            way("POST", SHA256, Reach::Https),
            way("GET", SHA1, Reach::FixedHost),
            way("GET", SHA256, Reach::FixedHost),
            way("POST", SHA1, Reach::FixedHost),
            way("POST", SHA256, Reach::FixedHost),
        ],
        own: &[],
        traps: &[
            "It sends GET unless told otherwise, and a GET carries the password in its URL: set \
             `method` to `POST`.",
            "Its module `bm` knows one host, `bm.api.qcloud.com`, and takes no other: lead that \
             name to this server by DNS or by an HTTPS proxy, with a certificate that names it \
             (`api.names`). Any module name that it does not know takes `endpoint`, a host with \
             or without a port.",
            "With a proxy, an `endpoint` with a port does not work: it appends `:443`.",
            "It always speaks HTTPS and checks the certificate against the system's authorities; \
             `SSL_CERT_FILE` names another file.",
            "It returns the body as bytes and raises nothing for an error of the API: look at \
             `code`.",
            "When a connection breaks before the answer, it sends the same request again: a reset \
             that was accepted the first time is then answered with 4500. Ask for the device's \
             log.",
        ],
    },
    Client {
        name: "qcloudcli",
        about: "The command line of API 2.0.",
        runtime: Runtime::Python,
        needs: "Python 3.11 or older, with venv",
        dialect: Dialect::V2,
        lacks: &[Operation::Task, Operation::Log],
        ways: &[way("POST", SHA1, Reach::FixedHost)],
        own: &[],
        traps: &[
            "It does not know `DescriptionOperationResult`: it can start a reset and not ask what \
             came of it. The suite asks with another client.",
            "It takes the password as an argument, which every user of the machine can see.",
            "Its exit code is 0 also when the API refused: read what it prints.",
            "It knows one host, as the module `bm` of the Python SDK does.",
            "It signs Latin-1 and sends UTF-8: values must be ASCII.",
            "It needs a module that Python 3.12 no longer has.",
        ],
    },
    Client {
        name: "qcloudapi-sdk",
        about: "The Node SDK of API 2.0.",
        runtime: Runtime::Node,
        needs: "Node and npm",
        dialect: Dialect::V2,
        lacks: &[],
        ways: &[
            way("POST", SHA1, Reach::Https),
            way("POST", SHA256, Reach::Https),
            way("GET", SHA1, Reach::Https),
            way("GET", SHA256, Reach::Https),
        ],
        own: &[NONCE_ZERO, MANY_PARAMETERS],
        traps: &[
            "Its POST drops every parameter after the 1,000th, the signature among them, and is \
             answered with 4000: set `maxKeys: 0` for large batches.",
            "It accepts any certificate: whoever sits between it and the server sees everything.",
            "It returns the body and calls no error of the API an error: look at `code`.",
            "Nonces are 0 to 65535, so two resets within a second are refused with 4500 once in a \
             while: send it again.",
            "Its mode `TC2-HmacSHA256` is not supported: 4100.",
        ],
    },
];
