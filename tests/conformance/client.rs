//! The clients, the ways in which each can send, and what their users should know.
//! Facts are from contract section 8 and from the suite itself.

use std::path::Path;

use opencpm_tests::Lab;
use serde_json::{Value, json};

use crate::case::{Case, MANY_PARAMETERS, NONCE_ZERO, WAITER};
use crate::dialect::{Ability, Dialect};
use crate::trial::authority;

/// A published package.
pub(crate) struct Client {
    /// As in its registry; also its folder below `tests/clients`.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) runtime: Runtime,
    /// What must be there to run it.
    pub(crate) needs: &'static str,
    pub(crate) dialect: Dialect,
    /// What it cannot do although its dialect can.
    pub(crate) lacks: &'static [Ability],
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
    /// The same by name, without a dot in it: some clients make their signature's service of it.
    Localhost,
    /// HTTPS to the host that is built in, through a proxy.
    FixedHost,
}

impl Client {
    /// What a proxy is asked for by a client with its built-in host.
    pub(crate) fn fixed_host(&self) -> &'static str {
        match self.dialect {
            Dialect::V2 => "bm.api.qcloud.com:443",
            Dialect::V3 => "bm.tencentcloudapi.com:443",
        }
    }

    pub(crate) fn can(&self, ability: Ability) -> bool {
        let in_dialect = ability == Ability::Token || self.dialect.action(ability).is_some();
        in_dialect && !self.lacks.contains(&ability)
    }
}

impl Way {
    /// A heading.
    pub(crate) fn name(&self) -> String {
        let reach = match self.reach {
            Reach::Https => "",
            Reach::Http => ", plain HTTP",
            Reach::Localhost => ", `localhost`",
            Reach::FixedHost => ", fixed host",
        };
        let unsigned = if self.unsigned { ", unsigned payload" } else { "" };
        format!("{} {}{reach}{unsigned}", self.method, self.signature)
    }

    /// As the clients' programs read it, for a lab.
    pub(crate) fn as_json(&self, lab: &Lab) -> Value {
        self.told(&lab.ready.http, &lab.ready.https, &lab.ready.ca)
    }

    /// The same for an API at these addresses, with a certificate of this authority.
    pub(crate) fn told(&self, http: &str, https: &str, ca: &Path) -> Value {
        let (scheme, url) = match self.reach {
            Reach::Http => ("http", http),
            Reach::Https | Reach::Localhost | Reach::FixedHost => ("https", https),
        };
        let mut host = authority(url).to_owned();
        if self.reach == Reach::Localhost {
            host = host.replace("127.0.0.1", "localhost");
        }
        json!({
            "method": self.method,
            "signature": self.signature,
            "scheme": scheme,
            "host": host,
            "fixed_host": self.reach == Reach::FixedHost,
            "ca": ca,
            "unsigned": self.unsigned,
        })
    }
}

const fn way(method: &'static str, signature: &'static str, reach: Reach) -> Way {
    Way { method, signature, reach, unsigned: false }
}

const fn unsigned(way: Way) -> Way {
    Way { unsigned: true, ..way }
}

const TC3: &str = "TC3-HMAC-SHA256";
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
        lacks: &[Ability::Task, Ability::Log, Ability::Token],
        ways: &[way("POST", SHA1, Reach::FixedHost)],
        own: &[],
        traps: &[
            "It does not know `DescriptionOperationResult`: it can start a reset and not ask what \
             came of it. The suite asks with another client.",
            "It knows no temporary keys.",
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
    Client {
        name: "tencentcloud-sdk-python",
        about: "The Python SDK of API 3.0, as the packages `tencentcloud-sdk-python-bm` and \
                `tencentcloud-sdk-python-common`, of which `tencentcloud-sdk-python` is the sum.",
        runtime: Runtime::Python,
        needs: "Python 3 with venv",
        dialect: Dialect::V3,
        lacks: &[],
        ways: &[
            way("POST", TC3, Reach::Https),
            way("GET", TC3, Reach::Https),
            unsigned(way("POST", TC3, Reach::Https)),
            way("POST", SHA1, Reach::Https),
            way("GET", SHA1, Reach::Https),
            way("POST", SHA256, Reach::Https),
            way("GET", SHA256, Reach::Https),
            way("POST", TC3, Reach::Http),
            way("GET", TC3, Reach::Http),
            unsigned(way("POST", TC3, Reach::Http)),
            way("POST", SHA256, Reach::Http),
            way("POST", TC3, Reach::FixedHost),
        ],
        own: &[],
        traps: &[
            "`HttpProfile(endpoint=\"host:port\")` leads it to this server, `certification` names \
             the file of your authority, `protocol=\"http\"` turns TLS off.",
            "Action and region are not under its signature, and with `unsignedPayload` the body is \
             not either: use TLS, and leave that option alone.",
            "Its optional retries sign anew: a retry of a reset that was accepted may be told that \
             the device is busy. Without them nothing is sent twice.",
            "A GET carries the password in its URL.",
        ],
    },
    Client {
        name: "tccli",
        about: "The command line of API 3.0.",
        runtime: Runtime::Python,
        needs: "Python 3 with venv",
        dialect: Dialect::V3,
        lacks: &[],
        ways: &[way("POST", TC3, Reach::Http)],
        own: &[WAITER],
        traps: &[
            "It trusts the public authorities that it brings along and no other: a certificate of \
             your own authority fails. Give the API a certificate of a public authority \
             (`api.certificate`), or plain HTTP on a host that you trust.",
            "`--endpoint http://host:port` leads it to this server; it then sends this whole text \
             as the host, and signs it so.",
            "It takes the password as an argument, which every user of the machine can see; \
             `--cli-input-json file:///...` reads all parameters from a file.",
            "Its exit code is 0 for an answer, 255 for an error of the API, 252 for what it \
             refuses itself. A task that failed on a machine is an answer: read `TaskStatus`.",
            "`--waiter \"{'expr':'TaskStatus','to':1}\"` asks every 5 s for 180 s; a task that ends \
             with another status keeps it waiting to its end.",
        ],
    },
    Client {
        name: "tencentcloud-sdk-nodejs",
        about: "The Node SDK of API 3.0.",
        runtime: Runtime::Node,
        needs: "Node and npm",
        dialect: Dialect::V3,
        lacks: &[],
        ways: &[
            way("POST", TC3, Reach::Https),
            way("GET", TC3, Reach::Https),
            way("POST", SHA1, Reach::Https),
            way("GET", SHA1, Reach::Https),
            way("POST", SHA256, Reach::Https),
            way("GET", SHA256, Reach::Https),
            way("POST", TC3, Reach::Http),
            way("POST", TC3, Reach::Localhost),
            way("POST", TC3, Reach::FixedHost),
        ],
        own: &[],
        traps: &[
            "With TC3 it signs the host without its port, and takes the endpoint's text before the \
             first dot for the service: the server takes \
             `bm`, and that text of the host that was sent.",
            "`NODE_EXTRA_CA_CERTS` names the file of your authority; `protocol: \"http://\"` turns \
             TLS off.",
            "Action and region are not under its signature.",
        ],
    },
];
