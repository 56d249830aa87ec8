//! The signature of API 2.0, which v1 of API 3.0 shares (contract 2.2, 2.4, 2.5).

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

use crate::form::Form;

/// The HMAC's hash, as `SignatureMethod` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// The default.
    HmacSha1,
    /// `HmacSHA256`.
    HmacSha256,
}

impl Algorithm {
    /// `HmacSHA256` selects SHA-256; absent or anything else means SHA-1 (contract 2.1).
    pub(crate) fn named(name: Option<&str>) -> Self {
        match name {
            Some("HmacSHA256") => Self::HmacSha256,
            _ => Self::HmacSha1,
        }
    }
}

/// What a signature covers.
#[derive(Clone, Copy)]
pub(crate) struct Signed<'a> {
    /// `GET` or `POST`.
    pub(crate) method: &'a str,
    /// The `Host` value as received.
    pub(crate) host: &'a [u8],
    /// As received, without query.
    pub(crate) path: &'a str,
    /// All parameters.
    pub(crate) form: &'a Form,
}

impl Signed<'_> {
    /// True when the signature is one that this key makes for the request. `at_sign_rule` allows
    /// parameters whose value begins with `@` to be left out.
    pub(crate) fn verifies(
        &self,
        algorithm: Algorithm,
        key: &[u8],
        signature: &[u8],
        at_sign_rule: bool,
    ) -> bool {
        let leaves_out = at_sign_rule && self.form.fields().any(|(_, v)| v.starts_with('@'));
        [false, true].into_iter().filter(|left_out| !left_out || leaves_out).any(|left_out| {
            host_candidates(self.host)
                .any(|host| self.matches(algorithm, key, signature, host, left_out))
        })
    }

    fn matches(
        &self,
        algorithm: Algorithm,
        key: &[u8],
        signature: &[u8],
        host: &[u8],
        leave_out: bool,
    ) -> bool {
        match algorithm {
            Algorithm::HmacSha1 => self.matches_mac::<Hmac<Sha1>>(key, signature, host, leave_out),
            Algorithm::HmacSha256 => {
                self.matches_mac::<Hmac<Sha256>>(key, signature, host, leave_out)
            }
        }
    }

    fn matches_mac<M: Mac + KeyInit>(
        &self,
        key: &[u8],
        signature: &[u8],
        host: &[u8],
        leave_out: bool,
    ) -> bool {
        // HMAC takes keys of any length, so this is never an error.
        let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return false };
        self.feed(host, leave_out, &mut |piece| mac.update(piece));
        mac.verify_slice(signature).is_ok()
    }

    /// Gives the string to sign piece by piece: a password in it is not copied.
    fn feed(&self, host: &[u8], leave_out: bool, sink: &mut dyn FnMut(&[u8])) {
        sink(self.method.as_bytes());
        sink(host);
        sink(self.path.as_bytes());
        let mut separator = "?";
        for (name, value) in self.form.fields() {
            if name == "Signature" || (leave_out && value.starts_with('@')) {
                continue;
            }
            for piece in [separator, name, "=", value] {
                sink(piece.as_bytes());
            }
            separator = "&";
        }
        if separator == "?" {
            sink(b"?");
        }
    }
}

/// The host as received, then without its port (contract 2.4).
pub(crate) fn host_candidates(host: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::once(host).chain(without_port(host))
}

/// The host before a trailing `:port`, if it has one.
pub(crate) fn without_port(host: &[u8]) -> Option<&[u8]> {
    let colon = host.iter().rposition(|b| *b == b':')?;
    let (name, port) = (&host[..colon], &host[colon + 1..]);
    (!port.is_empty() && port.iter().all(u8::is_ascii_digit)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    const KEY: &[u8] = b"example-secret-key-0001";
    const COMMON: &str = "Nonce=11886&Region=gz&SecretId=AKIDEXAMPLE0001&Timestamp=1700000000";

    /// One row of contract 2.7: how it is sent, the string to sign, and the signature.
    struct Vector {
        row: &'static str,
        method: &'static str,
        host: &'static str,
        sent: String,
        signed: String,
        signature: &'static str,
    }

    impl Vector {
        /// Rows J and K are v1 of API 3.0.
        fn path(&self) -> &'static str {
            if ["J", "K"].contains(&self.row) { "/" } else { "/v2/index.php" }
        }
    }

    fn vectors() -> Vec<Vector> {
        let qcloud = "bm.api.qcloud.com";
        let get = |tail: &str| format!("GET{qcloud}/v2/index.php?{tail}");
        let reset = format!("Action=ResetDevicePasswd&{COMMON}");
        let result =
            "Action=DescriptionOperationResult&Nonce=11886&Region=gz&SecretId=AKIDEXAMPLE0001";
        let at = format!("POST{qcloud}/v2/index.php?{reset}&instanceIds.0=cpm-34xs43xs");
        let at_sent = format!("{reset}&passwd=%40bce1234&instanceIds.0=cpm-34xs43xs");
        let id = |n: u32| format!("&instanceIds.{n}=cpm-{n:08}");
        let in_order = |order: &[u32]| order.iter().copied().map(id).collect::<String>();
        let one_two = "instanceIds.1=cpm-34xs43xs&instanceIds.2=cpm-3xwssdfx&passwd=abce1234";
        let zero_one = "instanceIds.0=cpm-34xs43xs&instanceIds.1=cpm-3xwssdfx&passwd=abce1234";
        let tencent = "bm.tencentcloudapi.com";
        let reset_v1 = "Action=ResetDevicePassword&InstanceIds.0=cpm-34xs43xs&InstanceIds.1=cpm-3xwssdfx&Language=zh-CN&Nonce=11886&Password=abce1234&Region=ap-guangzhou&RequestClient=SDK_PYTHON_3.0.1459&SecretId=AKIDEXAMPLE0001&SignatureMethod=HmacSHA256&Timestamp=1700000000&Version=2018-04-23".to_owned();
        let result_v1 = "Action=DescribeOperationResult&Language=zh-CN&Nonce=11886&Region=ap-guangzhou&RequestClient=SDK_PYTHON_3.0.1459&SecretId=AKIDEXAMPLE0001&SignatureMethod=HmacSHA1&TaskId=101&Timestamp=1700000000&Version=2018-04-23".to_owned();
        let row = |row, method, host, sent, signed, signature| Vector {
            row,
            method,
            host,
            sent,
            signed,
            signature,
        };
        vec![
            row("A", "GET", "bm.api.cloud.tencent.com", format!("{reset}&{one_two}"),
                format!("GETbm.api.cloud.tencent.com/v2/index.php?{reset}&{one_two}"),
                "t8d+HygwOw/tLw2/g/MOcVb8ZRo="),
            row("B", "POST", "127.0.0.1:8443",
                format!("{reset}&SignatureMethod=HmacSHA256&instanceIds.0=cpm-34xs43xs&passwd=Ab1%21%40%23%24%25%5E%26%2A%28%29"),
                "POST127.0.0.1:8443/v2/index.php?Action=ResetDevicePasswd&Nonce=11886&Region=gz&SecretId=AKIDEXAMPLE0001&SignatureMethod=HmacSHA256&Timestamp=1700000000&instanceIds.0=cpm-34xs43xs&passwd=Ab1!@#$%^&*()".into(),
                "u/4N3HcdI78wFE8A6PH7mTGr2RgLQgGgvhQMZKcbTVU="),
            row("C", "GET", qcloud, format!("{reset}&{}", zero_one.replace("Ids.", "Ids_")),
                get(&format!("{reset}&{zero_one}")), "vI9mhr9RwZZXOGViTqn2ExsfQRE="),
            row("D", "POST", qcloud, at_sent.clone(), at.clone(), "Ky5a3EI17AtQRuov4LMadoaXCYo="),
            row("E", "POST", qcloud, at_sent, format!("{at}&passwd=@bce1234"),
                "Edn0xxHXyeBeHoDMvZiiIH6qpXs="),
            row("F", "GET", qcloud,
                format!("{reset}{}&passwd=abce1234", in_order(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])),
                get(&format!("{reset}{}&passwd=abce1234", in_order(&[0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9]))),
                "1rS7gdia1xJWFJVUOrfcUe+eOrc="),
            row("G", "GET", qcloud,
                format!("taskId=101&Token=tmp-token-1&{result}&Timestamp=1700000000"),
                get(&format!("{result}&Timestamp=1700000000&Token=tmp-token-1&taskId=101")),
                "DWjWiwB5RG8BmA5KwtTIXAiVS1M="),
            row("H", "GET", qcloud,
                format!("Action=DescribeDevice&{COMMON}&alias=%E7%BD%91%E5%85%B3+1&limit=20&offset=0"),
                get(&format!("Action=DescribeDevice&{COMMON}&alias=网关 1&limit=20&offset=0")),
                "KrkU8Y9TkcNJO9Wax+rsXxEvxqU="),
            row("I", "GET", "127.0.0.1:8443",
                format!("{result}&SignatureMethod=HmacSHA256&Timestamp=1700000000&taskId=101"),
                format!("GET127.0.0.1/v2/index.php?{result}&SignatureMethod=HmacSHA256&Timestamp=1700000000&taskId=101"),
                "g2G6bAL6WbF2yp6k6wf+df/bRVSYxhRKyXou+Ab2YEM="),
            row("J", "POST", tencent, reset_v1.clone(), format!("POST{tencent}/?{reset_v1}"),
                "9elXAmMt9PYaTjmYdT34zNibAkw8PkQRVV6KczAtrVA="),
            row("K", "GET", tencent, result_v1.clone(), format!("GET{tencent}/?{result_v1}"),
                "3W2IdXtnGChsXxy1SxQo+UjUSzQ="),
        ]
    }

    fn signed<'a>(vector: &'a Vector, form: &'a Form) -> Signed<'a> {
        Signed { method: vector.method, host: vector.host.as_bytes(), path: vector.path(), form }
    }

    fn form(vector: &Vector) -> Form {
        let sent = format!("{}&Signature={}", vector.sent, vector.signature.replace('+', "%2B"));
        Form::decode(sent.as_bytes()).unwrap()
    }

    #[test]
    fn the_contracts_strings_to_sign_are_made() {
        for vector in vectors() {
            let form = form(&vector);
            let host = if vector.row == "I" { "127.0.0.1" } else { vector.host };
            let mut made = Vec::new();
            let leave_out = vector.row == "D";
            signed(&vector, &form).feed(host.as_bytes(), leave_out, &mut |piece| {
                made.extend_from_slice(piece);
            });
            assert_eq!(String::from_utf8(made).unwrap(), vector.signed, "row {}", vector.row);
        }
    }

    #[test]
    fn the_contracts_signatures_verify_and_no_other_does() {
        for vector in vectors() {
            let form = form(&vector);
            let algorithm = Algorithm::named(form.value("SignatureMethod"));
            let request = signed(&vector, &form);
            let mut bytes = STANDARD.decode(form.value("Signature").unwrap()).unwrap();
            let at = vector.method == "POST";
            assert!(request.verifies(algorithm, KEY, &bytes, at), "row {}", vector.row);
            assert!(!request.verifies(algorithm, b"another key", &bytes, at), "row {}", vector.row);
            assert!(!request.verifies(algorithm, KEY, &bytes[..8], at), "row {}", vector.row);
            bytes[3] ^= 1;
            assert!(!request.verifies(algorithm, KEY, &bytes, at), "row {}", vector.row);
        }
    }

    #[test]
    fn the_at_sign_rule_can_be_turned_off() {
        for vector in vectors().iter().filter(|v| ["D", "E"].contains(&v.row)) {
            let form = form(vector);
            let bytes = STANDARD.decode(vector.signature).unwrap();
            let verifies = signed(vector, &form).verifies(Algorithm::HmacSha1, KEY, &bytes, false);
            assert_eq!(verifies, vector.row == "E");
        }
    }

    #[test]
    fn only_a_number_after_the_last_colon_is_a_port() {
        let cases: [(&str, Option<&str>); 6] = [
            ("a:80", Some("a")),
            ("a", None),
            ("a:", None),
            ("a:b", None),
            ("http://127.0.0.1:8080", Some("http://127.0.0.1")),
            ("[::1]:80", Some("[::1]")),
        ];
        for (host, name) in cases {
            assert_eq!(without_port(host.as_bytes()), name.map(str::as_bytes), "{host}");
        }
    }
}
